"""The quadratic form of a Hessian alone, without the product that it is made of.

Along v, every op z = f(u) bends the loss by f''(u)[J v, J v], whatever the others do, and what the loss feels of that
the adjoint of z says: <v, H v> is the sum over all ops of <adjoint, f''(u)[J v, J v]>. The adjoints do not depend on v.
So a form takes what goes forward along v, and nothing comes back: half of what a product H v takes, and less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradserve.autodiff import names
from gradserve.autodiff.inspect import perturbed
from gradserve.autodiff.laplacian import local_derivatives
from gradserve.autodiff.spectral import invariant
from gradserve.autodiff.transpose import seed_of, vjp
from gradserve.autodiff.walk import copy_node, declare_inputs, inline, leaves, refused
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.graph import Graph, Node
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.ops.family import total


def quadratic_form(graph: Graph, wrt: Sequence[str], sown: bool) -> Graph:
    """<v, H v> of a loss for v in `tangent:NAME`, as `product:curvature`.

    Raises:
        NotDifferentiable: an op on the way has no derivative.
    """
    graph = invariant(graph, wrt, forward=True, again=True)
    g = builder()
    primals = declare_inputs(g, graph)
    given = {name: g.input(names.tangent(name), graph.input_types[name]) for name in wrt}
    values = leaves(g, graph, primals)
    dots: list[Value | None] = [given.get(i.name) for i in graph.inputs] + [None] * len(graph.constants)
    bends: dict[int, _Bend] = {}
    for position, node in enumerate(graph.nodes):
        results, operands = copy_node(g, node, values), [values[k] for k in node.operands]
        try:
            slopes, bent = _moved(g, node, operands, [dots[k] for k in node.operands])
        except ConstraintError as error:
            raise refused(node, position, error) from None
        bends |= {len(values) + k: each for k, each in bent.items()}
        dots += [slopes.get(k) for k in range(len(node.types))]
        values += results
    return g.finished({names.product("curvature"): _felt(g, graph, primals, bends, sown)})


@dataclass(frozen=True, slots=True)
class _Bend:
    """The second derivative of a value along v, by what does not depend on v, if anything."""

    along: Value
    factor: Value | None = None


def _moved(
    g: Builder, node: Node, operands: Sequence[Value], dots: Sequence[Value | None]
) -> tuple[dict[int, Value], dict[int, _Bend]]:
    """The derivatives of a node's results along v, and f''(u)[J v, J v], each by result and where it is not zero."""
    along = {f"v{k}": dot for k, dot in enumerate(dots) if dot is not None}
    if not along or not any(type_.is_float for type_ in node.types):
        return {}, {}
    local = local_derivatives(node, [value.type for value in operands], [int(name[1:]) for name in along])
    primals = {f"x{k}": value for k, value in enumerate(operands)}
    found = inline(g, local, {**primals, **along})
    slopes = {int(name[1:]): value for name, value in found.items() if name.startswith("d")}
    bent = {int(name[1:]): _Bend(value) for name, value in found.items() if name.startswith("q")}
    if node.op.elementwise and len(along) == 1 and bent:  # f''(u) times the square
        ((name, dot),) = along.items()
        second, square = inline(g, local, {**primals, name: g.full(dot.type, 1)}), g.mul(dot, dot)
        bent = {k: _Bend(square, second[f"q{k}"]) for k in bent}
    return slopes, bent


def _felt(g: Builder, graph: Graph, primals: Mapping[str, Value], bends: Mapping[int, _Bend], sown: bool) -> Value:
    """What a loss feels of bends: the sum of each with its adjoint."""
    seed = seed_of(g, graph, sown)
    (loss,) = graph.outputs
    zeros = {names.perturbation(k): g.zeros(graph.value_types[k]) for k in bends}
    pulled = vjp(perturbed(graph, tuple(bends)), list(zeros))
    adjoints = inline(g, pulled, {**primals, **zeros, names.cotangent(loss.name): seed})
    terms = []
    for k, bend in bends.items():
        adjoint = adjoints[names.cotangent(names.perturbation(k))]
        weight = adjoint if bend.factor is None else g.mul(adjoint, bend.factor)
        each = g.mul(weight, bend.along)
        terms.append(g.convert(g.reduce_sum(each, axes=tuple(range(each.type.rank))), ElementType.FLOAT64))
    found = total(g, terms)
    return g.full(TensorType(ElementType.FLOAT64, ()), 0) if found is None else found
