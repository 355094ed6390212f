"""A sparse matrix with traced elements, to be solved with."""

from __future__ import annotations

from typing import Any

from gradserve.client.scipy.mirror import member
from gradserve.client.scipy.sparse.matrices import Sparse


class Factored:
    """What splu and factorized give of such a matrix: each solution makes the factors where it is computed."""

    def __init__(self, A: Sparse, **_: Any) -> None:
        """Of a square matrix; options decide on speed alone."""
        self._matrix, self.shape = A, A.shape

    def solve(self, rhs: Any, trans: str = "N") -> Any:
        """The solution of a system."""
        return member("scipy.sparse.linalg.splu.solve")(rhs, self._matrix, trans)

    __call__ = solve
