"""Regions: parts of a graph that become machine code, each one node of the graph that Python runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradserve.ir.graph import Graph, Input, Node, Output
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.control.calling import Calling, Function, output_types

_MOST_WEIGHT = 2500
"""Of the nodes of one region: what LLVM takes for a function grows faster than the function."""
Lowerable = Callable[[Graph, Node], bool]
"""Whether there is machine code for a node of a graph."""
Weight = Callable[[Graph, Node], int]
"""How much of it there is."""


@dataclass(frozen=True)
class Region(Calling):
    """Its body of its operands. Only the fused executor writes it."""

    body: Graph

    name = "region"
    internal = True
    calls_functions = ("body",)

    @property
    def calls(self) -> int:
        """Once."""
        return 1

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the outputs."""
        del types
        return tuple(output_types(self.body))

    def run(self, xp: Any, functions: Mapping[str, Function], *arrays: Array) -> list[Array]:
        """The outputs."""
        del xp
        return list(functions["body"](*arrays))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """None: no graph of a client holds one."""
        yield from ()


def fused(graph: Graph, lowerable: Lowerable, weight: Weight) -> Graph:
    """The graph with nodes that have machine code in regions: as few as the other nodes between them allow.

    Functions of the others, such as bodies of loops that call LAPACK, are treated alike.
    """
    rounds = _rounds(graph, lowerable)
    return _Regrouping(graph, rounds, lowerable, weight).graph()


def _rounds(graph: Graph, lowerable: Lowerable) -> list[int]:
    """For each node its round: even ones are regions, odd ones are run by Python, each after those that it needs."""
    made = [0] * graph.first_node_value
    rounds = []
    for node in graph.nodes:
        after = max((made[k] for k in node.operands), default=0)
        wanted = 0 if lowerable(graph, node) else 1
        own = after if after % 2 == wanted else after + 1
        rounds.append(own)
        made += [own] * len(node.types)
    return rounds


class _Regrouping:
    """The nodes of a graph round by round."""

    def __init__(self, graph: Graph, rounds: Sequence[int], lowerable: Lowerable, weight: Weight) -> None:
        self._graph, self._rounds, self._lowerable, self._weight = graph, rounds, lowerable, weight
        self._nodes: list[Node] = []
        self._number = {k: k for k in range(graph.first_node_value)}
        self._next = graph.first_node_value
        self._results = [results for _, results in graph.numbered_nodes()]
        self._outputs = {output.value for output in graph.outputs}
        self._readers: dict[int, list[int]] = {}
        """The nodes that read a value, by their positions."""
        for position, node in enumerate(graph.nodes):
            for k in node.operands:
                self._readers.setdefault(k, []).append(position)

    def graph(self) -> Graph:
        """The graph with regions."""
        members: dict[int, list[int]] = {}
        for position, own in enumerate(self._rounds):
            members.setdefault(own, []).append(position)
        for own in sorted(members):
            if own % 2:
                for position in members[own]:
                    self._keep(position)
            else:
                for part in self._parts(members[own]):
                    self._gather(part)
        outputs = tuple(Output(o.name, self._number[o.value]) for o in self._graph.outputs)
        return Graph(self._graph.inputs, self._graph.constants, tuple(self._nodes), outputs)

    def _parts(self, positions: Sequence[int]) -> Iterator[list[int]]:
        """The nodes of a round, in their order, cut where a region would become too large."""
        part: list[int] = []
        total = 0
        for position in positions:
            own = self._weight(self._graph, self._graph.nodes[position])
            if part and total + own > _MOST_WEIGHT:
                yield part
                part, total = [], 0
            part.append(position)
            total += own
        yield part

    def _add(self, node: Node, results: Sequence[int]) -> None:
        self._nodes.append(node)
        for k in results:
            self._number[k] = self._next
            self._next += 1

    def _keep(self, position: int) -> None:
        node = self._graph.nodes[position]
        op = node.op.with_functions(lambda function: fused(function, self._lowerable, self._weight))
        operands = tuple(self._number[k] for k in node.operands)
        self._add(replace(node, op=op, operands=operands), self._results[position])

    def _gather(self, positions: Sequence[int]) -> None:
        """One region of these nodes."""
        graph, members = self._graph, set(positions)
        made = [k for position in positions for k in self._results[position]]
        inside = set(made)
        read = [k for position in positions for k in graph.nodes[position].operands]
        given = [k for k in dict.fromkeys(read) if k not in inside]
        first = len(graph.inputs)
        constants = [k for k in given if first <= k < graph.first_node_value]
        operands = [k for k in given if not first <= k < graph.first_node_value]
        number = {k: n for n, k in enumerate([*operands, *constants, *made])}
        kept = [k for k in made if k in self._outputs or not members.issuperset(self._readers.get(k, ()))]
        types = graph.value_types
        nodes = [graph.nodes[position] for position in positions]
        body = Graph(
            inputs=tuple(Input(f"x{n}", types[k]) for n, k in enumerate(operands)),
            constants=tuple(graph.constants[k - first] for k in constants),
            nodes=tuple(replace(node, operands=tuple(number[k] for k in node.operands)) for node in nodes),
            outputs=tuple(Output(f"y{n}", number[k]) for n, k in enumerate(kept)),
        )
        node = Node(Region(body), tuple(self._number[k] for k in operands), tuple(types[k] for k in kept))
        self._add(node, kept)
