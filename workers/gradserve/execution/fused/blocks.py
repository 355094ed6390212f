"""Blocks: parts of a graph that work row by row, a block of rows at a time, whose values then stay in the cache.

Products that sum over all rows end such parts: each block adds what its rows give. So a large matrix that is multiplied
by a vector, and its transpose by what is made of the product, comes from memory once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradserve.execution.costs import CACHED_BYTES
from gradserve.execution.fused.rows import by_rows, of_rows, sums_rows
from gradserve.ir.graph import Graph, Input, Node, Output
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.control.calling import Calling, Function, output_types
from gradserve.ops.reduction.reductions import ReduceSum

_LARGE = 1 << 20
"""Bytes that do not stay in the cache from one pass to the next."""
_SHARE = 0.5
"""What a part makes for itself, of what it hands on, for blocks to pay."""
_BLOCK_BYTES, _MOST_BYTES = 1 << 18, 1 << 20
"""Of what a block makes, about; and those of one value in the fewest rows, beyond which blocks gain nothing."""
_FEWEST, _MOST = 16, 1024
"""Rows of a block."""
Lowerable = Callable[[Graph, Node], bool]


@dataclass(frozen=True)
class Blocks(Calling):
    """Its body of one block of rows after the other. Only the fused executor writes it."""

    body: Graph
    rest: Graph
    """The same of the rows that are left in the end; the body again if there are none."""
    rows: int
    block: int
    cut: int
    """How many operands, the first ones, are cut into blocks along their first axes; the others are given whole."""
    sums: tuple[int, ...]
    """Which outputs are sums over all rows; the others have as many."""

    name = "blocks"
    internal = True
    calls_functions = ("body", "rest")

    @property
    def calls(self) -> int:
        """The number of whole blocks."""
        return self.rows // self.block

    @property
    def left(self) -> int:
        """The number of rows that are left then."""
        return self.rows % self.block

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the outputs, with all their rows."""
        del types
        found = enumerate(output_types(self.body))
        return tuple(t if k in self.sums else _of_rows(t, self.rows) for k, t in found)

    def run(self, xp: Any, functions: Mapping[str, Function], *arrays: Array) -> list[Array]:
        """The outputs."""
        found = []
        for start in range(0, self.rows, self.block):
            cut = [x[start : start + self.block] for x in arrays[: self.cut]]
            function = functions["body" if start + self.block <= self.rows else "rest"]
            found.append(function(*cut, *arrays[self.cut :]))
        parts = enumerate(zip(*found, strict=True))
        return [sum(part) if k in self.sums else xp.concatenate(part) for k, part in parts]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """None: no graph of a client holds one."""
        yield from ()


def in_blocks(graph: Graph, lowerable: Lowerable) -> Graph:
    """The graph with those parts in blocks that work row by row and make much for themselves that passes would write.

    Parts are left as they are that make little for themselves, or nothing large: chains of elementwise ops, for one,
    are computed in one pass.
    """
    lengths = Counter[int]()
    for type_ in graph.value_types:
        if type_.rank and type_.lengths[0] >= 2 * _FEWEST:
            lengths[type_.lengths[0]] += type_.nbytes
    for rows, nbytes in lengths.most_common():
        if nbytes >= _LARGE:
            graph = _Cutting(graph, rows, lowerable).graph()
    return graph


