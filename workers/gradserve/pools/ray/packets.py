"""Messages as bytes, quickly: pickles in which arrays and the records of a chunk are their plain parts.

Pickling such small things as they are takes longer than running them.
"""

from __future__ import annotations

import io
import operator
import pickle
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args

import numpy as np

from gradserve.ir.types import Array
from gradserve.pools.ray.messages import ChunkCall
from gradserve.pools.replies import Done
from gradserve.pools.work import Source

_PROTOCOL = 5


def packed(value: Any) -> bytes:
    """The bytes of a message."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, _PROTOCOL)
    pickler.dispatch_table = _TABLE
    pickler.dump(value)
    return file.getvalue()


def unpacked(data: bytes | memoryview) -> Any:
    """The message; its arrays are read-only, as those are that Ray delivers, and share nothing with `data`."""
    return pickle.loads(data)


def _array(data: bytes, dtype: str, shape: tuple[int, ...], order: Any) -> Array:
    return np.ndarray(shape, dtype, data, order=order)


def _parts(array: Array) -> tuple[Any, ...]:
    return _array, (array.tobytes("A"), array.dtype.str, array.shape, "F" if array.flags.fnc else "C")


def _record(of: type) -> Callable[[Any], tuple[Any, ...]]:
    names = [one.name for one in fields(of)]
    values = operator.attrgetter(*names)
    return (lambda record: (of, (values(record),))) if len(names) == 1 else (lambda record: (of, values(record)))


_TABLE: Any = {
    np.ndarray: _parts,
    **{record: _record(record) for record in (ChunkCall, Done, *get_args(Source))},
}
