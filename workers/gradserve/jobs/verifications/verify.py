"""A gradient compared with finite differences of its loss, and mixed partials compared in both orders."""

from __future__ import annotations

import functools
import operator
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from gradserve.autodiff import names
from gradserve.ir.errors import InvalidRequest, Violation, listed
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.jobs.sweeps.calls import checked, inputs_in_question, require_no_batch
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.resuming import Resumable
from gradserve.jobs.verifications.claimed import claim_of, violations
from gradserve.jobs.verifications.in_parts import call_in_parts, claim_in_parts
from gradserve.jobs.verifications.losses import Losses
from gradserve.jobs.verifications.thorough import Thorough
from gradserve.jobs.verifications.told import Told
from gradserve.questions.call import AtKinks, Call, arrays_of
from gradserve.questions.claimed import Claimed
from gradserve.questions.derivations import Gradient, Hvp, Jvp
from gradserve.questions.report import Kinks, Report
from gradserve.questions.symmetry import EntryPair, SymmetryProgress, VerifySymmetry
from gradserve.questions.verdicts import worst
from gradserve.questions.verification import (
    DEFAULT_DIRECTIONS,
    DEFAULT_TOLERANCE,
    Entry,
    EntryReport,
    InputReport,
    VerificationProgress,
    VerificationReport,
    VerifyGradient,
)
from gradserve.runtime.control import Control
from gradserve.verification import gradient, symmetry
from gradserve.verification.claims import verified
from gradserve.verification.directions import Layout, sign_directions
from gradserve.verification.measure import Problem
from gradserve.verification.pairs import DEFAULT_PAIRS, Pair, choose_pairs, entry_pair
from gradserve.verification.slopes import slope_along

R = TypeVar("R", InputReport, EntryReport)

SECOND_ORDER = 2
"""The directions along which the derivative is taken, to verify its gradient."""


def verify_gradient(context: Context, question: VerifyGradient, control: Control) -> Iterator[VerificationProgress]:
    """Progress stage by stage, and at the end the report on what is claimed, or on the gradient that Gradient answers.

    All evaluations of a stage are one sweep; the report does not depend on how many workers there are.

    Losses in single precision are evaluated in double (see `widen`): their own differences would keep three digits at
    best. What Gradient answers in single precision is still what is verified. Its rounding error is allowed for: 64
    spacings of the numbers, and twice the difference from the same gradient in double precision. If that is more than
    `relative_tolerance` of the derivative, the verdict is INCONCLUSIVE.

    Raises:
        InvalidRequest: `wrt`, `claimed`, `tangents` or the tolerance do not fit, or the call has a batch.
        NotDifferentiable: the graph is no loss where one is needed, or an op in it has no derivative.
        LimitExceeded: more directions, memory or operations than allowed.
        NumericalFailure: the gradient cannot be computed at the point itself.
        Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    call, work = checked(context, question.call, control.check), _Work(question, VerificationProgress)
    context = work.context(context)
    require_no_batch(call, "V1", "derivatives are verified at one point; leave the batch out")
    of_gradient = question.of is Claimed.GRADIENT
    wrt = inputs_in_question(call.graph, question.wrt, real=not of_gradient)
    tolerance = question.relative_tolerance or DEFAULT_TOLERANCE
    _refuse(_tolerance_violations(tolerance) + _order_violations(question) + violations(question, call.graph, wrt))
    claimed = claim_in_parts(call, arrays_of(question.claimed)) if of_gradient else {}
    call, wrt = call_in_parts(call, wrt)
    # Refuses what is no loss, and inputs that there are not.
    derivation = Jvp(wrt) if question.of.of_arrays else Gradient(wrt)
    context.programs.derived(call.graph, derivation, control.check)
    directions = question.directions or DEFAULT_DIRECTIONS
    context.limits.check_count("directions", directions)
    losses = Losses(context, call, wrt, control, spent=work.spent)
    if not of_gradient:
        claim = claim_of(question, losses, tolerance)
        report = yield from work.stages(verified(claim, directions, question.seed), losses)
        yield work.done(report, losses.kinks())
        return
    problem = _first_order(losses, call.graph, claimed, tolerance)
    report = yield from work.stages(gradient.verify(problem, directions, question.seed), losses)
    if question.order == 2:
        for turn, u in enumerate(sign_directions(problem.point, SECOND_ORDER, ~question.seed)):
            slope = problem.claim(u).value if call.options.kinks is AtKinks.RESOLVE else None
            along = _slopes_along(context, call, wrt, losses, u, control, slope, work.elsewhere)
            second = _second_order(losses, along, u, tolerance)
            more = yield from work.stages(gradient.verify(second, directions, question.seed + turn), along)
            report = _together(report, more)
    if question.thorough:
        before = losses.evaluations
        made = tuple(Thorough(context, call, losses, problem, wrt, control).checks(bool(claimed), question.seed))
        verdict = worst([report.verdict, *(check.verdict for check in made)])
        spent = report.evaluations + losses.evaluations - before
        report = replace(report, verdict=verdict, checks=made, evaluations=spent)
    yield work.done(report, losses.kinks())


def verify_symmetry(context: Context, question: VerifySymmetry, control: Control) -> Iterator[SymmetryProgress]:
    """Progress stage by stage, and at the end the report on the pairs named, or else on `count` pairs.

    As in `verify_gradient`, the report does not depend on how many workers there are, and losses in single precision
    are evaluated in double; the Hessian is the one that Hvp answers.

    Raises:
        InvalidRequest: `wrt`, a pair or the tolerance do not fit, or the call has a batch.
        NotDifferentiable: there is no Hessian.
        LimitExceeded: more pairs, memory or operations than allowed.
        NumericalFailure: the gradient or the Hessian cannot be computed at the point itself.
        Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    call, work = checked(context, question.call, control.check), _Work(question, SymmetryProgress)
    context = work.context(context)
    require_no_batch(call, "V1", "symmetry is verified at one point; leave the batch out")
    call, wrt = call_in_parts(call, question.wrt)
    context.programs.derived(call.graph, Hvp(wrt, product_only=True), control.check)  # refuses what is no loss
    layout = Layout({name: call.graph.input_types[name].lengths for name in wrt})
    tolerance = question.relative_tolerance or DEFAULT_TOLERANCE
    count = question.count or DEFAULT_PAIRS
    context.limits.check_count("directions", max(count, len(question.pairs)))
    _refuse(_tolerance_violations(tolerance) + _pair_violations(layout, question.pairs))
    losses = Losses(context, call, wrt, control, spent=work.spent)
    point = layout.pack(losses.arguments)
    chosen = [_named(layout, point, pair) for pair in question.pairs] or choose_pairs(point, count, question.seed)
    problem = symmetry.Plane(layout, point, layout.pack(losses.gradient(call.graph)), losses.epsilon, tolerance)
    report = yield from work.stages(symmetry.verify(problem, chosen, question.seed), losses)
    yield work.done(report, losses.kinks())


