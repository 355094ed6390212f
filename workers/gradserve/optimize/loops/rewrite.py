"""Graphs with their unrolled loops as scans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradserve.autodiff.control.functions import function, parameters
from gradserve.autodiff.walk import copy_node, declare_inputs, leaves
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.types import Array, ElementType
from gradserve.ops import builder
from gradserve.ops.control.scan import Scan
from gradserve.optimize.loops.bodies import Carried, Loop, Made, Numbered, Role, Row, Shared, loop_of
from gradserve.optimize.loops.order import with_early_nodes, with_early_views
from gradserve.optimize.loops.repeats import LEAST_COUNT, Run, repeats
from gradserve.optimize.loops.stacks import row_of, stacked

LEAST_NODES = 500
"""Fewer nodes are derived and scheduled about as soon as a loop is found."""
_ENOUGH = 0.25
_NEARLY_ALL = 0.8
"""Shares of the nodes that loops have to save: to be written as such, and for nobody to look for better ones."""
_MOST_LOOKS = 20
"""How often a node is looked at, on average, as a part of some run."""
_DEPTH = 4
"""Loops within loops."""


def rerolled(graph: Graph) -> Graph:
    """The graph with runs of equal steps as scans, loops within loops too; itself if there are none worth it.

    It computes the same from the same ops. Deriving, optimising and scheduling then see each body once.
    """
    for _ in range(_DEPTH):
        found = _loops(graph) if len(graph.nodes) >= LEAST_NODES and graph.is_concrete else None
        if found is None:
            break
        graph = _with_scans(found.graph, found.loops)
    return graph


class _Found(NamedTuple):
    """Loops that lie apart, by their positions in a graph."""

    graph: Graph
    loops: Sequence[Loop]

    @property
    def saved(self) -> int:
        """How many nodes less there are with scans in their place."""
        return sum(loop.saved for loop in self.loops)


def _loops(graph: Graph) -> _Found | None:
    """The loops of the order in which they save most nodes; None if they save few."""
    enough = len(graph.nodes) * _ENOUGH
    first = _best(with_early_views(graph), enough)
    if first.saved >= len(graph.nodes) * _NEARLY_ALL:
        return first
    best = max(first, _best(with_early_nodes(graph), max(enough, first.saved)), key=lambda found: found.saved)
    return best if best.loops else None


def _best(graph: Graph, enough: float) -> _Found:
    """Loops that lie apart, those first that save most; none if together they do not save so many nodes."""
    numbered = Numbered(graph)
    taken = np.zeros(len(graph.nodes) + 1, bool)
    taken[-1] = True
    loops = []
    left = _MOST_LOOKS * len(graph.nodes)
    for run in repeats(graph):
        free = _free(run, taken)
        left -= run.stop - run.start
        if left < 0:
            break
        loop = None if free is None else loop_of(numbered, free)
        if loop is not None and loop.saved > 0:
            loops.append(loop)
            taken[loop.run.start : loop.run.stop] = True
    found = _Found(graph, sorted(loops, key=lambda loop: loop.run.start))
    return found if found.saved >= enough else _Found(graph, ())


def _free(run: Run, taken: Array) -> Run | None:
    """The part of a run whose nodes are in no loop yet, from the first such node on; None if it is too short."""
    start = run.start + int(np.argmin(taken[run.start : run.stop]))
    count = min(int(np.argmax(taken[start:])), run.stop - start) // run.period
    return Run(start, run.period, count) if count >= LEAST_COUNT else None


def _with_scans(graph: Graph, loops: Sequence[Loop]) -> Graph:
    g = builder()
    values: list[Value | None] = [*leaves(g, graph, declare_inputs(g, graph))]
    position, last_reads = 0, _last_reads(graph)
    for loop in loops:
        _copy(g, graph, range(position, loop.run.start), values)
        made = _scan(g, graph, loop, values, _read_outside(last_reads, loop))
        values += [made.get(k) for k in range(loop.first, loop.last)]
        position = loop.run.stop
    _copy(g, graph, range(position, len(graph.nodes)), values)
    outputs = {output.name: values[output.value] for output in graph.outputs}
    return g.finished({name: value for name, value in outputs.items() if value is not None})


def _copy(g: Builder, graph: Graph, positions: range, values: list[Value | None]) -> None:
    for position in positions:
        values += copy_node(g, graph.nodes[position], values)  # type: ignore[arg-type]


def _last_reads(graph: Graph) -> list[int]:
    """Of each value the position of the last node that reads it, and that behind all nodes for outputs; else -1."""
    last = [-1] * len(graph.value_types)
    for position, node in enumerate(graph.nodes):
        for k in node.operands:
            last[k] = position
    for output in graph.outputs:
        last[output.value] = len(graph.nodes)
    return last


def _read_outside(last_reads: Sequence[int], loop: Loop) -> list[int]:
    """The values that the loop makes and others read, all of which come after it."""
    return [k for k in range(loop.first, loop.last) if last_reads[k] >= loop.run.stop]


def _scan(
    g: Builder, graph: Graph, loop: Loop, values: Sequence[Value | None], read: Sequence[int]
) -> dict[int, Value]:
    """The loop as a scan: those of its values that others read, by their numbers."""
    body = _Body(g, graph, loop, values)
    wanted = {k: divmod(k - loop.first, loop.width) for k in read}
    last = loop.run.count - 1
    stacks = sorted({offset for step, offset in wanted.values() if body.carry_of(offset) is None or step != last})
    scan = Scan(
        body=rerolled(body.function(stacks)),
        length=loop.run.count,
        carries=len(body.initial),
        scanned=len(body.rows),
        reverse=False,
        stops=False,
    )
    g.origin = graph.nodes[loop.run.start].origin
    steps = g.constant(loop.run.count, ElementType.INT64)
    results = g.apply(scan, [steps, *body.initial, *body.rows, *body.shared])
    stack = dict(zip(stacks, results[len(body.initial) :], strict=True))

    def taken(step: int, offset: int) -> Value:
        carry = body.carry_of(offset) if step == last else None
        return row_of(g, stack[offset], step) if carry is None else results[carry]

    return {k: taken(*place) for k, place in wanted.items()}


class _Body:
    """The function of one step, and what the scan gives it."""

    def __init__(self, g: Builder, graph: Graph, loop: Loop, values: Sequence[Value | None]) -> None:
        self.initial: list[Value] = []
        """The carries before the first step."""
        self.rows: list[Value] = []
        self.shared: list[Value] = []
        self._g, self._values = g, values
        self._nodes = graph.nodes[loop.run.start : loop.run.start + loop.run.period]
        self._roles = loop.roles
        self._slots: dict[Role, int] = {}
        """Where in its group of operands a role's value is: of a carry the one that the step before has made."""
        self._carries: dict[int, int] = {}
        """Which of the last carries is the value of the last step at an offset."""
        for role in dict.fromkeys(loop.roles):
            self._place(role)

    def _place(self, role: Role) -> None:
        match role:
            case Carried(offset=offset, initial=initial):
                self._slots[role] = len(self.initial)
                self._carries.setdefault(offset, len(self.initial))
                self.initial += [self._given(k) for k in reversed(initial)]
            case Row(values):
                self._slots[role] = len(self.rows)
                self.rows.append(stacked(self._g, [self._given(k) for k in values]))
            case Shared(value) if self._number(value) is None:
                self._slots[role] = len(self.shared)
                self.shared.append(self._given(value))

    def _given(self, k: int) -> Value:
        value = self._values[k]
        assert value is not None, "a loop reads what is there before it"
        return value

    def _number(self, k: int) -> Literal | None:
        """The constant behind a value, if it is a scalar: those are a part of the function."""
        literal = self._g.literal(self._given(k))
        return literal if isinstance(literal, Literal) and not literal.type.rank else None

    def carry_of(self, offset: int) -> int | None:
        """Which of the last carries is this value of the last step."""
        return self._carries.get(offset)

    def function(self, stacks: Sequence[int]) -> Graph:
        """One step: from carries, a row and what is shared to the new carries, and the values at these offsets."""
        inner = builder()
        rows = [row.type.with_shape(row.type.shape[1:]) for row in self.rows]
        own = parameters(inner, [*(x.type for x in self.initial), *rows, *(x.type for x in self.shared)])
        made: list[Value] = []
        roles = iter(self._roles)
        for node in self._nodes:
            inner.origin = node.origin
            made += inner.apply(node.op, [self._inside(inner, next(roles), own, made) for _ in node.operands])
        carried = own[: len(self.initial)]
        for role, k in self._slots.items():
            if isinstance(role, Carried):
                carried[k : k + role.lag] = [made[role.offset], *own[k : k + role.lag - 1]]
        return function(inner, [*carried, *(made[offset] for offset in stacks)])

    def _inside(self, inner: Builder, role: Role, own: Sequence[Value], made: Sequence[Value]) -> Value:
        """The operand of a node of the step."""
        match role:
            case Made(offset):
                return made[offset]
            case Carried(lag=lag):
                return own[self._slots[role] + lag - 1]
            case Row():
                return own[len(self.initial) + self._slots[role]]
            case Shared(value):
                number = self._number(value)
                if number is not None:
                    return inner.constant(number)
                return own[len(self.initial) + len(self.rows) + self._slots[role]]
