"""Between a function's parameters, which are trees, and a graph's inputs, which are named arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from gradserve.client.tracing.subclasses import has_own_arithmetic
from gradserve.client.tracing.traced import RESULT, Traced, as_array
from gradserve.client.tracing.trees import Leaf, Structure, kind_of, leaves_like, unflatten
from gradserve.client.tracing.watching import Watch
from gradserve.ir.bind import bind, solve_symbols
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass, once
from gradserve.ir.types import Array, TensorType
from gradserve.questions.derivations import COTANGENTS

if TYPE_CHECKING:
    from gradserve.numpy.recorder import Recorder

Names: TypeAlias = str | Sequence[str]
Batch: TypeAlias = bool | Names


@dataclass(frozen=True)
class Form:
    """How results become trees again."""

    traced: Traced
    wrt: tuple[str, ...]
    """The parameters to differentiate."""

    @once
    def outputs(self) -> Callable[[Mapping[str, Any]], Any]:
        """Makes what the function returns of named outputs; scalars are NumPy's own, None has no derivative."""
        return _tree_of(self.traced.output, [output.name for output in self.traced.graph.outputs])

    @once
    def parameters(self) -> Callable[[Mapping[str, Any]], Any]:
        """Makes what belongs to the parameters in `wrt`: one tree, or a dict of trees if there are several.

        None stands for a leaf that is not real.
        """
        trees = {name: _tree_of(self.traced.inputs[name], self.traced.paths[name]) for name in self.wrt}
        if len(trees) == 1:
            return next(iter(trees.values()))
        return lambda arrays: {name: tree(arrays) for name, tree in trees.items()}

    def jacobian(self, blocks: Mapping[str, Mapping[str, Array]]) -> Any:
        """What the function returns, with what belongs to the parameters in the place of each array."""
        return self.outputs({output: self.parameters(columns) for output, columns in blocks.items()})

    def hessian(self, blocks: Mapping[str, Mapping[str, Array]]) -> Any:
        """What belongs to the parameters, with the same again in the place of each array."""
        return self.parameters({row: self.parameters(columns) for row, columns in blocks.items()})


