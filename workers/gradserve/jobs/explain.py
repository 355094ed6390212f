"""What a job would cost and where it would run, without running it."""

from __future__ import annotations

from dataclasses import dataclass

from gradserve.autodiff import Derivation, Evaluate
from gradserve.execution import Plan
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.jobs.call import Options
from gradserve.jobs.context import Context
from gradserve.jobs.kinks import counting
from gradserve.jobs.plans import Batching


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
    """Points in each chunk."""
    placement: str
    executor: str
    reason: str
    loss_flops: float
    """Floating-point operations of the graph itself, for one example."""


def explain(
    context: Context, graph: Graph, derivation: Derivation, batching: Batching | None, options: Options
) -> Explanation:
    """The prediction for a derivation of a concrete graph. A job over a limit is explained as well, and says so."""
    executor, derivation = context.executor(options), counting(derivation, options)
    derived = context.plans.derived(graph, derivation)
    loss, _ = context.plans.plan(graph, Evaluate())
    try:
        pieces, _ = context.pieces(graph, derivation, batching)
    except LimitExceeded as error:
        single, _ = context.plans.plan(graph, derivation)
        return _explanation(derived, executor, loss.flops, [single], (1,), "refused", error.message)
    data_bytes = sum(t.nbytes for t in pieces[0].plan.graph.input_types.values())
    pool, reason = context.place(pieces, data_bytes, options)
    sizes = tuple(piece.stop - piece.start for piece in pieces)
    plans = [piece.plan for piece in pieces]
    return _explanation(derived, executor, loss.flops, plans, sizes, pool.name, reason)


def _explanation(
    derived: Graph,
    executor: str,
    loss_flops: float,
    plans: list[Plan],
    chunks: tuple[int, ...],
    placement: str,
    reason: str,
) -> Explanation:
    return Explanation(
        inputs=dict(derived.input_types),
        outputs=dict(derived.output_types),
        text=str(derived),
        flops=sum(plan.flops for plan in plans),
        bytes=sum(plan.bytes for plan in plans),
        peak_bytes=max(plan.peak_bytes for plan in plans),
        seconds=sum(plan.seconds for plan in plans),
        chunks=chunks,
        placement=placement,
        executor=executor,
        reason=reason,
        loss_flops=loss_flops,
    )
