"""One factorisation of each matrix: what several nodes would factorise anew is factorised once, for all of them.

Done after all derivatives are taken, as the ops that take factors have no derivatives in these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gradserve.autodiff.walk import declare_inputs, leaves
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Node
from gradserve.numpy.matrices import diagonal
from gradserve.ops import builder
from gradserve.ops.elementwise.parts import direction
from gradserve.ops.linalg.determinants import Slogdet
from gradserve.ops.linalg.factors import Lu, LuInverse, LuSolve
from gradserve.ops.linalg.matrices import Inv
from gradserve.ops.linalg.solve import Solve
from gradserve.ops.linalg.stacked import part
from gradserve.ops.linalg.triangles import flipped
from gradserve.ops.movement.shapes import Permute
from gradserve.ops.spectral.eigen import Eigh, Eigvalsh, OfSpectrum, UpperEigh
from gradserve.ops.spectral.matrix_functions import Spectral, SpectralByFactors
from gradserve.ops.spectral.singular import HermitianSvd, OfSingular, Svd, Svdvals
from gradserve.ops.spectral.unitary import UnitarySvd

WORTH_FACTORS = 32
"""Rows from which matrices are worth LAPACK's calls one by one; NumPy's own loops over a stack are quicker below."""


_FACTORISING = (Inv, Slogdet, Solve, UpperEigh, OfSpectrum, Spectral, HermitianSvd, OfSingular)


def shared_factors(graph: Graph) -> Graph:
    """The graph with one factorisation for each matrix; itself if none is factorised twice."""
    if not graph.has(*_FACTORISING):
        return graph
    producers = {value: node for node, results in graph.numbered_nodes() for value in results}
    families = [_family(graph, producers, node) for node in graph.nodes]
    members: dict[tuple[str, int], int] = defaultdict(int)
    for family in families:
        if family is not None:
            members[family] += 1
    if not any(count > 1 for count in members.values()):
        return graph
    g = builder()
    values = leaves(g, graph, declare_inputs(g, graph))
    for node, family in zip(graph.nodes, families, strict=True):
        g.origin = node.origin
        operands = [values[k] for k in node.operands]
        if family is None or members[family] < 2:
            values += g.apply(node.op, operands)
        else:
            values += _REWRITES[family[0]](g, node.op, values[family[1]], operands)
    return g.finished({o.name: values[o.value] for o in graph.outputs})


def _family(graph: Graph, producers: Mapping[int, Node], node: Node) -> tuple[str, int] | None:
    """The kind of factorisation, and the value of the matrix, of which that of the transpose is the same."""
    op = node.op
    if isinstance(op, Inv | Slogdet | Solve):
        matrix = _not_flipped(producers, node.operands[0])
        return ("lu", matrix) if graph.value_types[matrix].lengths[-1] >= WORTH_FACTORS else None
    if isinstance(op, UpperEigh):  # its vectors have signs of their own
        return ("upper", node.operands[0])
    if isinstance(op, OfSpectrum | Spectral):
        return ("eigh", node.operands[0])
    if isinstance(op, HermitianSvd):  # and so have these
        return ("hermitian", node.operands[0])
    return ("svd", node.operands[0]) if isinstance(op, OfSingular) else None


def _not_flipped(producers: Mapping[int, Node], value: int) -> int:
    """The matrix of which this one is the transpose, or itself."""
    made = producers.get(value)
    if made is None or not isinstance(made.op, Permute):
        return value
    order = made.op.order
    rank = len(order)
    return made.operands[0] if order == (*range(rank - 2), rank - 1, rank - 2) else value


def _by_lu(g: Builder, op: Any, matrix: Value, operands: list[Value]) -> Iterable[Value]:
    turned = operands[0] is not matrix
    packed, exchanges = g.apply(Lu(), [matrix])
    if isinstance(op, Solve):
        return g.apply(LuSolve(transposed=turned), [packed, exchanges, operands[1]])
    if isinstance(op, Inv):
        (inverse,) = g.apply(LuInverse(), [packed, exchanges])
        return (flipped(g, inverse) if turned else inverse,)
    return _slogdet(g, packed, exchanges)


def _slogdet(g: Builder, packed: Value, exchanges: Value) -> tuple[Value, Value]:
    """The sign of the product on the diagonal of U, turned by each exchange, and the sum of logarithms on it."""
    pivots = diagonal(packed, 0, -2, -1)
    axes = (pivots.type.rank - 1,)
    steps = g.emit("iota", length=pivots.shape[-1], element_type=exchanges.type.element_type)
    same = g.emit("eq", exchanges, steps)
    sign = direction(g, pivots)
    signs = g.emit("select", same, sign, g.emit("neg", sign))
    logarithm = g.emit("reduce_sum", g.emit("log", g.emit("abs", pivots)), axes=axes)
    return g.emit("reduce_prod", signs, axes=axes), logarithm


def _by_eigh(g: Builder, op: Any, matrix: Value, operands: list[Value]) -> Iterable[Value]:
    kind = UpperEigh if isinstance(op, UpperEigh) else Eigh
    w, q = g.apply(kind(0, matrix.shape[-1]), [matrix])
    if isinstance(op, Spectral):
        known = SpectralByFactors(op.function, op.parameter, op.start, op.stop)
        return g.apply(known, [w, q, *operands[1:]])
    chosen = part(g, w, op.start, op.stop)
    return (chosen,) if isinstance(op, Eigvalsh) else (chosen, part(g, q, op.start, op.stop))


def _by_svd(g: Builder, op: Any, matrix: Value, operands: list[Value]) -> Iterable[Value]:
    kind = HermitianSvd if isinstance(op, HermitianSvd) else UnitarySvd if matrix.type.is_complex else Svd
    u, s, vh = g.apply(kind(0, min(matrix.shape[-2:])), [matrix])
    chosen = part(g, s, op.start, op.stop)
    if isinstance(op, Svdvals):
        return (chosen,)
    return (part(g, u, op.start, op.stop), chosen, flipped(g, part(g, flipped(g, vh), op.start, op.stop)))


_REWRITES: dict[str, Callable[[Builder, Any, Value, list[Value]], Iterable[Value]]] = {
    "eigh": _by_eigh,
    "hermitian": _by_svd,
    "lu": _by_lu,
    "svd": _by_svd,
    "upper": _by_eigh,
}