@dataclass(frozen=True)
class Bound(Form):
    """A graph with one array for each input."""

    arguments: Mapping[str, Array]
    batch: tuple[str, ...]
    """The inputs that carry a leading axis of points."""

    @property
    def form(self) -> Form:
        """How results become trees again, which holds no arrays."""
        return Form(self.traced, self.wrt)

    @property
    def batch_size(self) -> int:
        """The number of points; 1 without a batch."""
        return self.arguments[self.batch[0]].shape[0] if self.batch else 1

    def of_loss(self) -> Bound:
        """The same of the loss alone, if the function returns more beside it."""
        return replace(self, traced=self.traced.of_loss) if self.traced.has_more else self

    def concrete(self) -> Bound:
        """The same with the lengths of the arguments in the place of the graph's symbols."""
        graph = self.traced.graph
        if graph.is_concrete:
            return self
        shapes = {n: a.shape[1:] if n in self.batch else a.shape for n, a in self.arguments.items()}
        return replace(self, traced=replace(self.traced, graph=bind(graph, solve_symbols(graph, shapes))))

    def vectors(self, tree: Any, what: str) -> dict[str, Array]:
        """Arrays by input from what belongs to the parameters in `wrt`, such as a tangent; `what` it is called.

        Raises:
            InvalidRequest: it does not have the structure of the parameters.
        """
        trees = {self.wrt[0]: tree} if len(self.wrt) == 1 else tree
        if not isinstance(trees, Mapping) or set(trees) != set(self.wrt):
            given = f"one with {', '.join(map(str, trees))}" if isinstance(trees, Mapping) else f"a {kind_of(tree)}"
            raise InvalidRequest(f"the {what} must be a dict with {', '.join(self.wrt)}, not {given}")
        leaves = [leaf for name in self.wrt for leaf in leaves_like(trees[name], self.traced.inputs[name], name)]
        return _real_arrays(leaves, self.traced.graph.input_types, what)

    def random_signs(self, seed: int) -> Any:
        """A vector of ones and minus ones with the structure of the parameters in `wrt`."""
        rng, types = np.random.default_rng(seed), self.traced.graph.input_types
        return self.parameters({path: rng.choice([-1.0, 1.0], size=types[path].lengths) for path in self.real_inputs()})

    def inner(self, left: Any, right: Any) -> float:
        """The inner product of two vectors with the structure of the parameters in `wrt`."""
        lefts, rights = self.vectors(left, "left vector"), self.vectors(right, "right vector")
        return float(sum(np.vdot(array, rights[path]) for path, array in lefts.items()))

    def cotangents(self, tree: Any, what: str = "cotangent") -> dict[str, Array]:
        """Arrays by output from a tree with the structure of what the function returns; `what` it is called.

        Raises:
            InvalidRequest: it has another structure.
        """
        leaves = leaves_like(tree, self.traced.output, RESULT)
        named = [(output.name, leaf) for output, (_, leaf) in zip(self.traced.graph.outputs, leaves, strict=True)]
        return _real_arrays(named, self.traced.graph.output_types, what)

    def promoted(self, vectors: Mapping[str, Array], what: str) -> dict[str, Array]:
        """Vectors by input or output in the types of what they belong to; others as they are, to be refused."""
        graph = self.traced.graph
        types = graph.output_types if what == COTANGENTS else graph.input_types
        real = {name for name in vectors if name in types and types[name].is_float}
        return {**vectors, **_real_arrays([(name, vectors[name]) for name in vectors if name in real], types, what)}

    def real_inputs(self) -> tuple[str, ...]:
        """The real inputs of the parameters in `wrt`, in the graph's order.

        Of a parameter without any there are all inputs, so that they are refused.
        """
        types = self.traced.graph.input_types
        if not self.wrt:
            shown = ", ".join(f"{name}: {type_}" for name, type_ in types.items()) or "nothing"
            raise InvalidRequest(f"there is nothing to differentiate in {shown}; real numbers are written 3.0, not 3")
        found: set[str] = set()
        for name in self.wrt:
            paths = self.traced.paths[name]
            found.update([path for path in paths if types[path].is_float] or paths)
        return tuple(path for path in types if path in found)


