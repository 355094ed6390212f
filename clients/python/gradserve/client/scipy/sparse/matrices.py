"""Sparse matrices with traced elements at known places: what scipy.sparse's are to numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client.functions.of_arrays import function_of_arrays
from gradserve.client.scipy.sparse.patterns import joined, meeting, on_diagonal, starts_of
from gradserve.client.tracing.holders import Holder
from gradserve.client.tracing.origins import untraceable
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import lift
from gradserve.numpy.scipy.sparse import Elements, is_sparse, product, toarray

_product = function_of_arrays(lambda g, x, A: product(g, A, lift(g, x)), "scipy.sparse", "dot")
_toarray = function_of_arrays(toarray, "scipy.sparse", "toarray")


def _sums(g: Builder, values: Any, of: Any, count: int) -> Value:
    return g.emit("scatter_add", lift(g, values), g.constant(of), axis=0, length=count)


_summed = function_of_arrays(_sums, "scipy.sparse", "sum_duplicates")


class Sparse(Holder):
    """A sparse matrix whose elements are a traced vector; those in equal places add up.

    `is_matrix` says whether `*` is the product of matrices, as that of SciPy's matrices is, and not that of arrays.
    """

    __slots__ = ("_columns", "_rows", "data", "format", "is_matrix", "shape")
    __array_ufunc__ = None  # so that NumPy leaves operators to this class

    def __init__(
        self, data: Any, rows: Any, columns: Any, shape: Sequence[int], format: str = "csr", is_matrix: bool = True
    ) -> None:
        """With elements at rows and columns; in the order of a format that has one."""
        m, n = shape
        self.shape, self.format, self.is_matrix = (int(m), int(n)), format, is_matrix
        rows, columns = (np.asarray(x, np.int64).reshape(-1) for x in (rows, columns))
        if len(rows) and not (rows.min() >= 0 and rows.max() < m and columns.min() >= 0 and columns.max() < n):
            raise ValueError(f"elements lie outside of a matrix of shape {self.shape}")
        self.data, self._rows, self._columns = data, rows, columns
        if format in ("csr", "csc"):
            places = joined(rows, columns, self.shape, format == "csc")
            self._rows, self._columns = places.rows, places.columns
            if not places.is_order:
                self.data = _summed(data, places.of, len(places.rows))
            elif np.any(places.of[1:] < places.of[:-1]):
                self.data = data[np.argsort(places.of)]

    @staticmethod
    def of(matrix: Any) -> Sparse:
        """Any sparse matrix."""
        if isinstance(matrix, Sparse):
            return matrix
        coo = matrix.tocoo()
        is_matrix = any(kind.__name__ == "spmatrix" for kind in type(matrix).__mro__)
        return Sparse(coo.data, coo.row, coo.col, matrix.shape, "coo", is_matrix).asformat(matrix.format)

    def held(self) -> Any:
        """The elements."""
        return self.data

    def with_values(self, values: Callable[[Any], Any]) -> Elements:
        """The same with values for elements."""
        return Elements(values(self.data), self._rows, self._columns, self.shape)

    def like(self, data: Any) -> Sparse:
        """One with other elements in the same places."""
        return Sparse(data, self._rows, self._columns, self.shape, self.format, self.is_matrix)

    def at(self, data: Any, rows: Any, columns: Any, shape: Any = None) -> Sparse:
        """One with elements in other places."""
        return Sparse(data, rows, columns, self.shape if shape is None else shape, self.format, self.is_matrix)

    @property
    def row(self) -> Any:
        """The rows of the elements."""
        return self._rows

    @property
    def col(self) -> Any:
        """The columns of the elements."""
        return self._columns

    @property
    def indices(self) -> Any:
        """The columns of the elements, or in the format csc their rows."""
        return self._rows if self.format == "csc" else self._columns

    @property
    def indptr(self) -> Any:
        """Where rows begin, or in the format csc columns."""
        by_columns = self.format == "csc"
        return starts_of(self._columns if by_columns else self._rows, self.shape[by_columns])

    @property
    def nnz(self) -> int:
        """The number of elements."""
        return len(self._rows)

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes, which is 2."""
        return 2

    def asformat(self, format: str | None, **_: Any) -> Sparse:
        """The same in another format."""
        if format in (None, self.format):
            return self
        return Sparse(self.data, self._rows, self._columns, self.shape, str(format), self.is_matrix)

    def tocsr(self, **_: Any) -> Sparse:
        """The same with its elements row by row."""
        return self.asformat("csr")

    def tocsc(self, **_: Any) -> Sparse:
        """The same with its elements column by column."""
        return self.asformat("csc")

    def tocoo(self, **_: Any) -> Sparse:
        """The same in the format coo."""
        return self.asformat("coo")

    def copy(self) -> Sparse:
        """The same."""
        return self.like(self.data)

    def toarray(self, **_: Any) -> Any:
        """The full matrix."""
        return _toarray(self)

    todense = toarray

    @property
    def T(self) -> Sparse:
        """The transpose."""
        turned = {"csr": "csc", "csc": "csr"}.get(self.format, self.format)
        return Sparse(self.data, self._columns, self._rows, self.shape[::-1], turned, self.is_matrix)

    def transpose(self, **_: Any) -> Sparse:
        """The transpose."""
        return self.T

    def conj(self) -> Sparse:
        """The conjugate."""
        return self.like(np.conj(self.data))

    conjugate = conj

    def astype(self, dtype: Any, **_: Any) -> Sparse:
        """The same with other elements."""
        return self.like(self.data.astype(dtype))

    def power(self, n: Any) -> Sparse:
        """Its elements to a power."""
        return self.tocsr().like(self.tocsr().data ** n)

    def diagonal(self, k: int = 0) -> Any:
        """The elements on a diagonal."""
        rows, _ = on_diagonal(k, self.shape)
        here = np.flatnonzero(self._columns - self._rows == k)
        return _summed(self.data[here], self._rows[here] - (rows[0] if len(rows) else 0), len(rows))

    def trace(self, offset: int = 0) -> Any:
        """The sum of the elements on a diagonal."""
        return np.sum(self.diagonal(offset))

    def sum(self, axis: Any = None) -> Any:
        """The sum of all elements, or those of columns or rows: with two axes if it is a matrix."""
        if axis is None:
            return np.sum(self.data)
        along = axis % 2
        found = _summed(self.data, self._rows if along else self._columns, self.shape[1 - along])
        return np.expand_dims(found, along) if self.is_matrix else found

    def mean(self, axis: Any = None) -> Any:
        """The mean of all elements, or those of columns or rows."""
        return self.sum(axis) / (self.shape[0] * self.shape[1] if axis is None else self.shape[axis % 2])

    def multiply(self, other: Any) -> Any:
        """The product element by element."""
        if is_sparse(other):
            return self._meeting_there(Sparse.of(other))
        whole = np.ndim(other)
        if not whole:
            return self.like(self.data * other)
        rows, columns = np.shape(other) if whole == 2 else (1, *np.shape(other))
        if rows not in (1, self.shape[0]) or columns not in (1, self.shape[1]):
            raise untraceable(f"a product of {self.shape} and {np.shape(other)} is no sparse matrix", "take .toarray()")
        factors = np.reshape(other, (rows, columns))
        return self.like(self.data * factors[self._rows * (rows > 1), self._columns * (columns > 1)])

    def _meeting_there(self, other: Sparse) -> Sparse:
        """The product of the elements in equal places."""
        one, two = self.tocsr(), other.tocsr()
        ours, theirs = (x._rows * x.shape[1] + x._columns for x in (one, two))
        _, left, right = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
        return one.at(one.data[left] * two.data[right], one._rows[left], one._columns[left])

    def dot(self, other: Any) -> Any:
        """The product with a vector, or a matrix."""
        if not is_sparse(other):
            return self * other if np.ndim(other) == 0 else _product(other, self)
        right = Sparse.of(other)
        if self.shape[1] != right.shape[0]:
            raise ValueError(f"matrices of shapes {self.shape} and {right.shape} have no product")
        pairs = meeting(self._columns, right._rows, self.shape[1])
        data = self.data[pairs.left] * right.data[pairs.right]
        shape = self.shape[0], right.shape[1]
        return Sparse(data, self._rows[pairs.left], right._columns[pairs.right], shape, "csr", self.is_matrix)

    def __matmul__(self, other: Any) -> Any:
        return self.dot(other)

    def __rmatmul__(self, other: Any) -> Any:
        found = self.T.dot(other.T if np.ndim(other) == 2 or is_sparse(other) else other)
        return found.T if is_sparse(found) or np.ndim(found) == 2 else found

    def __mul__(self, other: Any) -> Any:
        is_number = not is_sparse(other) and np.ndim(other) == 0
        return self.dot(other) if self.is_matrix and not is_number else self.multiply(other)

    def __rmul__(self, other: Any) -> Any:
        is_number = not is_sparse(other) and np.ndim(other) == 0
        return self.__rmatmul__(other) if self.is_matrix and not is_number else self.multiply(other)

    def __truediv__(self, other: Any) -> Sparse:
        return self.multiply(1.0 / other)  # type: ignore[no-any-return]

    def __pow__(self, n: Any) -> Sparse:
        return self.power(n)

    def __neg__(self) -> Sparse:
        return self.like(-self.data)

    def __abs__(self) -> Sparse:
        return self.tocsr().like(np.abs(self.tocsr().data))

    def __add__(self, other: Any) -> Any:
        if not is_sparse(other) and np.ndim(other) == 0:
            if type(other) in (int, float) and other == 0:  # with which sum() begins
                return self
            raise untraceable("a number is added to all elements of a sparse matrix", "write A.toarray() + x")
        if not is_sparse(other):
            return self.toarray() + other
        right = Sparse.of(other)
        if self.shape != right.shape:
            raise ValueError(f"matrices of shapes {self.shape} and {right.shape} have no sum")
        rows, columns = (np.concatenate([getattr(x, name) for x in (self, right)]) for name in ("_rows", "_columns"))
        format = "csr" if self.format in ("coo", "dia") else self.format
        return Sparse(np.concatenate([self.data, right.data]), rows, columns, self.shape, format, self.is_matrix)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __getitem__(self, key: Any) -> Any:
        """A part, or elements, by known positions."""
        from scipy.sparse import csr_array, csr_matrix  # who has a sparse matrix has SciPy

        whole = self.tocsr()
        kind = csr_matrix if self.is_matrix else csr_array
        found: Any = kind((np.arange(1, whole.nnz + 1), (whole._rows, whole._columns)), shape=whole.shape)[key]
        if is_sparse(found) and found.ndim == 2:
            coo = found.tocoo()
            return whole.at(whole.data[coo.data - 1], coo.row, coo.col, found.shape)
        which = np.asarray(found.toarray() if is_sparse(found) else found)
        return np.where(which > 0, whole.data[which - 1], 0.0)

    def setdiag(self, values: Any, k: int = 0) -> None:
        """The elements on a diagonal become others."""
        rows, columns = on_diagonal(k, self.shape)
        rest = np.flatnonzero(self._columns - self._rows != k)
        data = np.concatenate([self.data[rest], np.broadcast_to(values, rows.shape)])
        places = np.concatenate([self._rows[rest], rows]), np.concatenate([self._columns[rest], columns])
        self.__init__(data, *places, self.shape, self.format, self.is_matrix)  # type: ignore[misc]

    def sum_duplicates(self) -> None:
        """Nothing is to be done: equal places add up."""

    sort_indices = eliminate_zeros = sum_duplicates

    def __repr__(self) -> str:
        return f"Sparse({self.data!r}, shape={self.shape}, format={self.format!r})"
