"""Modules, distributions and curves of SciPy, made of the table of functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gradserve.numpy.scipy  # noqa: F401  # which fills the table
from gradserve.client.functions.of_arrays import function_of_arrays
from gradserve.client.scipy.kinds import by_name
from gradserve.client.scipy.solvers.given import mirrored
from gradserve.client.scipy.solvers.table import SOLVERS
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import to_float
from gradserve.numpy.table import SCIPY, SPECIAL

IGNORED = frozenset(
    {"check_finite", "driver", "lapack_driver", "overwrite_a", "overwrite_a_b", "overwrite_ab", "overwrite_b"}
    | {"overwrite_c", "overwrite_data", "overwrite_x", "permc_spec", "plan", "use_umfpack", "workers"}
)
"""Arguments that decide on memory, speed and what is checked beforehand, not on numbers."""

_SURFACES: dict[str, tuple[int, tuple[str, ...]]] = {
    "scipy.interpolate.Rbf": (0, ()),
    "scipy.interpolate.RectBivariateSpline": (2, ("dx", "dy", "grid")),
}
"""What is called with several coordinates: how many, or 0 for any number, and the arguments after them."""


def members(module: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of the module that stands for one of SciPy."""

    def get(name: str) -> Any:
        found = None if name.startswith("__") else member(f"{module}.{name}")
        if found is None:
            raise AttributeError(f"gradserve has no {module}.{name}; what it has is {', '.join(names())}")
        return found

    def names() -> list[str]:
        known = (full for full in (*SCIPY, *SOLVERS) if full.startswith(f"{module}."))
        own = {full[len(module) + 1 :].partition(".")[0] for full in known}
        return sorted(own | (SPECIAL.keys() if module == "scipy.special" else set()))

    return get, names


@functools.cache
def member(full: str) -> Any:
    """What SciPy has under a name, or None: a function, or what has methods."""
    module, _, name = full.rpartition(".")
    if full in SCIPY:
        return _function(full)
    if full in SOLVERS:
        return mirrored(full, SOLVERS[full])
    if any(known.startswith(f"{full}.") for known in SCIPY):
        return Methods(full)
    if module == "scipy.special" and name in SPECIAL:
        return function_of_arrays(_of_real(SPECIAL[name]), module, name)
    return None


def _function(full: str) -> Callable[..., Any]:
    module, _, name = full.rpartition(".")
    function = function_of_arrays(SCIPY[full].call, module, name)

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        return function(*args, **{key: value for key, value in named.items() if key not in IGNORED})

    return call


def _of_real(implementation: Callable[..., Any]) -> Callable[..., Any]:
    """The implementation of a ufunc, which takes values of one type."""

    @functools.wraps(implementation)
    def call(g: Builder, *x: Any) -> Value:
        return implementation(g, *g.promote([to_float(g, v) for v in x]))  # type: ignore[no-any-return]

    return call


class Methods:
    """A distribution, a curve or a factorisation: its methods take a point first, and then what it is made of."""

    def __init__(self, full: str) -> None:
        """Under SciPy's name."""
        self._full = full

    def __call__(self, *args: Any, **named: Any) -> Made:
        """The distribution with these parameters, or the curve through these points."""
        if self._full in _SURFACES:
            return Surface(self, args, named)
        is_curve = self._full.startswith("scipy.interpolate.") and f"{self._full}.derivative" not in SCIPY
        return (Curve if is_curve else Made)(self, args, named)

    def __getattr__(self, name: str) -> Any:
        found = None if name.startswith("_") else member(f"{self._full}.{name}")
        if found is None:
            have = sorted(known.rpartition(".")[2] for known in SCIPY if known.startswith(f"{self._full}."))
            raise AttributeError(f"gradserve has no {self._full}.{name}; what it has is {', '.join(have)}")
        return found

    def __repr__(self) -> str:
        return f"<{self._full} of traced arrays>"


class Made:
    """A distribution with its parameters, or a curve through its points."""

    def __init__(self, methods: Methods, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """What the methods are given after the point."""
        self._methods, self._args, self._named = methods, args, named

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._methods, name)
        return lambda *point, **named: method(*point, *self._args, **self._named, **named)

    def __call__(self, point: Any, **named: Any) -> Any:
        """The value at a point."""
        return self._own()(point, *self._args, **{**self._named, **named})

    def _own(self) -> Callable[..., Any]:
        own: Callable[..., Any] | None = member(f"{self._methods._full}.__call__")
        if own is None:
            raise TypeError(f"{self._methods!r} is not called; it has methods")
        return own


class Surface(Made):
    """What is called with several coordinates, each an argument of its own."""

    def __call__(self, *points: Any, **named: Any) -> Any:
        """The value where the coordinates are these."""
        count, further = _SURFACES[self._methods._full]
        more = by_name(further, points[count:]) if count else {}
        return super().__call__(points[: count or None], **more, **named)


class Curve(Made):
    """A curve through its points, which has derivatives and integrals as well."""

    def derivative(self, nu: int = 1, *, n: int | None = None) -> Curve:
        """The curve of its derivatives of order nu, which SciPy's splines call n."""
        order = nu if n is None else n
        return Curve(self._methods, self._args, {**self._named, "nu": self._named.get("nu", 0) + order})

    def antiderivative(self, nu: int = 1, *, n: int | None = None) -> Curve:
        """The curve of its integrals from the first point on, nu times."""
        return self.derivative(-(nu if n is None else n))

    def integrate(self, a: Any, b: Any) -> Any:
        """The integral from a to b."""
        whole = self.antiderivative()
        return whole(b) - whole(a)

    def __call__(self, point: Any, nu: int = 0, *beyond: Any, **named: Any) -> Any:
        """The value at a point, or the derivative there of order nu; and what is to be beyond the ends."""
        order = nu + self._named.get("nu", 0)
        rule = "ext" if "ext" in SCIPY[f"{self._methods._full}.__call__"].accepted else "extrapolate"
        given = by_name((rule,), beyond) | named | ({"nu": order} if order else {})
        return super().__call__(point, **given)
