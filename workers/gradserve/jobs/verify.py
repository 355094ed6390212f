"""A gradient compared with finite differences of its loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from gradserve.autodiff import Gradient
from gradserve.ir.errors import InvalidRequest, LimitExceeded, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.jobs.call import Call, type_violations
from gradserve.jobs.context import Context
from gradserve.jobs.losses import Losses
from gradserve.jobs.report import Report
from gradserve.runtime.control import Control
from gradserve.verification.gradient import verify
from gradserve.verification.measure import Problem
from gradserve.verification.report import VerificationReport
from gradserve.verification.widen import is_single

DEFAULT_DIRECTIONS = 8
DEFAULT_TOLERANCE = 1e-3

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Progress(Generic[R]):
    """How far a verification is; the last one carries the report."""

    stage: str
    evaluations: int
    """Evaluations of the loss so far."""
    execution: Report
    report: R | None = None


def verify_gradient(
    context: Context,
    call: Call,
    wrt: Sequence[str],
    *,
    claimed: Mapping[str, Array] | None,
    directions: int,
    seed: int,
    relative_tolerance: float,
    control: Control,
) -> Iterator[Progress[VerificationReport]]:
    """Progress stage by stage, and at the end the report on the claimed gradient, or on the one that Gradient answers.

    0 directions and 0 tolerance mean the defaults. All evaluations of a stage are one job, cut into chunks by cost; the
    report does not depend on how many workers there are.

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
    directions, tolerance = directions or DEFAULT_DIRECTIONS, relative_tolerance or DEFAULT_TOLERANCE
    _check(context, call, wrt, claimed, directions, tolerance)
    context.plans.derived(call.graph, Gradient(tuple(wrt)), control.check)  # refuses what is no loss
    losses = Losses(context, call, tuple(wrt), control)
    problem = _problem(losses, call.graph, claimed, tolerance)
    dialogue = verify(problem, directions, seed)
    try:
        stage = next(dialogue)
        while True:
            values = losses.at(stage)
            yield Progress(stage.name, losses.evaluations, losses.report)
            stage = dialogue.send(values)
    except StopIteration as ended:
        report: VerificationReport = replace(ended.value, evaluations=losses.evaluations)
        yield Progress("done", losses.evaluations, losses.report, report)


def _problem(losses: Losses, graph: Graph, claimed: Mapping[str, Array] | None, tolerance: float) -> Problem:
    layout, point = losses.layout, losses.layout.pack(losses.arguments)
    single = is_single(graph)
    own = layout.pack(losses.gradient(graph)) if single or claimed is None else np.empty(0)
    gradient = own if claimed is None else layout.pack(claimed)
    if not single:
        return Problem(layout, point, gradient, np.zeros(layout.size), float(np.finfo(np.float64).eps), tolerance)
    residue = own - layout.pack(losses.gradient(losses.graph))
    residue[~np.isfinite(residue)] = 0
    return Problem(layout, point, gradient, residue, float(np.finfo(np.float32).eps), tolerance)


def _check(
    context: Context,
    call: Call,
    wrt: Sequence[str],
    claimed: Mapping[str, Array] | None,
    directions: int,
    tolerance: float,
) -> None:
    violations = []
    if call.batch:
        violations.append(Violation("call.batch", "V1", "a gradient is verified at one point; leave the batch out"))
    if not tolerance > 0:
        violations.append(Violation("relative_tolerance", "V2", f"{tolerance} is no tolerance; 0 means the default"))
    for name in () if claimed is None else wrt:
        type_ = call.graph.input_types.get(name)
        if name not in claimed:  # type: ignore[operator]
            violations.append(Violation(f'claimed["{name}"]', "V3", "the claimed gradient in this input is missing"))
        elif type_ is not None:
            violations += type_violations(f'claimed["{name}"]', claimed[name], type_, batched=False)  # type: ignore[index]
    for name in claimed or ():
        if name not in wrt:
            text = f"{name!r} is not among the inputs to verify: {', '.join(wrt)}"
            violations.append(Violation(f'claimed["{name}"]', "V4", text))
    if violations:
        raise InvalidRequest("the request does not fit", violations)
    if directions > context.limits.directions:
        limit = context.limits.directions
        raise LimitExceeded("directions", f"{directions} directions are asked for and the limit directions is {limit}")
