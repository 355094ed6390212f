"""A trace without chance: in one pass where that is cheaper, else by products with every column of the identity."""

from __future__ import annotations

import numpy as np

from gradserve.estimation.asking import Basis, Dialogue, Known, Operator, Probes, Whole
from gradserve.estimation.running import ROUNDING
from gradserve.estimation.sampled import by_group
from gradserve.ir.types import Array
from gradserve.questions.estimates import StopReason
from gradserve.questions.resuming import Standing


def columns(operator: Operator, spent: int, known: Array | None = None) -> Dialogue:
    """The diagonal itself, after `spent` other products; `known` are its first entries."""
    if known is None and operator.one_pass:
        yield from _whole(operator, spent)
        return
    diagonal = np.zeros(0) if known is None else known
    if len(diagonal) or not operator.size:
        yield _known(operator, spent, diagonal)
    while len(diagonal) < operator.size:
        start, stop = len(diagonal), min(len(diagonal) + operator.section, operator.size)
        products = yield Basis(start, stop)
        diagonal = np.concatenate([diagonal, products[np.arange(stop - start), np.arange(start, stop)]])
        yield _known(operator, spent, diagonal)


def resumed(operator: Operator, at: Standing) -> Dialogue:
    """What `columns` says from where it stood, what it said there first; NaN is data."""
    spent = at.count("others")
    if "trace" in at:
        yield _of_whole(operator, spent, at.number("trace"), at.number("size"))
    else:
        yield from columns(operator, spent, at.numbers("entries", None)[: operator.size])


def _whole(operator: Operator, spent: int) -> Dialogue:
    """The trace in one pass. What rounding may make of it is told from one product, whose length is about |A|_F."""
    _, products = yield Probes(0, 1)
    size = float(np.sqrt(operator.size) * np.linalg.norm(products))
    trace = yield Whole()
    yield _of_whole(operator, spent, trace, size)


def _of_whole(operator: Operator, spent: int, trace: float, size: float) -> Known:
    """The trace of a matrix with a diagonal of about this size."""
    half, nothing = ROUNDING * operator.epsilon * size, np.zeros(0)
    state = {"trace": np.asarray(trace), "size": np.asarray(size), "others": np.asarray(spent)}
    return Known(
        products=spent + operator.size,
        value=np.array([trace]),
        standard_error=np.zeros(1),
        half_width=np.array([np.inf if np.isnan(trace) else half]),
        reason=StopReason.EXACT,
        diagonal=nothing,
        diagonal_error=nothing,
        diagonal_half_width=nothing,
        sketch=operator.size,
        state=state,
    )


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
