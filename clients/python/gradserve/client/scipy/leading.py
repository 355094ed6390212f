"""While a function is traced, SciPy's own names lead to the mirror, as far as SciPy is imported, and those of math."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import gradserve.client.scipy.factors
import gradserve.client.scipy.of_math  # noqa: F401  # both enter what else sees traced arrays
from gradserve.client.tracing.names import Place, lead_by


def _places() -> Iterable[Place]:
    if "scipy" not in sys.modules:
        return ()
    from gradserve.client.scipy.mirrored import places  # whose import would be a good part of the client's

    return places()


lead_by(_places)
