"""What is detached, told apart at each of its uses: torch.export makes views anew after what is written into arrays."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch

_ATEN = torch.ops.aten
_DETACHED = ("detach", "method_descriptor.detach")
"""How torch calls it where its author does."""


def told_at_uses(program: Any) -> Any:
    """The program, of which each use of a view that stands still is one of a copy, which does so alone.

    It shares its elements until then: what is written into the array meanwhile is in the copy. And what is computed
    without gradients reads copies: a view that is made anew there would be taken for one that stands still.
    """
    if not any(list(_standing(part)) or list(_without_gradients(part)) for part in _graphs(program)):
        return program
    program = copy.deepcopy(program)
    for part in _graphs(program):
        for node in list(_standing(part)):
            _tell(part.graph, node)
        for node in list(_without_gradients(part)):
            _apart(part.graph, node)
        part.recompile()
    return program


def _without_gradients(part: Any) -> Iterator[Any]:
    yield from (node for node in part.graph.nodes if _is_without_gradients(node))


def _is_without_gradients(node: Any) -> bool:
    return str(getattr(node, "target", "")) == "wrap_with_set_grad_enabled" and not node.args[0]


def _apart(graph: Any, node: Any) -> None:
    """Has the node read copies."""
    for given in node.all_input_nodes:
        if _moves(given):
            with graph.inserting_before(node):
                made = graph.call_function(_ATEN.clone.default, (given,))
            made.meta = _plain(given)
            node.replace_input_with(given, made)


def _plain(node: Any) -> dict[str, Any]:
    """What is known of a node, but for how its author called it."""
    return {key: value for key, value in node.meta.items() if key != "torch_fn"}


def _graphs(program: Any) -> Iterator[Any]:
    yield from (part for part in program.graph_module.modules() if isinstance(part, torch.fx.GraphModule))


def _standing(part: Any) -> Iterator[Any]:
    """What is detached, or given by what is computed without gradients; and views of that."""
    found = set[Any]()
    for node in part.graph.nodes:
        first = next(iter(node.args), None)
        view = bool(getattr(node.target, "is_view", False))
        if (node.target is _ATEN.detach.default or _is_given_still(node) or (view and first in found)) and _moves(node):
            found.add(node)
            yield node


def _is_given_still(node: Any) -> bool:
    return _is_without_gradients(next(iter(node.args), None))


def _moves(node: Any) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())


def _tell(graph: Any, node: Any) -> None:
    """Has what reads the node, and neither writes into it nor is a view of it, read a copy that stands still."""
    for user in list(node.users):
        schema = getattr(user.target, "_schema", None)
        shares = schema is not None and (schema.is_mutable or user.target.is_view) and user.args[0] is node
        if shares:
            continue
        with graph.inserting_before(user):
            made = graph.call_function(_ATEN.clone.default, (node,))
            still = graph.call_function(_ATEN.detach.default, (made,))
        made.meta, still.meta = _plain(node), {**_plain(node), "torch_fn": _DETACHED}
        user.replace_input_with(node, still)
    if node.target is _ATEN.detach.default:  # whose name would be that of a view that is made anew for it
        node.target = _ATEN.alias.default
        node.meta = _plain(node)
