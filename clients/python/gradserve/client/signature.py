"""Between a function's parameters, which are trees, and a graph's inputs, which are named arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gradserve.client.backend import Question
from gradserve.client.trace import RESULT, Traced, as_array, bind, trace
from gradserve.client.trees import Branch, Leaf, Structure, flatten, paths, unflatten
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array, TensorType


@dataclass(frozen=True)
class Bound:
    """A graph with one array for each input, and how results become trees again."""

    traced: Traced
    arguments: Mapping[str, Array]
    wrt: tuple[str, ...]
    """The parameters to differentiate."""
    batch: tuple[str, ...]
    """The inputs that carry a leading axis of points."""

    @property
    def batch_size(self) -> int:
        """The number of points; 1 without a batch."""
        return self.arguments[self.batch[0]].shape[0] if self.batch else 1

    def question(
        self, derivation: str, reduction: str = "none", vectors: Mapping[str, Array] | None = None
    ) -> Question:
        """The question to ask a backend."""
        return Question(
            graph=self.traced.graph,
            derivation=derivation,
            arguments=self.arguments,
            wrt=() if derivation == "evaluate" else tuple(self._real_inputs()),
            vectors=vectors or {},
            batch=self.batch,
            reduction=reduction,
        )

    def outputs(self, arrays: Mapping[str, Array]) -> Any:
        """What the function returns, from named outputs; scalars as NumPy's own. None for what has no derivative."""
        return self.traced.result({p: _plain(arrays.get(p)) for p in paths(self.traced.output, RESULT)})

    def parameters(self, arrays: Mapping[str, Array]) -> Any:
        """What belongs to the parameters in `wrt`: one tree, or a dict of trees if there are several.

        None stands for a leaf that is not real.
        """
        trees = {}
        for name in self.wrt:
            structure = self.traced.inputs[name]
            trees[name] = unflatten(structure, [_plain(arrays.get(path)) for path in paths(structure, name)])
        return _alone(trees)

    def vectors(self, tree: Any) -> dict[str, Array]:
        """Arrays by input from what belongs to the parameters in `wrt`, such as a tangent.

        Raises:
            InvalidRequest: it does not have the structure of the parameters.
        """
        trees = {self.wrt[0]: tree} if len(self.wrt) == 1 else tree
        if not isinstance(trees, Mapping) or set(trees) != set(self.wrt):
            raise InvalidRequest(f"expected a dict with one entry for each of {', '.join(self.wrt)}")
        types = self.traced.graph.input_types
        return {
            path: _converted(as_array(leaf, path), types[path], path)
            for name in self.wrt
            for path, leaf in _leaves(trees[name], self.traced.inputs[name], name)
            if types[path].is_float
        }

    def cotangents(self, tree: Any) -> dict[str, Array]:
        """Arrays by output from a tree with the structure of what the function returns.

        Raises:
            InvalidRequest: it has another structure.
        """
        types = self.traced.graph.output_types
        return {
            path: _converted(as_array(leaf, path), types[path], path)
            for path, leaf in _leaves(tree, self.traced.output, RESULT)
            if types[path].is_float
        }

    def _real_inputs(self) -> list[str]:
        """The inputs of the parameters in `wrt`, real ones only; all, if a parameter has none, so that it is refused."""
        types = self.traced.graph.input_types
        found = []
        for name in self.wrt:
            leaves = paths(self.traced.inputs[name], name)
            found += [leaf for leaf in leaves if types[leaf].is_float] or leaves
        return found


class Signatures(Protocol):
    """Finds or makes the graph for given arguments."""

    @property
    def latest(self) -> Traced:
        """The graph used last."""
        ...

    def bind(
        self, arguments: Sequence[Any], named: Mapping[str, Any], wrt: Sequence[str], batch: bool | Sequence[str]
    ) -> Bound:
        """The arguments bound to a graph."""
        ...