class _Work(Resumable):
    """A verification that can be gone on with: what was told and how far it is."""

    def __init__(self, question: VerifyGradient | VerifySymmetry, progress: Any) -> None:
        """`progress` is the class of its answers."""
        super().__init__(question)
        self._progress, self._told = progress, Told(self.stood)
        self.spent = Report() if self.stood is None else replace(self.stood.report, kinks=None)
        """What it cost before this call."""
        self._losses: list[Losses] = []

    @property
    def elsewhere(self) -> Report:
        """What losses begin with that have not cost anything: where it ran before this call."""
        return Report(executor=self.spent.executor, placement=self.spent.placement)

    @property
    def cost(self) -> Report:
        """What it cost so far, of all losses."""
        return functools.reduce(operator.add, (losses.report for losses in self._losses))

    def stages(self, dialogue: Generator[Any, Any, Any], losses: Losses) -> Generator[Any, None, Any]:
        """Progress for each stage of a dialogue, which is told the numbers that it wants; returns its report."""
        self._losses.append(losses)
        try:
            wanted = next(dialogue)
            while True:
                numbers = self._told.numbers(wanted, losses)
                if not self._told.goes_on:
                    yield self._marked(self._progress(wanted.name, losses.evaluations, losses.report))
                wanted = dialogue.send(numbers)
        except StopIteration as ended:
            return replace(ended.value, evaluations=losses.evaluations)

    def done(self, report: Any, kinks: Kinks | None) -> Any:
        """The last progress, with the report."""
        spent = replace(self.cost, kinks=kinks)
        return self._marked(self._progress("done", report.evaluations, spent, replace(report, kinks=kinks)))

    def _marked(self, progress: Any) -> Any:
        return self.marked(progress, self._told.state(), self.cost)


def _slopes_along(
    context: Context,
    call: Call,
    wrt: tuple[str, ...],
    losses: Losses,
    u: Array,
    control: Control,
    slope: float | None,
    spent: Report,
) -> Losses:
    """The derivative of the loss along u, as a loss; it is `slope` at the point if that is a limit."""
    types = call.graph.input_types
    parts = losses.layout.unpack(u)
    tangents = {names.along(name): parts[name].astype(types[name].element_type.dtype) for name in wrt}
    arguments = {**arrays_of(call.arguments), **tangents}
    with context.programs.spending(call.graph, control.check):
        slope_of = slope_along(call.graph, wrt)
    call = replace(call, graph=slope_of, arguments=arguments)
    return Losses(context, call, wrt, control, slope, spent)


