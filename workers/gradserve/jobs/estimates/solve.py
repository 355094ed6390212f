"""Systems with a Hessian by conjugate gradients: some iterations for each visit to a worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np

from gradserve.estimation.conjugate_gradients import CODES, ConjugateGradients, Scalars, beginning
from gradserve.estimation.scaling import power_of
from gradserve.ir.errors import Violation
from gradserve.ir.types import Array
from gradserve.jobs.estimates import estimates
from gradserve.jobs.estimates.summed import Sums
from gradserve.jobs.estimates.visits import (
    Visits,
    of_single,
    positive,
    prepared,
    refuse,
    schedule_of,
    space_of,
    vector_violations,
    visits_of,
)
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Check
from gradserve.jobs.sweeps.resuming import Resumable
from gradserve.jobs.sweeps.sweep import SweepSchedule
from gradserve.questions.call import Reduction, arrays_of
from gradserve.questions.estimates import EstimateDiagonal
from gradserve.questions.report import Report
from gradserve.questions.resuming import Standing, State, refuse_token
from gradserve.questions.solve import Preconditioner, Solution, SolveHessian, SolveStop
from gradserve.runtime.control import Control
from gradserve.verification.widen import epsilon_of

DEFAULT_ITERATIONS, DEFAULT_PROBES = 1000, 32
VISIT_SECONDS = 0.5
"""Predicted seconds of a visit: an answer comes after each."""
_FLOOR = 1e-2
"""The least entry of an estimated diagonal, as a share of the mean of their sizes."""


def schedules(context: Context, question: SolveHessian, check: Check) -> list[SweepSchedule]:
    """How all iterations will be run.

    Raises:
        InvalidRequest: the call, the right-hand side or an option does not fit.
        NotDifferentiable: there is no such matrix.
        LimitExceeded: memory or operations above a limit.
    """
    return [_schedule(context, prepared(context, question, check), check)[1]]


def answers(context: Context, question: SolveHessian, control: Control) -> Iterator[Solution]:
    """The solution after each visit, the last one with the reason to stop.

    Raises:
        InvalidRequest, NotDifferentiable, LimitExceeded: as `schedules` does.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    resumable, named = Resumable(question), prepared(context, question, control.check)
    context, stood = resumable.context(context), resumable.stood
    method, scheduled = _schedule(context, named, control.check)
    visits = visits_of(context, named, method, scheduled, control, stood)
    b = method.space.joined({name: array[None] for name, array in arrays_of(named.right).items()})[0]
    power = power_of(b)  # what is solved is linear in it, and has squares that are numbers
    b = np.ldexp(b, -power)
    most, spent = named.max_iterations or DEFAULT_ITERATIONS, Report()
    if stood is None:
        m, spent = _preconditioner(context, named, control)
        first = {**beginning(b, m), "m": m, "residuals": np.empty(0), "visits": np.asarray(0)}
        state = _visited(visits, first, b, most)
    else:
        state = _stood(stood, method, most)
        others = stood.report.flops - visits.report(_products(state)).flops
        spent = Report(plan_cache_hit=True, flops=others)
    while True:
        report = visits.report(_products(state)) + spent
        answer = _answer(method, {**state, "x": np.ldexp(state["x"], power)}, report)
        if answer.stop_reason is SolveStop.NONE and answer.iterations >= most:
            answer = replace(answer, stop_reason=SolveStop.MAX_ITERATIONS)
        yield resumable.marked(answer, state, report)
        if answer.stop_reason is not SolveStop.NONE:
            return
        state = _visited(visits, state, b, most)


def _products(state: State) -> int:
    return int(Scalars.of(state["scalars"]).products)


def _visited(visits: Visits | Sums, state: State, b: Array, most: int) -> State:
    """Where it stands after one more visit."""
    m, residuals, number = state["m"], state["residuals"], int(state["visits"])
    vectors = {name: state[name] for name in ("x", "r", "p", "scalars")}
    left = np.array(float(most - len(residuals)))
    found = visits.one(number, {**vectors, "b": b, "m": m, "left": left})
    residuals = np.concatenate([residuals, found["residuals"]])
    return {**found, "m": m, "residuals": residuals, "visits": np.asarray(number + 1)}


