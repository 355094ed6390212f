"""What the operands of a run of equal steps are: made in the step or a former one, a row, or the same in all steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

import numpy as np

from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass, once
from gradserve.ir.types import Array
from gradserve.ops.movement.placement import Slice
from gradserve.ops.movement.shapes import Reshape
from gradserve.optimize.loops.repeats import LEAST_COUNT, Run

_MOST_LAG = 4
"""How many steps back a step may read."""
_LITTLE = 1 << 20
"""Bytes that rows may take in any case."""


@dataclass(frozen=True, slots=True)
class Made:
    """What this step makes: the value at an offset among those of a step."""

    offset: int


@dataclass(frozen=True, slots=True)
class Carried:
    """What a former step has made, `lag` steps before; the first steps read the `initial` values, oldest first."""

    offset: int
    lag: int
    initial: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Another value from before the loop at every step."""

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """One value from before the loop."""

    value: int


Role = Made | Carried | Row | Shared


@dataclass(frozen=True)
class Loop:
    """A run whose steps are one function: the roles of the operands of a step's nodes, one after the other."""

    run: Run
    first: int
    """The number of the first value that it makes."""
    width: int
    """How many values a step makes."""
    roles: list[Role] = field(repr=False)
    joined: int
    """How many nodes it takes to put its rows together."""

    @property
    def saved(self) -> int:
        """How many nodes less there are with a scan in its place."""
        return self.run.saved - self.joined

    @property
    def last(self) -> int:
        """The number of the value behind it."""
        return self.first + self.width * self.run.count


class Numbered:
    """A graph's numbers at hand: what nodes read and make."""

    def __init__(self, graph: Graph) -> None:
        """Of a concrete graph."""
        self.graph = graph
        self.starts = np.array([results[0] for _, results in graph.numbered_nodes()], np.int64)
        """The first value of each node."""
        self._ends = np.cumsum([0, *(len(node.operands) for node in graph.nodes)])
        self._operands = np.array([k for node in graph.nodes for k in node.operands], np.int64)

    def operands(self, run: Run) -> Array:
        """The operands of a step's nodes, step by step."""
        return self._operands[self._ends[run.start] : self._ends[run.stop]].reshape(run.count, -1)

    @once
    def sources(self) -> Array:
        """Of each value the array of which it is a slice, reshaped or not; else the value itself."""
        found = list(range(len(self.graph.value_types)))
        sliced: set[int] = set()
        for node, (value, *_) in self.graph.numbered_nodes():
            if isinstance(node.op, Slice):
                sliced.add(value)
                found[value] = node.operands[0]
            elif isinstance(node.op, Reshape) and node.operands[0] in sliced:
                found[value] = found[node.operands[0]]
        return np.array(found, np.int64)

    def joined(self, row: Row) -> int:
        """How many nodes it takes to put its values together: one for each that is no slice of the array before it."""
        numbers = np.array(row.values)
        first, last = len(self.graph.inputs), self.graph.first_node_value
        if ((first <= numbers) & (numbers < last)).all():
            return 0  # of constants another constant is made
        sources = self.sources[numbers]
        return 1 + int(np.count_nonzero(sources[1:] != sources[:-1]))


def loop_of(numbered: Numbered, run: Run) -> Loop | None:
    """The longest stretch of the run's steps that are one function; None if there is none worth a loop."""
    operands, nodes = numbered.operands(run), numbered.graph.nodes
    first = int(numbered.starts[run.start])
    width = sum(len(node.types) for node in nodes[run.start : run.start + run.period])
    skipped, count = _stretch(operands, first, width)
    if count < LEAST_COUNT:
        return None
    start = Run(run.start + skipped * run.period, run.period, count)
    first += skipped * width
    roles: list[Role] = []
    for column in operands[skipped : skipped + count].T:
        role = _role(column, first, width)
        if role is None or (isinstance(role, Row) and not _is_affordable(numbered, role.values)):
            return None
        roles.append(role)
    joined = sum(numbered.joined(role) for role in {*roles} if isinstance(role, Row))
    return Loop(start, first, width, roles, joined)


def _is_affordable(numbered: Numbered, rows: Sequence[int]) -> bool:
    """Whether rows put together take no more memory than where they come from, or little.

    One array met at many steps, or windows that overlap, would be there as often as there are steps.
    """
    types = numbered.graph.value_types
    together = sum(types[k].nbytes for k in rows)
    return together <= _LITTLE or together <= 2 * sum(types[k].nbytes for k in {*numbered.sources[[*rows]].tolist()})


def _stretch(operands: Array, first: int, width: int) -> tuple[int, int]:
    """Where the longest stretch begins in which each step reads as the one before it, and how many steps it has."""
    before, after = operands[:-1], operands[1:]
    alike = (after == before) | (after == before + width) | ((before < first) & (after < first))
    breaks = np.flatnonzero(~alike.all(axis=1)) + 1
    edges = np.concatenate([[0], breaks, [len(operands)]])
    longest = int(np.argmax(np.diff(edges)))
    return int(edges[longest]), int(edges[longest + 1] - edges[longest])


def _role(column: Array, first: int, width: int) -> Role | None:
    """What an operand is, from the values that it is step after step; None if it is nothing that loops have."""
    if (column == column[0]).all() and column[0] < first:
        return Shared(int(column[0]))
    if (column < first).all():
        return Row(tuple(column.tolist()))
    step, offset = divmod(int(column[-1]) - first, width)
    lag = len(column) - 1 - step
    made = first + offset + width * np.arange(len(column) - lag)
    if lag > _MOST_LAG or not (column[lag:] == made).all() or not (column[:lag] < first).all():
        return None
    return Carried(offset, lag, tuple(column[:lag].tolist())) if lag else Made(offset)
