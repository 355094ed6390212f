"""What messages only name, and how their tensors are read and written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.questions.call import Argument
from gradserve.questions.transport import as_float32
from gradserve.v1 import execution_pb2, tensor_pb2
from gradserve.wire.tensors import (
    Blobs,
    Shared,
    decode_tensor,
    decode_tensors,
    read_tensor_type,
    write_tensor,
    write_type,
)

Fill: TypeAlias = Callable[[tensor_pb2.Tensor, Argument], None]
"""Puts an argument into an empty message."""


def no_graph(message: execution_pb2.GraphRef) -> Graph:
    """Refuses graphs, which answers have none of."""
    raise InvalidRequest(f"the graph {message.digest} is not known here")


@dataclass(frozen=True, slots=True)
class Source:
    """Where graphs and blobs come from that a message names, and what becomes of its tensors."""

    graph: Callable[[execution_pb2.GraphRef], Graph] = no_graph
    blobs: Blobs | None = None
    writable: bool = False
    """Whether arrays are copies that may be written to; what protobuf holds may not."""
    types_alone: bool = False
    """Whether tensors are read as their types, elements or none."""
    shared: Shared | None = None
    """The memory that arrays may lie in."""

    def one(self, message: tensor_pb2.Tensor, field: str) -> Argument:
        """The array of a message; raises what `decode_tensor` does."""
        if self.types_alone:
            return _types({field: message})[field]
        array = decode_tensor(message, self.blobs, field, self.shared)
        return array.copy() if self.writable else array

    def named(self, messages: Mapping[str, tensor_pb2.Tensor], field: str) -> dict[str, Argument]:
        """The arrays of messages by name; raises what `decode_tensors` does."""
        if self.types_alone:
            types = _types({f"{field}[{json.dumps(name)}]": message for name, message in messages.items()})
            return dict(zip(messages, types.values(), strict=True))
        arrays: Mapping[str, Array] = decode_tensors(messages, self.blobs, field, self.shared)
        return {name: array.copy() for name, array in arrays.items()} if self.writable else dict(arrays)


def fill_inline(message: tensor_pb2.Tensor, argument: Argument) -> None:
    """Puts all elements into the message; of a type alone, the type."""
    if isinstance(argument, TensorType):
        write_type(message, argument)
    else:
        write_tensor(message, argument)


def fill_narrow(message: tensor_pb2.Tensor, argument: Argument) -> None:
    """The same, of a float64 array as float32 if that has all of its elements."""
    narrow = None if isinstance(argument, TensorType) else narrowed(argument)
    if narrow is None:
        fill_inline(message, argument)
    else:
        write_tensor(message, narrow)
        mark_narrow(message)


def narrowed(array: Array) -> Array | None:
    """The array as float32; None if it is not one of float64 all of whose elements float32 has, to the bit."""
    narrow = as_float32(array)
    if narrow is None:
        return None
    bits, given = (np.ascontiguousarray(each).view(np.int64) for each in (narrow.astype(np.float64), array))
    return narrow if np.array_equal(bits, given) else None


def mark_narrow(message: tensor_pb2.Tensor) -> None:
    """Says of a message of float32 that it stands for float64."""
    message.element_type, message.narrow = tensor_pb2.ELEMENT_TYPE_FLOAT64, True


def _types(messages: Mapping[str, tensor_pb2.Tensor]) -> dict[str, TensorType]:
    violations: list[Violation] = []
    types = {field: read_tensor_type(message, field, violations) for field, message in messages.items()}
    if violations:
        raise InvalidRequest("an array is not correct", violations)
    return {field: type_ for field, type_ in types.items() if type_ is not None}
