"""Every value of a graph at one point, with its tangent and its adjoint: what happens inside a derivative."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gradserve.autodiff.derivation import EveryValue
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.jobs.derivatives.derivative import differentiate
from gradserve.jobs.sweeps.calls import checked, require_no_batch
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.folds import by_role
from gradserve.questions.call import AtKinks
from gradserve.questions.inspection import Inspect, InspectedValue, Inspection
from gradserve.runtime.control import Control


def answers(context: Context, question: Inspect, control: Control) -> Iterator[Inspection]:
    """All values at the call's arguments, with their derivatives along the tangents and those of the loss in them.

    Nodes are in the graph's canonical order, which every graph of the same digest has.

    Raises:
        InvalidRequest: the call has a batch, or a tangent does not fit.
        NotDifferentiable: an op on the way has no derivative.
        LimitExceeded: all values together are over a limit.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    call = checked(context, question.call, control.check)
    require_no_batch(call, "I1", "values are inspected at one point; leave the batch out")
    call = replace(call, options=replace(call.options, count_kinks=True, kinks=AtKinks.CONVENTION))
    outputs, report = differentiate(context, call, EveryValue(tuple(question.tangents)), question.tangents, control)
    yield Inspection(tuple(_values(call.graph.canonical, by_role(outputs))), report)


def _values(graph: Graph, roles: Mapping[str, Mapping[str, Array]]) -> Iterator[InspectedValue]:
    outputs: dict[int, tuple[str, ...]] = {}
    for output in graph.outputs:
        outputs[output.value] = (*outputs.get(output.value, ()), output.name)

    def value(
        number: int,
        op: str,
        name: str,
        operands: tuple[int, ...] = (),
        source: str = "",
        kinks: int = 0,
        margin: float | None = None,
    ) -> InspectedValue:
        tangent, adjoint = (roles.get(role, {}).get(str(number)) for role in ("tangent", "adjoint"))
        own = roles["value"][str(number)]
        given = outputs.get(number, ())
        return InspectedValue(number, op, name, operands, given, source, own, tangent, adjoint, kinks, margin)

    for number, given in enumerate(graph.inputs):
        yield value(number, "input", given.name)
    for number in range(len(graph.inputs), graph.first_node_value):
        yield value(number, "constant", "")
    kinks, margins = roles.get("kinks", {}), roles.get("margin", {})
    for position, (node, numbers) in enumerate(graph.numbered_nodes()):
        on_kinks = int(kinks.get(str(position), 0))
        margin = float(margins[str(position)]) if str(position) in margins else None
        attributes = ", ".join(f"{name}={attribute}" for name, attribute in sorted(node.op.attributes().items()))
        for number in numbers:
            yield value(number, node.op.name, attributes, node.operands, str(node.origin or ""), on_kinks, margin)