class Signatures(Protocol):
    """Finds or makes the graph for given arguments."""

    watch: Watch
    """Whether to look at each call if what the function reads by itself has changed."""

    @property
    def latest(self) -> Traced:
        """The graph made last."""
        ...

    @property
    def function(self) -> Callable[..., Any]:
        """The author's function; raises AttributeError if there is none, but a graph alone."""
        ...

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, as far as they are known."""
        ...

    def bind(
        self, arguments: Sequence[Any], named: Mapping[str, Any], wrt: Names, batch: Batch, looked: bool = False
    ) -> Bound:
        """The arguments bound to a graph; `looked` says that this call has asked for what is remembered."""
        ...

    def within(self, g: Recorder, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """What the function comes to where another one is traced into `g`: traced arrays."""
        ...

    def remembered(self) -> dict[Hashable, Any]:
        """What may be kept of calls, by what they have in common; another dict once a graph has come or gone.

        Looks if what the function reads has changed.
        """
        ...


def names_of(given: Names, known: Iterable[str], option: str) -> tuple[str, ...]:
    """The names that an option gives, each of them known; one that it gives twice counts once.

    Raises:
        InvalidRequest: it gives something else.
    """
    if isinstance(given, tuple) and not given:
        return ()
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Sequence | set | frozenset) or not all(isinstance(name, str) for name in names):
        raise InvalidRequest(
            f"{option} takes names of parameters, not {_shown(given)}; give an argument of that name by position"
        )
    known = list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidRequest(f"{option} names {', '.join(map(repr, unknown))}; given are {', '.join(known) or 'none'}")
    return tuple(dict.fromkeys(names))


def batched_names(batch: Batch, wrt: tuple[str, ...], known: Iterable[str]) -> tuple[str, ...]:
    """The parameters that carry a leading axis of points: for True, those that are differentiated.

    Raises:
        InvalidRequest: there are none.
    """
    if batch is False:
        return ()
    if batch is True and not wrt:
        raise InvalidRequest("batch=True is for parameters of real numbers, and there are none; name those you mean")
    return wrt if batch is True else names_of(batch, known, "batch")


def require_batched(leaves: Mapping[str, Array], batched: Iterable[str]) -> None:
    """Sees that arguments said to carry a batch have an axis for it.

    Raises:
        InvalidRequest: one has none, or no point on it.
    """
    for path in batched:
        if not leaves[path].ndim or not len(leaves[path]):
            shape = leaves[path].shape
            raise InvalidRequest(f"{path} carries the batch and has the shape {shape}; the first axis is for points")


def widened(leaf: Any, type_: TensorType | None, path: str) -> Array:
    """An argument as an array: in the elements of its input if all of its own are among those, else in its own.

    Raises:
        InvalidRequest: no graph has such elements.
    """
    try:
        array = np.asarray(leaf)
    except (TypeError, ValueError):
        return as_array(leaf, path)  # which refuses it
    wanted = None if type_ is None else type_.element_type.dtype
    if wanted is None or has_own_arithmetic(type(leaf)) or not np.can_cast(array.dtype, wanted, "safe"):
        return as_array(leaf, path)
    return array.astype(wanted, copy=False)


def converted(array: Array, type_: TensorType, path: str) -> Array:
    """The argument with the input's elements; itself, however it lies in memory, if it has them.

    Raises:
        InvalidRequest: the conversion would lose something.
    """
    wanted = type_.element_type.dtype
    if array.dtype == wanted:
        return array
    if not np.can_cast(array.dtype, wanted, "safe"):
        raise InvalidRequest(f"{path} is {array.dtype} and the function takes {wanted}; convert it yourself")
    return array.astype(wanted)


def _real_arrays(leaves: Iterable[tuple[str, Any]], types: Mapping[str, TensorType], what: str) -> dict[str, Array]:
    """The arrays for inputs or outputs that are real; those of others are not looked at."""
    arrays = {}
    for name, leaf in leaves:
        if not types[name].is_float:
            continue
        if leaf is None:
            raise InvalidRequest(f"the {what} has nothing for {name}")
        arrays[name] = _vector(leaf, types[name], f"{what} of {name}")
    return arrays


def _vector(leaf: Any, type_: TensorType, path: str) -> Array:
    """An array in the type of what it belongs to: NumPy promotes numbers that are multiplied with each other.

    Raises:
        InvalidRequest: it does not hold real numbers.
    """
    array = np.asarray(leaf)
    if array.dtype.kind not in "biuf" or has_own_arithmetic(type(leaf)):
        return converted(as_array(leaf, path), type_, f"the {path}")
    return array.astype(type_.element_type.dtype, copy=False)


def _tree_of(structure: Structure, names: Sequence[str]) -> Callable[[Mapping[str, Any]], Any]:
    """What puts the leaves of those names together; what is not named is None."""
    if isinstance(structure, Leaf):
        (name,) = names
        return lambda arrays: _plain(arrays.get(name))
    return lambda arrays: unflatten(structure, [_plain(arrays.get(name)) for name in names])


def _plain(leaf: Any) -> Any:
    """A NumPy scalar for a 0-d array, as NumPy's own functions answer; whatever else it is itself."""
    return leaf[()] if isinstance(leaf, np.ndarray) and not leaf.ndim else leaf


def _shown(given: Any) -> str:
    return f"an array of shape {given.shape}" if isinstance(given, np.ndarray) else repr(given)
