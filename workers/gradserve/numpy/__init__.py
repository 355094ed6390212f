"""NumPy's, SciPy's and our own functions on values of a graph in the making, with their names and arguments.

At least one argument is a value; arrays and numbers beside it become constants. `gradserve.numpy.sum(x, axis=0)` emits
nodes into the builder of x. Importers call these as the tracer and the rules do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.numpy import (  # noqa: F401  (importing a module enters its functions in the table)
    accumulations,
    carlson,
    counting,
    creation,
    decompositions,
    differences,
    eigenvalues,
    einstein,
    elementwise,
    exponentials,
    folding,
    fourier,
    harmonics,
    indexing,
    joining,
    laws,
    logic,
    mathieu,
    matrices,
    matrix_functions,
    nans,
    noncentral,
    norms,
    ordering,
    padding,
    polynomials,
    probabilities,
    probability,
    products,
    quantiles,
    rare,
    reductions,
    repeating,
    segments,
    shaping,
    special,
    spheroidal,
    statistics,
    systems,
    ufuncs,
    updates,
    waves,
    windowing,
    zetas,
)
from gradserve.numpy.documentation import supported_names
from gradserve.numpy.loops import apply_ufunc
from gradserve.numpy.table import FUNCTIONS, OWN, SPECIAL, UFUNCS, numpy_names, on_values

__all__ = ["supported_names"]


@functools.cache
def _by_name() -> dict[str, Callable[..., Any]]:
    """Functions by their own names; NumPy's before those of its packages, SciPy's and ours, where names coincide."""
    found = {name: on_values(entry.call) for name, entry in OWN.items()}
    found |= {name: on_values(call) for name, call in SPECIAL.items()}
    for name, member in reversed(list(numpy_names())):
        found[name.rpartition(".")[2]] = (
            _ufunc(member, name) if isinstance(member, np.ufunc) else on_values(FUNCTIONS[member].call)
        )
    return found


def _ufunc(ufunc: np.ufunc, name: str) -> Callable[..., Any]:
    return on_values(lambda g, *operands: apply_ufunc(g, ufunc, UFUNCS[ufunc], name, operands))


def __getattr__(name: str) -> Callable[..., Any]:
    """The function of that name."""
    if name in _by_name():
        return _by_name()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
