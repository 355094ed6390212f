"""ONNX's elements among ours, and its tensors as arrays, looked at before anything is allocated.

Integers lie in wider ones and wrap round as they do there. Reals of 16 bits are computed as float32, which the
importer notes. Strings, complex numbers and numbers of 8 bits or fewer that are no integers have no place in a graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, external_data_helper, numpy_helper

from gradserve.client.importers.lax.elements import half_note
from gradserve.ir.errors import InvalidGraph, LimitExceeded
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported

MOST_BYTES = 1 << 31
"""Of all initialisers together."""
_SAME: dict[int, Any] = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.BOOL: np.bool_,
    TensorProto.INT8: np.int8,
    TensorProto.INT16: np.int16,
    TensorProto.INT32: np.int32,
    TensorProto.INT64: np.int64,
    TensorProto.UINT8: np.uint8,
    TensorProto.UINT16: np.uint16,
    TensorProto.UINT32: np.uint32,
    TensorProto.UINT64: np.uint64,
}
_HALF: dict[int, str] = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}
_BYTES: dict[int, int] = {TensorProto.FLOAT16: 2, TensorProto.BFLOAT16: 2}


@dataclass
class Elements:
    """What elements become, and what is to be said about that."""

    wide: bool = False
    """Whether float32 becomes float64."""
    notes: list[str] = field(default_factory=list)

    def dtype(self, number: int) -> np.dtype[Any]:
        """The elements that those of this number in ONNX are computed as.

        Raises:
            Unsupported: no graph has them.
        """
        if number in _HALF:
            self.notes.append(half_note(_HALF[number], "float64" if self.wide else "float32"))
            number = TensorProto.FLOAT
        if number == TensorProto.FLOAT and self.wide:
            number = TensorProto.DOUBLE
        if number not in _SAME:
            raise Unsupported(f"no graph has elements of {name_of(number)}", "convert the model to float32 and int64")
        found: np.dtype[Any] = np.dtype(_SAME[number])
        return found

    def array(self, tensor: TensorProto, folder: Path | None) -> Array:
        """The elements of a tensor.

        Raises:
            Unsupported: no graph has such elements.
            InvalidGraph: it is damaged, or what it names is not in the model's folder.
            LimitExceeded: it is too large.
        """
        dtype = self.dtype(tensor.data_type)
        _require_size(tensor)
        if external_data_helper.uses_external_data(tensor):
            found = _external(tensor, folder)
        else:
            _require_bytes(tensor, len(tensor.raw_data))
            try:
                found = numpy_helper.to_array(tensor)
            except (ValueError, TypeError) as error:
                raise InvalidGraph(f"tensor {tensor.name!r} is damaged: {error}") from None
        return np.asarray(found).astype(dtype)


def name_of(number: int) -> str:
    """What ONNX calls elements of this number."""
    return TensorProto.DataType.Name(number).lower() if number in TensorProto.DataType.values() else f"type {number}"


def bytes_of(tensor: TensorProto) -> int:
    """The bytes of the elements that a tensor declares.

    Raises:
        InvalidGraph: a length is negative.
    """
    if any(n < 0 for n in tensor.dims):
        raise InvalidGraph(f"tensor {tensor.name!r} has a negative length: {list(tensor.dims)}")
    each = _BYTES.get(tensor.data_type) or np.dtype(_SAME.get(tensor.data_type, np.int8)).itemsize
    return int(math.prod(tensor.dims) * each)


def _require_size(tensor: TensorProto) -> None:
    size = bytes_of(tensor)
    if size > MOST_BYTES:
        raise LimitExceeded("initialiser_bytes", f"tensor {tensor.name!r} declares {size} bytes of {MOST_BYTES}")


def _require_bytes(tensor: TensorProto, raw: int) -> None:
    """Whether there is as much as the lengths say: arrays are made by what they say."""
    count = math.prod(tensor.dims)
    fields: tuple[Sized, ...] = (
        tensor.float_data,
        tensor.int32_data,
        tensor.int64_data,
        tensor.double_data,
        tensor.uint64_data,
    )
    there = raw == bytes_of(tensor) if tensor.HasField("raw_data") else sum(map(len, fields)) == count
    if not there:
        raise InvalidGraph(f"tensor {tensor.name!r} holds another number of elements than {list(tensor.dims)} says")


def _external(tensor: TensorProto, folder: Path | None) -> Array:
    """What lies in a file beside the model, and nowhere else."""
    if folder is None:
        raise InvalidGraph(f"tensor {tensor.name!r} lies in a file of its own; give the path of the model, not a proto")
    told = {entry.key: entry.value for entry in tensor.external_data}
    root, location = folder.resolve(), told.get("location", "")
    try:
        path = (root / location).resolve()
        beside = path.is_relative_to(root) and path.is_file()
    except (ValueError, OSError):  # what cannot be a path at all
        beside = False
    if not beside:
        raise InvalidGraph(f"tensor {tensor.name!r}: {location[:80]!r} is no file in the folder of the model")
    size = bytes_of(tensor)
    offset, length = (_number(tensor, told.get(key, default)) for key, default in (("offset", 0), ("length", size)))
    if length != size or offset + length > path.stat().st_size:
        raise InvalidGraph(f"tensor {tensor.name!r}: {path.name} has not {size} bytes of it from byte {offset} on")
    with path.open("rb") as file:
        file.seek(offset)
        raw = file.read(length)
    inside = TensorProto(data_type=tensor.data_type, dims=tensor.dims, name=tensor.name, raw_data=raw)
    return np.asarray(numpy_helper.to_array(inside))


def _number(tensor: TensorProto, text: Any) -> int:
    if not str(text).isdigit():
        raise InvalidGraph(f"tensor {tensor.name!r}: {str(text)[:40]!r} is no number of bytes")
    return int(text)


def lengths_of(tensor: Sequence[int]) -> tuple[int, ...]:
    """A shape as our own."""
    return tuple(int(n) for n in tensor)
