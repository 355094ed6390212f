"""The graphs of one Python function, one for each set of argument types that it was called with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradserve.client.tracing.declared import NOTHING, declared_by
from gradserve.client.tracing.parameters import Parameters
from gradserve.client.tracing.repeats import traced_repeatably
from gradserve.client.tracing.signature import Batch, Bound, Names, batched_names, converted, names_of, require_batched
from gradserve.client.tracing.traced import Traced
from gradserve.client.tracing.trees import Leaf, Structure, flatten, number_lists, paths, unflatten
from gradserve.client.tracing.watching import Watch, Watched
from gradserve.ir.errors import GradserveError, InvalidRequest, Untraceable
from gradserve.ir.graph import Literal
from gradserve.ir.types import Array, TensorType

if TYPE_CHECKING:
    from gradserve.numpy.recorder import Recorder

MOST_GRAPHS = 64
"""How many graphs of one function are kept: each holds the arrays that the function captures."""


class Traces:
    """Traces a function when it is called with arguments of new types. Safe for threads."""

    def __init__(self, function: Callable[..., Any], watch: Watch = True) -> None:
        """Nothing is traced before the first call. `watch` says whether to trace anew if what it reads has changed.

        Raises:
            TypeError: it is no function.
        """
        if not callable(function):
            raise TypeError(f"a function of NumPy arrays is wanted, not {function!r}")
        self._parameters = Parameters(function)
        self._declared = NOTHING
        self._traced: tuple[Traced, ...] = ()
        self.watch = watch
        self._watched: Watched | None = None
        self._remembered: dict[Hashable, Any] = {}
        self._lock = threading.RLock()

    def __str__(self) -> str:
        return self._parameters.name

    @property
    def latest(self) -> Traced:
        """The graph traced last.

        Raises:
            RuntimeError: there is none yet.
        """
        if not self._traced:
            raise RuntimeError("nothing is traced yet: give examples of the parameters, or call the function first")
        return self._traced[-1]

    @property
    def function(self) -> Callable[..., Any]:
        """The author's function."""
        return self._parameters.function

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the function's parameters that have one."""
        return self._parameters.names

    def expect(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
        """Traces the function for arguments like these; types among them are what it takes from now on.

        If a length of theirs is a symbol, every call that tells another one traces the function for it.

        Raises:
            Untraceable: the code does something that no graph can say, or returns nothing.
        """
        examples = self._parameters.bind(arguments, named)
        self._declared = declared_by(examples)
        example = examples if self._declared is NOTHING else self._declared.example
        if example is not None:
            self._trace(example)

    def bind(
        self, arguments: Sequence[Any], named: Mapping[str, Any], wrt: Names, batch: Batch, looked: bool = False
    ) -> Bound:
        """The arguments bound to the graph of their types, traced now if it is new, or reads what has changed.

        `looked` says that this call has asked for what is remembered.
        """
        if not looked:
            self._forget_stale()
        return self._bind(self._parameters.bind(arguments, named), wrt, batch)

    def within(self, g: Recorder, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """What the function comes to where another one is traced: it is called, and traced with that."""
        del g  # which NumPy's functions find by themselves
        return self.function(*arguments, **named)

    def remembered(self) -> dict[Hashable, Any]:
        """What may be kept of calls, by what they have in common; another dict once a graph has come or gone.

        Looks if what the function reads has changed.
        """
        self._forget_stale()
        return self._remembered

    def _bind(self, given: Mapping[str, Any], wrt: Names, batch: Batch) -> Bound:
        leaves: dict[str, Array] = {}
        structures: dict[str, Structure] = {}
        real: tuple[str, ...] = ()
        for name, tree in given.items():
            found, structures[name] = flatten(tree, name)
            arrays = {path: self._declared.array(leaf, path) for path, leaf in found}
            if any(array.dtype.kind in "fc" for array in arrays.values()):
                real += (name,)
            leaves |= arrays
        chosen = names_of(wrt, structures, "wrt")
        parameters = batched_names(batch, chosen or real, structures)
        batched = tuple(path for name in parameters for path in paths(structures[name], name))
        require_batched(leaves, batched)
        self._declared.require(structures, {p: a.shape[1:] if p in batched else a.shape for p, a in leaves.items()})
        traced = self._find(structures, leaves, batched)
        if traced is None:
            self._refuse_single_points(structures, leaves, batched)
            traced = self._trace_example(structures, leaves, batched)
        if batch is True and not chosen and traced.real != real:
            whole = ", ".join(name for name in traced.real if name not in real)
            raise InvalidRequest(f"batch=True is for parameters of real numbers; {whole} is given in whole ones")
        types = traced.graph.input_types
        values = {path: converted(leaf, types[path], path) for path, leaf in leaves.items()}
        return Bound(traced, chosen or traced.real, values, batched)

    def _find(
        self, structures: Mapping[str, Structure], leaves: Mapping[str, Array], batched: Sequence[str]
    ) -> Traced | None:
        """The known graph that takes these arguments, the one traced last first."""
        for traced in reversed(self._traced):
            types = traced.graph.input_types
            if traced.inputs == structures and all(_fits(a, types[p], p in batched) for p, a in leaves.items()):
                return traced
        return None

    def _trace_example(
        self, structures: Mapping[str, Structure], leaves: Mapping[str, Array], batched: Sequence[str]
    ) -> Traced:
        """The graph for one point of the batch."""
        points = {path: np.asarray(leaf[0]) if path in batched else leaf for path, leaf in leaves.items()}
        with self._lock:
            found = self._find(structures, points, ())  # by another thread, meanwhile
            if found is not None:
                return found
            self._refuse_lists(structures)
            try:
                return self._trace({n: unflatten(s, [points[p] for p in paths(s, n)]) for n, s in structures.items()})
            except Exception as error:
                for hint in self._hints(structures, points):
                    error.add_note(hint)
                if batched and not isinstance(error, Untraceable):
                    raise _failed_on_a_point(str(self), error, points, batched) from error
                raise

    def _trace(self, examples: Mapping[str, Any]) -> Traced:
        from gradserve.client.tracing.trace import (
            trace_bound,
        )  # with which all ops come: half of all code

        with self._lock:
            function = self._parameters.function
            traced = traced_repeatably(function, lambda: trace_bound(self._parameters, examples))
            if not traced.graph.outputs:
                raise Untraceable(f"{self} returns no array; return what is to be computed")
            self._traced = (*self._traced, traced)[-MOST_GRAPHS:]
            self._remembered = {}
            # Afterwards: a function may fill what it keeps for itself while it is run.
            copies = [constant.array for constant in traced.graph.constants if isinstance(constant, Literal)]
            stale = self._watched
            self._watched = Watched(function, copies) if stale is None else stale.after_change(function, copies)
            return traced

    def _forget_stale(self) -> None:
        """Drops all graphs if the function reads something else by now than when they were traced."""
        watched = self._watched
        if watched is None or not self.watch or not self._traced:
            return
        renewed = watched.renewed(self._parameters.function, self.watch == "whole")
        if renewed is watched:
            return
        with self._lock:
            if self._watched is watched:  # else another thread has done so
                self._watched = renewed or watched
                self._traced = self._traced if renewed else ()
                self._remembered = self._remembered if renewed else {}

    def _refuse_single_points(
        self, structures: Mapping[str, Structure], leaves: Mapping[str, Array], batched: Sequence[str]
    ) -> None:
        """Refuses a batch that is one point of what the function is a loss of: its axis is no axis of points."""
        for traced in self._traced if batched else ():
            types, outputs = traced.graph.input_types, traced.graph.output_types.values()
            if any(type_.rank for type_ in outputs):
                continue  # of arrays, such as np.sin: that of each number may well be meant
            if traced.inputs == structures and all(leaf.shape == types[path].shape for path, leaf in leaves.items()):
                path = batched[0]
                raise InvalidRequest(
                    f"batch wants a leading axis of points, and {path} has the shape of one, {leaves[path].shape}; "
                    f"give np.stack of several, {path}[None] for one, or leave batch away"
                )

    def _refuse_lists(self, structures: Mapping[str, Structure]) -> None:
        """Refuses a list of numbers where there was an array before: it would be another function."""
        for traced in self._traced:
            for name, structure in structures.items():
                known = traced.inputs.get(name)
                if isinstance(known, Leaf) and number_lists(structure, name) == [name]:
                    type_ = traced.graph.input_types[name]
                    raise InvalidRequest(f"{name} is a list and {self} takes an array, {type_}; give np.array({name})")

    def _hints(self, structures: Mapping[str, Structure], leaves: Mapping[str, Array]) -> Iterator[str]:
        """What may have been meant by arguments that the function fails on."""
        for name, structure in structures.items():
            for path in number_lists(structure, name):
                yield f"{path} is a list: its numbers are parameters of their own; is an array meant?"
        for traced in self._traced:
            shapes = {path: type_.shape for path, type_ in traced.graph.input_types.items()}
            if traced.inputs == structures:
                longer = [path for path, leaf in leaves.items() if leaf.shape != shapes[path]]
                if all(leaves[path].shape[1:] == shapes[path] for path in longer):
                    yield f"{', '.join(longer)} had one axis less before: is batch=True meant?"


def _failed_on_a_point(
    name: str, error: Exception, points: Mapping[str, Array], batched: Sequence[str]
) -> InvalidRequest:
    """What to say of a function that fails on one point of a batch."""
    shapes = ", ".join(f"{path} of shape {points[path].shape}" for path in batched)
    said = error.message if isinstance(error, GradserveError) else f"{type(error).__name__}: {error}"
    text = f"batch takes the first axis for points (is it missing?), and on one of them, {shapes}, {name} fails: {said}"
    return InvalidRequest(text, error.violations if isinstance(error, GradserveError) else ())


def _fits(array: Array, type_: TensorType, batched: bool) -> bool:
    """Whether an argument can be given to an input without losing anything."""
    shape = array.shape[1:] if batched else array.shape
    wanted = type_.element_type.dtype
    return shape == type_.shape and (array.dtype == wanted or np.can_cast(array.dtype, wanted, "safe"))
