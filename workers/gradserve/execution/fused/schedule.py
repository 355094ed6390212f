"""How the fused executor runs a program: regions as machine code, and between them the steps of the NumPy executor."""

from __future__ import annotations

from gradserve.execution import costs
from gradserve.execution.fused.blocks import Blocks, in_blocks
from gradserve.execution.fused.region import Region, fused
from gradserve.execution.fused.table import lowerable, weight
from gradserve.execution.numpy.schedule import NumpySchedule, Step, schedule_of
from gradserve.execution.program import Program
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ops.contraction.contract import Contract


@dataclass(frozen=True)
class FusedSchedule:
    """A program's regions and other steps, and what they take."""

    program: Program
    steps: NumpySchedule
    seconds: float
    """Predicted seconds on one core."""
    longest_step_seconds: float
    """Predicted seconds of the longest step, which is how long a cancellation may take to be seen."""

    @property
    def peak_bytes(self) -> int:
        """The largest sum of live bytes: arguments, and what steps have allocated and not yet freed."""
        return self.steps.peak_bytes


def fused_schedule(program: Program) -> FusedSchedule:
    """The schedule of a program."""
    graph = in_blocks(program.graph, lowerable)
    steps = schedule_of(Program(fused(graph, lowerable, weight)))
    alone = len(steps.steps) == 1  # then there is no Python around it
    seconds = [_seconds(step, 0.0 if alone else costs.STEP_SECONDS) for step in steps.steps]
    return FusedSchedule(program, steps, costs.CALL_SECONDS + sum(seconds), max(seconds, default=0.0))


def _seconds(step: Step, around: float) -> float:
    if not isinstance(step.op, Region):
        return step.seconds
    return around + costs.at_border(step.op.body, _read(step.op.body)) + costs.of_graph(step.op.body)


def _read(graph: Graph) -> set[int]:
    """The values that its nodes read, without those of products, whose seconds count what they read."""
    found: set[int] = set()
    for node in graph.nodes:
        if isinstance(node.op, Blocks):
            within = _read(node.op.body)
            found.update(k for n, k in enumerate(node.operands) if n in within)
        elif not isinstance(node.op, Contract):
            found.update(node.operands)
    return found
