"""The sum of second derivatives along many directions in one forward pass: Taylor mode of order 2, collapsed.

Each value carries its derivatives along all directions, with a leading axis, and the *sum* of its second derivatives.
That is enough: of z = f(u) the derivatives are f'(u) J_d, and the sum of second ones is f'(u) S + sum over d of
f''(u)[J_d, J_d], as f'(u) is linear and the same for all d. So 1 + D + 1 values are carried and not 1 + 2 D (R. Li et
al., A computational framework for neural network-based variational Monte Carlo with Forward Laplacian, 2024; F. Dangel
et al., Collapsing Taylor mode automatic differentiation, 2025).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from gradserve.autodiff import names, rules
from gradserve.autodiff.jvp import push_forward
from gradserve.autodiff.spectral import invariant
from gradserve.autodiff.vmap import vmap
from gradserve.autodiff.walk import copy_node, declare_inputs, inline, leaves, refused
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.graph import Graph, Node
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops import builder
from gradserve.ops.family import total

_Values: TypeAlias = Mapping[str, Value]
SUM = names.product("laplacian")
"""The output: the sum over all directions v of <v, H v>."""


@dataclass(frozen=True, slots=True)
class Moving:
    """What is carried beside a value."""

    slopes: Value | None = None
    """Its derivatives, with a leading axis of directions; None for zero."""
    bends: Value | None = None
    """The sum of its second derivatives; None for zero."""


def laplacian(graph: Graph, wrt: Sequence[str], directions: int) -> Graph:
    """The sum of <v, H v> of a loss over the vectors v in `tangent:NAME`, which have a leading axis of them.

    Raises:
        NotDifferentiable: an op on the way has no derivative.
    """
    graph = invariant(graph, wrt, forward=True, again=True)
    g = builder()
    primals = declare_inputs(g, graph)
    given = {
        name: g.input(names.tangent(name), type_.with_shape((directions, *type_.shape)))
        for name, type_ in ((name, graph.input_types[name]) for name in wrt)
    }
    values = leaves(g, graph, primals)
    moving = [Moving(given.get(i.name)) for i in graph.inputs] + [Moving()] * len(graph.constants)
    for position, node in enumerate(graph.nodes):
        results = copy_node(g, node, values)
        try:
            moving += _moved(
                g, node, [values[k] for k in node.operands], [moving[k] for k in node.operands], directions
            )
        except ConstraintError as error:
            raise refused(node, position, error) from None
        values += results
    (loss,) = graph.outputs
    found = moving[loss.value].bends
    return g.finished({SUM: g.zeros(graph.output_types[loss.name]) if found is None else found})


def _moved(
    g: Builder, node: Node, operands: Sequence[Value], moving: Sequence[Moving], directions: int
) -> list[Moving]:
    """What is carried beside the results of a node."""
    moved = [k for k, each in enumerate(moving) if each.slopes is not None]
    if not moved or not any(type_.is_float for type_ in node.types):
        return [Moving()] * len(node.types)
    local = local_derivatives(node, [value.type for value in operands], moved)
    if not local.outputs:
        return [Moving()] * len(node.types)
    primals = {f"x{k}": value for k, value in enumerate(operands)}
    along = {f"v{k}": slopes for k, slopes in ((k, moving[k].slopes) for k in moved) if slopes is not None}
    every = inline(g, vmap(local, along.keys(), directions), {**primals, **along})
    own = _summed(g, node, local, primals, along, every)
    bends = _pushed(g, node, operands, moving)
    return [Moving(every.get(f"d{k}"), total(g, [bends[k], own.get(k)])) for k in range(len(node.types))]


def _summed(g: Builder, node: Node, local: Graph, primals: _Values, along: _Values, every: _Values) -> dict[int, Value]:
    """The sum of f''(u)[J_d, J_d] over directions, of each result in which it is not zero.

    Of a function of one number it is f''(u) times the sum of squares.
    """
    bent = [int(name[1:]) for name in every if name.startswith("q")]
    if not (node.op.elementwise and len(along) == 1) or any(x.type.is_complex for x in primals.values()):
        return {k: g.reduce_sum(every[f"q{k}"], axes=(0,)) for k in bent}
    ((name, slopes),) = along.items()
    type_ = slopes.type.with_shape(slopes.type.shape[1:])
    second = inline(g, local, {**primals, name: g.full(type_, 1)})
    squares = g.reduce_sum(g.mul(slopes, slopes), axes=(0,))
    return {k: g.mul(second[f"q{k}"], squares) for k in bent}


def _pushed(g: Builder, node: Node, operands: Sequence[Value], moving: Sequence[Moving]) -> Sequence[Value | None]:
    """f'(u) applied to the sums of second derivatives."""
    bends = [each.bends for each in moving]
    if all(each is None for each in bends):
        return [None] * len(node.types)
    return rules.push(node.op, g, operands, bends)[1]


def local_derivatives(node: Node, types: Sequence[TensorType], moved: Sequence[int]) -> Graph:
    """First and second derivatives of a node's results along v, of operands x: `d0`, `q0` and so on, but for zeros."""
    h = builder()
    primals = [h.input(f"x{k}", type_) for k, type_ in enumerate(types)]
    tangents = [h.input(f"v{k}", types[k]) if k in moved else None for k in range(len(types))]
    _, dots = rules.push(node.op, h, primals, tangents)
    first = h.finished({f"d{k}": dot for k, dot in enumerate(dots) if dot is not None})
    again = builder()
    inputs = declare_inputs(again, first)
    values, bends = push_forward(again, first, inputs, {f"x{k}": inputs[f"v{k}"] for k in moved})
    outputs = {o.name: values[o.value] for o in first.outputs}
    outputs |= {f"q{o.name[1:]}": bend for o in first.outputs if (bend := bends[o.value]) is not None}
    return again.finished(outputs)
