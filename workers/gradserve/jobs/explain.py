"""What a job would cost and where it would run, without running it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradserve.autodiff import Derivation, Evaluate, Hvp, Jvp
from gradserve.execution import Plan
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.jobs.call import Options, Reduction
from gradserve.jobs.context import Context
from gradserve.jobs.cut import Piece
from gradserve.jobs.dense import Basis, Mode, basis_of, cheapest
from gradserve.jobs.derivative import batching_of, derivation_of
from gradserve.jobs.kinks import counting
from gradserve.jobs.plans import go_on
from gradserve.text.printing import to_text


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A job that might be asked for."""

    graph: Graph
    derivation: str
    """evaluate, gradient, jvp, vjp, hvp, jacobian or hessian."""
    wrt: tuple[str, ...]
    options: Options
    batch: Sequence[str] = ()
    """The inputs that would carry a batch."""
    points: int = 1
    """The number of points; ignored without a batch."""
    reduction: Reduction = Reduction.NONE


@dataclass(frozen=True, slots=True)
class Explanation:
    """The prediction for one job."""

    inputs: dict[str, TensorType]
    outputs: dict[str, TensorType]
    text: str
    """The derived and optimised graph for one example."""
    flops: float
    bytes: float
    peak_bytes: int
    seconds: float
    """Predicted seconds on one worker."""
    chunks: tuple[int, ...]
    """Points in each chunk; of a dense derivative, columns or rows."""
    placement: str
    executor: str
    reason: str
    loss_flops: float
    """Floating-point operations of the graph itself, for one example."""
    mode: str = ""
    """How a dense derivative is accumulated: forward, by columns, or reverse, by rows."""


def explain(context: Context, inquiry: Inquiry) -> Explanation:
    """The prediction for a job on a concrete graph. A job over a limit is explained as well, and says so."""
    if inquiry.derivation in ("jacobian", "hessian"):
        return _explain_dense(context, inquiry)
    graph, options = inquiry.graph, inquiry.options
    derivation = counting(derivation_of(inquiry.derivation, inquiry.wrt), options)
    batching = batching_of(graph, derivation, inquiry.batch, inquiry.points, inquiry.reduction)
    try:
        pieces, _ = context.pieces(graph, derivation, batching)
    except LimitExceeded as error:
        return _refused(context, inquiry, derivation, error)
    return _explanation(context, inquiry, derivation, pieces)


def _explain_dense(context: Context, inquiry: Inquiry) -> Explanation:
    try:
        mode, basis = _basis(context, inquiry)
    except LimitExceeded as error:
        wrt = inquiry.wrt
        return _refused(context, inquiry, Jvp(wrt) if inquiry.derivation == "jacobian" else Hvp(wrt), error)
    points = inquiry.points if inquiry.batch else 1
    return _explanation(context, inquiry, basis.derivation, basis.pieces * points, mode.value)


def _basis(context: Context, inquiry: Inquiry) -> tuple[Mode, Basis]:
    if inquiry.derivation == "jacobian":
        return cheapest(context, inquiry.graph, inquiry.wrt, inquiry.options, Mode.AUTO, go_on)
    return Mode.FORWARD, basis_of(context, inquiry.graph, Hvp(inquiry.wrt), inquiry.options, go_on)


def _refused(context: Context, inquiry: Inquiry, derivation: Derivation, error: LimitExceeded) -> Explanation:
    single, _ = context.plans.plan(inquiry.graph, derivation)
    return _described(context, inquiry, derivation, [single], (1,), ("refused", error.message))


def _explanation(
    context: Context, inquiry: Inquiry, derivation: Derivation, pieces: tuple[Piece, ...], mode: str = ""
) -> Explanation:
    data_bytes = sum(t.nbytes for t in pieces[0].plan.graph.input_types.values())
    pool, reason = context.place(pieces, data_bytes, inquiry.options)
    sizes = tuple(piece.stop - piece.start for piece in pieces)
    plans = [piece.plan for piece in pieces]
    return _described(context, inquiry, derivation, plans, sizes, (pool.name, reason), mode)


def _described(
    context: Context,
    inquiry: Inquiry,
    derivation: Derivation,
    plans: Sequence[Plan],
    chunks: tuple[int, ...],
    placed: tuple[str, str],
    mode: str = "",
) -> Explanation:
    derived = context.plans.derived(inquiry.graph, derivation)
    loss, _ = context.plans.plan(inquiry.graph, Evaluate())
    placement, reason = placed
    return Explanation(
        inputs=dict(derived.input_types),
        outputs=dict(derived.output_types),
        text=to_text(derived),
        flops=sum(plan.flops for plan in plans),
        bytes=sum(plan.bytes for plan in plans),
        peak_bytes=max(plan.peak_bytes for plan in plans),
        seconds=sum(plan.seconds for plan in plans),
        chunks=chunks,
        placement=placement,
        executor=context.executor(inquiry.options),
        reason=reason,
        loss_flops=loss.flops,
        mode=mode,
    )
