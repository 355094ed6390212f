"""Streams of gradients, block by block: every point to the bit as a call of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gradserve.ir.errors import (
    Cancelled,
    DeadlineExceeded,
    GradserveError,
    InvalidGraph,
    InvalidRequest,
    LimitExceeded,
    Violation,
)
from gradserve.ir.types import Array
from gradserve.jobs.answering import answers, ready_for
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.ready import Ready
from gradserve.questions.call import Call, arrays_of
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Kinks, Report
from gradserve.questions.streams import Block, Part
from gradserve.questions.transport import rounded_arguments
from gradserve.runtime.control import Control

PART_BYTES = 16 << 20
"""Results of points that are gathered before they are told."""
_ALL_ALIKE = (InvalidGraph, InvalidRequest, LimitExceeded)
"""Errors that no number of an argument changes: those that one point ends in, all further points of its block do.

But for numbers that cannot travel as the question says; those are looked for first.
"""


def parts(context: Context, question: Differentiate, block: Block, control: Control) -> Iterator[Part]:
    """What belongs to the points of a block: a part with all of them, cut where a point has none or parts grow large.

    Raises:
        Cancelled, DeadlineExceeded: the whole stream has ended.
    """
    arguments = arrays_of(block.arguments)
    if not block.points:
        yield Part(0, 0, _found(context, question, arguments, control))
        return
    refusal = _refusal(context, arguments, block.points)
    if refusal is not None:
        yield Part(0, block.points, refusal)
        return
    gathered = _Gathered(0)
    known: Ready | None = None
    found: Derivatives | GradserveError | None
    for position in range(block.points):
        point = {name: np.array(array[position]) for name, array in arguments.items()}
        unfit = _unfit(question, point)
        found = unfit if unfit or known is None else _at_once(known, point, control)
        if found is None:
            found = _found(context, question, point, control)
            known = ready_for(context, _at(question, point))()
        if isinstance(found, Derivatives):
            gathered.add(found)
        if not isinstance(found, Derivatives) or gathered.nbytes >= PART_BYTES:
            yield from gathered.part()
            gathered = _Gathered(position + 1)
        if unfit is None and isinstance(found, _ALL_ALIKE):
            yield Part(position, block.points - position, found)
            return
        if not isinstance(found, Derivatives):
            yield Part(position, 1, found)
    yield from gathered.part()


def _found(
    context: Context, question: Differentiate, arguments: Mapping[str, Array], control: Control
) -> Derivatives | GradserveError:
    """The answer to one call, or the error that it ends in."""
    try:
        (answer,) = answers(context, _at(question, arguments), control)
    except (Cancelled, DeadlineExceeded):
        raise
    except GradserveError as error:
        return error
    found: Derivatives = answer
    return found


def _unfit(question: Differentiate, arguments: Mapping[str, Array]) -> InvalidRequest | None:
    """Why the numbers of one point cannot travel as the question says; None if they can."""
    try:
        rounded_arguments(question, arguments)
    except InvalidRequest as error:
        return error
    return None


def _at_once(known: Ready, arguments: Mapping[str, Array], control: Control) -> Derivatives | None:
    """The answer to a call like the one before; None if it is to be asked for as any other, as where it has none."""
    try:
        with np.errstate(all="ignore"):
            return known.answer(dict(arguments), control)
    except (Cancelled, DeadlineExceeded):
        raise
    except GradserveError:
        return None


def _at(question: Differentiate, arguments: Mapping[str, Array]) -> Differentiate:
    call = question.call
    return Differentiate(Call(call.graph, arguments, call.batch, call.options), question.derivation)


def _refusal(context: Context, arguments: Mapping[str, Array], points: int) -> GradserveError | None:
    """Why a block cannot hold so many points; None if it does."""
    try:
        context.limits.check_points(points)
    except LimitExceeded as error:
        return error
    faults = _faults(arguments, points)
    return InvalidRequest("the arguments do not hold the points", faults) if faults else None


def _faults(arguments: Mapping[str, Array], points: int) -> list[Violation]:
    if not arguments:
        return [Violation("points", "R11", f"there is no argument with {points} points")]
    return [
        Violation(
            f'arguments["{name}"]', "R11", f"its shape is {array.shape}; the first axis must have {points} points"
        )
        for name, array in arguments.items()
        if not array.shape or array.shape[0] != points
    ]


class _Gathered:
    """Answers to points side by side."""

    def __init__(self, first: int) -> None:
        """`first` is the position of the first of them in its block."""
        self._first = first
        self._found: list[Derivatives] = []
        self.nbytes = 0

    def add(self, found: Derivatives) -> None:
        """Adds that of the next point."""
        self._found.append(found)
        self.nbytes += sum(array.nbytes for arrays in found.arrays.values() for array in arrays.values())

    def part(self) -> Iterator[Part]:
        """All of them as one part; none if there are none."""
        if self._found:
            arrays = {
                role: {name: np.stack([each.arrays[role][name] for each in self._found]) for name in named}
                for role, named in self._found[0].arrays.items()
            }
            report = together([each.report for each in self._found])
            yield Part(self._first, len(self._found), Derivatives(arrays, report))


def together(reports: list[Report]) -> Report:
    """The report on several calls of one kind."""
    first = reports[0]
    kinks = [report.kinks for report in reports if report.kinks is not None]
    return Report(
        queue=sum([report.queue for report in reports]),
        plan=sum([report.plan for report in reports]),
        execute=sum([report.execute for report in reports]),
        plan_cache_hit=all(report.plan_cache_hit for report in reports),
        executor=first.executor,
        placement=first.placement,
        chunks=sum([report.chunks for report in reports]),
        retries=sum([report.retries for report in reports]),
        batch_size=sum([report.batch_size for report in reports]),
        flops=sum([report.flops for report in reports]),
        peak_bytes=max([report.peak_bytes for report in reports]),
        nonfinite_outputs=sum([report.nonfinite_outputs for report in reports]),
        workers=tuple(dict.fromkeys([worker for report in reports for worker in report.workers])),
        kinks=_kinks(kinks) if kinks else None,
        transport=first.transport,
    )


def _kinks(found: list[Kinks]) -> Kinks:
    """The kinks of several calls; bounds hold for all of them, or for none."""
    on = [kinks for kinks in found if kinks.nodes]
    bounds = [kinks.bound for kinks in on]
    known = [bound for bound in bounds if bound is not None]
    return Kinks(
        nodes=max([kinks.nodes for kinks in found]),
        examples=sum([kinks.examples for kinks in found]),
        bound=max(known) if known and len(known) == len(bounds) else None,
    )
