"""Taylor models along a direction, and how far the function is from them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gradserve.autodiff import Along, Taylor, names
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.types import Array
from gradserve.jobs.call import Call
from gradserve.jobs.context import Context
from gradserve.jobs.derivative import differentiate, split_roles, vector_key
from gradserve.jobs.plans import Batching
from gradserve.jobs.report import Report
from gradserve.pools.work import Chunk, Rows, Shared, Source, Work
from gradserve.runtime.control import Control

MOST_ORDERS = 10
STEPS = 16
"""Steps at which the model is compared with the function, each half of the one before."""
_FIRST_STEP = 0.25
"""The first step, in units of the length over which the point itself changes by as much as it is large."""
_NOISE = 64.0
"""Rounding errors of a value, in units of the last place, below which a difference says nothing."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """The distance of the function from its model at one step along the direction."""

    step: float
    error: float
    """The Euclidean norm over all outputs."""
    meaningful: bool
    """Whether it is more than rounding errors."""


@dataclass(frozen=True, slots=True)
class TaylorModel:
    """The coefficients of t^0, t^1, ... by output, and the check of them."""

    coefficients: dict[str, tuple[Array, ...]]
    deviations: tuple[Deviation, ...]
    observed_order: float
    """The power of the step with which the deviation falls: one more than the order if the model is right, or higher.

    Infinite if no deviation is more than rounding errors; NaN if there is only one, or the function is not finite.
    """
    report: Report


def taylor(context: Context, call: Call, order: int, direction: Mapping[str, Array], control: Control) -> TaylorModel:
    """The model of the graph's real outputs at x + t v, and its deviation at falling steps t.

    Raises:
        InvalidRequest: the order, the direction or a batch does not fit.
        NotDifferentiable: there is no derivative of that order.
        LimitExceeded: memory or operations over a limit.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    _check(call, order, direction)
    wrt = tuple(direction)
    derivation = Taylor(wrt, order)
    vectors = {vector_key(derivation, name): vector for name, vector in direction.items()}
    found = differentiate(context, call, derivation, vectors, control)
    roles = split_roles(found.outputs)
    coefficients = {name: tuple(roles[f"order{k}"][name] for k in range(order + 1)) for name in roles.get("order0", {})}
    steps = _steps(call, direction)
    values, report = _values_along(context, call, direction, steps, control, found.report)
    deviations = tuple(_deviations(coefficients, steps, values))
    return TaylorModel(coefficients, deviations, _observed_order(deviations), report)


def _check(call: Call, order: int, direction: Mapping[str, Array]) -> None:
    violations = []
    if not 1 <= order <= MOST_ORDERS:
        violations.append(Violation("order", "T1", f"{order} is not between 1 and {MOST_ORDERS}"))
    if call.batch:
        violations.append(Violation("call.batch", "T2", "a model is made at one point; leave the batch out"))
    if not direction:
        violations.append(Violation("direction", "T3", "there is none; give one for each input that moves"))
    elif not any(np.any(vector) for vector in direction.values()):
        violations.append(Violation("direction", "T4", "it is zero: nothing moves along it"))
    if violations:
        raise InvalidRequest("the request does not fit", violations)


def _steps(call: Call, direction: Mapping[str, Array]) -> Array:
    """Falling steps, the first of which moves the point by a fraction of its own size."""
    size = max((float(np.max(np.abs(call.arguments[name]), initial=0.0)) for name in direction), default=0.0)
    speed = max(float(np.max(np.abs(vector), initial=0.0)) for vector in direction.values())
    return _FIRST_STEP * max(1.0, size) / speed * 0.5 ** np.arange(STEPS, dtype=np.float64)


def _values_along(
    context: Context, call: Call, direction: Mapping[str, Array], steps: Array, control: Control, report: Report
) -> tuple[dict[str, Array], Report]:
    """The outputs at all steps, with a leading axis, and the report with what that cost."""
    started = time.perf_counter()
    batching = Batching(frozenset({names.STEP}), len(steps))
    pieces, _ = context.pieces(call.graph, Along(tuple(direction)), batching, control.check)
    directions = {names.direction(name): vector for name, vector in direction.items()}
    data = {**call.arguments, **directions, names.STEP: steps}
    shared: dict[str, Source] = {name: Shared(name) for name in data}
    chunks = tuple(
        Chunk(piece.plan.digest, {**shared, names.STEP: Rows(names.STEP, piece.start, piece.stop)}) for piece in pieces
    )
    pool, _ = context.place(pieces, sum(array.nbytes for array in data.values()), call.options)
    work = Work({piece.plan.digest: piece.plan for piece in pieces}, data, chunks, context.executor(call.options))
    results = list(context.run(pool, work, control))
    for result in results:
        report = report.with_result(result)
    values = {
        name: np.concatenate([result.outputs[names.value(name)] for result in results])
        for name, type_ in call.graph.output_types.items()
        if type_.is_float
    }
    flops = report.flops + sum(piece.plan.flops for piece in pieces)
    return values, replace(report, flops=flops, execute=report.execute + time.perf_counter() - started)


def _deviations(
    coefficients: Mapping[str, Sequence[Array]], steps: Array, values: Mapping[str, Array]
) -> list[Deviation]:
    found = []
    for k, step in enumerate(steps):
        squares = noise = 0.0
        for name, own in coefficients.items():
            terms = [c.astype(np.float64) * step**power for power, c in enumerate(own)]
            squares += float(np.sum((values[name][k] - sum(terms)) ** 2))
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
