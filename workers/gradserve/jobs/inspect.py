"""Every value of a graph at one point, with its tangent and its adjoint: what happens inside a derivative."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gradserve.autodiff import Inspect
from gradserve.ir.canonical import canonical
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.jobs.call import Call
from gradserve.jobs.context import Context
from gradserve.jobs.derivative import differentiate, split_roles, vector_key
from gradserve.jobs.report import Report
from gradserve.runtime.control import Control


@dataclass(frozen=True, slots=True)
class InspectedValue:
    """One value of the graph."""

    number: int
    op: str
    """The op that it comes from; `input` or `constant` for what was given."""
    name: str
    """The name of an input; of a node its attributes as text."""
    operands: tuple[int, ...]
    outputs: tuple[str, ...]
    """The outputs that it is."""
    source: str
    """The author's source line, such as `loss.py:31`; empty if unknown."""
    value: Array
    tangent: Array | None
    """Its derivative along the tangents; None if none were given, or if it is not real."""
    adjoint: Array | None
    """The derivative of the loss in it; None if the graph is no loss, or if it is not real."""
    kinks: int
    """How many elements of the node sit on a kink."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """All values in the order in which they are computed, and what it cost."""

    values: tuple[InspectedValue, ...]
    report: Report


def inspect(context: Context, call: Call, tangents: Mapping[str, Array], control: Control) -> Inspection:
    """All values at the call's arguments, with their derivatives along `tangents` and those of the loss in them.

    Nodes are in the graph's canonical order, which every graph of the same digest has.

    Raises:
        InvalidRequest: the call has a batch, or a tangent does not fit.
        NotDifferentiable: an op on the way has no derivative.
        LimitExceeded: all values together are over a limit.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    if call.batch:
        text = "values are inspected at one point; leave the batch out"
        raise InvalidRequest("the request does not fit", [Violation("call.batch", "I1", text)])
    derivation = Inspect(tuple(tangents))
    vectors = {vector_key(derivation, name): tangent for name, tangent in tangents.items()}
    call = replace(call, options=replace(call.options, count_kinks=True))
    found = differentiate(context, call, derivation, vectors, control)
    return Inspection(tuple(_values(canonical(call.graph), split_roles(found.outputs))), found.report)


def _values(graph: Graph, roles: Mapping[str, Mapping[str, Array]]) -> Iterator[InspectedValue]:
    outputs: dict[int, tuple[str, ...]] = {}
    for output in graph.outputs:
        outputs[output.value] = (*outputs.get(output.value, ()), output.name)

    def value(
        number: int, op: str, name: str, operands: tuple[int, ...] = (), source: str = "", kinks: int = 0
    ) -> InspectedValue:
        tangent, adjoint = (roles.get(role, {}).get(str(number)) for role in ("tangent", "adjoint"))
        own = roles["value"][str(number)]
        return InspectedValue(number, op, name, operands, outputs.get(number, ()), source, own, tangent, adjoint, kinks)

    for number, given in enumerate(graph.inputs):
        yield value(number, "input", given.name)
    for number in range(len(graph.inputs), graph.first_node_value):
        yield value(number, "constant", "")
    kinks = roles.get("kinks", {})
    for position, (node, numbers) in enumerate(graph.numbered_nodes()):
        on_kinks = int(kinks.get(str(position), 0))
        attributes = ", ".join(f"{name}={attribute}" for name, attribute in sorted(node.op.attributes().items()))
        for number in numbers:
            yield value(number, node.op.name, attributes, node.operands, str(node.origin or ""), on_kinks)
