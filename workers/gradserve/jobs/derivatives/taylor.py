"""Taylor models along a direction, and how far the function is from them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import Along, TaylorSeries
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.types import Array
from gradserve.jobs.derivatives.derivative import run_rows
from gradserve.jobs.derivatives.kinks import settled
from gradserve.jobs.sweeps.calls import checked, require_no_batch
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.folds import by_role
from gradserve.jobs.sweeps.programs import Axis
from gradserve.jobs.sweeps.sweep import Sweep
from gradserve.questions.call import Call, Reduction, arrays_of
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.report import Report
from gradserve.questions.taylor import Deviation, ExpandAlong, Expansion
from gradserve.runtime.control import Control

MOST_ORDERS = 10
STEPS = 16
"""Steps at which the model is compared with the function, each half of the one before."""
_FIRST_STEP = 0.25
"""The first step, in units of the length over which the point itself changes by as much as it is large."""
_NOISE = 64.0
"""Rounding errors of a value, in units of the last place, below which a difference says nothing."""


def answers(context: Context, question: ExpandAlong, control: Control) -> Iterator[Expansion]:
    """The model of the graph's real outputs at x + t v, and its deviation at falling steps t.

    Raises:
        InvalidRequest: the order, the direction or a batch does not fit.
        NotDifferentiable: there is no derivative of that order.
        LimitExceeded: memory or operations over a limit.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    call, order = checked(context, question.call, control.check), question.order
    direction = arrays_of(question.direction)
    require_no_batch(call, "T2", "a model is made at one point; leave the batch out")
    _check(order, direction)
    series = settled(context, Differentiate(call, TaylorSeries(tuple(direction), order), direction), control)
    roles, report = series.arrays, series.report
    coefficients = {name: tuple(roles[f"order{k}"][name] for k in range(order + 1)) for name in roles.get("order0", {})}
    steps = _steps(call, direction)
    values, spent = _values_along(context, call, direction, steps, control)
    deviations = tuple(_deviations(coefficients, steps, values))
    yield Expansion(coefficients, deviations, _observed_order(deviations), report + spent)


def _check(order: int, direction: Mapping[str, Array]) -> None:
    violations = []
    if not 1 <= order <= MOST_ORDERS:
        violations.append(Violation("order", "T1", f"{order} is not between 1 and {MOST_ORDERS}"))
    if not direction:
        violations.append(Violation("direction", "T3", "there is none; give one for each input that moves"))
    elif not any(np.any(vector) for vector in direction.values()):
        violations.append(Violation("direction", "T4", "it is zero: nothing moves along it"))
    if violations:
        raise InvalidRequest("the request does not fit", violations)


def _steps(call: Call, direction: Mapping[str, Array]) -> Array:
    """Falling steps, the first of which moves the point by a fraction of its own size."""
    sizes = [np.max(np.abs(arrays_of(call.arguments)[name]), initial=0.0) for name in direction]
    speed = max(float(np.max(np.abs(vector), initial=0.0)) for vector in direction.values())
    return _FIRST_STEP * max(1.0, *map(float, sizes)) / speed * 0.5 ** np.arange(STEPS, dtype=np.float64)


def _values_along(
    context: Context, call: Call, direction: Mapping[str, Array], steps: Array, control: Control
) -> tuple[dict[str, Array], Report]:
    """The outputs at all steps, with a leading axis, and what they cost."""
    started = time.perf_counter()
    directions = {names.direction(name): vector for name, vector in direction.items()}
    data: dict[str, Array] = {**arrays_of(call.arguments), **directions, names.STEP: steps}
    axis, nbytes = Axis(frozenset({names.STEP}), len(steps)), sum(array.nbytes for array in data.values())
    sweep = Sweep(call.graph, Along(tuple(direction)), call.options, nbytes, axis)
    scheduled = sweep.schedule(context, control.check)
    outputs, report = run_rows(scheduled, data, Reduction.NONE, control, started)
    values = by_role(outputs)["value"]
    return {name: values[name] for name, type_ in call.graph.output_types.items() if type_.is_float}, report


def _deviations(
    coefficients: Mapping[str, Sequence[Array]], steps: Array, values: Mapping[str, Array]
) -> list[Deviation]:
    found = []
    for k, step in enumerate(steps):
        squares = noise = 0.0
        for name, own in coefficients.items():
            terms = [np.asarray(c, np.result_type(c, np.float64)) * step**power for power, c in enumerate(own)]
            squares += float(np.sum(np.abs(values[name][k] - sum(terms)) ** 2))
            scale = sum(np.abs(term) for term in terms) + np.abs(values[name][k])
            noise += float(np.sum((_NOISE * np.finfo(own[0].dtype).eps * scale) ** 2))
        error = math.sqrt(squares)
        found.append(Deviation(float(step), error, error > math.sqrt(noise)))
    return found


def _observed_order(deviations: Sequence[Deviation]) -> float:
    if not all(math.isfinite(deviation.error) for deviation in deviations):
        return math.nan
    pairs = [(a, b) for a, b in pairwise(deviations) if a.meaningful and b.meaningful and b.error]
    if pairs:
        # The smallest meaningful steps tell most about the limit.
        return statistics.median(math.log2(a.error / b.error) for a, b in pairs[-3:])
    return math.nan if any(deviation.meaningful for deviation in deviations) else math.inf
