"""A diagonal without chance: the products with every column of the identity, where these are few."""

from __future__ import annotations

import numpy as np

from gradserve.estimation.asking import Basis, Dialogue, Known, Operator
from gradserve.estimation.running import ROUNDING
from gradserve.estimation.sampled import by_group
from gradserve.ir.types import Array
from gradserve.questions.estimates import StopReason
from gradserve.questions.resuming import Standing

SECTION = 256
"""The most columns that are held at once."""


def columns(operator: Operator, spent: int, known: Array | None = None) -> Dialogue:
    """The diagonal itself, after `spent` other products; `known` are its first entries."""
    diagonal = np.zeros(0) if known is None else known
    if len(diagonal) or not operator.size:
        yield _known(operator, spent, diagonal)
    while len(diagonal) < operator.size:
        start, stop = len(diagonal), min(len(diagonal) + SECTION, operator.size)
        products = yield Basis(start, stop)
        diagonal = np.concatenate([diagonal, products[np.arange(stop - start), np.arange(start, stop)]])
        yield _known(operator, spent, diagonal)


def resumed(operator: Operator, at: Standing) -> Dialogue:
    """What `columns` says from where it stood, what it said there first; NaN is data."""
    known = at.numbers("entries", None)[: operator.size]
    return columns(operator, at.count("others"), known)


def _known(operator: Operator, spent: int, diagonal: Array) -> Known:
    """What these first entries tell: nothing certain before they are all."""
    left = operator.size - len(diagonal)
    entries = np.concatenate([diagonal, np.zeros(left)])
    rounding = np.concatenate([ROUNDING * operator.epsilon * np.abs(diagonal), np.full(left, np.inf)])
    value, half = by_group(operator, entries[None])[0], by_group(operator, rounding[None])[0]
    errors = np.concatenate([np.zeros(len(diagonal)), np.full(left, np.inf)])
    each, error, half_width = (entries, errors, rounding) if operator.diagonal else (np.zeros(0),) * 3
    return Known(
        products=spent + len(diagonal),
        value=value,
        standard_error=by_group(operator, errors[None])[0],
        half_width=np.where(np.isnan(value), np.inf, half),
        reason=StopReason.NONE if left else StopReason.EXACT,
        diagonal=each,
        diagonal_error=error,
        diagonal_half_width=half_width,
        sketch=len(diagonal),
        state={"entries": diagonal, "others": np.asarray(spent)},
    )
