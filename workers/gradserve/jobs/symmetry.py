"""Mixed partials of a loss compared in both orders, with each other and with the derived Hessian."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gradserve.autodiff import Hvp
from gradserve.ir.errors import InvalidRequest, LimitExceeded, Violation
from gradserve.jobs.call import Call
from gradserve.jobs.context import Context
from gradserve.jobs.losses import Losses
from gradserve.jobs.verify import DEFAULT_TOLERANCE, Progress
from gradserve.runtime.control import Control
from gradserve.verification.directions import Layout
from gradserve.verification.pairs import DEFAULT_PAIRS, Pair, choose_pairs, entry_pair
from gradserve.verification.report import Place, SymmetryReport
from gradserve.verification.symmetry import Problem, Products, verify
from gradserve.verification.widen import is_single


def verify_symmetry(
    context: Context,
    call: Call,
    wrt: Sequence[str],
    *,
    pairs: Sequence[tuple[Place, Place]],
    count: int,
    seed: int,
    relative_tolerance: float,
    control: Control,
) -> Iterator[Progress[SymmetryReport]]:
    """Progress stage by stage, and at the end the report on the pairs named, or else on `count` pairs.

    0 pairs and 0 tolerance mean the defaults. As in `verify_gradient`, the report does not depend on how many workers
    there are, and losses in single precision are evaluated in double; the Hessian is the one that Hvp answers.

    Raises:
        InvalidRequest: `wrt`, a pair or the tolerance do not fit, or the call has a batch.
        NotDifferentiable: there is no Hessian.
        LimitExceeded: more pairs, memory or operations than allowed.
        NumericalFailure: the gradient or the Hessian cannot be computed at the point itself.
        Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    count, tolerance = count or DEFAULT_PAIRS, relative_tolerance or DEFAULT_TOLERANCE
    context.plans.derived(call.graph, Hvp(tuple(wrt), product_only=True), control.check)  # refuses what is no loss
    layout = Layout({name: call.graph.input_types[name].lengths for name in wrt})
    _check(context, call, layout, pairs, count, tolerance)
    losses = Losses(context, call, tuple(wrt), control)
    point = layout.pack(losses.arguments)
    chosen = [_named(layout, point, *pair) for pair in pairs] or choose_pairs(point, count, seed)
    epsilon = float(np.finfo(np.float32 if is_single(call.graph) else np.float64).eps)
    problem = Problem(layout, point, layout.pack(losses.gradient(call.graph)), epsilon, tolerance)
    dialogue = verify(problem, chosen, seed)
    try:
        wanted = next(dialogue)
        while True:
            answer = losses.products(wanted.vectors) if isinstance(wanted, Products) else losses.at(wanted)
            yield Progress(wanted.name, losses.evaluations, losses.report)
            wanted = dialogue.send(answer)
    except StopIteration as ended:
        report: SymmetryReport = replace(ended.value, evaluations=losses.evaluations)
        yield Progress("done", losses.evaluations, losses.report, report)


def _named(layout: Layout, point: np.ndarray, u: Place, v: Place) -> Pair:
    return entry_pair(point, layout.position(u.input, u.index), layout.position(v.input, v.index))


def _check(
    context: Context,
    call: Call,
    layout: Layout,
    pairs: Sequence[tuple[Place, Place]],
    count: int,
    tolerance: float,
) -> None:
    violations = []
    if call.batch:
        violations.append(Violation("call.batch", "V1", "symmetry is verified at one point; leave the batch out"))
    if not 0 < tolerance < np.inf:
        violations.append(Violation("relative_tolerance", "V2", f"{tolerance} is no tolerance; 0 means the default"))
    for k, (u, v) in enumerate(pairs):
        violations += _place_violations(layout, f"pairs[{k}].u", u) + _place_violations(layout, f"pairs[{k}].v", v)
        if u == v:
            violations.append(Violation(f"pairs[{k}]", "V6", "both are the same entry; a mixed partial takes two"))
    if violations:
        raise InvalidRequest("the request does not fit", violations)
    asked, limit = max(count, len(pairs)), context.limits.directions
    if asked > limit:
        raise LimitExceeded(
            "directions", f"{asked} pairs of directions are asked for and the limit directions is {limit}"
        )


def _place_violations(layout: Layout, field_path: str, place: Place) -> list[Violation]:
    shape = layout.shapes.get(place.input)
    if shape is None:
        text = f"{place.input!r} is not among the inputs to verify: {', '.join(layout.shapes)}"
    elif len(place.index) != len(shape) or not all(0 <= k < n for k, n in zip(place.index, shape, strict=True)):
        text = f"there is no entry {list(place.index)} in {place.input} of shape {list(shape)}"
    else:
        return []
    return [Violation(field_path, "V5", text)]
