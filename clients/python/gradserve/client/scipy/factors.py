"""Factors of sparse matrices that a function has made or captured: SciPy's, but that they see traced arrays."""

from __future__ import annotations

from types import BuiltinMethodType
from typing import Any

from gradserve.client.tracing.captured import stand_in_by
from gradserve.client.tracing.names import first_tracer


class Factors:
    """Sparse factors as SciPy's splu and factorized give them, that are solved with for traced arrays as well."""

    def __init__(self, own: Any) -> None:
        """What `splu` gives, or `factorized`, which is its method."""
        self._own, self._factors = own, getattr(own, "__self__", own)

    def solve(self, rhs: Any, trans: str = "N") -> Any:
        """The solution of a system."""
        if first_tracer(rhs) is None:
            return self._factors.solve(rhs, trans)
        from gradserve.client.scipy.mirror import member  # whose import would be a good part of the client's

        return member("scipy.sparse.linalg.splu.solve")(rhs, self._factors, trans)

    __call__ = solve

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


def _is_factors(own: Any) -> bool:
    """Whether it is what SciPy made to solve systems of a sparse matrix with."""
    made = getattr(own, "__self__", own) if type(own) is BuiltinMethodType else own
    return type(made).__name__ == "SuperLU" and hasattr(made, "perm_c")


stand_in_by(lambda own: Factors(own) if _is_factors(own) else None)