class _Cutting:
    """A graph while what works on so many rows is put in blocks."""

    def __init__(self, graph: Graph, rows: int, lowerable: Lowerable) -> None:
        self._graph, self._rows, self._types = graph, rows, graph.value_types
        self._results = [results for _, results in graph.numbered_nodes()]
        self._sums: set[int] = set()
        """The positions of nodes that sum over all rows."""
        self._cuts = [
            self._cut(position, node) if lowerable(graph, node) else None for position, node in enumerate(graph.nodes)
        ]
        self._readers: dict[int, list[int]] = {}
        for position, node in enumerate(graph.nodes):
            for k in node.operands:
                self._readers.setdefault(k, []).append(position)
        self._outputs = {output.value for output in graph.outputs}
        self._number = {k: k for k in range(graph.first_node_value)}
        self._nodes: list[Node] = []
        self._next = graph.first_node_value

    def _cut(self, position: int, node: Node) -> tuple[bool, ...] | None:
        """Which operands a node reads row by row; None if it does not work on rows."""
        (result, *others), operands = node.types, [self._types[k] for k in node.operands]
        if others:
            return None
        has_rows = bool(result.rank) and result.lengths[0] == self._rows
        found = by_rows(node.op, operands, result) if has_rows else None
        if found is None and sums_rows(node.op, operands, self._rows):
            self._sums.add(position)
            return (True,) * len(operands)
        return found

    def graph(self) -> Graph:
        """The graph with blocks where they pay."""
        members: dict[int, list[int]] = {}
        for position, own in enumerate(self._rounds()):
            members.setdefault(own, []).append(position)
        for own in sorted(members):
            block = 0 if own % 2 else self._block(members[own])
            if block:
                self._gather(members[own], block)
            else:
                for position in members[own]:
                    node = self._graph.nodes[position]
                    moved = replace(node, operands=tuple(self._number[k] for k in node.operands))
                    self._add(moved, self._results[position])
        outputs = tuple(Output(o.name, self._number[o.value]) for o in self._graph.outputs)
        return Graph(self._graph.inputs, self._graph.constants, tuple(self._nodes), outputs)

    def _rounds(self) -> list[int]:
        """For each node its round: those of an even one work on rows, and none needs all rows of another's of it."""
        made = [-1] * self._graph.first_node_value
        rounds = []
        for position, (node, cuts) in enumerate(zip(self._graph.nodes, self._cuts, strict=True)):
            if cuts is None:
                own = max([1, *(made[k] | 1 for k in node.operands)])
            else:
                own = max((_ready(made[k], cut) for k, cut in zip(node.operands, cuts, strict=True)), default=0)
            rounds.append(own)
            made += [own + (position in self._sums)] * len(node.types)
        return self._put_off(rounds)

    def _put_off(self, rounds: list[int]) -> list[int]:
        """The rounds with nodes that work on rows in the last one that they can be in, together with who reads them."""
        for position in reversed(range(len(rounds))):
            if self._cuts[position] is None:
                continue
            latest = [
                self._latest(rounds[reader], reader, k, position in self._sums)
                for k in self._results[position]
                for reader in self._readers.get(k, ())
            ]
            rounds[position] = max(rounds[position], min(latest, default=0))
        return rounds

    def _latest(self, round_: int, reader: int, value: int, is_sum: bool) -> int:
        """The last even round in which a value can be made for a reader in some round."""
        cuts = self._cuts[reader]
        if cuts is None:
            return round_ - 1
        whole = is_sum or any(
            k == value and not cut for k, cut in zip(self._graph.nodes[reader].operands, cuts, strict=True)
        )
        return round_ - 2 if whole else round_

    def _inside(self, positions: Sequence[int]) -> list[int]:
        """The values that only nodes at these positions read."""
        own = set(positions)
        made = (self._results[position][0] for position in positions)
        return [k for k in made if k not in self._outputs and own.issuperset(self._readers.get(k, ()))]

    def _block(self, positions: Sequence[int]) -> int:
        """How many rows make a block; 0 if blocks would not pay."""
        nodes = self._graph.nodes
        inside = set(self._inside(positions))
        written: set[int] = set()
        for position in positions:
            node = nodes[position]
            if not (node.op.elementwise or node.op.view or isinstance(node.op, ReduceSum)):
                written |= inside & {*node.operands, *self._results[position]}
        made = {self._results[position][0] for position in positions}
        saved = sum(self._types[k].nbytes for k in written)
        handed_on = sum(self._types[k].nbytes for k in made if k not in inside)
        if saved + self._read_again(positions) < max(_LARGE, _SHARE * handed_on):
            return 0
        own = self._widest(self._results[position][0] for position in positions if position not in self._sums)
        given = self._widest(k for position in positions for k in self._read_by_rows(position) if k not in made)
        block = _MOST
        while block > _FEWEST and block * max(2 * own, given, saved // self._rows // 4) > _BLOCK_BYTES:
            block //= 2
        if 2 * block > self._rows or block * max(own, given) > _MOST_BYTES:
            return 0
        even = range(block, max(block // 2, _FEWEST - 1), -1)
        return next((fewer for fewer in even if self._rows % fewer == 0), block)

    def _widest(self, values: Iterable[int]) -> int:
        """Bytes of the largest row among these."""
        return max((self._types[k].nbytes for k in values), default=0) // self._rows

    def _read_by_rows(self, position: int) -> list[int]:
        """The values of which a node reads rows."""
        return [
            k for k, cut in zip(self._graph.nodes[position].operands, self._cuts[position] or (), strict=True) if cut
        ]

    def _read_again(self, positions: Sequence[int]) -> int:
        """Bytes of what would come from memory again for products of these nodes, if some of them sum over rows."""
        if self._sums.isdisjoint(positions):
            return 0
        made = {self._results[position][0] for position in positions}
        products = [p for p in positions if isinstance(self._graph.nodes[p].op, Contract)]
        readers = Counter(k for p in products for k in {*self._read_by_rows(p)} - made)
        far = {k: count for k, count in readers.items() if self._types[k].nbytes >= CACHED_BYTES}
        return sum((count - 1) * self._types[k].nbytes for k, count in far.items())

    def _add(self, node: Node, results: Sequence[int]) -> None:
        self._nodes.append(node)
        for k in results:
            self._number[k] = self._next
            self._next += 1

    def _gather(self, positions: Sequence[int], block: int) -> None:
        """One node for these."""
        graph, first = self._graph, len(self._graph.inputs)
        made = dict.fromkeys(self._results[position][0] for position in positions)
        cut: dict[int, None] = {}
        whole: dict[int, None] = {}
        for position in positions:
            for k, rowed in zip(graph.nodes[position].operands, self._cuts[position] or (), strict=True):
                if k not in made:
                    (cut if rowed else whole)[k] = None
        scalars = [k for k in whole if first <= k < graph.first_node_value and not self._types[k].rank]
        given = [*cut, *(k for k in whole if k not in scalars)]
        number = {("cut", k): n for n, k in enumerate(cut)}
        number |= {("whole", k): n for n, k in enumerate([*given[len(cut) :], *scalars], start=len(cut))}
        number |= {("cut", k): n for n, k in enumerate(made, start=len(given) + len(scalars))}
        inside = set(self._inside(positions))
        kept = [k for k in made if k not in inside]

        def body(count: int) -> Graph:
            nodes = []
            for position in positions:
                node = graph.nodes[position]
                pairs = zip(node.operands, self._cuts[position] or (), strict=True)
                moved = replace(node, operands=tuple(number["cut" if rowed else "whole", k] for k, rowed in pairs))
                if position not in self._sums:
                    types = tuple(_of_rows(t, count) for t in node.types)
                    moved = replace(moved, op=of_rows(node.op, count), types=types)
                nodes.append(moved)
            types_of = [_of_rows(self._types[k], count) if k in cut else self._types[k] for k in given]
            return Graph(
                inputs=tuple(Input(f"x{n}", type_) for n, type_ in enumerate(types_of)),
                constants=tuple(graph.constants[k - first] for k in scalars),
                nodes=tuple(nodes),
                outputs=tuple(Output(f"y{n}", number["cut", k]) for n, k in enumerate(kept)),
            )

        summed = {self._results[position][0] for position in self._sums}
        sums = tuple(n for n, k in enumerate(kept) if k in summed)
        op = Blocks(body(block), body(self._rows % block or block), self._rows, block, len(cut), sums)
        self._add(Node(op, tuple(self._number[k] for k in given), tuple(self._types[k] for k in kept)), kept)


def _ready(made: int, cut: bool) -> int:
    """The first even round in which a value of some round can be read, by rows or whole."""
    if made % 2:
        return made + 1
    return made if cut else made + 2


def _of_rows(type_: TensorType, count: int) -> TensorType:
    return type_.with_shape((count, *type_.shape[1:]))
