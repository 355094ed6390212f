"""A plan: a graph lowered to steps with their memory and cost, from shapes alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gradserve.execution.numpy.schedule import Step, lower
from gradserve.ir.graph import Graph
from gradserve.ir.op import Cost


@dataclass(frozen=True)
class Plan:
    """What an executor runs. Made from shapes, so that work over a limit is refused before anything is allocated."""

    graph: Graph
    steps: tuple[Step, ...]
    digest: str
    flops: float
    bytes: float
    """Bytes read and written by all steps."""
    seconds: float
    """Predicted seconds on one core."""
    longest_step_seconds: float
    """Predicted seconds of the longest step, which is how long a cancellation may take to be seen."""
    peak_bytes: int
    """The largest sum of live bytes: arguments, constants, and what steps have allocated and not yet freed."""
    result_bytes: int
    """Bytes of all outputs."""

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.digest == other.digest


def make_plan(graph: Graph) -> Plan:
    """The plan of a concrete graph."""
    steps = lower(graph, make_plan)
    total = sum((step.cost for step in steps), Cost(0.0, 0.0))
    return Plan(
        graph=graph,
        steps=steps,
        digest=hashlib.sha256(b"plan 1 " + graph.digest.encode()).hexdigest(),
        flops=total.flops,
        bytes=total.bytes,
        seconds=sum(step.seconds for step in steps),
        longest_step_seconds=max((step.unstoppable_seconds for step in steps), default=0.0),
        peak_bytes=_peak_bytes(graph, steps),
        result_bytes=sum(type_.nbytes for type_ in graph.output_types.values()),
    )


def _peak_bytes(graph: Graph, steps: tuple[Step, ...]) -> int:
    live = sum(i.type.nbytes for i in graph.inputs) + sum(c.type.nbytes for c in graph.constants)
    peak = live
    for step in steps:
        live += step.allocates
        peak = max(peak, live + step.workspace)
        live -= step.releases
    return peak
