"""Calls that were answered before, all but their numbers: most calls repeat one with other numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.client.backend import Again
from gradserve.client.tracing.signature import Bound
from gradserve.ir.types import Array
from gradserve.questions.derivatives import Derivatives

Remembered: TypeAlias = tuple[Again, Callable[[Derivatives], Any]]
"""What answers a call of known types from its leaves, and what makes trees of the answer."""
MOST = 256
"""Calls that are remembered of one function, by kind and types."""
_NUMBERS = frozenset({float, int, bool, complex, np.float64, np.float32, np.int64, np.int32, np.bool})


class _UnusualError(Exception):
    """What is looked at each time anew."""


def key_of(
    asked: Hashable,
    arguments: Sequence[Any],
    named: Mapping[str, Any],
    vector: Any,
    chosen: tuple[Any, ...],
    leaves: list[Array],
) -> Hashable:
    """What a call has in common with others like it, None if it is unusual.

    The leaves of its arguments and then of its vector are added to `leaves`, as arrays. Equal values of different types
    are different choices; a list of names is what it holds now.
    """
    try:
        kinds = tuple(map(type, chosen))
        words = tuple([tuple(each) if type(each) is list else each for each in chosen]) if list in kinds else chosen
        hash(words)
        types = tuple([_types_of(tree, leaves) for tree in arguments])
        by_name = _types_of(named, leaves) if named else None
        along = None if vector is None else _types_of(vector, leaves)
    except (_UnusualError, TypeError):
        return None
    return asked, types, by_name, along, kinds, words


def _types_of(tree: Any, leaves: list[Array]) -> Hashable:
    """The structure of a tree and the types of its leaves, which are added to `leaves` as arrays.

    Raises:
        _UnusualError: it holds what calls mostly do not.
    """
    kind = type(tree)
    if kind is np.ndarray:
        leaves.append(tree)
        return tree.dtype, tree.shape
    if kind in _NUMBERS:
        array = np.asarray(tree)
        leaves.append(array)
        return array.dtype, ()
    if kind is list or kind is tuple:
        return kind, tuple([_types_of(each, leaves) for each in tree])
    if kind is dict and {*map(type, tree)} <= {str}:
        return kind, tuple(tree), tuple([_types_of(each, leaves) for each in tree.values()])
    raise _UnusualError


def remember(remembered: dict[Hashable, Remembered], key: Hashable, call: Remembered) -> None:
    """Keeps a call among those of its function, of which there are not too many."""
    if len(remembered) >= MOST:
        remembered.clear()
    remembered[key] = call


def order_of(
    bound: Bound, named: Mapping[str, Any], vectors: Mapping[str, Any], leaves: Sequence[Array]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The inputs, and what the vectors belong to, that the leaves of a call are given to in their order.

    Arguments by position come first, in the order of the parameters, and those by name after them. None if leaves are
    not given as they are, or if that cannot be told.
    """
    paths = bound.traced.paths
    if not paths.keys() >= named.keys():
        return None
    by_name = [path for name in named for path in paths[name]]
    inputs = (*[path for path in bound.arguments if path not in by_name], *by_name)
    given = [*[bound.arguments[path] for path in inputs], *vectors.values()]
    if len(given) != len(leaves) or not all(map(_is_given, given, leaves)):
        return None
    own = leaves[len(inputs) :]
    # The numbers of several vectors may be equal, and in another order.
    known = len(own) < 2 or (len({*map(id, own)}) == len(own) and all(map(operator.is_, given[len(inputs) :], own)))
    return (inputs, tuple(vectors)) if known else None


def _is_given(given: Array, leaf: Array) -> bool:
    """Whether an array is a leaf: the very object, or the number that it was made from."""
    alike = given.dtype == leaf.dtype and given.shape == leaf.shape == ()
    return given is leaf or (alike and given.tobytes() == leaf.tobytes())
