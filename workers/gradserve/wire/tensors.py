"""Arrays on the wire: row-major and little endian, inline or by the SHA-256 of their bytes."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from gradserve.ir.check import DIGEST
from gradserve.ir.errors import MOST_SOUGHT, BlobNotFound, InvalidRequest, Violation, shown
from gradserve.ir.graph import BlobRef, Constant, Literal
from gradserve.ir.shapes import MAX_RANK, shape_faults
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.v1 import tensor_pb2
from gradserve.wire.types import ELEMENT_TYPE_OF, NUMBER_OF, read_element_type

Blobs: TypeAlias = Callable[[str], bytes | None]
"""Answers the bytes whose SHA-256 it is given, or None. The answer is trusted to have that digest."""

Shared: TypeAlias = Callable[[int, int], memoryview | None]
"""Answers so many bytes of shared memory from a place on, given that place first; None if they are not there."""

_NUMERIC = {number: t for number, t in ELEMENT_TYPE_OF.items() if t is not ElementType.BOOL}
WIRE_DTYPE = {t: t.dtype.newbyteorder("<") for t in ElementType}


def encode_tensor(array: Array, inline_limit: int | None = None) -> tensor_pb2.Tensor:
    """The message of an array: inline, or the digest of its bytes if they are more than `inline_limit`.

    Raises:
        TypeError: gradserve has no such element type.
    """
    message = tensor_pb2.Tensor()
    write_tensor(message, array, inline_limit)
    return message


def write_tensor(message: tensor_pb2.Tensor, array: Array, inline_limit: int | None = None) -> None:
    """Fills an empty message as `encode_tensor` would. In its place in a larger message it needs no further copy."""
    array = np.asarray(array)
    element_type = ElementType.of(array.dtype)
    message.element_type = NUMBER_OF[element_type]
    message.shape.extend(array.shape)
    if inline_limit is not None and array.nbytes > inline_limit:
        message.blob = Literal(array).digest
    else:
        message.inline = np.asarray(array, WIRE_DTYPE[element_type]).tobytes()


def write_type(message: tensor_pb2.Tensor, type_: TensorType) -> None:
    """Fills an empty message with a type, and no elements."""
    message.element_type = NUMBER_OF[type_.element_type]
    message.shape.extend(type_.lengths)


def encode_constant(constant: Constant, inline_limit: int) -> tensor_pb2.Tensor:
    """The message of a constant: inline if its elements are here and at most `inline_limit` bytes."""
    if isinstance(constant, Literal) and constant.array.nbytes <= inline_limit:
        return encode_tensor(constant.array)
    type_ = constant.type
    return tensor_pb2.Tensor(element_type=NUMBER_OF[type_.element_type], shape=type_.lengths, blob=constant.digest)


def decode_tensor(
    message: tensor_pb2.Tensor, blobs: Blobs | None = None, field: str = "", shared: Shared | None = None
) -> Array:
    """The array of a message: read-only, and without a copy beyond the one that protobuf makes.

    Raises:
        InvalidRequest: the message is no tensor; names all violations, with paths below `field`.
        BlobNotFound: it names a blob that is not there.
    """
    plain = _plain(message)
    return _decode({field: message}, blobs, shared)[field] if plain is None else plain


def decode_tensors(
    messages: Mapping[str, tensor_pb2.Tensor],
    blobs: Blobs | None = None,
    field: str = "arguments",
    shared: Shared | None = None,
) -> dict[str, Array]:
    """The arrays of messages by name, such as the arguments of a call.

    Raises:
        InvalidRequest: a message is no tensor; names the violations of all.
        BlobNotFound: names all blobs that are not there.
    """
    plain = {name: _plain(message) for name, message in messages.items()}
    found = {name: array for name, array in plain.items() if array is not None}
    if len(found) == len(messages):
        return found
    paths = {name: f"{field}[{json.dumps(name)}]" for name in messages}
    arrays = _decode({paths[name]: message for name, message in messages.items()}, blobs, shared)
    return {name: arrays[path] for name, path in paths.items()}


def _plain(message: tensor_pb2.Tensor) -> Array | None:
    """The array of a message with real or integer elements that are all there; None says to look closer.

    Most arrays are such, and a small call has no time for a closer look.
    """
    element_type = _NUMERIC.get(message.element_type)
    shape = tuple(message.shape)
    if element_type is None or message.narrow or not message.HasField("inline"):
        return None
    if len(shape) > MAX_RANK or min(shape, default=0) < 0:
        return None
    data = message.inline
    if not data or len(data) != math.prod(shape) * element_type.itemsize:
        return None
    return _array(data, element_type, shape)


def _decode(messages: Mapping[str, tensor_pb2.Tensor], blobs: Blobs | None, shared: Shared | None) -> dict[str, Array]:
    violations: list[Violation] = []
    constants = {}
    for field, message in messages.items():
        constants[field] = read_constant(message, field, violations, shared)
        if len(violations) >= MOST_SOUGHT:
            break
    narrow = {field for field, message in messages.items() if message.narrow}
    if violations:
        raise InvalidRequest("an array is not correct", violations)
    literals = resolve({field: c for field, c in constants.items() if c is not None}, blobs, violations)
    if violations:
        raise InvalidRequest("a blob does not fit its array", violations)
    return {field: _widened(literal.array) if field in narrow else literal.array for field, literal in literals.items()}


def _widened(array: Array) -> Array:
    wide = array.astype(np.float64)
    wide.flags.writeable = False
    return wide


def read_constant(
    message: tensor_pb2.Tensor, field: str, violations: list[Violation], shared: Shared | None = None
) -> Constant | None:
    """The constant of a message; None, and violations, if it is not one. Of a narrow one that which is on the wire."""
    before = len(violations)
    type_ = read_tensor_type(message, field, violations)
    if message.narrow and type_ is not None:
        if type_.element_type is not ElementType.FLOAT64:
            violations.append(Violation(f"{field}.narrow", "G11", f"{type_} is not float64, which alone is narrowed"))
        type_ = TensorType(ElementType.FLOAT32, type_.shape)
    case = message.WhichOneof("payload")
    if case is None:
        violations.append(Violation(field, "G11", "neither elements nor the digest of a blob are there"))
    if case == "blob" and not DIGEST.fullmatch(message.blob):
        description = f"{shown(message.blob)} is not a SHA-256 in lower-case hexadecimal"
        violations.append(Violation(f"{field}.blob", "G11", description))
    if type_ is None or len(violations) > before:
        return None
    if case == "blob":
        return BlobRef(type_, message.blob)
    if case == "shared":
        return _in_memory(message.shared, type_, field, violations, shared)
    # Each look at `inline` copies all bytes: this is the only one.
    data = message.inline
    fault = _elements_fault(data, type_, _are_truths)
    if fault:
        violations.append(Violation(f"{field}.inline", "G11", fault))
    return None if fault else Literal(_array(data, type_.element_type, type_.lengths))


def _in_memory(
    offset: int, type_: TensorType, field: str, violations: list[Violation], shared: Shared | None
) -> Literal | None:
    """The array that lies in shared memory. What code goes by, such as an index, must not change under it."""
    found = None if shared is None or not type_.is_float else shared(offset, type_.nbytes)
    if found is None:
        text = f"no {type_.nbytes} bytes of {type_} at {offset} are in memory that the call shares; send them inline"
        violations.append(Violation(f"{field}.shared", "G11", text))
        return None
    return Literal(_array(found, type_.element_type, type_.lengths))


def resolve(constants: Mapping[str, Constant], blobs: Blobs | None, violations: list[Violation]) -> dict[str, Literal]:
    """The constants, each with its elements, by their paths; leaves out those for which it adds violations.

    Raises:
        BlobNotFound: names all blobs that are not there.
    """
    named = [c.digest for c in constants.values() if isinstance(c, BlobRef)]
    found = {digest: blobs(digest) if blobs else None for digest in dict.fromkeys(named)}
    missing = [digest for digest, data in found.items() if data is None]
    if missing:
        raise BlobNotFound(missing)
    are_truths = functools.cache(_are_truths)  # one blob may be the elements of many constants
    literals = {}
    for field, constant in constants.items():
        if isinstance(constant, Literal):
            literals[field] = constant
            continue
        data = found[constant.digest] or b""
        fault = _elements_fault(data, constant.type, are_truths)
        if fault:
            violations.append(Violation(f"{field}.blob", "G11", fault))
        else:
            literals[field] = Literal(_array(data, constant.type.element_type, constant.type.lengths))
            # The digest is known already; finding it again for a large blob takes seconds.
            literals[field].__dict__["digest"] = constant.digest
    return literals


def _elements_fault(data: bytes, type_: TensorType, are_truths: Callable[[bytes], bool]) -> str:
    """Why these bytes are not the elements of a type; empty if they are."""
    if len(data) != type_.nbytes:
        return f"{len(data)} bytes are not the {type_.nbytes} of {type_}"
    if type_.element_type is ElementType.BOOL and not are_truths(data):
        return "a truth value is a byte other than 0 and 1"
    return ""


def _are_truths(data: bytes) -> bool:
    return not data.translate(None, b"\0\1")


def _array(data: bytes | memoryview, element_type: ElementType, shape: tuple[int, ...]) -> Array:
    """The read-only array over its bytes, which are copied on machines of the other byte order only."""
    array = np.frombuffer(data, WIRE_DTYPE[element_type]).reshape(shape)
    native = array.astype(element_type.dtype, copy=False)
    native.flags.writeable = False
    return native


def read_tensor_type(message: tensor_pb2.Tensor, field: str, violations: list[Violation]) -> TensorType | None:
    """The type of a message, elements or none; None, and violations, if it states none that an array has."""
    before = len(violations)
    element_type = read_element_type(message.element_type, f"{field}.element_type", violations)
    shape = tuple(message.shape[: MAX_RANK + 1])
    itemsize = element_type.itemsize if element_type else 1
    violations += [Violation(f"{field}.shape", *fault) for fault in shape_faults(shape, itemsize)]
    return None if element_type is None or len(violations) > before else TensorType(element_type, shape)
