"""A diagonal without chance: the products with every column of the identity, where these are few."""

from __future__ import annotations

import numpy as np

from gradserve.estimation.asking import Basis, Dialogue, Known, Operator
from gradserve.estimation.running import ROUNDING
from gradserve.estimation.sampled import by_group
from gradserve.questions.estimates import StopReason

SECTION = 256
"""The most columns that are held at once."""


def columns(operator: Operator, spent: int) -> Dialogue:
    """The diagonal itself, after `spent` other products."""
    size, diagonal = operator.size, np.zeros(operator.size)
    for start in range(0, size, SECTION):
        stop = min(start + SECTION, size)
        products = yield Basis(start, stop)
        diagonal[start:stop] = products[np.arange(stop - start), np.arange(start, stop)]
    rounding = ROUNDING * operator.epsilon * np.abs(diagonal)
    value, half = by_group(operator, diagonal[None])[0], by_group(operator, rounding[None])[0]
    entries = (diagonal, np.zeros(size), rounding) if operator.diagonal else (np.zeros(0),) * 3
    zero = np.zeros_like(value)
    yield Known(spent + size, value, zero, np.where(np.isnan(value), np.inf, half), StopReason.EXACT, *entries, size)
