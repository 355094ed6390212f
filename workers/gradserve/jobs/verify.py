"""A gradient compared with finite differences of its loss, and mixed partials compared in both orders."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array, type_of
from gradserve.jobs.calls import checked, inputs_in_question, require_no_batch, type_violations
from gradserve.jobs.context import Context
from gradserve.jobs.losses import Losses
from gradserve.questions.call import arrays_of
from gradserve.questions.derivations import Gradient, Hvp
from gradserve.questions.symmetry import EntryPair, SymmetryProgress, VerifySymmetry
from gradserve.questions.verification import Entry, VerificationProgress, VerifyGradient
from gradserve.runtime.control import Control
from gradserve.verification import gradient, symmetry
from gradserve.verification.directions import Layout
from gradserve.verification.measure import Problem
from gradserve.verification.pairs import DEFAULT_PAIRS, Pair, choose_pairs, entry_pair
from gradserve.verification.widen import is_single

DEFAULT_DIRECTIONS = 8
DEFAULT_TOLERANCE = 1e-3


def verify_gradient(context: Context, question: VerifyGradient, control: Control) -> Iterator[VerificationProgress]:
    """Progress stage by stage, and at the end the report on the claimed gradient, or on the one that Gradient answers.

    All evaluations of a stage are one sweep; the report does not depend on how many workers there are.

    Losses in single precision are evaluated in double (see `widen`): their own differences would keep three digits at
    best. What Gradient answers in single precision is still what is verified. Its rounding error is allowed for: 64
    spacings of the numbers, and twice the difference from the same gradient in double precision. If that is more than
    `relative_tolerance` of the derivative, the verdict is INCONCLUSIVE.

    Raises:
        InvalidRequest: `wrt`, `claimed` or the tolerance do not fit, or the call has a batch.
        NotDifferentiable: the graph is no loss, or an op in it has no derivative.
        LimitExceeded: more directions, memory or operations than allowed.
        NumericalFailure: the gradient cannot be computed at the point itself.
        Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    call = checked(question.call)
    require_no_batch(call, "V1", "a gradient is verified at one point; leave the batch out")
    wrt = inputs_in_question(call.graph, question.wrt)
    claimed = arrays_of(question.claimed)
    tolerance = question.relative_tolerance or DEFAULT_TOLERANCE
    _refuse(_tolerance_violations(tolerance) + (_claim_violations(call.graph, wrt, claimed) if claimed else []))
    directions = question.directions or DEFAULT_DIRECTIONS
    context.limits.check_count("directions", directions)
    context.programs.derived(call.graph, Gradient(wrt), control.check)  # refuses what is no loss
    losses = Losses(context, call, wrt, control)
    problem = _problem(losses, call.graph, claimed, tolerance)
    yield from _stages(gradient.verify(problem, directions, question.seed), losses, VerificationProgress)


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
    call = checked(question.call)
    require_no_batch(call, "V1", "symmetry is verified at one point; leave the batch out")
    wrt = inputs_in_question(call.graph, question.wrt)
    context.programs.derived(call.graph, Hvp(wrt, product_only=True), control.check)  # refuses what is no loss
    layout = Layout({name: call.graph.input_types[name].lengths for name in wrt})
    tolerance = question.relative_tolerance or DEFAULT_TOLERANCE
    _refuse(_tolerance_violations(tolerance) + _pair_violations(layout, question.pairs))
    count = question.count or DEFAULT_PAIRS
    context.limits.check_count("directions", max(count, len(question.pairs)))
    losses = Losses(context, call, wrt, control)
    point = layout.pack(losses.arguments)
    chosen = [_named(layout, point, pair) for pair in question.pairs] or choose_pairs(point, count, question.seed)
    epsilon = float(np.finfo(np.float32 if is_single(call.graph) else np.float64).eps)
    problem = symmetry.Plane(layout, point, layout.pack(losses.gradient(call.graph)), epsilon, tolerance)
    yield from _stages(symmetry.verify(problem, chosen, question.seed), losses, SymmetryProgress)


def _stages(dialogue: Generator[Any, Sequence[Array], Any], losses: Losses, progress: Any) -> Iterator[Any]:
    """Progress for each stage of a dialogue, which is told the numbers that it wants, and at the end its report."""
    kinks = losses.kinks()
    try:
        wanted = next(dialogue)
        while True:
            numbers = losses.products(wanted.vectors) if isinstance(wanted, symmetry.Products) else losses.at(wanted)
            yield progress(wanted.name, losses.evaluations, losses.report)
            wanted = dialogue.send(numbers)
    except StopIteration as ended:
        report = replace(ended.value, evaluations=losses.evaluations, kinks=kinks)
        yield progress("done", losses.evaluations, replace(losses.report, kinks=kinks), report)


def _problem(losses: Losses, graph: Graph, claimed: Mapping[str, Array], tolerance: float) -> Problem:
    layout, point = losses.layout, losses.layout.pack(losses.arguments)
    single = is_single(graph)
    own = layout.pack(losses.gradient(graph)) if single or not claimed else np.empty(0)
    wanted = layout.pack(claimed) if claimed else own
    if not single:
        return Problem(layout, point, wanted, np.zeros(layout.size), float(np.finfo(np.float64).eps), tolerance)
    residue = own - layout.pack(losses.gradient(losses.graph))
    residue[~np.isfinite(residue)] = 0
    return Problem(layout, point, wanted, residue, float(np.finfo(np.float32).eps), tolerance)


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


def _claim_violations(graph: Graph, wrt: Sequence[str], claimed: Mapping[str, Array]) -> list[Violation]:
    violations = []
    for name in wrt:
        type_, path = graph.input_types.get(name), f'claimed["{name}"]'
        if name not in claimed:
            violations.append(Violation(path, "V3", "the claimed gradient in this input is missing"))
        elif type_ is not None:
            violations += type_violations(path, type_of(claimed[name]), type_, batched=False)
    for name in claimed:
        if name not in wrt:
            text = f"{name!r} is not among the inputs to verify: {', '.join(wrt)}"
            violations.append(Violation(f'claimed["{name}"]', "V4", text))
    return violations


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
        text = f"{entry.input!r} is not among the inputs to verify: {', '.join(layout.shapes)}"
    elif len(entry.index) != len(shape) or not all(0 <= k < n for k, n in zip(entry.index, shape, strict=True)):
        text = f"there is no entry {list(entry.index)} in {entry.input} of shape {list(shape)}"
    else:
        return []
    return [Violation(field_path, "V5", text)]
