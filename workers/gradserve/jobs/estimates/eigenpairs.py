"""Eigenpairs at an end of a spectrum: cycles between restarts, each one visit to a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from gradserve.estimation.eigenpairs import Cycle, Told, random_rows
from gradserve.ir.errors import Violation
from gradserve.ir.types import Array
from gradserve.jobs.estimates.points import at
from gradserve.jobs.estimates.visits import (
    at_most,
    each_group,
    in_groups,
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
from gradserve.questions.call import arrays_of, types_of
from gradserve.questions.eigenpairs import Eigenpairs, SearchStop, TopEigenpairs
from gradserve.questions.report import Report
from gradserve.questions.resuming import Standing, State, refuse_token
from gradserve.runtime.control import Control
from gradserve.verification.widen import epsilon_of

DEFAULT_COUNT, DEFAULT_PRODUCTS = 4, 2000
MOST_BASIS = 2000
"""Beyond this the work in the space itself would take long."""


def schedules(context: Context, question: TopEigenpairs, check: Check) -> list[SweepSchedule]:
    """How cycles will be run until all products are spent, of each group at all points.

    Raises:
        InvalidRequest: the call, the start or an option does not fit.
        NotDifferentiable: there is no such matrix.
        LimitExceeded: memory or operations above a limit.
    """
    named = prepared(context, question, check)
    points, call = named.call.points, at(named.call, 0)
    if named.groups and named.start:
        refuse([Violation("start", "K8", "vectors to begin with are those of one matrix; leave the groups out")])
    return [_schedule(context, replace(each, call=call), check, points) for each in each_group(named)]


def answers(context: Context, question: TopEigenpairs, control: Control) -> Iterator[Eigenpairs]:
    """The eigenpairs after each cycle, until all have converged and a search from new random vectors finds no other.

    Of several groups or points one after the other.

    Raises:
        InvalidRequest, NotDifferentiable, LimitExceeded: as `schedules` does.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    return in_groups(context, question, control, schedules, _answers)


def _answers(context: Context, named: TopEigenpairs, control: Control, resumable: Resumable) -> Iterator[Eigenpairs]:
    """The answers about one matrix."""
    stood, scheduled = resumable.stood, _schedule(context, named, control.check)
    search, visits = _Search(named), visits_of(context, named, _cycle(named), scheduled, control, stood)
    if stood is None:
        search.take(visits.one(search.cycles, search.state()))
    else:
        search.stand(stood)
    while True:
        report = visits.report(search.spent)
        answer = search.answer(report)
        yield resumable.marked(answer, search.standing(), report)
        if answer.stop_reason is not SearchStop.NONE:
            return
        search.take(visits.one(search.cycles, search.state()))


