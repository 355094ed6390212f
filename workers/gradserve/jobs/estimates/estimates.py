"""Estimates from random probes: samples from a sweep, looked at again and again until they say enough.

Probes depend on the seed alone, and samples are folded in the order of probes: the same seed gives the same bits on any
number of workers, and a longer estimate begins with the samples of a shorter one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gradserve.estimation import automatic
from gradserve.estimation.looks import Target, moments
from gradserve.estimation.recurrence import Space
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.jobs.estimates import slopes, traces
from gradserve.jobs.estimates.multiplied import Products, product_of
from gradserve.jobs.estimates.points import at, in_turn
from gradserve.jobs.estimates.probing import Probing, asked_of, sweep_of
from gradserve.jobs.estimates.summed import SummedProbing
from gradserve.jobs.sweeps.calls import checked, inputs_in_question
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Check
from gradserve.jobs.sweeps.resuming import Resumable
from gradserve.jobs.sweeps.sweep import SweepSchedule
from gradserve.jobs.sweeps.vectors import CHUNK_PROBES, block_of
from gradserve.questions.call import AtKinks, Call, Reduction
from gradserve.questions.derivations import Derivation
from gradserve.questions.estimates import (
    Estimate,
    EstimateDiagonal,
    EstimateTrace,
    Estimator,
    MatrixEstimate,
    Sampler,
    StopReason,
)
from gradserve.questions.matrices import Matrix
from gradserve.questions.resuming import Standing, refuse_token
from gradserve.runtime.control import Control

DEFAULT_PROBES = 4096
DEFAULT_CONFIDENCE = 0.95


def schedule(context: Context, question: MatrixEstimate, check: Check) -> SweepSchedule:
    """How the probes will be run, if all of them are: chunks of one size, so that bits do not depend on their number.

    Raises:
        InvalidRequest: `wrt`, a tolerance or the confidence do not fit, or the call has a batch.
        NotDifferentiable: there is no Hessian.
        LimitExceeded: more probes, memory or operations than allowed.
    """
    question = replace(question, call=checked(context, question.call, check))
    target, points = _admitted(context, question), question.call.points
    question = replace(question, call=at(question.call, 0))
    if by_products(question, question.call.graph):
        assert isinstance(question, EstimateTrace | EstimateDiagonal)
        products = _products(context, question, Control())
        most = target.max_probes
        if isinstance(question, EstimateTrace):
            most = traces.most_products(question, target, products.space.size)
        return products.schedule(check, most, points)
    return sweep_of(context, question, target.max_probes, points, check).schedule(context, check)


def gradient_schedules(context: Context, question: EstimateTrace, check: Check) -> list[SweepSchedule]:
    """How the gradient of an estimate that can be scheduled will be run at a point: of all its vectors."""
    question, target = replace(question, call=checked(context, question.call, check)), target_of(question)
    question = replace(question, call=at(question.call, 0))
    size = _space(question, question.call.graph).size
    return slopes.schedules(context, question, traces.most_products(question, target, size), check)


def answers(context: Context, question: MatrixEstimate, control: Control) -> Iterator[Any]:
    """Ever better estimates, the last one with a stop reason, and with its gradient if that is wanted.

    They come after numbers of probes that double, and between these after blocks that take some seconds. With a
    tolerance, the intervals at all of those numbers together hold with probability `confidence`, so the last does so
    whatever made it stop. Without one, each does by itself.

    Raises:
        InvalidRequest, NotDifferentiable, LimitExceeded: as `schedule` does.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    resumable = Resumable(question)
    context = resumable.context(context)
    question = replace(question, call=checked(context, question.call, control.check))
    _admitted(context, question)
    points = question.call.points
    if points > 1:
        schedule(context, question, control.check)  # refuses what is too much at all points together

    def answer(point: int, part: Resumable) -> Iterator[Any]:
        for found in _with_gradient(context, replace(question, call=at(question.call, point)), control, part):
            yield replace(found, point=point)

    yield from in_turn(points, resumable, answer, lambda point: f"point {point}")


def _with_gradient(context: Context, question: MatrixEstimate, control: Control, resumable: Resumable) -> Iterator[Any]:
    """The answers about one matrix, the last with its gradient if that is wanted."""
    for answer in _answers(context, question, control, resumable):
        if answer.stop_reason is not StopReason.NONE and isinstance(question, EstimateTrace) and question.gradient:
            answer = slopes.with_gradient(context, question, answer, control)
        yield answer


