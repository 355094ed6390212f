"""All functions of SciPy that are called as their authors do, by the names that SciPy gives them."""

from __future__ import annotations

from tests.numpy.scipy_calls import (
    interpolation,
    laws,
    linear,
    others,
    piecewise,
    responses,
    signals,
    solvers,
    spectra,
)

MODULES = (linear, laws, others, piecewise, interpolation, signals, spectra, responses, solvers)
CALLS = {name: call for module in MODULES for name, call in module.CALLS.items()}
