"""Products of three arrays in the order that costs less: A (B x) for (A B) x."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff.walk import declare_inputs, leaves
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.splat import producer
from gradserve.ir.types import TensorType
from gradserve.ops import OP_SET
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.movement.shapes import permuted
from gradserve.optimize.rewriter import Rewriter, is_read_once

_WORTH = 0.5
"""The share of the operations that another order may take at most: its result differs in the last digits."""


def in_order(graph: Graph) -> Graph:
    """The graph with products of three in their best order: before it is derived, as derivatives share products.

    Itself if none changes.
    """
    contractions = sum(type(node.op) is Contract for node in graph.nodes)
    if contractions <= 1:
        return graph
    g, changed = Rewriter(OP_SET, graph), False
    values = leaves(g, graph, declare_inputs(g, graph))
    for node in graph.nodes:
        g.origin = node.origin
        operands = tuple([values[k] for k in node.operands])
        found = reordered(g, node.op, operands) if isinstance(node.op, Contract) else None
        changed = changed or found is not None
        g.extend(values, g.apply(node.op, operands) if found is None else (found,))
    return g.finished({o.name: values[o.value] for o in graph.outputs}) if changed else graph


def reordered(g: Builder, outer: Contract, operands: Sequence[Value]) -> Value | None:
    """A contraction of a contraction that nobody else reads in the other order, if that takes half as much or less."""
    for inside, other in ((0, 1), (1, 0)):
        made = producer(g, operands[inside], Contract)
        if made is None or not is_read_once(g, operands[inside]) or not operands[0].type.is_float:
            continue
        inner, (a, b) = made
        if outer.lhs_batch or inner.lhs_batch:
            continue
        axes = (outer.lhs_contract, outer.rhs_contract)
        chain = _Chain(inner, (a, b), axes[inside], operands[other], axes[other], first=inside == 0)
        flops = _flops(inner, a.type, b.type)[0] + _flops(outer, *(operand.type for operand in operands))[0]
        found = chain.other_order(g, _WORTH * flops)
        if found is not None:
            return found
    return None


@dataclass(frozen=True)
class _Chain:
    """A product of a pair, and a third array that it meets."""

    inner: Contract
    pair: tuple[Value, Value]
    joined: Sequence[int]
    """The axes of the pair's product that are summed over."""
    third: Value
    axes: Sequence[int]
    """Those of the third array."""
    first: bool
    """Whether the pair comes before the third."""

    def other_order(self, g: Builder, most: float) -> Value | None:
        """One of the pair meets the third array first; None if more than one would, or if it takes more operations."""
        free = self.inner.free(*(x.type.rank for x in self.pair))
        owners = [(k, axis) for k in (0, 1) for axis in free[k]]
        sides = {owners[axis][0] for axis in self.joined}
        if len(sides) != 1:
            return None
        (side,) = sides
        near, far, third = self.pair[side], self.pair[1 - side], self.third
        summed = (self.inner.lhs_contract, self.inner.rhs_contract)
        own = tuple(owners[axis][1] for axis in self.joined)
        rest = [axis for axis in range(near.type.rank) if axis not in own]
        early = Contract(own, tuple(self.axes), (), ())
        late = Contract(tuple(map(rest.index, summed[side])), summed[1 - side], (), ())
        flops, met = _flops(early, near.type, third.type)
        if flops + _flops(late, met, far.type)[0] > most:
            return None
        result = g.apply(late, (g.apply(early, (near, third))[0], far))[0]
        others = [(2, axis) for axis in range(third.type.rank) if axis not in self.axes]
        kept = [owner for k, owner in enumerate(owners) if k not in self.joined]
        made = [*(owner for owner in kept if owner[0] == side), *others, *(o for o in kept if o[0] != side)]
        wanted = [*kept, *others] if self.first else [*others, *kept]
        return permuted(g, result, [made.index(owner) for owner in wanted])


def _flops(op: Contract, x: TensorType, y: TensorType) -> tuple[float, TensorType]:
    """Operations, and the type of the result."""
    (result,) = op.infer(x, y)
    return op.cost((x, y), (result,)).flops, result
