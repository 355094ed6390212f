"""Values that are there, or have derivatives, only if a condition holds; calls where it does not are refused."""

from __future__ import annotations

from typing import Any

from gradserve.client.functions.closed import Tree, around
from gradserve.client.functions.custom import custom_derivative
from gradserve.client.tracing.recording import traced
from gradserve.client.tracing.tracer import tracers
from gradserve.client.tracing.trees import unflatten


def required(tree: Any, truth: Any, reason: str) -> Any:
    """The tree of arrays, if the truth value is true."""
    found, held = Tree.of(tree, "a result"), Tree.of(truth, "a condition")

    def emit(g: Any) -> list[Any]:
        (value,) = held.values(g)
        return [g.emit("required", each, value, reason=reason) for each in found.values(g)]

    return unflatten(found.structure, list(tracers(traced(around(), "required", emit))))


def derivable(tree: Any, truth: Any, reason: str) -> Any:
    """The tree of real arrays, which has derivatives only if the truth value is true."""
    found = Tree.of(tree, "a result")

    def rule(_: Any, __: Any, tangents: Any) -> Any:
        return [required(each, truth, reason) for each in tangents[0]]

    return unflatten(found.structure, custom_derivative(lambda leaves: leaves, rule)([x for _, x in found.leaves]))
