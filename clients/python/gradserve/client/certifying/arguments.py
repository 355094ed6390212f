"""The point at which a black-box function is looked at: arguments of any kind, as named NumPy arrays and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradserve.client.tracing.trees import Leaf, Structure, count, flatten, leaves_like, paths, unflatten
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

_ONLY = "x"
"""The name of the only argument, where the function does not tell its own."""
_PRECISIONS = (np.float32, np.float64)


@dataclass(frozen=True, eq=False)
class Arguments:
    """Arguments of a function, by name or by position, and all their leaves by path."""

    named: bool
    """Whether the function takes them by name."""
    structures: Mapping[str, Structure]
    leaves: Mapping[str, Any]

    @property
    def arrays(self) -> dict[str, Array]:
        """The leaves as NumPy arrays."""
        return {path: as_numpy(path, leaf) for path, leaf in self.leaves.items()}

    @property
    def real(self) -> dict[str, Array]:
        """Those leaves that may be differentiated.

        Raises:
            InvalidRequest: one holds complex numbers, or floating-point ones that are too short to be told apart.
        """
        found = {}
        for path, array in self.arrays.items():
            if array.dtype.kind not in "fc":
                continue
            if array.dtype.type not in _PRECISIONS:
                text = f"{path} is {array.dtype}; gradients are certified at points of float64 or float32"
                raise InvalidRequest(f"{text}. Write the function of real parts, or convert the point")
            found[path] = array
        return found

    def with_arrays(self, arrays: Mapping[str, Array]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What to call the function with: the leaves that are given replaced, all others copied."""
        fresh = iter([like(leaf, arrays.get(path, as_numpy(path, leaf))) for path, leaf in self.leaves.items()])
        trees = {}
        for name, structure in self.structures.items():
            trees[name] = unflatten(structure, [next(fresh) for _ in range(count(structure))])
        return ((), trees) if self.named else (tuple(trees.values()), {})

    def claimed(self, claimed: Any, what: str = "gradient claimed", rows: tuple[int, ...] = ()) -> dict[str, Array]:
        """What is claimed for the leaves that may be differentiated; None in the place of one leaves it out.

        Args:
            claimed: of the structure of the arguments.
            what: what it is called in errors.
            rows: axes that each array has before those of the argument, as blocks of a Jacobian do.

        Raises:
            InvalidRequest: the structure or a shape is another than that of the arguments.
        """
        real, found = self.real, {}
        for path, leaf in self._leaves_of(claimed):
            if leaf is not None and path in real:
                found[path] = real_numbers(f"the {what} in {path}", leaf, rows + real[path].shape)
        if not found:
            raise InvalidRequest(
                f"nothing is claimed or given: there is no {what} in any floating-point array of the point"
            )
        return found

    def by_parameter(self, claimed: Mapping[str, Array]) -> tuple[tuple[str, ...], dict[str, Any]]:
        """The arguments in which something is claimed, and the claims as trees of theirs.

        Raises:
            InvalidRequest: of an argument only some arrays are claimed.
        """
        trees = {}
        for name, structure in self.structures.items():
            wanted = paths(structure, name)
            missing = [path for path in wanted if path in self.real and path not in claimed]
            if not any(path in claimed for path in wanted):
                continue
            if missing:
                raise InvalidRequest(f"of a traced function all of {name} must be claimed; {', '.join(missing)} is not")
            trees[name] = unflatten(structure, [claimed.get(path) for path in wanted])
        return tuple(trees), trees

    def _leaves_of(self, claimed: Any) -> list[tuple[str, Any]]:
        names = list(self.structures)
        if len(names) == 1 and not _is_wrapped(claimed, names[0], self.structures[names[0]]):
            parts = {names[0]: claimed}
        elif isinstance(claimed, Mapping):
            parts = dict(claimed)
        elif isinstance(claimed, tuple | list) and len(claimed) == len(names):
            parts = dict(zip(names, claimed, strict=True))
        else:
            raise InvalidRequest(f"what is claimed must hold one tree for each of {', '.join(names)}")
        unknown = [str(name) for name in parts if name not in self.structures]
        if unknown:
            raise InvalidRequest(f"something is claimed in {', '.join(unknown)}; there are {', '.join(names)}")
        return [
            leaf
            for name, part in parts.items()
            if part is not None
            for leaf in leaves_like(part, self.structures[name], name)
        ]


def arguments_of(parameters: list[str], at: Any) -> Arguments:
    """The arguments that `at` stands for, of a function whose parameters have these names.

    A tuple holds them by position; a dict whose keys are names of parameters holds them by name; anything else is the
    only argument.
    """
    named = type(at) is dict and bool(at) and set(at) <= set(parameters)
    if named:
        parts = dict(at)
    elif type(at) is tuple:
        parts = {parameters[k] if k < len(parameters) else str(k): part for k, part in enumerate(at)}
    else:
        parts = {parameters[0] if parameters else _ONLY: at}
    structures: dict[str, Structure] = {}
    leaves: dict[str, Any] = {}
    for name, part in parts.items():
        found, structures[name] = flatten(part, name)
        leaves |= dict(found)
    return Arguments(named, structures, leaves)


def parameters_of(function: Callable[..., Any]) -> list[str]:
    """The names of a function's parameters, as far as it tells them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def as_numpy(path: str, leaf: Any) -> Array:
    """A leaf, of whatever library, as a NumPy array.

    Raises:
        InvalidRequest: it is no array of numbers.
    """
    if hasattr(leaf, "detach"):
        leaf = leaf.detach().cpu()
    try:
        array = np.asarray(leaf)
    except (TypeError, ValueError, RuntimeError):
        array = np.asarray(None)
    if array.dtype.kind not in "fciub":
        raise InvalidRequest(f"{path} is a {type(leaf).__name__} that is no array of numbers")
    return array


def real_numbers(path: str, leaf: Any, shape: tuple[int, ...]) -> Array:
    """A leaf of a shape as floating-point numbers.

    Raises:
        InvalidRequest: it is no array of real numbers, or one of another shape.
    """
    array = as_numpy(path, leaf)
    if array.shape != shape:
        raise InvalidRequest(f"{path} has shape {array.shape} where {shape} belongs")
    if array.dtype.kind not in "fiu":
        raise InvalidRequest(f"{path} is {array.dtype}; give real numbers")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def like(leaf: Any, array: Array) -> Any:
    """A fresh array or number of the leaf's own kind and element type."""
    if hasattr(leaf, "new_tensor"):
        return leaf.new_tensor(array)
    if isinstance(leaf, bool | int | float | complex):
        return type(leaf)(array)
    array = np.array(array, dtype=np.asarray(leaf).dtype)
    if isinstance(leaf, np.ndarray):
        return array
    return array[()] if isinstance(leaf, np.generic) else leaf.__array_namespace__().asarray(array)


def _is_wrapped(claimed: Any, name: str, structure: Structure) -> bool:
    """Whether what is claimed names, or counts, the only argument rather than being its tree."""
    if isinstance(structure, Leaf):
        return (type(claimed) is dict and set(claimed) == {name}) or (type(claimed) is tuple and len(claimed) == 1)
    if type(claimed) is dict and set(claimed) == {name}:
        return structure.container is not dict or structure.keys != (name,)
    return type(claimed) is tuple and len(claimed) == 1 and structure.container is not tuple