class _Search:
    """Where a search for eigenpairs stands."""

    def __init__(self, question: TopEigenpairs) -> None:
        self._question, self._space, self._cycle = question, space_of(question), _cycle(question)
        self._most = question.max_products or DEFAULT_PRODUCTS
        size = self._space.size
        self._basis = self._images = np.empty((0, size))
        self._values = self._residuals = np.empty(0)
        self._converged = np.empty(0, bool)
        self._drawn, self._searching, self._complete = 0, False, False
        self._start, self._scale = self._first(), 0.0
        self.spent = self.cycles = 0

    def standing(self) -> State:
        """What `stand` takes."""
        arrays = {"values": self._values, "residuals": self._residuals}
        counts = {"drawn": self._drawn, "spent": self.spent, "cycles": self.cycles, "complete": int(self._complete)}
        return {**self.state(), **arrays, **{name: np.asarray(count) for name, count in counts.items()}}

    def stand(self, stood: Standing) -> None:
        """Goes to where it stood."""
        size, capacity = self._space.size, self._cycle.capacity
        self._basis = basis = stood.array("basis", None, size)
        self._images, self._values = stood.array("images", len(basis), size), stood.array("values", len(basis))
        self._residuals = stood.array("residuals", min(self._cycle.count, len(basis)))
        self._start, self._scale = stood.array("start", None, size), float(stood.array("scale"))
        squares = np.einsum("ij,ij->i", basis, basis)
        fits = len(basis) <= self._cycle.kept and len(self._start) <= capacity and np.allclose(squares, 1.0)
        if not fits or not np.isfinite(self._images @ self._images.T).all():
            refuse_token("the basis")
        self._searching, self._complete = bool(stood.number("searching")), bool(stood.count("complete", 0, 1))
        self._drawn, self.spent, self.cycles = (stood.count(name, 1) for name in ("drawn", "spent", "cycles"))
        self._converged = self._residuals <= self._allowed

    @property
    def _allowed(self) -> float:
        """The residual of what has converged."""
        return self._cycle.tolerance * self._scale

    def state(self) -> Mapping[str, Array]:
        """What the next cycle begins with."""
        numbers = {"searching": np.array(float(self._searching)), "scale": np.array(self._scale)}
        numbers["left"] = np.array(float(self._most - self.spent))
        return {"basis": self._basis, "images": self._images, "start": self._start, **numbers}

    def take(self, found: Mapping[str, Array]) -> None:
        """Notes what a cycle has found, and decides how to go on."""
        self.cycles += 1
        before, self._values = self._values, found["values"]
        self._basis, self._images, self._residuals = found["basis"], found["images"], found["residuals"]
        told = Told(*found["told"].tolist())
        self.spent, self._scale = self.spent + int(told.spent), told.scale
        count, allowed = self._cycle.count, self._allowed
        self._converged = self._residuals <= allowed
        done = len(self._residuals) == count and bool(self._converged.all())
        same = len(before) >= count and bool(np.all(np.abs(self._values[:count] - before[:count]) <= allowed))
        searched = self._searching and same and done
        self._complete = done and bool(told.whole or (searched and told.settled))
        # What can be reached from the vectors so far is known, or nearly: only a new one leads anywhere else.
        fresh = told.stuck or (done and not searched)
        self._start = self._random(1) if fresh else np.empty((0, self._space.size))
        self._searching = done

    def answer(self, report: Report) -> Eigenpairs:
        """The full current answer."""
        count = len(self._residuals)
        rows = self._basis[:count]
        rows = rows * np.where(np.take_along_axis(rows, np.argmax(np.abs(rows), axis=1)[:, None], 1) < 0, -1.0, 1.0)
        return Eigenpairs(
            values=self._values[:count].copy(),
            vectors=self._space.split(rows),
            residuals=self._residuals.copy(),
            converged=tuple(self._converged.tolist()),
            complete=self._complete,
            end=self._question.end,
            tolerance=self._cycle.tolerance,
            products=self.spent,
            stop_reason=self._stop_reason(),
            seed=self._question.seed,
            report=report,
        )

    def _stop_reason(self) -> SearchStop:
        if self._complete:
            return SearchStop.TOLERANCE
        goes_on = self.spent + self._cycle.count < self._most  # by a vector, and with certificates
        return SearchStop.NONE if goes_on else SearchStop.MAX_PRODUCTS

    def _first(self) -> Array:
        """The vectors of the first cycle: those given and a random one; all of the space if it is small."""
        given = arrays_of(self._question.start)
        rows = self._space.joined(given) if given else np.empty((0, self._space.size))
        small = self._space.size <= self._cycle.capacity
        return np.concatenate([rows, self._random(self._space.size if small else 1)])

    def _random(self, count: int) -> Array:
        first, self._drawn = self._drawn, self._drawn + count
        return random_rows(self._question.seed, first, self._drawn, self._space.size)


def _schedule(context: Context, question: TopEigenpairs, check: Check, points: int = 1) -> SweepSchedule:
    refuse(_violations(question))
    context.limits.check_count("probes", question.max_products)
    schedule_of(context, question, None, check=check)  # refuses what there is no matrix of
    cycle = _cycle(question)
    laps = -(-(question.max_products or DEFAULT_PRODUCTS) // cycle.products)
    return schedule_of(context, question, cycle, points * laps, check)


def _cycle(question: TopEigenpairs) -> Cycle:
    space = space_of(question)
    count = min(question.count or DEFAULT_COUNT, space.size)
    capacity = min(question.basis or 3 * count + 24, space.size)
    kept = min(count + max(1, (capacity - count) // 4), capacity)
    tolerance = question.tolerance or of_single(epsilon_of(question.call.graph), 1e-4, 1e-6)
    return Cycle(space, count, question.end, capacity, kept, tolerance)


def _violations(question: TopEigenpairs) -> list[Violation]:
    size, count = space_of(question).size, question.count
    violations = at_most("count", count, size, "the number of eigenpairs is")
    violations += at_most("basis", question.basis, MOST_BASIS, "there are at most")
    violations += positive("tolerance", question.tolerance, "tolerance")
    pairs = count or min(DEFAULT_COUNT, size)
    if question.basis and question.basis < min(pairs + 2, size):
        text = f"a space of {question.basis} vectors is too small for {pairs} pairs; give {pairs + 2} at least"
        violations.append(Violation("basis", "K7", text))
    if question.max_products and question.max_products < 2 * pairs:
        text = f"{question.max_products} products are too few for {pairs} pairs and their certificates"
        violations.append(Violation("max_products", "K7", text))
    if question.start:
        found = vector_violations(question, "start", question.start, rows=True)
        rows = {type_.lengths[0] for type_ in types_of(question.start).values() if type_.shape}
        if not found and len(rows) != 1:
            found = [Violation("start", "K8", "its arrays have leading axes of different lengths")]
        violations += found or at_most("start", rows.pop(), _cycle(question).capacity - 1, "the space has room for")
    return violations
