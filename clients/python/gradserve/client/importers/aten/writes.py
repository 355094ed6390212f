"""Writing into arrays past their derivatives, which torch.export loses when it makes new arrays of what is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

_CONSTANTS = ("aten.lift_fresh_copy.", "aten.lift_fresh.")


def written_aside(program: Any) -> Any | None:
    """The first node that writes into an array that may have a derivative, of which what is written has no part.

    So it is where no gradients are, and through what `detach` returns: the array's own derivative stays, and once all
    is made of operators that return new arrays, nothing tells so.
    """
    moves = {name for name, each in _inputs(program).items() if each}
    return next(_within(program.graph_module, moves, False), None)


def _inputs(program: Any) -> Mapping[str, bool]:
    """For each input whether it may have a derivative: buffers and constants have none."""
    kinds = torch.export.graph_signature.InputKind
    still = (kinds.BUFFER, kinds.CONSTANT_TENSOR, kinds.CUSTOM_OBJ, kinds.TOKEN)
    return {each.arg.name: each.kind not in still for each in program.graph_signature.input_specs}


def _within(module: Any, moves: set[str], no_gradients: bool) -> Iterator[Any]:
    """Such nodes of a graph, of whose inputs these may have derivatives."""
    around, aside = set(moves), set[str]()
    for node in module.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        first = next((each for each in node.args if isinstance(each, torch.fx.Node)), None)
        if str(node.target) == "wrap_with_set_grad_enabled":
            yield from _without_gradients(module, node, around)
        if first is not None and schema is not None and (schema.is_mutable or _is_view(node)):
            if schema.is_mutable and first.name in (around if no_gradients else aside) and _is_moved(first):
                yield node
            own = first.name in around and not _is_constant(first)
            around |= {node.name} if first.name in around else set()
            aside |= {node.name} if first.name in aside or (own and _detaches(node)) else set()
        elif not no_gradients and node.op == "call_function":
            around.add(node.name)


def _without_gradients(module: Any, node: Any, around: set[str]) -> Iterator[Any]:
    """Such nodes of what is computed where gradients are, or are not, kept."""
    enabled, body, *given = node.args
    inner = getattr(module, body.target)
    names = [each.name for each in inner.graph.nodes if each.op == "placeholder"]
    own = {name for name, each in zip(names, given, strict=True) if each.name in around}
    yield from _within(inner, own, not enabled)


def _detaches(node: Any) -> bool:
    return str(node.target) == "aten.detach.default"


def _is_view(node: Any) -> bool:
    return bool(getattr(node.target, "is_view", False))


def _is_constant(node: Any) -> bool:
    return str(node.target).startswith(_CONSTANTS)


def _is_moved(node: Any) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())