def _answers(context: Context, question: MatrixEstimate, control: Control, resumable: Resumable) -> Iterator[Any]:
    """The answers about one matrix, without gradients."""
    started, target, stood = time.perf_counter(), target_of(question), resumable.stood
    multiplies = by_products(question, question.call.graph)
    if multiplies and isinstance(question, EstimateTrace):
        products = _products(context, question, control, stood)
        yield from traces.answers(products, question, target, control, started, resumable)
        return
    scheduled = schedule(context, question, control.check)
    planned = time.perf_counter() - started
    probing: Probing | SummedProbing
    if multiplies and isinstance(question, EstimateDiagonal):
        probing = SummedProbing(_products(context, question, control, stood), question, planned, stood)
    else:
        probing = Probing(question, scheduled, control, planned, stood)
    found = probing.beginning()
    told = [*moments(target, block_of(scheduled))]
    if found.taken not in (0, *(probes for _, probes, _ in told)):
        refuse_token("the number of probes")
    for look, probes, ends in told:
        if probes < found.taken:
            continue
        for samples in probing.samples(found.taken, probes):
            found = found.with_samples(samples)
        answer = found.answer(target, look, probing.report)
        if not ends:
            answer = replace(answer, stop_reason=StopReason.NONE)
        yield resumable.marked(answer, found.state(), probing.report)
        if answer.stop_reason is not StopReason.NONE:
            return


def by_products(question: MatrixEstimate, graph: Graph) -> bool:
    """Whether the estimator holds products; else it is made of quadratic forms, of which workers send numbers alone.

    Those are for signs alone: where they are asked for, where the rows of one chunk would fill the memory, where kinks
    are resolved, or where a gradient is wanted, as a basis would move with the inputs. A diagonal is made of products
    that workers send as samples, but for one of a sum over a batch.
    """
    if not isinstance(question, EstimateTrace):
        return bool(question.call.batch)
    more = question.call.batch or question.diagonal or question.groups
    forms = question.matrix is Matrix.HESSIAN and not more
    auto = question.estimator is Estimator.AUTO
    if question.estimator is Estimator.HUTCHINSON and question.sampler is not Sampler.SPHERE and forms:
        return False
    size = _space(question, graph).size
    if question.gradient and auto:
        return automatic.all_columns(size, target_of(question))
    resolves = question.call.options.kinks is AtKinks.RESOLVE
    return not (forms and auto and (resolves or traces.capacity(size) < CHUNK_PROBES))


def _space(question: MatrixEstimate, graph: Graph) -> Space:
    return Space.of(graph.input_types, inputs_in_question(graph, question.wrt))


def _products(
    context: Context, question: EstimateTrace | EstimateDiagonal, control: Control, stood: Standing | None = None
) -> Products:
    return Products(context, question, inputs_in_question(question.call.graph, question.wrt), control, stood)


def probed(question: Estimate, graph: Graph) -> Derivation:
    """What every probe is asked of."""
    assert isinstance(question, EstimateTrace | EstimateDiagonal)
    wrt = inputs_in_question(graph, question.wrt)
    if by_products(question, graph):
        return product_of(question, wrt)
    return asked_of(question, wrt)


def target_of(question: Estimate) -> Target:
    """How good an estimate is wanted, defaults filled in."""
    given = question.max_probes or question.relative_tolerance or question.absolute_tolerance
    return Target(
        question.max_probes or DEFAULT_PROBES,
        question.relative_tolerance if given else question.default_tolerance,
        question.absolute_tolerance,
        question.confidence or DEFAULT_CONFIDENCE,
    )


def _admitted(context: Context, question: MatrixEstimate) -> Target:
    """How good an estimate is wanted, of a question that has a meaning and asks for no more than is allowed.

    Raises:
        InvalidRequest: it names all that does not fit.
        LimitExceeded: more probes or nodes than allowed.
    """
    target = target_of(question)
    violations = _violations(question, question.call, target)
    if violations:
        raise InvalidRequest("the request does not fit", violations)
    context.limits.check_count("probes", target.max_probes)
    context.limits.check_graph(question.call.graph)
    return target


def _violations(question: MatrixEstimate, call: Call, target: Target) -> list[Violation]:
    violations = []
    reduced = call.batch and call.reduction is not Reduction.NONE
    if reduced and isinstance(question, EstimateDiagonal) and call.options.kinks is AtKinks.RESOLVE:
        text = "kinks are not resolved in a sum over a batch; ask for the diagonal at each point"
        violations.append(Violation("call.options.kinks", "E7", text))
    if isinstance(question, EstimateTrace):
        space = _space(question, call.graph)
        violations += traces.part_violations(question, space)
        violations += traces.violations(question, target, space.size) if by_products(question, call.graph) else []
        violations += slopes.violations(question) if question.gradient else []
    return violations + target_violations(target)


def target_violations(target: Target) -> list[Violation]:
    """Why no estimate can be so good."""
    violations = []
    if not 0 < target.confidence < 1:
        violations.append(Violation("confidence", "E2", f"{target.confidence} is not between 0 and 1"))
    for name in ("relative_tolerance", "absolute_tolerance"):
        tolerance = getattr(target, name)
        if not 0 <= tolerance < math.inf:
            violations.append(Violation(name, "E3", f"{tolerance} is no tolerance; 0 means none"))
    return violations
