"""Memory that client and service share, on the wire: its name, and arrays that lie in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from gradserve.ir.types import Array, type_of
from gradserve.questions.memory import SharedMemory
from gradserve.v1 import tensor_pb2
from gradserve.wire.tensors import WIRE_DTYPE, write_type

SHARED_BYTES = 256 << 10
"""Arrays from this size on lie in shared memory, if there is any: smaller ones are sent as fast."""
Room: TypeAlias = Callable[[int], tuple[int, memoryview] | None]
"""Answers where in shared memory so many bytes are to lie, and those bytes; None if there is no room for them."""


def write_memory(message: tensor_pb2.SharedMemory, memory: SharedMemory) -> None:
    """Fills an empty message with a name."""
    message.process, message.descriptor = memory.process, memory.descriptor
    message.secret, message.room = memory.secret, memory.room


def read_memory(message: tensor_pb2.SharedMemory) -> SharedMemory:
    """The name in a message."""
    return SharedMemory(message.process, message.descriptor, message.secret, message.room)


def may_share(array: Array) -> bool:
    """Whether an array may lie in memory that others write to: no number in it is a place that code goes by."""
    return array.nbytes >= SHARED_BYTES and array.dtype.kind == "f"


def write_shared(message: tensor_pb2.Tensor, array: Array, room: Room) -> bool:
    """Fills an empty message with an array, put into shared memory; answers whether there was room for it."""
    found = room(array.nbytes) if may_share(array) else None
    if found is None:
        return False
    message.shared, place = found
    type_ = type_of(array)
    write_type(message, type_)
    np.copyto(np.frombuffer(place, WIRE_DTYPE[type_.element_type]).reshape(array.shape), array)
    return True
