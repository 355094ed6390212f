"""Derivatives in complex arguments, as those in real and imaginary parts: of a real f(x + iy) it is df/dx - i df/dy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client.tracing.trees import Structure, flatten, unflatten


def has_complex(trees: Sequence[Any]) -> bool:
    """Whether there is a complex array in trees."""
    return any(_is_complex(leaf) for tree in trees for _, leaf in flatten(tree)[0])


class Parts:
    """Trees as lists of their leaves, with two in the place of a complex one."""

    def __init__(self, trees: Sequence[Any]) -> None:
        """Of their structures."""
        self._structures: list[Structure] = [flatten(tree)[1] for tree in trees]

    def apart(self, trees: Sequence[Any], sign: float = 1.0) -> tuple[Any, ...]:
        """Real parts, and imaginary ones times a sign; nothing of what is None."""
        return tuple(None if tree is None else _apart(tree, sign) for tree in trees)

    def together(self, lists: Sequence[Any], sign: float = 1.0) -> tuple[Any, ...]:
        """The trees of such lists, the imaginary parts times a sign."""
        return tuple(_together(s, each, sign) for s, each in zip(self._structures, lists, strict=True))


def _is_complex(leaf: Any) -> bool:
    return bool(np.dtype(getattr(leaf, "dtype", type(leaf))).kind == "c")


def _apart(tree: Any, sign: float) -> list[Any]:
    leaves = [leaf for _, leaf in flatten(tree)[0]]
    return [[np.real(leaf), sign * np.imag(leaf)] if _is_complex(leaf) else leaf for leaf in leaves]


def _together(structure: Structure, leaves: Sequence[Any], sign: float) -> Any:
    whole = [leaf[0] + sign * 1j * leaf[1] if isinstance(leaf, list) else leaf for leaf in leaves]
    return unflatten(structure, whole)


def in_parts(function: Callable[..., Any], first: Any) -> tuple[Parts, Any, Callable[..., Any]]:
    """Of a function with a result like its first argument: their parts, the argument's own, and it as one of parts."""
    parts = Parts([first])
    (start,) = parts.apart([first])
    return parts, start, lambda leaves, *others: parts.apart([function(*parts.together([leaves]), *others)])[0]


def flat_parts(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    """The function with a list of the leaves of its result, real and imaginary parts of complex ones one by one."""

    def flat(*arguments: Any) -> list[Any]:
        leaves = _apart(function(*arguments), 1.0)
        return [part for leaf in leaves for part in (leaf if isinstance(leaf, list) else [leaf])]

    return flat


def joined(result: Any, rows: Sequence[Any]) -> Any:
    """A tree like the result of a function, with trees in the places of its leaves, of those of `flat_parts`."""
    rest, (leaves, structure) = iter(rows), flatten(result)
    found = [_sum(next(rest), next(rest)) if _is_complex(leaf) else next(rest) for _, leaf in leaves]
    return unflatten(structure, found)


def _sum(real: Any, imaginary: Any) -> Any:
    """x + i y of trees of arrays."""
    xs, structure = flatten(real)
    return unflatten(structure, [x + 1j * y for (_, x), (_, y) in zip(xs, flatten(imaginary)[0], strict=True)])
