"""Whether a graph is a function with a complex derivative."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff.walk import reachable
from gradserve.ir.errors import NotDifferentiable, Violation
from gradserve.ir.graph import Graph, Node
from gradserve.ops.elementwise.conversion import Convert
from gradserve.ops.family import Discrete

_INSTEAD = "leave holomorphic out and take the gradient of a real loss, or Jacobians in real and imaginary parts"


def check_holomorphic(graph: Graph, wrt: Sequence[str]) -> None:
    """Sees that inputs and outputs are complex, and that every node between them has a complex derivative.

    Raises:
        NotDifferentiable: something is not; names all that is.
    """
    violations = []
    for position, name in enumerate(wrt):
        type_ = graph.input_types.get(name)
        if type_ is not None and not type_.is_complex:
            violations.append(Violation(f"wrt[{position}]", "H1", f"{name}: {type_} is not complex"))
    for name, type_ in graph.output_types.items():
        if not type_.is_complex:
            violations.append(Violation("outputs", "H1", f"{name}: {type_} is not complex"))
    moving = reachable(graph, wrt)
    for position, (node, results) in enumerate(graph.numbered_nodes()):
        if moving[results[0]] and not _is_analytic(graph, node, moving):
            text = f"{node.op.name} has no complex derivative; {_INSTEAD}"
            violations.append(Violation(f"nodes[{position}]", "H2", text, str(node.origin or "")))
    if violations:
        raise NotDifferentiable("the function is not holomorphic", violations)


def _is_analytic(graph: Graph, node: Node, moving: Sequence[bool]) -> bool:
    """Whether the node has a complex derivative in what moves, or is constant but for jumps."""
    if isinstance(node.op, Discrete) or not any(type_.is_float for type_ in node.types):
        return True
    if node.op.functions or not all(type_.is_complex for type_ in node.types):
        return False
    return (
        node.op.analytic
        or isinstance(node.op, Convert)
        or not any(moving[k] and graph.value_types[k].is_float for k in node.operands)
    )
