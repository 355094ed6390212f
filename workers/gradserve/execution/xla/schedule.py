"""What a compiled program takes, from shapes alone."""

from __future__ import annotations

from gradserve.execution import costs
from gradserve.execution.program import Program
from gradserve.ir.budget import remembered
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass

LAUNCH_SECONDS = 5e-5
"""Seconds that a call takes beside the work."""
_GIVEN_BYTES_PER_SECOND = 4e9
"""Arguments are copied for XLA."""


@dataclass(frozen=True)
class XlaSchedule:
    """One step: XLA orders what is inside it. A cancellation is seen before it and after it."""

    program: Program
    seconds: float
    """Predicted seconds on one core; chains of elementwise ops are fused, so arguments and results alone are moved."""
    peak_bytes: int
    """The largest sum of live bytes if every value were stored: XLA stores fewer."""

    @property
    def longest_step_seconds(self) -> float:
        """Those of the whole program."""
        return self.seconds


def schedule_of(program: Program) -> XlaSchedule:
    """The schedule of a program."""
    work = program.argument_bytes / _GIVEN_BYTES_PER_SECOND + costs.of_graph(program.graph, compiled={})
    return XlaSchedule(program, LAUNCH_SECONDS + work, _peak_bytes(program.graph))


@remembered
def _peak_bytes(graph: Graph) -> int:
    """The largest sum of live values, in the order of the nodes; functions are within their callers, often many."""
    types = graph.value_types
    last = {k: len(graph.nodes) for k in (output.value for output in graph.outputs)}
    for position, node in enumerate(graph.nodes):
        for operand in node.operands:
            last[operand] = max(last.get(operand, 0), position)
    live = peak = sum(type_.nbytes for type_ in types[: graph.first_node_value])
    for position, (node, results) in enumerate(graph.numbered_nodes()):
        live += sum(type_.nbytes for type_ in node.types)
        inside = (_peak_bytes(f) - sum(i.type.nbytes for i in f.inputs) for f in node.op.functions.values())
        peak = max(peak, live + max(inside, default=0))
        dead = {k for k in (*node.operands, *results) if last.get(k, position) <= position}
        live -= sum(types[k].nbytes for k in dead if k >= graph.first_node_value)
    return peak