class Traces:
    """The graphs of one Python function, one for each set of argument types that it was called with."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Nothing is traced before the first call."""
        self._function = function
        self._traced: list[Traced] = []

    @property
    def latest(self) -> Traced:
        """The graph traced or used last.

        Raises:
            RuntimeError: there is none yet.
        """
        if not self._traced:
            raise RuntimeError("nothing is traced yet: give examples of the parameters, or call the function first")
        return self._traced[-1]

    def trace(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> Traced:
        """The graph for arguments like these."""
        traced = trace(self._function, *arguments, **named)
        self._traced.append(traced)
        return traced

    def bind(
        self, arguments: Sequence[Any], named: Mapping[str, Any], wrt: Sequence[str], batch: bool | Sequence[str]
    ) -> Bound:
        """The arguments bound to the graph of their types, traced now if it is new."""
        trees = bind(self._function, tuple(arguments), named)
        flat = {name: flatten(tree, name) for name, tree in trees.items()}
        leaves = {path: as_array(leaf, path) for found, _ in flat.values() for path, leaf in found}
        structures = {name: structure for name, (_, structure) in flat.items()}
        wrt = tuple(wrt) or _real_parameters(structures, leaves)
        _check_names(wrt, structures, "wrt")
        batched = _batched_inputs(structures, wrt if batch is True else tuple(batch or ()))
        traced = self._find(structures, leaves, batched) or self._trace_example(structures, leaves, batched)
        types = traced.graph.input_types
        converted = {path: _converted(leaf, types[path], path) for path, leaf in leaves.items()}
        return Bound(traced, converted, wrt, batched)

    def _find(
        self, structures: Mapping[str, Structure], leaves: Mapping[str, Array], batched: Sequence[str]
    ) -> Traced | None:
        """The known graph that takes these arguments, the one used last first."""
        for traced in reversed(self._traced):
            types = traced.graph.input_types
            if traced.inputs == structures and all(_fits(a, types[p], p in batched) for p, a in leaves.items()):
                return traced
        return None

    def _trace_example(
        self, structures: Mapping[str, Structure], leaves: Mapping[str, Array], batched: Sequence[str]
    ) -> Traced:
        """The graph for one point of the batch."""
        for path in batched:
            if not leaves[path].ndim or not len(leaves[path]):
                raise InvalidRequest(f"{path} is said to carry a batch; give it a leading axis with at least one point")
        points = {path: leaf[0] if path in batched else leaf for path, leaf in leaves.items()}
        trees = {n: unflatten(s, [np.asarray(points[p]) for p in paths(s, n)]) for n, s in structures.items()}
        return self.trace((), trees)


class LoadedGraph:
    """The one graph of a function that was loaded."""

    def __init__(self, graph: Graph) -> None:
        """Parameters are the graph's inputs."""
        outputs = [o.name for o in graph.outputs]
        output: Structure = Leaf() if outputs == [RESULT] else Branch(dict, tuple(outputs), (Leaf(),) * len(outputs))
        self.latest: Traced = LoadedTraced(graph, {i.name: Leaf() for i in graph.inputs}, output)

    def bind(
        self, arguments: Sequence[Any], named: Mapping[str, Any], wrt: Sequence[str], batch: bool | Sequence[str]
    ) -> Bound:
        """The arguments by position or by the name of the input."""
        types = self.latest.graph.input_types
        given = {**dict(zip(types, arguments, strict=False)), **named}
        _check_names(given, types, "the arguments")
        leaves = {name: as_array(tree, name) for name, tree in given.items()}
        wrt = tuple(wrt) or tuple(name for name, type_ in types.items() if type_.is_float)
        _check_names(wrt, types, "wrt")
        batched = wrt if batch is True else tuple(batch or ())
        _check_names(batched, types, "batch")
        return Bound(self.latest, {n: _converted(a, types[n], n) for n, a in leaves.items()}, wrt, batched)


class LoadedTraced(Traced):
    """A graph whose outputs have names of their own, not paths below `result`."""

    def result(self, outputs: Mapping[str, Any]) -> Any:
        """A dict by output, or the only output if it is called `result`."""
        if isinstance(self.output, Leaf):
            return super().result(outputs)
        return dict(outputs)


def _plain(array: Array | None) -> Any:
    """A NumPy scalar for a 0-d array, as NumPy's own functions answer."""
    return array[()] if array is not None and not array.ndim else array


def _alone(trees: dict[str, Any]) -> Any:
    return next(iter(trees.values())) if len(trees) == 1 else trees


def _leaves(tree: Any, structure: Structure, name: str) -> list[tuple[str, Any]]:
    """The leaves of a tree that must have the given structure."""
    leaves, found = flatten(tree, name)
    if found != structure:
        raise InvalidRequest(f"{name} has the structure {structure}, and what is given for it has {found}")
    return leaves


def _real_parameters(structures: Mapping[str, Structure], leaves: Mapping[str, Array]) -> tuple[str, ...]:
    """The parameters with a real leaf."""
    return tuple(n for n, s in structures.items() if any(leaves[p].dtype.kind == "f" for p in paths(s, n)))


def _batched_inputs(structures: Mapping[str, Structure], parameters: Sequence[str]) -> tuple[str, ...]:
    _check_names(parameters, structures, "batch")
    return tuple(path for name in parameters for path in paths(structures[name], name))


def _check_names(names: Any, known: Mapping[str, Any], what: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidRequest(f"{what} names {', '.join(map(repr, unknown))}; the parameters are {', '.join(known)}")


def _fits(array: Array, type_: TensorType, batched: bool) -> bool:
    """Whether an argument can be given to an input without losing anything."""
    shape = array.shape[1:] if batched else array.shape
    return shape == type_.shape and np.can_cast(array.dtype, type_.element_type.dtype, "safe")


def _converted(array: Array, type_: TensorType, path: str) -> Array:
    """The argument with the input's elements.

    Raises:
        InvalidRequest: the conversion would lose something.
    """
    wanted = type_.element_type.dtype
    if not np.can_cast(array.dtype, wanted, "safe"):
        raise InvalidRequest(f"{path} is {array.dtype} and the function takes {wanted}; convert it yourself")
    return array.astype(wanted, order="C", copy=False)
