"""Graphs by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradserve import wire
from gradserve.ir.bind import bind
from gradserve.ir.check import shown
from gradserve.ir.errors import InvalidGraph, InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.jobs.context import Context
from gradserve.jobs.derivative import float_inputs
from gradserve.jobs.explain import Explanation, Inquiry, explain
from gradserve.service.rpc import Rpc
from gradserve.service.wire import IN_REQUEST, WHOLE_GRAPH, Wire, require_digest, word_of
from gradserve.text.printing import to_text
from gradserve.v1 import graph_pb2
from gradserve.v1 import graph_service_pb2 as pb

DERIVATIONS = {
    pb.DERIVATION_UNSPECIFIED: "evaluate",
    pb.DERIVATION_EVALUATE: "evaluate",
    pb.DERIVATION_GRADIENT: "gradient",
    pb.DERIVATION_JVP: "jvp",
    pb.DERIVATION_VJP: "vjp",
    pb.DERIVATION_HVP: "hvp",
    pb.DERIVATION_JACOBIAN: "jacobian",
    pb.DERIVATION_HESSIAN: "hessian",
}


class Graphs:
    """The methods of GraphService."""

    def __init__(self, context: Context, wire: Wire) -> None:
        """`context` is what jobs run in."""
        self._context = context
        self._wire = wire

    def register_graph(self, request: pb.RegisterGraphRequest, rpc: Rpc) -> pb.RegisterGraphResponse:
        """Keeps a graph under its digest."""
        rpc.places = WHOLE_GRAPH
        graph = self._wire.whole_graph(request.graph)
        rpc.decoded()
        self._wire.graphs.put(graph.digest, graph)
        return pb.RegisterGraphResponse(digest=graph.digest, signature=wire.encode_signature(graph))

    def get_graph(self, request: pb.GetGraphRequest, rpc: Rpc) -> pb.GetGraphResponse:
        """A registered graph as a message and as text."""
        require_digest(request.digest, "digest")
        graph = self._wire.graphs.get(request.digest)
        return pb.GetGraphResponse(graph=self._wire.graph_message(graph), text=to_text(graph))

    def check_graph(self, request: pb.CheckGraphRequest, rpc: Rpc) -> pb.CheckGraphResponse:
        """Every violation of a graph; or its digest and signature, if there is none."""
        rpc.places = WHOLE_GRAPH
        try:
            graph = self._wire.checked_graph(request.graph)
        except InvalidGraph as refused:
            return pb.CheckGraphResponse(violations=[_encode_violation(v) for v in refused.violations])
        return pb.CheckGraphResponse(digest=graph.digest, signature=wire.encode_signature(graph))

    def explain_graph(self, request: pb.ExplainGraphRequest, rpc: Rpc) -> pb.ExplainGraphResponse:
        """What a derivation would cost and where it would run."""
        graph = self._wire.graph(request.graph, IN_REQUEST, rpc)
        if not graph.is_concrete:
            graph = bind(graph, request.symbols)
        name = word_of(DERIVATIONS, request.derivation, "derivation")
        inputs, reduction = self._wire.batch(request.batch, "batch")
        _require_inputs(graph, inputs)
        options = self._wire.options(request.options, "options")
        wrt = float_inputs(graph, request.wrt)
        rpc.decoded()
        found = explain(self._context, Inquiry(graph, name, wrt, options, inputs, _points(request), reduction))
        return _encode_explanation(found)


def _require_inputs(graph: Graph, names: Sequence[str]) -> None:
    known = graph.input_types
    violations = [
        Violation(
            f"batch.inputs[{k}]", "M6", f"the graph has no input {shown(name)}; its inputs are {', '.join(known)}"
        )
        for k, name in enumerate(names)
        if name not in known
    ]
    if violations:
        raise InvalidRequest("the request does not fit", violations)


def _points(request: pb.ExplainGraphRequest) -> int:
    if request.batch.inputs and request.batch_size < 1:
        text = f"{request.batch_size} are no points; a batch has at least one"
        raise InvalidRequest("the request does not fit", [Violation("batch_size", "M4", text)])
    return request.batch_size


def _encode_violation(violation: Violation) -> pb.Violation:
    return pb.Violation(
        field=violation.field,
        constraint=violation.constraint,
        description=violation.description,
        source=violation.source,
    )


def _encode_types(types: Mapping[str, TensorType]) -> list[graph_pb2.Input]:
    return [graph_pb2.Input(name=name, type=wire.encode_type(type_)) for name, type_ in types.items()]


def _encode_explanation(found: Explanation) -> pb.ExplainGraphResponse:
    return pb.ExplainGraphResponse(
        signature=pb.Signature(inputs=_encode_types(found.inputs), outputs=_encode_types(found.outputs)),
        text=found.text,
        flops=found.flops,
        bytes=found.bytes,
        peak_bytes=found.peak_bytes,
        seconds=found.seconds,
        chunks=found.chunks,
        placement=found.placement,
        executor=found.executor,
        reason=found.reason,
        loss_flops=found.loss_flops,
        mode=found.mode,
    )
