"""While a function is traced, SciPy's own names lead to the mirror, as far as SciPy is imported, and those of math."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import gradserve.client.scipy.factors
import gradserve.client.scipy.of_math
import gradserve.client.scipy.solvers.minpack  # noqa: F401  # all enter what else sees traced arrays
from gradserve.client.tracing.holders import OF_SPARSE
from gradserve.client.tracing.names import Place, lead_by


def _places() -> Iterable[Place]:
    if "scipy" not in sys.modules:
        return ()
    from gradserve.client.scipy.mirrored import places  # whose import would be a good part of the client's

    return places()


def _of_sparse(ufunc: np.ufunc, operands: Sequence[Any]) -> Any:
    from gradserve.client.scipy.sparse.combining import combined

    return combined(ufunc, operands)


lead_by(_places)
OF_SPARSE.append(_of_sparse)
