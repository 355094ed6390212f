"""Functions and classes of np.polynomial: of traced coefficients or points, in all of its bases.

Leading coefficients of 0 stay, which NumPy leaves out by the numbers.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np

from gradserve.client.tracing.names import Place, first_tracer, lead_always_by
from gradserve.client.tracing.origins import untraceable

_BASES = {
    "polynomial": ("poly", "Polynomial"),
    "chebyshev": ("cheb", "Chebyshev"),
    "legendre": ("leg", "Legendre"),
    "hermite": ("herm", "Hermite"),
    "hermite_e": ("herme", "HermiteE"),
    "laguerre": ("lag", "Laguerre"),
}
"""By module: what its functions begin with, and its class."""


class _Basis:
    """The functions of one basis, made of NumPy's own on known numbers: each is linear in all coefficients."""

    def __init__(self, module: ModuleType, prefix: str) -> None:
        self._module, self._prefix = module, prefix
        self._own = {name: vars(module)[f"{prefix}{name}"] for name in _NAMES}

    def val(self, x: Any, c: Any, tensor: bool = True) -> Any:
        """The values at x; coefficients lie along the first axis."""
        x = np.stack(x) if isinstance(x, list | tuple) else x
        c = np.stack(c) if isinstance(c, list | tuple) else c
        if tensor and np.ndim(x) and np.ndim(c) > 1:
            c = np.reshape(c, (*np.shape(c), *(1,) * np.ndim(x)))
        return self._own["val"](x, c, tensor=False)

    def val2d(self, x: Any, y: Any, c: Any) -> Any:
        """The values at points (x, y)."""
        return self.val(y, self.val(x, c), tensor=False)

    def val3d(self, x: Any, y: Any, z: Any, c: Any) -> Any:
        """The values at points (x, y, z)."""
        return self.val(z, self.val2d(x, y, c), tensor=False)

    def grid2d(self, x: Any, y: Any, c: Any) -> Any:
        """The values at all points of which one coordinate is in x and one in y."""
        return self.val(y, self.val(x, c))

    def grid3d(self, x: Any, y: Any, z: Any, c: Any) -> Any:
        """The values at all points of which one coordinate is in x, one in y and one in z."""
        return self.val(z, self.grid2d(x, y, c))

    def vander(self, x: Any, deg: int) -> Any:
        """The values of all basis functions up to a degree, along a new last axis."""
        at = np.atleast_1d(x)
        return np.stack([self._own["val"](at, unit) for unit in np.eye(deg + 1)], axis=-1)

    def der(self, c: Any, m: int = 1, scl: Any = 1, axis: int = 0) -> Any:
        """The derivative."""
        rows = np.moveaxis(np.atleast_1d(c), axis, 0)
        return np.moveaxis(np.tensordot(self._own["der"](np.eye(rows.shape[0]), m, scl), rows, 1), 0, axis)

    def integral(self, c: Any, m: int = 1, k: Any = (), lbnd: Any = 0, scl: Any = 1, axis: int = 0) -> Any:
        """The antiderivative, with constants k."""
        rows = np.moveaxis(np.atleast_1d(c), axis, 0)
        result = np.tensordot(self._own["int"](np.eye(rows.shape[0]), m, [], lbnd, scl), rows, 1)
        for j, constant in enumerate(k if isinstance(k, list | tuple) or np.ndim(k) else [k]):
            unit = [float(i == j) for i in range(m)]
            added = self._padded(self._own["int"](np.zeros(1), m, unit, lbnd, scl), result.shape[0])
            result = result + np.multiply.outer(added, constant * np.ones(rows.shape[1:]))
        return np.moveaxis(result, 0, axis)

    def add(self, c1: Any, c2: Any) -> Any:
        """The sum."""
        one, other = np.atleast_1d(c1), np.atleast_1d(c2)
        length = max(one.shape[0], other.shape[0])
        return self._padded(one, length) + self._padded(other, length)

    def sub(self, c1: Any, c2: Any) -> Any:
        """The difference."""
        return self.add(c1, np.negative(c2))

    def mul(self, c1: Any, c2: Any) -> Any:
        """The product."""
        one, other = np.atleast_1d(c1), np.atleast_1d(c2)
        length = one.shape[0] + other.shape[0] - 1
        units = [np.eye(x.shape[0]) for x in (one, other)]
        table = [[self._padded(self._own["mul"](u, v), length) for v in units[1]] for u in units[0]]
        return np.einsum("ijk,i,j->k", np.array(table), one, other)

    def pow(self, c: Any, pow: int, maxpower: Any = 16) -> Any:
        """A whole power."""
        del maxpower
        return functools.reduce(self.mul, [c] * pow) if pow else np.ones(1)

    def fit(self, x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None) -> Any:
        """The coefficients that fit values best."""
        if full or np.ndim(deg):
            raise untraceable(
                f"np.polynomial's {self._prefix}fit of traced arrays gives coefficients up to one degree alone",
                "leave full away, or write np.linalg.lstsq",
            )
        left, right = self.vander(x, int(deg)), y
        if w is not None:
            left, right = left * np.reshape(w, (-1, 1)), np.transpose(np.transpose(y) * w)
        size = np.sqrt(np.sum(np.square(left), axis=0))
        limit = left.shape[0] * np.finfo(float).eps if rcond is None else rcond
        return np.transpose(np.transpose(np.linalg.lstsq(left / size, right, limit)[0]) / size)

    def aware(self, name: str) -> Callable[..., Any]:
        """NumPy's own function where nothing is traced."""
        own, ours = self._own[name], getattr(self, "integral" if name == "int" else name)

        @functools.wraps(own)
        def call(*args: Any, **named: Any) -> Any:
            return own(*args, **named) if first_tracer((args, named)) is None else ours(*args, **named)

        return call

    def _padded(self, c: Any, length: int) -> Any:
        missing = length - c.shape[0]
        return np.concatenate([c, np.zeros((missing, *c.shape[1:]))]) if missing > 0 else c


_NAMES = ("val", "val2d", "val3d", "grid2d", "grid3d", "vander", "der", "int", "add", "sub", "mul", "pow", "fit")


def _places() -> Iterable[Place]:
    package = sys.modules.get("numpy.polynomial")
    return () if package is None or getattr(package.__spec__, "_initializing", False) else _known()


@functools.cache
def _known() -> tuple[Place, ...]:
    """The places in all bases."""
    found: list[Place] = []
    for name, (prefix, kind) in _BASES.items():
        module = sys.modules[f"numpy.polynomial.{name}"]
        basis = _Basis(module, prefix)
        for function in _NAMES:
            aware = basis.aware(function)
            found.append((module, f"{prefix}{function}", aware))
            if f"_{function}" in vars(getattr(module, kind)):
                found.append((getattr(module, kind), f"_{function}", staticmethod(aware)))
    return tuple(found)


lead_always_by(_places)
