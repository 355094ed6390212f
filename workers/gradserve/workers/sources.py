"""Arrays from what chunks say about their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from gradserve.estimation.samplers import signs
from gradserve.ir.types import Array
from gradserve.workers.work import Rows, Shared, Signs, Source


def array_of(source: Source, data: Mapping[str, Array]) -> Array:
    """The array that a source stands for; a view of `data` where it is part of it."""
    match source:
        case Shared(key):
            return data[key]
        case Rows(key, start, stop):
            return data[key][start:stop]
        case Signs(seed, purpose, start, stop, shape, element_type):
            return signs(seed, purpose, start, stop, shape, element_type)
    assert_never(source)


def nbytes(source: Shared | Rows, data: Mapping[str, Array]) -> int:
    """The bytes of the array that a source stands for."""
    array = data[source.key]
    if isinstance(source, Shared):
        return array.nbytes
    return (source.stop - source.start) * (array.nbytes // max(1, len(array)))


def arrays_of(sources: Mapping[str, Source], data: Mapping[str, Array]) -> dict[str, Array]:
    """The array of every source."""
    return {name: array_of(source, data) for name, source in sources.items()}
