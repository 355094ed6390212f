"""Questions that are answered by products with one matrix, each of a vector that depends on those before.

Such a loop runs where its program is, as a recurrence: workers multiply hundreds of times without a way here and back.
Between two visits its state is here, so that answers come as they get better, and a worker that dies takes no more than
one visit with it. What a visit is depends on the question and on predicted cost alone, and so do the bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from gradserve.estimation import recurrence as recurrences
from gradserve.estimation.recurrence import Recurrence, Space
from gradserve.ir.errors import InvalidRequest, Violation, listed
from gradserve.ir.types import Array
from gradserve.jobs.derivatives.kinks import counted
from gradserve.jobs.estimates.multiplied import Products, not_finite, product_of
from gradserve.jobs.estimates.points import at, group_violations, in_turn
from gradserve.jobs.estimates.summed import Sums
from gradserve.jobs.sweeps.calls import checked, inputs_in_question, type_violations
from gradserve.jobs.sweeps.chunks import LapOf
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Check, go_on
from gradserve.jobs.sweeps.resuming import Resumable
from gradserve.jobs.sweeps.sweep import Sweep, SweepSchedule
from gradserve.pools.work import Shared
from gradserve.questions.call import Argument, arrays_of, types_of
from gradserve.questions.matrices import OfMatrices, OfMatrix
from gradserve.questions.report import Kinks, Report
from gradserve.questions.resuming import Standing
from gradserve.runtime.control import Control

Q = TypeVar("Q", bound=OfMatrix)
Several = TypeVar("Several", bound=OfMatrices)


def prepared(context: Context, question: Q, check: Check) -> Q:
    """The question with its call checked and its inputs named.

    Raises:
        InvalidRequest: the call does not fit, or there are no numbers in the inputs in question.
    """
    call = checked(context, question.call, check)
    named = replace(question, call=call, wrt=inputs_in_question(call.graph, question.wrt))
    unknown = [name for name in named.wrt if name not in call.graph.input_types]
    if not unknown and not space_of(named).size:
        refuse([Violation("wrt", "K2", "there are no numbers in the inputs in question, and so no matrix")])
    return named


def each_group(question: Several) -> list[Several]:
    """The prepared question about each of its groups alone; itself if there are none.

    Raises:
        InvalidRequest: there are no such groups.
    """
    refuse(group_violations(question.groups, space_of(question)))
    return [replace(question, wrt=each.inputs) for each in question.groups] or [question]


def in_groups(
    context: Context,
    question: Several,
    control: Control,
    schedules: Callable[[Context, Several, Check], list[SweepSchedule]],
    answers: Callable[[Context, Several, Control, Resumable], Iterator[Any]],
) -> Iterator[Any]:
    """What `answers` gives of each group at each point, one after the other, each saying what it is about."""
    resumable, named = Resumable(question), prepared(context, question, control.check)
    context, asked = resumable.context(context), each_group(named)
    names = [each.name for each in named.groups] or [""]
    count = named.call.points * len(asked)
    if count > 1:
        schedules(context, question, control.check)  # refuses what is too much at all points together

    def answer(position: int, part: Resumable) -> Iterator[Any]:
        point, k = divmod(position, len(asked))
        one = replace(asked[k], call=at(named.call, point))
        for found in answers(context, one, control, part):
            yield replace(found, point=point, group=names[k])

    def called(position: int) -> str:
        point, k = divmod(position, len(asked))
        parts = (f"point {point}", count > len(asked)), (f"group {names[k]}", bool(names[k]))
        return ", ".join(part for part, told in parts if told)

    yield from in_turn(count, resumable, answer, called)


def refuse(violations: Sequence[Violation]) -> None:
    """Raises InvalidRequest if there are violations."""
    if violations:
        raise InvalidRequest("the request does not fit", violations)


def space_of(question: OfMatrix) -> Space:
    """The inputs in question as one vector."""
    return Space.of(question.call.graph.input_types, question.wrt)


def schedule_of(
    context: Context, question: OfMatrix, recurrence: Recurrence | None, laps: int = 1, check: Check = go_on
) -> SweepSchedule:
    """How a recurrence will be run, so many times; without one, how a product would be.

    Raises:
        InvalidRequest: an option asks for what is not there.
        NotDifferentiable: there is no such matrix.
        LimitExceeded: memory, operations or time above a limit.
    """
    call = question.call
    context.limits.check_graph(call.graph)
    product = product_of(question, question.wrt)
    context.programs.derived(call.graph, product, check)
    if recurrence is not None and call.batch:
        context.limits.check_peak(recurrence.nbytes, "what is held", "ask for fewer steps, pairs or inputs")
    if call.batch:
        products = Products(context, question, question.wrt, Control())
        return products.schedule(check, laps * (1 if recurrence is None else recurrence.products))
    nbytes = sum(argument.nbytes for argument in call.arguments.values())
    sweep = Sweep(call.graph, product, call.options, nbytes, laps=laps, recurrence=recurrence)
    return sweep.schedule(context, check)


def vector_violations(
    question: OfMatrix, field_path: str, vectors: Mapping[str, Argument], rows: bool = False
) -> list[Violation]:
    """Why vectors do not have an array of the right type for each input in question; with a leading axis if `rows`."""
    types, given, wanted = question.call.graph.input_types, types_of(vectors), {*question.wrt}
    violations = [
        Violation(f'{field_path}["{name}"]', "K3", f"what belongs to this input is missing: {types[name]}")
        for name in question.wrt
        if name in types and name not in given
    ]
    for name, type_ in given.items():
        path = f'{field_path}["{name}"]'
        if name not in wanted:
            text = f"{name!r} is not among the inputs in question: {listed(question.wrt)}"
            violations.append(Violation(path, "K3", text))
        elif name in types:  # what is no input at all is refused where the product is derived
            violations += type_violations(path, type_, types[name], rows)
    for name, argument in vectors.items():
        if isinstance(argument, np.ndarray) and not violations and not np.isfinite(argument).all():
            violations.append(Violation(f'{field_path}["{name}"]', "K4", "it has elements that are not finite"))
    return violations


def visits_of(
    context: Context,
    question: OfMatrix,
    recurrence: Recurrence,
    scheduled: SweepSchedule,
    control: Control,
    stood: Standing | None,
) -> Visits | Sums:
    """What runs a recurrence: where its program is, or of a sum over a batch beside its products."""
    if question.call.batch:
        return Sums(context, question, recurrence, control, stood)
    return Visits(context, question, scheduled, control, stood)


class Visits:
    """The visits of one question at one point to workers, and what they cost."""

    def __init__(
        self,
        context: Context,
        question: OfMatrix,
        scheduled: SweepSchedule,
        control: Control,
        stood: Standing | None = None,
    ) -> None:
        """Counts what sits on a kink at the point, unless the call declines or that was done before."""
        self._question, self._scheduled, self._control = question, scheduled, control
        self._arguments = arrays_of(question.call.arguments)
        self._kinks: Kinks | None = None
        self._report = Report()
        if stood is not None:
            self._kinks, self._report = stood.report.kinks, stood.report
        elif question.call.options.counts:
            self._kinks, self._report = counted(context, question.call, question.wrt, control)

    def each(self, laps: LapOf, chunks: range) -> Iterator[Mapping[str, Array]]:
        """What the recurrence gives in some of its laps, in their order.

        Raises:
            NumericalFailure: a product is not finite.
            Cancelled, DeadlineExceeded, WorkerLost: while running.
        """
        yield from self._run(laps, self._arguments, chunks)

    def one(self, number: int, state: Mapping[str, Array]) -> Mapping[str, Array]:
        """What the recurrence makes of a state; raises what `each` does."""
        data = {**self._arguments, **{recurrences.state(name): array for name, array in state.items()}}
        lap = {name: Shared(name) for name in data}
        (found,) = self._run(lambda _: lap, data, range(number, number + 1))
        return found

    def report(self, products: int) -> Report:
        """What has been spent so far, on so many products."""
        flops = products * sum(piece.instance.program.flops for piece in self._scheduled.pieces)
        return replace(self._report, flops=flops, batch_size=products, kinks=self._kinks)

    def _run(self, laps: LapOf, data: Mapping[str, Array], chunks: range) -> Iterator[Mapping[str, Array]]:
        started, before = time.perf_counter(), self._report
        running = self._scheduled.run(laps, data, self._control, chunks)
        for result in running:
            if any(np.isnan(array).any() for array in result.outputs.values()):
                raise not_finite(self._question)
            spent = replace(running.report(time.perf_counter() - started), plan=0.0, nonfinite_outputs=0)
            # Executor and placement are those of the products.
            self._report = replace(spent + before, plan=before.plan)
            yield result.outputs


def positive(name: str, value: float, path: str = "") -> list[Violation]:
    """Why a number is no tolerance, width or damping."""
    if 0 <= value < np.inf:
        return []
    return [Violation(path or name, "K5", f"{value} is none; give a finite number that is not negative")]


def at_most(name: str, value: int, most: int, what: str) -> list[Violation]:
    """Why a count is too large for what there is."""
    return [] if value <= most else [Violation(name, "K6", f"{value} are asked for, and {what} {most}")]


def of_single(epsilon: float, single: Any, double: Any) -> Any:
    """The default for graphs in single precision, or the one for those in double."""
    return single if epsilon > 1e-10 else double
