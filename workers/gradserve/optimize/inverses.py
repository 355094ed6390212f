"""Products with an inverse as solutions: A^-1 X takes no more work, the inverse itself none, and digits are saved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from gradserve.autodiff.walk import declare_inputs, leaves
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Node
from gradserve.ops import builder
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.linalg.matrices import Inv
from gradserve.ops.linalg.triangles import flipped


def without_inverses(graph: Graph) -> Graph:
    """The graph with solutions in the place of products with an inverse of which nothing else is used; itself if none.

    Only the inverse of one matrix, and products of matrices and vectors without further axes.
    """
    if not graph.has(Inv):
        return graph
    matrices = {results[0]: node.operands[0] for node, results in graph.numbered_nodes() if isinstance(node.op, Inv)}
    useless = _in_products_alone(graph, matrices)
    if not useless:
        return graph
    g = builder()
    values = leaves(g, graph, declare_inputs(g, graph))
    for node in graph.nodes:
        g.origin = node.origin
        operands = [values[k] for k in node.operands]
        inverse = next((k for k in node.operands if k in useless), None)
        if inverse is None or not isinstance(node.op, Contract):
            values += g.apply(node.op, operands)
        else:
            is_left = node.operands[0] == inverse
            values.append(_solution(g, node.op, values[matrices[inverse]], operands[is_left], is_left))
    return g.finished({o.name: values[o.value] for o in graph.outputs})


def _in_products_alone(graph: Graph, inverses: Mapping[int, int]) -> set[int]:
    """The inverses that only stand in products, each with something else."""
    uses: dict[int, list[Node | None]] = defaultdict(list)
    for node in graph.nodes:
        for value in {*node.operands} & inverses.keys():
            uses[value].append(node)
    for output in graph.outputs:
        uses[output.value].append(None)
    return {value for value in inverses if all(_is_product(graph, node) for node in uses[value])}


def _is_product(graph: Graph, node: Node | None) -> bool:
    if node is None or not isinstance(node.op, Contract) or node.op.lhs_batch or len(node.op.lhs_contract) != 1:
        return False
    ranks = sorted(graph.value_types[k].rank for k in node.operands)
    return len(set(node.operands)) == 2 and ranks in ([1, 2], [2, 2])


def _solution(g: Builder, op: Contract, matrix: Value, other: Value, is_left: bool) -> Value:
    """The product of the matrix's inverse, on this side, with the other operand."""
    own, theirs = (op.lhs_contract, op.rhs_contract) if is_left else (op.rhs_contract, op.lhs_contract)
    # Summed over its last axis, the inverse is applied as it is, over its first as its transpose.
    of = matrix if own == (1,) else flipped(g, matrix)
    if other.type.rank == 1:
        return g.reshape(g.emit("solve", of, g.reshape(other, (*other.shape, 1))), other.shape)
    found = g.emit("solve", of, other if theirs == (0,) else flipped(g, other))
    return found if is_left else flipped(g, found)
