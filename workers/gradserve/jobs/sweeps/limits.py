"""Limits on one call. Work over a limit is refused from its graph or its schedules, before anything is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from gradserve.estimation import held
from gradserve.execution import Schedule
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph, Origin
from gradserve.ir.quantities import Bytes, Count, Number, Seconds
from gradserve.ir.records import dataclass


class Planning(NamedTuple):
    """What planning may take."""

    nodes: int
    """Nodes of any one graph on the way."""
    graphs: int
    """Graphs on the way to one program."""
    values: int
    """Values, nodes and steps made for one program."""
    of_all: int
    """The same for all programs of a request."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one call may cost."""

    PLAN_GRAPHS_OF_NODE: ClassVar[int] = 20
    PLAN_NODES_OF_VALUE: ClassVar[int] = 60
    PLAN_VALUES_OF_VALUE: ClassVar[int] = 200
    """For each value sent, of graphs of more than 1000: the Hessian of 300 layers none like another takes 92, that of
    a differential equation whose rate has a kink 187."""
    PLAN_BESIDE: ClassVar[int] = 10
    """Such a part of `plan_values` may be taken beside it by small programs, as that of values along a direction."""

    WRITTEN_NODES: ClassVar[int] = 4000
    """Nodes of a graph in which derivatives of functions are written out, beside fifty for each node sent."""
    WRITTEN_NODES_OF_NODE: ClassVar[int] = 50

    plan_nodes: Count = 20_000
    """Nodes of any one graph on the way to a program; beside `PLAN_NODES_OF_VALUE` for each value sent."""
    plan_graphs: Count = 1200
    """Graphs made on the way to a program, functions among them; beside `PLAN_GRAPHS_OF_NODE` for each node sent."""
    plan_values: Count = 205_000
    """Values and nodes made for all that one request asks, steps of schedules, each as two, and graphs, each as ten; or
    `PLAN_VALUES_OF_VALUE` for each value sent, if that is more. It is what a processor makes in 0.6 to 0.9 s. What is
    remembered counts as well."""
    plan_seconds: Seconds = 60.0
    """Processor seconds of making the programs of one job."""
    explain_letters: Count = 1 << 18
    """Letters of the derived graph that an explanation shows; of more its beginning and its end."""
    value_bytes: Bytes = 128 << 30
    """Bytes of any one value of the graph as it was sent, even if no step need store it."""
    peak_bytes: Bytes = 8 << 30
    """Live bytes of one chunk."""
    step_seconds: Seconds = 60.0
    """Predicted seconds of any one step: no executor can be stopped within a step."""
    chunk_seconds: Seconds = 36_000.0
    """Predicted seconds of one chunk, which one worker runs from its start to its end."""
    flops: Number = 1e15
    """Floating-point operations of the whole call."""
    held_memory_bytes: Bytes = held.IN_MEMORY
    """Bytes of the vectors of a spectrum's probe that are held in memory; more lie in a file below TMPDIR."""
    held_bytes: Bytes = 64 << 30
    """Bytes of such a file, on the disk of the worker, or of the front end for a batch that is summed."""
    result_bytes: Bytes = 4 << 30
    """Bytes of all results."""
    points: Count = 1_000_000
    """Points of one batch."""
    probes: Count = 1_000_000
    """Probes of one estimate; products of one search for eigenpairs, iterations of one solve."""
    directions: Count = 1_000
    """Directions of one verification."""

    def planning(self, graph: Graph) -> Planning:
        """What may be made on the way from this graph.

        What it sends counts: of functions once, however often they are called.
        """
        sent = (graph, *graph.functions)
        nodes = sum(len(each.nodes) for each in sent)
        values = sum(len(each.value_types) for each in sent)
        of_values = self.PLAN_VALUES_OF_VALUE * values
        return Planning(
            nodes=self.plan_nodes + self.PLAN_NODES_OF_VALUE * values,
            graphs=self.plan_graphs + self.PLAN_GRAPHS_OF_NODE * nodes,
            values=max(self.plan_values, of_values),
            of_all=max(self.plan_values + self.plan_values // self.PLAN_BESIDE, of_values),
        )

    def writing(self, graph: Graph) -> Planning:
        """The same for writing out derivatives: each of them in another doubles what is there."""
        most = self.planning(graph)
        nodes = sum(len(each.nodes) for each in (graph, *graph.functions))
        return most._replace(nodes=min(most.nodes, self.WRITTEN_NODES + self.WRITTEN_NODES_OF_NODE * nodes))

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

    def check_chunks(self, schedules: Sequence[Schedule], times: int = 1) -> None:
        """Refuses a job by the schedules of its chunks, each of them run so many `times`.

        Raises:
            LimitExceeded: memory, time, or operations over a limit.
        """
        peak = max(schedule.peak_bytes for schedule in schedules)
        if peak > self.peak_bytes:
            self.check_peak(peak, "the program", _largest_value(schedules))
        longest = max(schedule.longest_step_seconds for schedule in schedules)
        if longest > self.step_seconds:
            what = f"one step of the program is predicted to take {longest:.3g} s"
            raise _exceeded("step_seconds", what, f"{self.step_seconds:.3g} s", _largest_value(schedules))
        slowest = max(schedule.seconds for schedule in schedules)
        if slowest > self.chunk_seconds:
            what = f"one run of the program is predicted to take {slowest:.3g} s"
            raise _exceeded("chunk_seconds", what, f"{self.chunk_seconds:.3g} s", "loop fewer times")
        self.check_flops(times * sum(schedule.program.flops for schedule in schedules), "the job")

    def check_peak(self, peak: int, what: str, advice: str) -> None:
        """Refuses work that needs so many bytes at once.

        Raises:
            LimitExceeded: they are over `peak_bytes`.
        """
        if peak > self.peak_bytes:
            raise _exceeded("peak_bytes", f"{what} needs {_binary(peak)} at once", _binary(self.peak_bytes), advice)

    def check_flops(self, flops: float, what: str) -> None:
        """Refuses a job of so many operations.

        Raises:
            LimitExceeded: they are over `flops`.
        """
        if flops > self.flops:
            text = f"{what} takes {flops:.3g} floating-point operations"
            raise _exceeded("flops", text, f"{self.flops:.3g}", "ask for fewer points or probes, or evaluate less data")

    def check_held(self, count: int, size: int) -> None:
        """Refuses so many vectors of a size that are to be held at once, before there is room made for them.

        Raises:
            LimitExceeded: they are longer than `held_bytes`.
        """
        nbytes = held.nbytes_of(count, size)
        if nbytes > self.held_bytes:
            what = f"{count} vectors of {size} numbers take {_binary(nbytes)}"
            raise _exceeded(held.LIMIT, what, _binary(self.held_bytes), held.FEWER)

    def check_results(self, nbytes: int, what: str, advice: str) -> None:
        """Refuses results of so many bytes, before they are made.

        Raises:
            LimitExceeded: they are over `result_bytes`.
        """
        if nbytes > self.result_bytes:
            raise _exceeded("result_bytes", f"{what} {nbytes} bytes", str(self.result_bytes), advice)

    def check_count(self, limit: str, count: int) -> None:
        """Refuses more probes or directions than the limit of that name.

        Raises:
            LimitExceeded: there are more.
        """
        most = getattr(self, limit)
        if count > most:
            raise LimitExceeded(limit, f"{count} {limit} are asked for and the limit {limit} is {most}")


def _exceeded(limit: str, what: str, most: str, advice: str) -> LimitExceeded:
    return LimitExceeded(limit, f"{what} and the limit {limit} is {most}; {advice}")


def _binary(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.4g} TiB"


def _largest_value(schedules: Sequence[Schedule]) -> str:
    """The node with the largest results, for the one who must make it smaller."""
    graphs = [schedule.program.graph for schedule in schedules]
    nodes = [node for graph in graphs for node in graph.nodes if not node.op.view]
    if not nodes:
        return "its arguments alone are larger"
    node = max(nodes, key=lambda node: sum(type_.nbytes for type_ in node.types))
    shown = ", ".join(str(type_) for type_ in node.types)
    return f"its largest value is {node.op.name}: {shown}{_traced(node.origin)}"


def _traced(origin: Origin | None) -> str:
    return f", traced at {origin}" if origin else ""
