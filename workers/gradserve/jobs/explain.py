"""What a question would cost and where it would run: its schedule, told and not run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gradserve.ir.budget import PLANNING
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.jobs.derivatives.dense import mode_of, ways
from gradserve.jobs.derivatives.dense import schedule as schedule_dense
from gradserve.jobs.derivatives.derivative import schedule as schedule_derivative
from gradserve.jobs.estimates import eigenpairs, estimates, solve, spectrum, zero_order
from gradserve.jobs.estimates.multiplied import product_of
from gradserve.jobs.estimates.probing import ESTIMATORS
from gradserve.jobs.sweeps.calls import checked, inputs_in_question
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.counted import counting
from gradserve.jobs.sweeps.pace import pace
from gradserve.jobs.sweeps.programs import Check
from gradserve.jobs.sweeps.sweep import Sweep, SweepSchedule
from gradserve.questions.derivations import Derivation, Evaluate
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.eigenpairs import TopEigenpairs
from gradserve.questions.estimates import Estimate, EstimateTrace
from gradserve.questions.explanation import Explain, Explanation, Refusal
from gradserve.questions.matrices import OfMatrix
from gradserve.questions.solve import SolveHessian
from gradserve.questions.spectrum import EstimateSpectrum
from gradserve.questions.zero_order import EstimateGradient
from gradserve.runtime.control import Control
from gradserve.text.printing import excerpt

SCHEDULES: Mapping[type[Estimate], Callable[[Context, Any, Check], SweepSchedule]] = {
    **dict.fromkeys(ESTIMATORS, estimates.schedule),
    EstimateGradient: zero_order.schedule,
}
"""What schedules each estimate."""
OF_MATRICES: Mapping[type[OfMatrix], Callable[[Context, Any, Check], list[SweepSchedule]]] = {
    EstimateSpectrum: spectrum.schedules,
    TopEigenpairs: eigenpairs.schedules,
    SolveHessian: solve.schedules,
}
"""The same of questions about matrices, of each group of inputs by itself."""


GRADIENTS: Mapping[type[EstimateTrace | EstimateSpectrum], Callable[[Context, Any, Check], list[SweepSchedule]]] = {
    EstimateTrace: estimates.gradient_schedules,
    EstimateSpectrum: spectrum.gradient_schedules,
}
"""What schedules the gradient of an answer."""
_MOST_BYTES = (1 << 64) - 1
"""Loops in loops may ask for more than can be told."""


def answers(context: Context, question: Explain, control: Control) -> Iterator[Explanation]:
    """The prediction for a question. One over a limit is explained as well, and says so.

    Raises:
        InvalidRequest, NotDifferentiable: as asking itself would.
    """
    yield explain(context, question.question, control.check)


def explain(context: Context, question: Differentiate | Estimate | OfMatrix, check: Check) -> Explanation:
    """The schedule of a question as an explanation."""
    graph = checked(context, question.call, check).graph
    loss = context.programs.instance(graph, Evaluate(), None, check)[0].program
    try:
        scheduled, *more = _schedules(context, question, check)
        more += _of_gradient(context, question, check)
    except LimitExceeded as error:
        if error.limit in PLANNING:
            raise  # one example is no easier to plan, and nobody waits for the same to be refused twice
        single = Sweep(graph, _one_example(question, graph), question.call.options, 0).unlimited(context, check)
        told = _explanation(context, single, loss.flops, check)
        return replace(
            told, chunks=(), placement="refused", reason=error.message, refusal=Refusal(error.limit, error.message)
        )
    dense = isinstance(question, Differentiate) and question.derivation.dense
    told = replace(_explanation(context, scheduled, loss.flops, check), mode=mode_of(scheduled) if dense else "")
    return functools.reduce(_with, more, told)


def _of_gradient(context: Context, question: Any, check: Check) -> list[SweepSchedule]:
    """The sweeps of an answer's gradient; none if it is not asked for."""
    wanted = isinstance(question, EstimateTrace | EstimateSpectrum) and question.gradient
    return GRADIENTS[type(question)](context, question, check) if wanted else []


def _with(told: Explanation, more: SweepSchedule) -> Explanation:
    """The explanation of a job that runs another sweep after those before."""
    return replace(
        told,
        flops=told.flops + more.flops,
        bytes=told.bytes + more.bytes,
        peak_bytes=max(told.peak_bytes, more.peak_bytes),
        seconds=told.seconds + more.seconds,
        chunks=told.chunks + more.sizes,
    )


def _explanation(context: Context, scheduled: SweepSchedule, loss_flops: float, check: Check) -> Explanation:
    derived = context.programs.derived(scheduled.sweep.graph, scheduled.sweep.derivation, check)
    return Explanation(
        inputs=derived.input_types,
        outputs=derived.output_types,
        text=excerpt(derived, context.limits.explain_letters, "explain_letters"),
        flops=scheduled.flops,
        bytes=scheduled.bytes,
        peak_bytes=min(scheduled.peak_bytes, _MOST_BYTES),
        seconds=scheduled.seconds * pace(),
        chunks=scheduled.sizes,
        placement=scheduled.pool.name,
        executor=scheduled.executor,
        reason=scheduled.reason,
        loss_flops=loss_flops,
    )


def _schedules(context: Context, question: Differentiate | Estimate | OfMatrix, check: Check) -> list[SweepSchedule]:
    if isinstance(question, OfMatrix):
        return OF_MATRICES[type(question)](context, question, check)
    if isinstance(question, Estimate):
        return [SCHEDULES[type(question)](context, question, check)]
    schedule = schedule_dense if question.derivation.dense else schedule_derivative
    return [schedule(context, question, check)]


def _one_example(question: Differentiate | Estimate | OfMatrix, graph: Graph) -> Derivation:
    """What is derived for one example, or for one row, one column or one probe."""
    if isinstance(question, OfMatrix):
        return product_of(question, inputs_in_question(graph, question.wrt))
    if isinstance(question, EstimateGradient):
        return zero_order.two_point(question, graph)
    if isinstance(question, Estimate):
        return counting(estimates.probed(question, graph), question.call.options)
    named = question.derivation.resolved(graph, question.vectors)
    return counting(ways(graph, named)[0].derivation if named.dense else named, question.call.options)