def _second_order(losses: Losses, along: Losses, u: Array, tolerance: float) -> Problem:
    """H u, as Hvp answers it, to be verified as the gradient of the derivative along u."""
    (product,) = losses.products([u])
    return _problem(losses, product.value, product.value, along, tolerance)


def _together(first: VerificationReport, second: VerificationReport) -> VerificationReport:
    """The report on the first order, with what the second shows."""
    return replace(
        first,
        verdict=worst([first.verdict, second.verdict]),
        directions=(*first.directions, *(replace(row, order=2) for row in second.directions)),
        inputs=_worst_of_each([*first.inputs, *(replace(row, order=2) for row in second.inputs)]),
        entries=_worst_of_each([*first.entries, *(replace(row, order=2) for row in second.entries)]),
        evaluations=first.evaluations + second.evaluations,
        smallest_fault=max(first.smallest_fault, second.smallest_fault),
        flat_step=max(first.flat_step, second.flat_step),
    )


def _first_order(losses: Losses, graph: Graph, claimed: Mapping[str, Array], tolerance: float) -> Problem:
    """The claimed gradient, or else the one that Gradient answers, to be verified."""
    pack = losses.layout.pack
    own = pack(losses.gradient(graph)) if losses.single or not claimed else np.empty(0)
    return _problem(losses, pack(claimed) if claimed else own, own, losses, tolerance)


def _problem(losses: Losses, wanted: Array, own: Array, wide: Losses, tolerance: float) -> Problem:
    """What is wanted, to be verified; our own answer in single precision differs from the gradient of `wide`."""
    layout = losses.layout
    residue = own - layout.pack(wide.gradient(wide.graph)) if losses.single else np.zeros(layout.size)
    residue[~np.isfinite(residue)] = 0
    bound = (losses.bound or 0.0) + (wide.bound or 0.0)
    return Problem(layout, layout.pack(losses.arguments), wanted, residue, losses.epsilon, tolerance, bound)


def _worst_of_each(rows: Sequence[R]) -> tuple[R, ...]:
    """One row of each name, the worst."""
    found: dict[str, R] = {}
    for row in rows:
        known = found.get(row.name)
        if known is None or row.verdict.severity > known.verdict.severity:
            found[row.name] = row
    return tuple(found.values())


def _named(layout: Layout, point: Array, pair: EntryPair) -> Pair:
    positions = (layout.position(entry.input, entry.index) for entry in (pair.u, pair.v))
    return entry_pair(point, *positions)


def _refuse(violations: Sequence[Violation]) -> None:
    if violations:
        raise InvalidRequest("the request does not fit", violations)


def _tolerance_violations(tolerance: float) -> list[Violation]:
    if 0 < tolerance < np.inf:
        return []
    return [Violation("relative_tolerance", "V2", f"{tolerance} is no tolerance; 0 means the default")]


def _order_violations(question: VerifyGradient) -> list[Violation]:
    if question.order not in (0, 1, 2):
        return [Violation("order", "V7", f"there is no verification of order {question.order}; give 1 or 2")]
    if question.order == 2 and question.claimed:
        return [Violation("order", "V7", "of a claim only the first order is verified; leave one of them out")]
    if question.thorough and question.of is not Claimed.GRADIENT:
        return [Violation("thorough", "V7", f"other means than differences are of gradients; a {question.of} has none")]
    return []


def _pair_violations(layout: Layout, pairs: Sequence[EntryPair]) -> list[Violation]:
    violations = []
    for k, pair in enumerate(pairs):
        violations += _entry_violations(layout, f"pairs[{k}].u", pair.u)
        violations += _entry_violations(layout, f"pairs[{k}].v", pair.v)
        if pair.u == pair.v:
            violations.append(Violation(f"pairs[{k}]", "V6", "both are the same entry; a mixed partial takes two"))
    return violations


def _entry_violations(layout: Layout, field_path: str, entry: Entry) -> list[Violation]:
    shape = layout.shapes.get(entry.input)
    if shape is None:
        text = f"{entry.input!r} is not among the inputs to verify: {listed(layout.shapes)}"
    elif len(entry.index) != len(shape) or not all(0 <= k < n for k, n in zip(entry.index, shape, strict=True)):
        text = f"there is no entry {list(entry.index)} in {entry.input} of shape {list(shape)}"
    else:
        return []
    return [Violation(field_path, "V5", text)]
