"""Graphs as machine code: every node by its lowering, elementwise ones in groups, computed when read."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from gradserve.execution.fused.elementwise import computed, term_of
from gradserve.execution.fused.groups import Group
from gradserve.execution.fused.machine import Machine
from gradserve.execution.fused.passes import moved
from gradserve.execution.fused.terms import NotLowered, Term, in_order
from gradserve.execution.fused.values import FEW, Lowered, Stored
from gradserve.ir.graph import Graph, Literal, Node
from gradserve.ir.op import Op
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops.reduction.reductions import ReduceSum

New: TypeAlias = Callable[[int], Stored]
"""Memory for one of a node's results, by its number."""
Made: TypeAlias = tuple[Node, range]
"""A node with the values that it makes."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a node is lowered."""

    machine: Machine
    types: tuple[TensorType, ...]
    """Those of the node's results."""
    new: New
    placed: tuple[Stored | None, ...] = ()
    """Of each operand, where it was made within the result, if it was."""


@functools.singledispatch
def lowered(op: Op, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    """The results of a node.

    Raises:
        NotLowered: there is no machine code for it.
    """
    del at, operands
    raise NotLowered(op.name)


@functools.singledispatch
def place_of(op: Op, machine: Machine, operands: Sequence[TensorType], position: int, into: Stored) -> Stored | None:
    """Where in its result an op puts an operand as it is; None if it does more than that."""
    del op, machine, operands, position, into
    return None


_MOST_CALLS = 32
"""Calls of ufuncs in one pass, each of which is a loop to LLVM: what a pass takes to write grows faster than it."""


def lower(
    machine: Machine, graph: Graph, inputs: Sequence[Lowered], into: Mapping[int, Stored] | None = None
) -> list[Lowered]:
    """The outputs of a graph, in their order; those of the values `into` are written where it says.

    Memory of the others is given back by who takes them: it counts each output as one user.
    """
    return _Frame(machine, graph, inputs, into or {}).run()


class _Frame:
    """One graph while it is lowered."""

    def __init__(self, machine: Machine, graph: Graph, inputs: Sequence[Lowered], into: Mapping[int, Stored]) -> None:
        self._machine, self._graph, self._into = machine, graph, into
        self._values: dict[int, Lowered] = {}
        self._pending: dict[tuple[int, ...], Group] = {}
        self._group_of: dict[int, Group] = {}
        self._outside: dict[int, list[int]] = {}
        """The values that a group reads and did not make, by the group's id."""
        self._deferred: dict[int, Made] = {}
        """What makes each value: nodes of no group are lowered when one of their values is read."""
        self._waiting: dict[int, list[Made]] = {}
        """Nodes that can join a group once a value is there, or a member of a group itself."""
        self._begun: dict[int, Stored] = {}
        """Memory of results that are not there yet."""
        self._placed: dict[int, Stored] = {}
        """Where values are made that belong into a result of others."""
        self._only_reader = _only_readers(graph)
        self._left = Counter(k for node in graph.nodes for k in node.operands)
        self._left.update(output.value for output in graph.outputs)
        for k, value in enumerate(inputs):
            self._values[k] = value
        for k, constant in enumerate(graph.constants, start=len(inputs)):
            assert isinstance(constant, Literal)
            self._values[k] = machine.constant(constant.array.item(), constant.type)

    def run(self) -> list[Lowered]:
        """The outputs."""
        for node, results in self._graph.numbered_nodes():
            self._deferred |= dict.fromkeys(results, (node, results))
            self._offer([(node, results)])
        found = []
        for output in self._graph.outputs:
            value, place = self._value(output.value), self._into.get(output.value)
            if place is not None and value != place:
                if isinstance(value, Stored):
                    self._machine.arena.use(value.owner, -1)
                value = self._values[output.value] = moved(self._machine, value, place)
                self._machine.arena.use(place.owner, 1)
            elif isinstance(value, Stored) and output.value < self._graph.first_node_value:
                self._machine.arena.use(value.owner, 1)
            found.append(value)
        return found

    def _apply(self, node: Node, results: range) -> None:
        operands, held = [self._values[k] for k in node.operands], self._machine.held

        def new(position: int) -> Stored:
            return self._result(node, results, position)

        site = Site(self._machine, node.types, new, tuple(map(self._placed.get, node.operands)))
        for k, value in zip(results, lowered(node.op, site, operands), strict=True):
            self._define(k, value)
        self._machine.let_go(held)
        self._release(node.operands)

    def _result(self, node: Node, results: range, position: int) -> Stored:
        """Memory for a result: the same whenever it is asked for before there is the result."""
        k = results[position]
        if k not in self._into and k not in self._begun:
            self._begun[k] = self._machine.allocate(node.types[position])
        return self._into.get(k) or self._begun[k]

    def _place(self, k: int) -> Stored | None:
        """Where a value is to be made: where it was asked for, or where its only reader would move it to."""
        reader = self._only_reader.get(k)
        if k not in self._into and reader is not None:
            node, results = reader
            types = [self._graph.value_types[operand] for operand in node.operands]
            whole = self._result(node, results, 0)
            place = place_of(node.op, self._machine, types, node.operands.index(k), whole)
            if place is not None:
                self._placed[k] = place
        return self._into.get(k) or self._placed.get(k)

    def _define(self, k: int, value: Lowered) -> None:
        self._values[k] = value
        if isinstance(value, Stored):
            self._machine.arena.use(value.owner, self._left[k])
        self._offer(self._waiting.pop(k, ()))

    def _release(self, operands: Sequence[int]) -> None:
        for k in operands:
            self._left[k] -= 1
            value = self._values[k]
            if isinstance(value, Stored) and k >= self._graph.first_node_value:
                self._machine.arena.use(value.owner, -1)

    def _offer(self, nodes: Sequence[Made]) -> None:
        """Puts nodes into groups, and all that follows from that; nothing is computed, only looked at otherwise."""
        offered = list(nodes)
        while offered:
            node, results = offered.pop()
            if not (node.op.elementwise or node.op.view or isinstance(node.op, ReduceSum)):
                continue
            missing = next((k for k in node.operands if k not in self._values and not self._is_pending(k)), None)
            if missing is not None:
                self._waiting.setdefault(missing, []).append((node, results))
            elif node.op.elementwise:
                self._join(node, results[0])
                offered += self._waiting.pop(results[0], ())
            elif node.op.view and node.operands[0] in self._values:
                self._apply(node, results)
            elif node.op.view:
                self._waiting.setdefault(node.operands[0], []).append((node, results))
            elif isinstance(node.op, ReduceSum) and self._is_summed(node):
                self._sum(node.op, node.operands[0], results[0])

    def _is_pending(self, k: int) -> bool:
        """Whether a value is a member of a group that is not computed yet."""
        group = self._group_of.get(k)
        return group is not None and k in group.terms and self._pending.get(group.lengths) is group

    def _join(self, node: Node, result: int) -> None:
        """Puts an elementwise node into the group of its shape."""
        lengths = node.types[0].lengths
        full = self._pending.get(lengths)
        if full is not None and full.calls >= _MOST_CALLS:
            self._compute(full, result)
        group = self._pending.get(lengths) or self._begin(lengths)
        terms = []
        for k in node.operands:
            if k in group.terms:
                terms.append(group.terms[k])
                self._left[k] -= 1
            else:
                terms.append(group.read(k, self._values[k]))
                self._outside[id(group)].append(k)
        made = term_of(node.op, terms)
        if made.operation in ("leaf", "number") or any(made is term for term in terms):
            made = Term("same", (made,), made.element_type)
        group.terms[result] = made
        group.calls += sum(each.operation == "call" for each in in_order([made], terms))
        self._group_of[result] = group

    def _is_summed(self, node: Node) -> bool:
        """Whether a sum can be made while its operand is: one that is not computed yet, of more than a few elements."""
        (operand,) = node.operands
        lengths = self._graph.value_types[operand].lengths
        return self._is_pending(operand) and len(lengths) > len(node.types[0].lengths) and math.prod(lengths) > FEW

    def _sum(self, op: ReduceSum, operand: int, result: int) -> None:
        """Puts a sum into the group of its operand."""
        group = self._group_of[operand]
        group.sums[result] = group.terms[operand], op.axes
        self._left[operand] -= 1
        self._group_of[result] = group

    def _value(self, k: int) -> Lowered:
        """A value, computed by now: as late as may be, so that groups have grown before they are computed."""
        wanted = [(k, False)]
        while wanted:
            first, may_be_pending = wanted[-1]
            if first in self._values or (may_be_pending and self._is_pending(first)):
                wanted.pop()
            elif first in self._group_of:
                group = self._group_of[first]
                if self._pending.get(group.lengths) is group:
                    self._compute(group, first)
                else:
                    wanted.pop()  # whoever wanted it has joined its group, and is computed
            else:
                node, results = self._deferred[first]
                joins = node.op.elementwise
                missing = [x for x in node.operands if x not in self._values and not (joins and self._is_pending(x))]
                wanted += [(operand, joins) for operand in reversed(missing)]
                if not missing:
                    self._apply(node, results)
        return self._values[k]

    def _compute(self, group: Group, asked: int) -> None:
        """Computes what is asked for, and all else of its group but what is sooner made again."""
        del self._pending[group.lengths]
        stays = {asked, *self._into}
        kept = [k for k, term in group.terms.items() if self._left[k] and k not in stays and group.is_cheap(term)]
        if kept:
            self._keep(group, kept)
        wanted = {k: self._place(k) for k in group.terms if self._left[k] and k not in kept}
        wanted |= {k: self._into.get(k) for k in group.sums if self._left[k]}
        held = self._machine.held
        for k, value in computed(self._machine, group, wanted).items():
            self._define(k, value)
        self._machine.let_go(held)
        self._release(self._outside.pop(id(group)))

    def _keep(self, group: Group, values: Sequence[int]) -> None:
        """Leaves values uncomputed, in a group of their own: whoever reads them makes them anew from what is small."""
        new = self._begin(group.lengths)
        for k in values:
            new.terms[k] = term = new.taken_over(group, group.terms[k])
            self._group_of[k] = new
            assert term.operation != "leaf"
        for k in new.keys:
            self._outside[id(new)].append(k)
            self._left[k] += 1
            value = self._values[k]
            if isinstance(value, Stored) and k >= self._graph.first_node_value:
                self._machine.arena.use(value.owner, 1)

    def _begin(self, lengths: tuple[int, ...]) -> Group:
        group = self._pending[lengths] = Group(lengths)
        self._outside[id(group)] = []
        return group


def _only_readers(graph: Graph) -> dict[int, Made]:
    """The one reader of each value that has one alone, if that may put it into a single result of its own."""
    count = Counter(k for node in graph.nodes for k in node.operands)
    count.update(output.value for output in graph.outputs)
    unplaced = place_of.dispatch(object)
    made = ((n, results) for n, results in graph.numbered_nodes() if place_of.dispatch(type(n.op)) is not unplaced)
    return {k: (node, results) for node, results in made for k in node.operands if count[k] == 1}
