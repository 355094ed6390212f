"""Runs of nodes that apply the same ops to arrays of the same kinds again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

LEAST_COUNT = 8
"""Fewer steps are not worth a loop."""
_REACH = 4
"""A period is the distance from a node to one of the next so many of its kind."""
_CANDIDATES = 24


@dataclass(frozen=True, slots=True)
class Run:
    """Nodes from `start` on: `count` times the same `period` of them, by kind."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        """The position of the node behind it."""
        return self.start + self.period * self.count

    @property
    def saved(self) -> int:
        """How many nodes there are beside those of one step."""
        return self.period * (self.count - 1)


def repeats(graph: Graph) -> list[Run]:
    """The runs of promising periods, those first that have most nodes beside those of one step; they may overlap."""
    kinds = _kinds(graph)
    found = [run for period in _periods(kinds) for run in _runs(kinds, period)]
    return sorted(found, key=lambda run: -run.saved)


def _kinds(graph: Graph) -> Array:
    """For each node a number for its op and the types of its operands."""
    types = _Numbers()
    of_value = [types.of(type_) for type_ in graph.value_types]
    ops, kinds = _Numbers(), _Numbers()
    return np.array([kinds.known((ops.of(n.op), *[of_value[k] for k in n.operands])) for n in graph.nodes])


class _Numbers:
    """Numbers for equal things, most of which come as the same object again."""

    def __init__(self) -> None:
        self._by_value: dict[Hashable, int] = {}
        self._by_identity: dict[int, int] = {}

    def of(self, thing: Hashable) -> int:
        """The number of a thing that outlives this."""
        found = self._by_identity.get(id(thing))
        return self._by_identity.setdefault(id(thing), self.known(thing)) if found is None else found

    def known(self, thing: Hashable) -> int:
        """The number of whatever equals this."""
        return self._by_value.setdefault(thing, len(self._by_value))


def _periods(kinds: Array) -> Sequence[int]:
    """The distances at which nodes of one kind come again most often."""
    order = np.argsort(kinds, kind="stable")
    sorted_kinds = kinds[order]
    distances: Counter[int] = Counter()
    for reach in range(1, _REACH + 1):
        same = sorted_kinds[reach:] == sorted_kinds[:-reach]
        found, counts = np.unique((order[reach:] - order[:-reach])[same], return_counts=True)
        distances.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
    return [distance for distance, _ in distances.most_common(_CANDIDATES)]


def _runs(kinds: Array, period: int) -> list[Run]:
    """The stretches in which every node has the kind of the one a period later."""
    same = np.concatenate([[False], kinds[period:] == kinds[:-period], [False]])
    starts, stops = np.flatnonzero(same[1:] != same[:-1]).reshape(-1, 2).T
    counts = (stops - starts) // period + 1
    enough = counts >= LEAST_COUNT
    return [Run(a, period, n) for a, n in zip(starts[enough].tolist(), counts[enough].tolist(), strict=True)]
