"""Arrays from what chunks say about their arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

import numpy as np

from gradserve.estimation.samplers import normals, signs
from gradserve.ir.graph import Literal
from gradserve.ir.types import Array
from gradserve.pools.work import Constant, Normals, OneHots, Point, Rows, Shared, Signs, Source, Stored


def array_of(source: Source, data: Mapping[str, Array], constants: Mapping[str, Literal]) -> Array:
    """The array that a source stands for; a view of `data` where it is part of it."""
    match source:
        case Shared(key):
            return data[key]
        case Constant(key):
            return constants[key].array
        case Rows(key, start, stop):
            return data[key][start:stop]
        case Point(key, index):
            return np.asarray(data[key][index])
        case OneHots():
            return _one_hots(source)
        case Signs(seed, purpose, start, stop, shape, element_type):
            return signs(seed, purpose, start, stop, shape, element_type)
        case Normals(seed, purpose, start, stop, shape, element_type):
            return normals(seed, purpose, start, stop, shape).astype(element_type.dtype, copy=False)
    assert_never(source)


def part(source: Source, start: int, stop: int) -> Source:
    """What the rows `start` to `stop` of a source come from; itself where every row comes from all of it."""
    match source:
        case Rows() | OneHots() | Signs() | Normals():
            return replace(source, start=source.start + start, stop=source.start + stop)
        case Shared() | Constant() | Point():
            return source
    assert_never(source)


def nbytes(source: Stored, data: Mapping[str, Array]) -> int:
    """The bytes of the array that a source stands for."""
    array = data[source.key]
    match source:
        case Shared():
            return array.nbytes
        case Rows(_, start, stop):
            return (stop - start) * (array.nbytes // max(1, len(array)))
        case Point():
            return array.nbytes // max(1, len(array))


def _one_hots(source: OneHots) -> Array:
    size = math.prod(source.shape)
    rows = np.zeros((source.stop - source.start, size), source.element_type.dtype)
    hot = np.arange(max(source.start, source.offset), min(source.stop, source.offset + size))
    rows[hot - source.start, hot - source.offset] = 1
    return rows.reshape(len(rows), *source.shape)


def arrays_of(
    sources: Mapping[str, Source], data: Mapping[str, Array], constants: Mapping[str, Literal]
) -> dict[str, Array]:
    """The array of every source, from a work's data and constants."""
    return {name: array_of(source, data, constants) for name, source in sources.items()}
