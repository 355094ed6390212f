"""Modules that take derivatives within themselves, with these written out as operators."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from gradserve.client.importers.aten.watching import Lost

_ATEN = torch.ops.aten
_STANDS = _ATEN.view.dtype
"""To its own elements, this marks what is not differentiated: autograd calls `detach` itself, and this nobody does."""
_DETACHES = (torch.Tensor.detach, torch.detach, torch.Tensor.data.__get__)
_DETACHES_IN_PLACE = (torch.Tensor.detach_, torch.detach_)


def written_out(module: Any, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """A copy of the module, with the same arrays, that computes the derivatives it takes by operators.

    What is written past derivatives is added to the arrays, as what has none.

    Raises:
        Lost: it detaches an array in place, which operators alone would not tell.
    """
    held = {name: _copied(array) for name, array in [*module.named_parameters(), *module.named_buffers()]}
    leaves, structure = pytree.tree_flatten((tuple(given), dict(named)))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    leaves = [
        _copied(leaf).requires_grad_(_has_derivatives(leaf)) if isinstance(leaf, torch.Tensor) else leaf
        for leaf in leaves
    ]
    results = list[Any]()

    def compute(arrays: Mapping[str, Any], tensors: Sequence[Any]) -> list[Any]:
        arguments, by_name = pytree.tree_unflatten(_with(leaves, places, tensors), structure)
        author = _Author()
        with author, _Marks(author), sdpa_kernel(SDPBackend.MATH):  # whose derivatives have derivatives
            made = torch.func.functional_call(module, dict(arrays), arguments, by_name)
        flat, of_results = pytree.tree_flatten(made)
        results.append(of_results)
        return list(flat)

    trace: Callable[..., Any] = make_fx(compute, **_with_lines())
    with torch.random.fork_rng():
        graph = trace(held, [leaves[place] for place in places])
    _tell_what_stands(graph)

    @functools.wraps(module.forward)
    def forward(*arguments: Any, **by_name: Any) -> Any:
        own = {**dict(copied.named_parameters()), **dict(copied.named_buffers())}
        tensors = [leaf for leaf in pytree.tree_leaves((arguments, by_name)) if isinstance(leaf, torch.Tensor)]
        with torch.fx.traceback.preserve_node_meta():
            made = torch.fx.Interpreter(graph).run(*(own[name] for name in held), *tensors)
        return pytree.tree_unflatten(list(made), results[-1])

    copied = copy.copy(module)
    copied.forward = forward
    return copied


def _copied(array: Any) -> Any:
    return array.detach().clone().requires_grad_(array.requires_grad)


def _with(leaves: Sequence[Any], places: Sequence[int], tensors: Sequence[Any]) -> list[Any]:
    """The leaves with these tensors in their places."""
    found = list(leaves)
    for place, tensor in zip(places, tensors, strict=True):
        found[place] = tensor
    return found


def _with_lines() -> dict[str, bool]:
    """What has the tracer keep the author's lines, where it can."""
    known = inspect.signature(make_fx).parameters
    return {name: True for name in ("record_stack_traces",) if name in known}


def _tell_what_stands(graph: Any) -> None:
    """Writes the marks as the author's own `detach`, which torch.export tells from all others."""
    for node in graph.graph.nodes:
        if node.target is _STANDS and node.args[0].meta["val"].dtype == node.args[1]:
            node.op, node.target, node.args = "call_method", "detach", node.args[:1]
    graph.graph.set_codegen(torch.fx.graph.CodeGen())
    graph.recompile()


class _Author(TorchFunctionMode):  # type: ignore[misc]  # where there is no torch
    """Knows when the author's own code detaches."""

    def __init__(self) -> None:
        super().__init__()
        self.detaches = False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in _DETACHES_IN_PLACE:
            raise Lost("an array is detached in place, which torch.export loses; write x.detach()")
        before, self.detaches = self.detaches, self.detaches or function in _DETACHES
        try:
            return function(*args, **(kwargs or {}))
        finally:
            self.detaches = before


class _Marks(TorchDispatchMode):  # type: ignore[misc]  # where there is no torch
    """Marks what is not differentiated: what the author detaches, and what is computed where no gradients are."""

    def __init__(self, author: _Author) -> None:
        super().__init__()
        self._author = author
        self._still = dict[int, Any]()
        """What is computed where no gradients are; kept, so that their numbers are theirs alone."""
        self._aside = dict[int, tuple[Any, Any]]()
        """What the author has detached, and views of that or made where no gradients are: each with what it stands for.

        That shares its elements, and has their gradients.
        """

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if function is _ATEN.detach.default:
            return self._standing(_mark(*args), args[0]) if self._author.detaches else _ATEN.alias.default(*args)
        if function is _STANDS and args[0].dtype == args[1]:  # the author's own, which changes nothing
            return _ATEN.alias.default(args[0])
        if function._schema.is_mutable:
            return self._written(function, args, named)
        made = function(*args, **named)
        if function.is_view and id(args[0]) in self._aside:
            return self._standing(made, function(self._aside[id(args[0])][1], *args[1:], **named))
        if torch.is_grad_enabled():
            return made
        if function.is_view and id(args[0]) in self._still:
            return self._remembered(made)
        if function.is_view:
            return self._standing(_marked(made), made)
        return self._remembered(_marked(made, _ATEN.clone.default))

    def _standing(self, made: Any, beside: Any) -> Any:
        """What is made, known to stand for what is beside it."""
        self._aside |= {id(x): (x, y) for x, y in zip(*map(pytree.tree_leaves, (made, beside)), strict=True)}
        return made

    def _remembered(self, made: Any) -> Any:
        self._still |= {id(x): x for x in pytree.tree_leaves(made)}
        return made

    def _written(self, function: Any, args: Any, named: Any) -> Any:
        """What is written into an array. Where no gradients are, what is written stands still; slopes go through.

        So it is of what is written through what is detached.
        """
        into = args[0] if args else next(iter(named.values()))
        if id(into) in self._aside and args:
            self._past(self._aside[id(into)][1], function, args, named)
            return into
        if torch.is_grad_enabled():
            self._still.pop(id(into), None)
            return function(*args, **named)
        others, by_name = _marked((args[1:], named))
        if not into.requires_grad or not args:
            return function(into, *others, **by_name)
        return self._past(into, function, args, named)

    @staticmethod
    def _past(into: Any, function: Any, args: Any, named: Any) -> Any:
        """What is written into an array, which keeps the derivative that it has: what is added to the new is 0."""
        before = _ATEN.clone.default(into)
        moved = function(_ATEN.clone.default(before), *_marked(args[1:]), **_marked(named))
        slope = _ATEN.nan_to_num.default(_ATEN.sub.Tensor(before, _mark(before)), 0.0, 0.0, 0.0)
        return _ATEN.copy_.default(into, _ATEN.add.Tensor(_mark(moved), slope))


def _mark(x: Any) -> Any:
    return _STANDS(x, x.dtype)


def _marked(made: Any, then: Callable[[Any], Any] = lambda x: x) -> Any:
    """The arrays with marks; `clone` then, where they may be written into, which views would pass on without marks."""
    return pytree.tree_map(lambda x: then(_mark(x)) if _has_derivatives(x) else x, made)


def _has_derivatives(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and (x.is_floating_point() or x.is_complex())
