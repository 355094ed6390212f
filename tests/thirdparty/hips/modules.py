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
from gradserve.client.tracing.tracer import Tracer
from tests.thirdparty.hips import arrays, checks, operators
from tests.thirdparty.hips.tracing import counted

_OURS = {
    scipy.special: ("logsumexp", "multigammaln", "polygamma"),
    scipy.linalg: ("solve_sylvester", "solve_triangular", "sqrtm"),
}
"""Functions of SciPy that no tracer can see: the client has them with the same arguments."""


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
    return arrays.Numpy(module, **{name: getattr(functions, name) for name in _OURS[module]})


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
        "autograd.scipy.stats": scipy.stats,
        "autograd.scipy.stats.multivariate_normal": scipy.stats.multivariate_normal,
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
