"""Refusals that say where: the node of the program, its operands, and the author's line."""

from __future__ import annotations

from gradserve.ir.errors import GradserveError, Violation
from gradserve.ir.graph import Graph


def violation_at(graph: Graph, position: int, constraint: str, description: str) -> Violation:
    """What the node at a position of a program's graph breaks, where, and on what operands."""
    node = graph.nodes[position]
    types = ", ".join(str(graph.value_types[k]) for k in node.operands)
    return Violation(
        field=f"derived.nodes[{position}]",
        constraint=constraint,
        description=f"{description}; operands are {types}",
        source=str(node.origin or ""),
    )


def located(error: GradserveError, graph: Graph, position: int) -> GradserveError:
    """The refusal of a guard, which knows no node, at the node that it belongs to."""
    violations = [
        v if v.field else violation_at(graph, position, v.constraint, v.description) for v in error.violations
    ]
    return type(error)(error.message, violations)
