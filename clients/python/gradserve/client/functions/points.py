"""A function within a graph at one point: traced there, with what moves, to be applied as derivatives of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from gradserve.client.functions.closed import TRACED_INSTEAD, Closed, Tree
from gradserve.client.tracing.current import current
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.recording import traced
from gradserve.client.tracing.tracer import tracers
from gradserve.client.tracing.trees import unflatten
from gradserve.ir.builder import Value
from gradserve.ir.types import TensorType
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.derivatives import Derivative

Wrt: TypeAlias = int | str | Sequence[int | str]
"""Which arguments move: one, by its position or its parameter's name, or several."""


class Point:
    """A function at its arguments, of which some move."""

    def __init__(self, function: Callable[..., Any], arguments: Sequence[Any], wrt: Wrt, what: str) -> None:
        """Traces the function; `what` is asked for, in words.

        Raises:
            Untraceable: nothing is being traced, or what moves is not real.
            TypeError: `wrt` names no argument.
        """
        outer = current()
        if outer is None:
            raise untraceable(f"{what} is asked for where no function is being traced", TRACED_INSTEAD)
        self._outer, self._what = outer, what
        self._wanted = positions(function, wrt, len(arguments))
        self._is_one = isinstance(wrt, int | str)
        self._trees = [Tree.of(argument, f"argument {k}") for k, argument in enumerate(arguments)]
        self.closed = Closed(outer, function, *((tree.structure, tree.types) for tree in self._trees))
        for k in self._moved:
            for (path, _), type_ in zip(self._trees[k].leaves, self._trees[k].types, strict=True):
                _require_real(type_, what, path)

    @property
    def _moved(self) -> list[int]:
        """The positions of the arguments that move."""
        return sorted(self._wanted)

    @property
    def moving(self) -> list[TensorType]:
        """The types of all leaves that move, in the order of the arguments."""
        return [type_ for k in self._moved for type_ in self._trees[k].types]

    @property
    def results(self) -> list[TensorType]:
        """The types of what the function returns."""
        return self.closed.types

    def require_real_results(self) -> None:
        """Refuses a function that returns something without a derivative."""
        for path, type_ in zip(self.closed.paths, self.results, strict=True):
            _require_real(type_, self._what, f"the {path} of the function")

    def apply(self, kind: type[Derivative], vectors: Callable[[Recorder], list[Value]], stacked: bool) -> list[Any]:
        """What the function returns, and then its derivative times these vectors."""
        captured = self.closed.reads(self.closed.outputs)
        starts = [sum(len(tree.leaves) for tree in self._trees[:k]) for k in range(len(self._trees) + 1)]
        moved = tuple(leaf for k in self._moved for leaf in range(starts[k], starts[k + 1]))
        op = kind(self.closed.graph(self.closed.outputs, captured), moved, stacked)

        def emit(g: Any) -> Any:
            primals = [value for tree in self._trees for value in tree.values(g)]
            return g.apply(op, [*primals, *captured, *vectors(g)])

        return list(tracers(traced(self._outer, self._what, emit)))

    def returned(self, leaves: Sequence[Any]) -> Any:
        """Leaves, one for each that the function returns, in its structure."""
        return unflatten(self.closed.structure, list(leaves))

    def in_arguments(self, leaves: Sequence[Any]) -> Any:
        """Leaves, one for each that moves, in the structure of the argument, or of each of several in a tuple."""
        rest = iter(leaves)
        trees = {
            k: unflatten(self._trees[k].structure, [next(rest) for _ in self._trees[k].leaves]) for k in self._moved
        }
        found = tuple(trees[k] for k in self._wanted)
        return found[0] if self._is_one else found


def _require_real(type_: TensorType, what: str, path: str) -> None:
    if not type_.is_real:
        text = "leave it out, or convert it, such as by .astype(np.float64)"
        if type_.is_complex:
            text = "take its real and its imaginary part, and write x + 1j * y inside"
        raise untraceable(f"{what} is in real numbers, and {path} is {type_}", text)


def positions(function: Callable[..., Any], wrt: Wrt, count: int) -> list[int]:
    """The positions of the chosen arguments.

    Raises:
        TypeError: there is no such argument, or one is chosen twice, or none.
    """
    chosen = [wrt] if isinstance(wrt, int | str) else list(wrt)
    names = [*inspect.signature(function).parameters] if any(isinstance(each, str) for each in chosen) else []
    found = [names.index(each) if each in names else each for each in chosen]
    if not found or any(not isinstance(k, int) or not 0 <= k < count for k in found) or len({*found}) < len(found):
        known = f", {', '.join(names)}" if names else ""
        raise TypeError(f"wrt={wrt!r} names no arguments, each once, of the {count} that are given{known}")
    return [k for k in found if isinstance(k, int)]
