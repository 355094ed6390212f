"""Functions within a graph with all that they read as arguments, so that none of it escapes a derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client.functions.closed import TRACED_INSTEAD, Closed, Tree
from gradserve.client.tracing.current import current
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.recording import traced, written
from gradserve.client.tracing.tracer import tracers
from gradserve.client.tracing.trees import Structure, unflatten
from gradserve.ir.builder import Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType


class Lifted:
    """A function of the leaves of its arguments, and of the arrays around it that it captures."""

    def __init__(self, what: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Traces the function; `what` is asked for, in words.

        Raises:
            Untraceable: nothing is being traced.
        """
        outer = current()
        if outer is None:
            raise untraceable(f"{what} is asked for where no function is being traced", TRACED_INSTEAD)
        self._what = what
        trees = [Tree.of(argument, f"argument {k}") for k, argument in enumerate(arguments)]
        self._closed = Closed(outer, function, *((tree.structure, tree.types) for tree in trees))
        captured = self._closed.reads(self._closed.outputs)
        self.graph: Graph = self._closed.graph(self._closed.outputs, captured)
        constants = [value.builder.literal(value) for value in captured]
        self._captured = constants
        """The constants among what it captures, None in the place of others."""
        moving = [value for value, constant in zip(captured, constants, strict=True) if constant is None]
        self.leaves: list[Any] = [leaf for tree in trees for _, leaf in tree.leaves] + list(tracers(moving))
        """Its arguments where it was traced: the leaves, then what it captures and is no constant."""
        self.types = self._closed.types
        """The types of what it returns."""
        self.structure = self._closed.structure

    @property
    def moving(self) -> set[int]:
        """The inputs of the graph that are no constants."""
        own = len(self.graph.inputs) - len(self._captured)
        return {*range(own), *(own + k for k, constant in enumerate(self._captured) if constant is None)}

    def __call__(self, *leaves: Any) -> Any:
        """What the function returns, its nodes written once more."""
        return unflatten(self.structure, self.written(self.graph, leaves))

    def written(self, graph: Graph, leaves: Sequence[Any], more: Sequence[Any] = ()) -> list[Any]:
        """What a function gives that is made of this one's graph, of the same arguments and then of some more."""
        g = current()
        assert g is not None, "a lifted function is called within the graph that it was traced in"
        given = Tree.of([list(leaves), list(more)], self._what)

        def emit(_: Any) -> list[Value]:
            values = iter(given.values(g))
            own = len(self.graph.inputs) - len(self._captured)
            places = [*[None] * own, *self._captured, *[None] * len(more)]
            return written(g, graph, [next(values) if c is None else g.constant(c) for c in places])

        return list(tracers(traced(g, self._what, emit)))


class Layout:
    """Arrays as one vector, and back."""

    def __init__(self, types: Sequence[TensorType], what: str) -> None:
        """Of arrays of these types.

        Raises:
            Untraceable: one of them is not real, or there are none.
        """
        if not types or not all(type_.is_real for type_ in types):
            shown = ", ".join(map(str, types)) or "nothing"
            in_parts = any(type_.is_complex for type_ in types)
            instead = "take its real and its imaginary part" if in_parts else "convert it by .astype(np.float64)"
            raise untraceable(f"{what} is in real numbers, and {shown} is given", instead)
        self.types = list(types)

    def vector(self, leaves: Sequence[Any]) -> Any:
        """The elements of all arrays."""
        return np.concatenate([np.ravel(leaf) for leaf in leaves])

    def leaves(self, vector: Any) -> list[Any]:
        """The arrays of a vector, which lies along the last axis; with the axes before it."""
        found, start = [], 0
        for type_ in self.types:
            part = vector[..., start : start + type_.size].astype(type_.element_type.dtype, copy=False)
            found.append(part.reshape((*vector.shape[:-1], *type_.lengths)))
            start += type_.size
        return found


class OfVector:
    """A function of a tree of real arrays, and of others, as one of a vector."""

    def __init__(self, what: str, function: Callable[..., Any], tree: Any, *arguments: Any) -> None:
        """Traces the function at `tree` and the arguments.

        Raises:
            Untraceable: nothing is being traced, or the tree is not real.
        """
        self._given = Tree.of(tree, "argument 0")
        self.layout = Layout(self._given.types, what)
        self.lifted = Lifted(what, function, tree, *arguments)
        count = len(self._given.leaves)
        self.start = self.layout.vector(self.lifted.leaves[:count])
        """The tree as a vector."""
        self.known = self.lifted.leaves[count:]
        """The other arguments, and what the function captures."""

    def result(self, vector: Any, *known: Any) -> Any:
        """What the function returns."""
        return self.lifted(*self.layout.leaves(vector), *known)

    def written(self, graph: Graph, vector: Any, known: Sequence[Any], *more: Any) -> list[Any]:
        """What a function gives that is made of the function's graph, of the same arguments and then of some more."""
        return self.lifted.written(graph, [*self.layout.leaves(vector), *known], more)

    def tree(self, vector: Any) -> Any:
        """A vector as a tree like the first argument; with the axes that it has before its last."""
        return unflatten(self._given.structure, self.layout.leaves(vector))


class Field(OfVector):
    """One that returns a tree like its first argument, as a vector."""

    def __init__(self, what: str, function: Callable[..., Any], tree: Any, *arguments: Any) -> None:
        """As for any such function.

        Raises:
            Untraceable: it returns another tree, as well.
        """
        super().__init__(what, function, tree, *arguments)
        found, given = (self.lifted.structure, self.lifted.types), (self._given.structure, self._given.types)
        if found != given:
            text = f"the function returns {_shown(*found)} where {_shown(*given)} belongs"
            raise untraceable(text, "return what is like its argument")

    def __call__(self, vector: Any, *known: Any) -> Any:
        """What the function returns, as a vector."""
        found = Tree.of(self.result(vector, *known), "")
        return self.layout.vector([leaf for _, leaf in found.leaves])


class Objective(OfVector):
    """One that returns a real scalar."""

    def __init__(self, what: str, function: Callable[..., Any], tree: Any, *arguments: Any) -> None:
        """As for any such function.

        Raises:
            Untraceable: it returns something else, as well.
        """
        super().__init__(what, function, tree, *arguments)
        types = self.lifted.types
        if [(type_.is_real, type_.rank) for type_ in types] != [(True, 0)]:
            text = f"{what} is of a real scalar, and the function returns {_shown(self.lifted.structure, types)}"
            raise untraceable(text, "return one number, such as a sum")

    def __call__(self, vector: Any, *known: Any) -> Any:
        """What the function returns."""
        ((_, leaf),) = Tree.of(self.result(vector, *known), "").leaves
        return leaf


def _shown(structure: Structure, types: Sequence[TensorType]) -> str:
    return f"{structure} of {', '.join(map(str, types))}"
