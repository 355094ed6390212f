"""Where the elements of sparse matrices are: known while tracing, so that it is computed with plain numbers."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


class Joined(NamedTuple):
    """Places, each once, in an order, and which of them each element has."""

    rows: Ints
    columns: Ints
    of: Ints
    is_order: bool
    """Whether each place has one element, so that `of` is a permutation."""


def joined(rows: Ints, columns: Ints, shape: tuple[int, int], by_columns: bool = False) -> Joined:
    """The places of elements in the order of rows, or of columns."""
    major, minor, length = (columns, rows, shape[0]) if by_columns else (rows, columns, shape[1])
    keys, of = np.unique(major * length + minor, return_inverse=True)
    first, second = np.divmod(keys, max(length, 1))
    found = (second, first) if by_columns else (first, second)
    return Joined(*found, of.reshape(-1), len(keys) == len(rows))


class Pairs(NamedTuple):
    """Which elements of two matrices meet in their product."""

    left: Ints
    right: Ints


def meeting(columns: Ints, rows: Ints, length: int) -> Pairs:
    """For the columns of the elements on the left and the rows of those on the right."""
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=length)
    starts = np.cumsum(counts) - counts
    each = counts[columns]
    left = np.repeat(np.arange(len(columns)), each)
    within = np.arange(len(left)) - np.repeat(np.cumsum(each) - each, each)
    return Pairs(left, order[starts[columns[left]] + within])


def of_starts(starts: Any) -> Ints:
    """The row of each element, given where rows begin and the last one ends."""
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def starts_of(rows: Ints, length: int) -> Ints:
    """Where rows begin, and the last one ends."""
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=length))])


def on_diagonal(k: int, shape: tuple[int, int]) -> tuple[Ints, Ints]:
    """The places on a diagonal."""
    count = max(0, min(shape[0] + min(k, 0), shape[1] - max(k, 0)))
    along = np.arange(count)
    return along - min(k, 0), along + max(k, 0)