def _stood(stood: Standing, method: ConjugateGradients, most: int) -> State:
    """Where it stood when it gave a token."""
    size = method.space.size
    vectors = {name: stood.array(name, size) for name in ("x", "r", "p", "m")}
    residuals, scalars = stood.array("residuals", None), stood.numbers("scalars", len(fields(Scalars)))
    numbers, visits = Scalars.of(scalars), stood.count("visits", 1)
    fits = (vectors["m"] > 0).all() and len(residuals) <= most
    divisible = numbers.rho > 0 and numbers.scale > 0 and vectors["p"].any()
    fits = fits and (divisible or numbers.stop != CODES.index(SolveStop.NONE))
    if not fits or numbers.stop not in range(len(CODES)) or not 0 <= numbers.products <= 1 << 32:
        refuse_token("the iterations")
    return {**vectors, "scalars": scalars, "residuals": residuals, "visits": np.asarray(visits)}


def _answer(method: ConjugateGradients, state: State, report: Report) -> Solution:
    numbers, split, residuals = Scalars.of(state["scalars"]), method.space.split, state["residuals"]
    stop, p = CODES[int(numbers.stop)], state["p"]
    bent = stop is SolveStop.NEGATIVE_CURVATURE
    return Solution(
        solution=split(state["x"]),
        residual=numbers.certified,
        iterations=len(residuals),
        products=int(numbers.products),
        residuals=residuals,
        stop_reason=stop,
        curvature=numbers.curvature,
        direction=split(p / np.linalg.norm(p)) if bent else {},
        tolerance=method.tolerance,
        damping=method.damping,
        report=report,
    )


def _schedule(context: Context, question: SolveHessian, check: Check) -> tuple[ConjugateGradients, SweepSchedule]:
    refuse(_violations(question))
    context.limits.check_count("probes", question.max_iterations)
    single = schedule_of(context, question, None, check=check)
    epsilon = epsilon_of(question.call.graph)
    most = question.max_iterations or DEFAULT_ITERATIONS
    each = max(1, min(most, round(VISIT_SECONDS / single.seconds)))
    tolerance = question.tolerance or of_single(epsilon, 1e-4, 1e-6)
    method = ConjugateGradients(space_of(question), each, tolerance, question.damping, epsilon)
    return method, schedule_of(context, question, method, -(-most // each), check)


def _violations(question: SolveHessian) -> list[Violation]:
    if question.call.batch and question.call.reduction is Reduction.NONE:
        text = "a system is solved at one point; ask for the sum or the mean over the batch, or leave it out"
        return [Violation("call.batch", "K1", text)]
    violations = vector_violations(question, "right", question.right)
    violations += positive("damping", question.damping) + positive("tolerance", question.tolerance)
    if question.diagonal:
        found = vector_violations(question, "diagonal", question.diagonal)
        violations += found
        for name, argument in question.diagonal.items() if not found else ():
            if isinstance(argument, np.ndarray) and not (argument > 0).all():
                path = f'diagonal["{name}"]'
                violations.append(Violation(path, "K9", "all of a preconditioner's diagonal has to be above 0"))
        if question.preconditioner is Preconditioner.NONE:
            text = "a diagonal is given and not used; ask for the preconditioner `diagonal`"
            violations.append(Violation("preconditioner", "K9", text))
    return violations


def _preconditioner(context: Context, question: SolveHessian, control: Control) -> tuple[Array, Report]:
    """The diagonal of the preconditioner, and what estimating it has cost."""
    space = space_of(question)
    if question.preconditioner is Preconditioner.NONE:
        return np.ones(space.size), Report()
    if question.diagonal:
        given, report = arrays_of(question.diagonal), Report()
    else:
        probes = question.probes or DEFAULT_PROBES
        seed, matrix, loss = question.seed, question.matrix, question.loss
        asked = EstimateDiagonal(question.call, question.wrt, seed, probes, matrix=matrix, loss=loss)
        *_, last = estimates.answers(context, asked, control)
        given, report = last.values, last.report
    diagonal = space.joined({name: array[None] for name, array in given.items()})[0]
    if not question.diagonal:  # an estimate may be far too small, or below 0
        sizes = np.abs(diagonal)
        diagonal = np.maximum(sizes, _FLOOR * float(np.mean(sizes))) + question.damping
    return np.where(diagonal > 0, diagonal, 1.0), report
