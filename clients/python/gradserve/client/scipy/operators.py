"""Linear operators of SciPy that are applied to traced arrays: by what they are made of, without a look at numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradserve.client.scipy.sparse.matrices import Sparse
from gradserve.client.tracing.names import Place, first_tracer
from gradserve.numpy.scipy.sparse import is_sparse


def operators(linalg: Any) -> Iterator[Place]:
    """The methods of the class of linear operators that take traced arrays as well."""
    kind, of_matrix = linalg.LinearOperator, type(linalg.aslinearoperator(np.eye(1)))
    for name, apply in (("matvec", _vector("_matvec", 0)), ("rmatvec", _vector("_rmatvec", 1))):
        yield kind, name, _aware(getattr(kind, name), apply)
    for name in ("matmat", "rmatmat"):
        yield kind, name, _aware(getattr(kind, name), _inner(f"_{name}"))
    yield kind, "dot", _aware(kind.dot, _dot)
    yield of_matrix, "_matmat", _aware(of_matrix._matmat, _of_matrix)


def _of_matrix(self: Any, x: Any) -> Any:
    return Sparse.of(self.A) @ x if is_sparse(self.A) else np.matmul(np.asarray(self.A), x)


def _aware(own: Callable[..., Any], ours: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def call(self: Any, x: Any) -> Any:
        return own(self, x) if first_tracer(x) is None else ours(self, x)

    return call


def _vector(name: str, side: int) -> Callable[[Any, Any], Any]:
    """A product with a vector, or with a matrix of one column."""

    def apply(self: Any, x: Any) -> Any:
        length = self.shape[side]
        return np.reshape(getattr(self, name)(x), (length,) if np.ndim(x) == 1 else (length, 1))

    return apply


def _inner(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, x: getattr(self, name)(x)


def _dot(self: Any, x: Any) -> Any:
    """The product with a number, a vector or a matrix."""
    if not np.ndim(x):
        raise TypeError("a linear operator times a traced number cannot be traced; multiply what it gives")
    return self.matvec(x) if np.ndim(x) == 1 else self.matmat(x)
