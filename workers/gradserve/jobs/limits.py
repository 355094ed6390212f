"""Limits on one call. Work over a limit is refused from its graph or its plan, before anything is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradserve.execution import Plan
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph, Origin


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one call may cost."""

    value_bytes: int = 128 << 30
    """Bytes of any one value of the graph as it was sent, even if a plan need not store it."""
    peak_bytes: int = 8 << 30
    """Live bytes of one chunk."""
    step_seconds: float = 60.0
    """Predicted seconds of any one step: no executor can be stopped within a step."""
    flops: float = 1e15
    """Floating-point operations of the whole call."""
    result_bytes: int = 4 << 30
    """Bytes of all results."""
    points: int = 1_000_000
    """Points of one batch."""
    probes: int = 1_000_000
    """Probes of one estimate."""
    directions: int = 1_000
    """Directions of one verification."""

    def check_graph(self, graph: Graph) -> None:
        """Refuses a graph with an enormous value before anything is planned.

        Raises:
            LimitExceeded: a value is over `value_bytes`.
        """
        if graph.largest_value is None:
            return
        type_, origin = graph.largest_value
        if type_.nbytes > self.value_bytes:
            what = f"the graph has a value {type_} of {_binary(type_.nbytes)}{_traced(origin)}"
            raise _exceeded("value_bytes", what, _binary(self.value_bytes), "reduce before you broadcast")

    def check_points(self, points: int) -> None:
        """Refuses a batch of too many points, before it is cut.

        Raises:
            LimitExceeded: there are more than `points`.
        """
        if points > self.points:
            raise _exceeded("points", f"the batch has {points} points", str(self.points), "send it in several calls")

    def check_plans(self, plans: Sequence[Plan], times: int = 1) -> None:
        """Refuses a job by the plans of its chunks, each of them run so many `times`.

        Raises:
            LimitExceeded: memory, time of a step, or operations over a limit.
        """
        peak = max(plan.peak_bytes for plan in plans)
        if peak > self.peak_bytes:
            what = f"the plan needs {_binary(peak)} at once"
            raise _exceeded("peak_bytes", what, _binary(self.peak_bytes), _largest_step(plans))
        longest = max(plan.longest_step_seconds for plan in plans)
        if longest > self.step_seconds:
            what = f"one step of the plan is predicted to take {longest:.3g} s"
            raise _exceeded("step_seconds", what, f"{self.step_seconds:.3g} s", _largest_step(plans))
        flops = times * sum(plan.flops for plan in plans)
        if flops > self.flops:
            what = f"the job takes {flops:.3g} floating-point operations"
            raise _exceeded("flops", what, f"{self.flops:.3g}", "ask for fewer points, or evaluate less data")


def _exceeded(limit: str, what: str, most: str, advice: str) -> LimitExceeded:
    return LimitExceeded(limit, f"{what} and the limit {limit} is {most}; {advice}")


def _binary(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.4g} TiB"


def _largest_step(plans: Sequence[Plan]) -> str:
    """The step with the largest results, for the one who must make it smaller."""
    steps = [(step, plan) for plan in plans for step in plan.steps]
    if not steps:
        return "its arguments alone are larger"
    step, plan = max(steps, key=lambda found: sum(t.nbytes for t in found[0].result_types))
    shown = ", ".join(str(t) for t in step.result_types)
    return f"its largest value is {step.op.name}: {shown}{_traced(plan.graph.nodes[step.node].origin)}"


def _traced(origin: Origin | None) -> str:
    return f", traced at {origin}" if origin else ""
