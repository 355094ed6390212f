"""The package `autograd` for the suite: its public names, from here; what lies inside of it is missing."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import scipy.integrate
import scipy.linalg
import scipy.special
import scipy.stats

from gradserve.client import functions
from gradserve.client.scipy import linalg, special, stats
from gradserve.client.scipy.mirror import Methods
from gradserve.client.tracing.tracer import Tracer
from tests.thirdparty.hips import arrays, checks, operators
from tests.thirdparty.hips.tracing import counted

_MIRRORS = {scipy.special: special, scipy.linalg: linalg, scipy.stats: stats}
"""Modules of SciPy, and where the client has those functions of them that no tracer can see."""


class Missing(types.ModuleType):
    """A module of which other names can be imported, to be refused when they are called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*args: Any, **named: Any) -> None:
            raise NotImplementedError(f"{self.__name__}.{name} is part of how HIPS autograd works inside")

        return refuse


def _module(name: str, **members: Any) -> types.ModuleType:
    module = Missing(name)
    module.__dict__.update(members)
    return module


def _with_ours(module: types.ModuleType) -> types.ModuleType:
    mirror = _MIRRORS[module]
    ours = {name: _either(getattr(mirror, name), getattr(module, name, None)) for name in dir(mirror)}
    return arrays.Numpy(module, **ours)


def _either(ours: Any, theirs: Any) -> Any:
    """What the client has; of distributions SciPy's methods as well, such as those that draw numbers."""
    return Distribution(ours, theirs) if isinstance(ours, Methods) else ours


class Distribution:
    """A distribution of SciPy with the client's methods in the place of its own."""

    def __init__(self, ours: Methods, theirs: Any) -> None:
        self._ours, self._theirs = ours, theirs

    def __getattr__(self, name: str) -> Any:
        try:
            return counted(getattr(self._ours, name))
        except AttributeError:
            return getattr(self._theirs, name)


def install() -> None:
    """Puts the modules where `import autograd` finds them."""
    public = {name: member for name, member in vars(operators).items() if callable(member)}
    modules: dict[str, Any] = {
        "autograd": _module("autograd", **public, tuple=tuple, list=list, dict=dict, isinstance=isinstance),
        "autograd.numpy": arrays.numpy,
        "autograd.numpy.random": np.random,
        "autograd.test_util": _module(
            "autograd.test_util",
            check_grads=checks.check_grads,
            check_equivalent=checks.check_equivalent,
            combo_check=checks.combo_check,
            scalar_close=checks.close,
        ),
        "autograd.core": _module("autograd.core", make_vjp=operators.vjp, make_jvp=operators.jvp),
        "autograd.wrap_util": _module("autograd.wrap_util", unary_to_nary=operators.in_argument),
        "autograd.tracer": _module("autograd.tracer", isbox=lambda x: isinstance(x, Tracer)),
        "autograd.builtins": _module("autograd.builtins", isinstance=isinstance),
        **{f"autograd.{name}": _module(f"autograd.{name}") for name in ("extend", "misc", "util")},
        "autograd.scipy": _module("autograd.scipy"),
        "autograd.scipy.stats": _with_ours(scipy.stats),
        "autograd.scipy.stats.multivariate_normal": _either(stats.multivariate_normal, scipy.stats.multivariate_normal),
        "autograd.scipy.special": _with_ours(scipy.special),
        "autograd.scipy.linalg": _with_ours(scipy.linalg),
        "autograd.scipy.signal": _module("autograd.scipy.signal", convolve=counted(functions.convolve)),
        "autograd.scipy.integrate": scipy.integrate,
    }
    for name, module in modules.items():
        sys.modules[name] = module
        parent, _, own = name.rpartition(".")
        if parent and own not in vars(sys.modules[parent]):
            setattr(sys.modules[parent], own, module)
