"""Sparse matrices that traced numbers are assigned to, one after the other: lil_matrix and dok_matrix."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradserve.client.scipy.sparse.matrices import Sparse
from gradserve.client.tracing.holders import Holder
from gradserve.numpy.scipy.sparse import is_sparse


class Growing(Holder):
    """A matrix of what is assigned to its elements, and what a Sparse is of these."""

    __array_ufunc__ = None

    def __init__(self, given: Any, is_matrix: bool, format: str) -> None:
        """Of a shape, or what a matrix has."""
        old = given if is_sparse(given) else None
        self.shape: tuple[int, int] = tuple(given.shape if old is not None else given)
        self._is_matrix, self.format, self._elements = is_matrix, format, dict[tuple[int, int], Any]()
        if old is not None:
            coo = old.tocoo()
            self._elements.update(zip(zip(coo.row.tolist(), coo.col.tolist(), strict=True), coo.data, strict=True))

    def whole(self) -> Sparse:
        """The matrix as it is now."""
        places = np.array([*self._elements], np.int64).reshape(-1, 2)
        data = np.stack([*self._elements.values()]) if self._elements else np.zeros(0)
        return Sparse(data, places[:, 0], places[:, 1], self.shape, "csr", self._is_matrix)

    def held(self) -> Any:
        """The elements."""
        return [*self._elements.values()]

    def with_values(self, values: Callable[[Any], Any]) -> Any:
        """The same with values for elements."""
        return self.whole().with_values(values)

    def __setitem__(self, key: Any, item: Any) -> None:
        places, shape = self._places(key)
        if is_sparse(item):
            item = item.toarray()
        items = np.broadcast_to(item, shape).reshape(-1)
        for k, place in enumerate(places):
            self._elements[place] = items[k]

    def __getitem__(self, key: Any) -> Any:
        places, shape = self._places(key)
        if not shape and len(places) == 1:
            return self._elements.get(places[0], 0.0)
        return self.whole()[key]

    def _places(self, key: Any) -> tuple[list[tuple[int, int]], tuple[int, ...]]:
        """The places that a key selects, and the shape of what is selected."""
        first, second = key if isinstance(key, tuple) else (key, slice(None))
        rows, columns = (np.arange(n)[k] for n, k in zip(self.shape, (first, second), strict=True))
        if isinstance(first, slice) or isinstance(second, slice):
            rows = np.expand_dims(rows, -1) if np.ndim(columns) else rows
        rows, columns = np.broadcast_arrays(rows, columns)
        return [*zip(rows.reshape(-1).tolist(), columns.reshape(-1).tolist(), strict=True)], rows.shape

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.whole(), name)


def _operators() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in ("add", "sub", "mul", "matmul", "truediv"):
        apply = getattr(operator, name)
        yield f"__{name}__", lambda self, other, apply=apply: apply(self.whole(), other)
        yield f"__r{name}__", lambda self, other, apply=apply: apply(other, self.whole())


for _name, _operator in _operators():
    setattr(Growing, _name, _operator)
