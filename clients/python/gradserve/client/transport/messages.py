"""Questions to request messages, and reply messages to answers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradserve import wire
from gradserve.client.backend import Answer, Question, SymmetryOptions, TaylorAnswer, TraceOptions, VerifyOptions
from gradserve.client.inspection import InspectedValue, Inspection
from gradserve.client.results import (
    DirectionReport,
    EntryReport,
    Explanation,
    InputReport,
    Kinks,
    Report,
    TraceEstimate,
    VerificationProgress,
    VerificationReport,
)
from gradserve.client.symmetry import Entry, PairReport, SymmetryProgress, SymmetryReport
from gradserve.client.taylor import Deviation
from gradserve.client.transport.blobs import FillTensor
from gradserve.ir.types import Array
from gradserve.v1 import (
    derivative_service_pb2 as derivative_pb,
)
from gradserve.v1 import (
    estimate_service_pb2 as estimate_pb,
)
from gradserve.v1 import (
    execution_pb2,
    tensor_pb2,
)
from gradserve.v1 import (
    graph_service_pb2 as graph_pb,
)
from gradserve.v1 import (
    verification_service_pb2 as verification_pb,
)

_REDUCTIONS = {
    "none": execution_pb2.REDUCTION_NONE,
    "sum": execution_pb2.REDUCTION_SUM,
    "mean": execution_pb2.REDUCTION_MEAN,
}
_PLACEMENTS = {
    "auto": execution_pb2.PLACEMENT_AUTO,
    "front-end": execution_pb2.PLACEMENT_FRONT_END,
    "cluster": execution_pb2.PLACEMENT_CLUSTER,
}
_MODES = {
    "auto": derivative_pb.JACOBIAN_MODE_AUTO,
    "forward": derivative_pb.JACOBIAN_MODE_FORWARD,
    "reverse": derivative_pb.JACOBIAN_MODE_REVERSE,
}


@dataclass(frozen=True, slots=True)
class _Form:
    """How a derivation is asked for and answered."""

    request: Callable[[], Any]
    roles: Mapping[str, str]
    """The field of the reply that holds each role."""
    vectors: str = ""
    """The field of the request for vectors."""
    names_wrt: bool = False
    has_blocks: bool = False


_VALUE, _LOSS = {"value": "outputs"}, {"value": "value", "gradient": "gradients"}
_FORMS = {
    "evaluate": _Form(derivative_pb.EvaluateRequest, _VALUE),
    "gradient": _Form(derivative_pb.GradientRequest, _LOSS, names_wrt=True),
    "jvp": _Form(derivative_pb.JvpRequest, {**_VALUE, "tangent": "tangents"}, "tangents"),
    "vjp": _Form(derivative_pb.VjpRequest, {**_VALUE, "cotangent": "cotangents"}, "cotangents", names_wrt=True),
    "hvp": _Form(functools.partial(derivative_pb.HvpRequest, product_only=True), {"product": "products"}, "tangents"),
    "jacobian": _Form(derivative_pb.JacobianRequest, _VALUE, names_wrt=True, has_blocks=True),
    "hessian": _Form(derivative_pb.HessianRequest, _LOSS, names_wrt=True, has_blocks=True),
}


def _fill_call(message: execution_pb2.Call, question: Question, fill: FillTensor) -> None:
    """Graph by digest, arguments, batch and options. Filled in place: large arrays are not copied once more."""
    message.graph.digest = question.graph.digest
    _fill_tensors(message.arguments, question.arguments, fill)
    if question.batch:
        message.batch.CopyFrom(_batch(question))
    if question.executor or question.placement != "auto" or not question.count_kinks:
        message.options.CopyFrom(_options(question))


def _fill_tensors(messages: Any, arrays: Mapping[str, Array], fill: FillTensor) -> None:
    for name, array in arrays.items():
        fill(messages[name], array)


def _batch(question: Question) -> execution_pb2.Batch:
    return execution_pb2.Batch(inputs=question.batch, reduction=_REDUCTIONS[question.reduction])


def _options(question: Question) -> execution_pb2.ExecutionOptions:
    placement = _PLACEMENTS[question.placement]
    return execution_pb2.ExecutionOptions(
        executor=question.executor, placement=placement, ignore_kinks=not question.count_kinks
    )


def derivative_request(question: Question, fill: FillTensor) -> Any:
    """The request message of the question's derivation."""
    form = _FORMS[question.derivation]
    request = form.request()
    _fill_call(request.call, question, fill)
    if form.vectors:
        _fill_tensors(getattr(request, form.vectors), question.vectors, fill)
    if form.names_wrt:
        request.wrt.extend(question.wrt)
    if question.mode != "auto":
        request.mode = _MODES[question.mode]
    return request


def answer(question: Question, reply: Any, blobs: wire.Blobs) -> Answer:
    """The arrays of a reply by role and name, and its report."""
    form = _FORMS[question.derivation]
    arrays: dict[str, Mapping[str, Array]] = {}
    for role, field in form.roles.items():
        found = getattr(reply, field)
        tensors = {question.graph.outputs[0].name: found} if isinstance(found, tensor_pb2.Tensor) else found
        arrays[role] = {name: _own_array(tensor, blobs) for name, tensor in tensors.items()}
    blocks: dict[str, dict[str, Array]] = {}
    for block in reply.blocks if form.has_blocks else ():
        blocks.setdefault(block.row, {})[block.column] = _own_array(block.tensor, blobs)
    # As bytes, because a message inside the reply would keep all of the reply in memory.
    return Answer(arrays, functools.partial(_report_in, reply.report.SerializeToString()), blocks)


def inspect_request(question: Question, fill: FillTensor) -> derivative_pb.InspectRequest:
    """The request for every value of a graph."""
    request = derivative_pb.InspectRequest()
    _fill_call(request.call, question, fill)
    _fill_tensors(request.tangents, question.vectors, fill)
    return request


def inspection(reply: derivative_pb.InspectResponse, blobs: wire.Blobs) -> Inspection:
    """Every value of a graph."""
    values = (
        InspectedValue(
            number=number,
            op=message.op,
            name=message.name,
            operands=tuple(message.operands),
            outputs=tuple(message.outputs),
            source=message.source,
            value=_own_array(message.value, blobs),
            tangent=_own_array(message.tangent, blobs) if message.HasField("tangent") else None,
            adjoint=_own_array(message.adjoint, blobs) if message.HasField("adjoint") else None,
            kinks=message.kinks,
        )
        for number, message in enumerate(reply.values)
    )
    return Inspection(tuple(values), report(reply.report))


def taylor_request(question: Question, order: int, fill: FillTensor) -> derivative_pb.TaylorModelRequest:
    """The request for a Taylor model."""
    request = derivative_pb.TaylorModelRequest(order=order)
    _fill_call(request.call, question, fill)
    _fill_tensors(request.direction, question.vectors, fill)
    return request


def taylor_answer(reply: derivative_pb.TaylorModelResponse, blobs: wire.Blobs) -> TaylorAnswer:
    """A Taylor model and its check."""
    return TaylorAnswer(
        {name: [_own_array(t, blobs) for t in found.powers] for name, found in reply.coefficients.items()},
        tuple(Deviation(d.step, d.error, d.meaningful) for d in reply.deviations),
        reply.observed_order,
        report(reply.report),
    )


def _own_array(tensor: tensor_pb2.Tensor, blobs: wire.Blobs) -> Array:
    """The array of a message: a copy, because what protobuf holds cannot be written to."""
    return wire.decode_tensor(tensor, blobs).copy()


def _report_in(data: bytes) -> Report:
    return report(execution_pb2.ExecutionReport.FromString(data))


def report(message: execution_pb2.ExecutionReport) -> Report:
    """The report of a reply."""
    return Report(
        queue=_seconds(message.queue),
        decode=_seconds(message.decode),
        plan=_seconds(message.plan),
        execute=_seconds(message.execute),
        encode=_seconds(message.encode),
        plan_cache_hit=message.plan_cache_hit,
        executor=message.executor,
        placement=message.placement,
        chunks=message.chunks,
        retries=message.retries,
        batch_size=message.batch_size,
        flops=message.flops,
        peak_bytes=message.peak_bytes,
        nonfinite_outputs=message.nonfinite_outputs,
        workers=tuple(message.workers),
        kinks=Kinks(message.kinks.nodes, message.kinks.examples) if message.HasField("kinks") else None,
    )


def _seconds(duration: Any) -> float:
    return float(duration.seconds + 1e-9 * duration.nanos)


def trace_request(question: Question, options: TraceOptions, fill: FillTensor) -> estimate_pb.EstimateTraceRequest:
    """The request for a trace."""
    request = estimate_pb.EstimateTraceRequest(
        wrt=question.wrt,
        seed=options.seed,
        max_probes=options.max_probes,
        relative_tolerance=options.relative_tolerance,
        absolute_tolerance=options.absolute_tolerance,
        confidence=options.confidence,
    )
    _fill_call(request.call, question, fill)
    return request


def trace_estimate(message: estimate_pb.EstimateTraceResponse) -> TraceEstimate:
    """One message of a stream of estimates."""
    return TraceEstimate(
        value=message.value,
        standard_error=message.standard_error,
        lower=message.lower,
        upper=message.upper,
        probes=message.probes,
        confidence=message.confidence,
        seed=message.seed,
        stop_reason=_word(estimate_pb.StopReason, message.stop_reason, "STOP_REASON_"),
        report=report(message.report),
    )


def verify_request(
    question: Question, options: VerifyOptions, fill: FillTensor
) -> verification_pb.VerifyGradientRequest:
    """The request for a verification."""
    request = verification_pb.VerifyGradientRequest(
        wrt=question.wrt,
        directions=options.directions,
        seed=options.seed,
        relative_tolerance=options.relative_tolerance,
    )
    _fill_call(request.call, question, fill)
    _fill_tensors(request.claimed, options.claimed, fill)
    return request


def verification_progress(message: verification_pb.VerifyGradientResponse) -> VerificationProgress:
    """One message of a verification's stream."""
    found = _verification(message.report) if message.HasField("report") else None
    return VerificationProgress(message.stage, message.evaluations, report(message.execution), found)


def _verification(message: verification_pb.VerificationReport) -> VerificationReport:
    return VerificationReport(
        verdict=_verdict(message.verdict),
        directions=tuple(
            DirectionReport(_verdict(d.verdict), d.claimed, d.measured, d.error_bound, d.right, d.left, d.step)
            for d in message.directions
        ),
        inputs=tuple(
            InputReport(i.input, _verdict(i.verdict), i.claimed, i.measured, i.error_bound) for i in message.inputs
        ),
        entries=tuple(
            EntryReport(e.input, tuple(e.index), e.claimed, e.measured, e.error_bound, _verdict(e.verdict))
            for e in message.entries
        ),
        evaluations=message.evaluations,
        noise=message.noise,
        seed=message.seed,
    )


def symmetry_request(
    question: Question, options: SymmetryOptions, fill: FillTensor
) -> verification_pb.VerifySymmetryRequest:
    """The request for a verification of symmetry."""
    request = verification_pb.VerifySymmetryRequest(
        wrt=question.wrt,
        pairs=[verification_pb.EntryPair(u=_entry_message(u), v=_entry_message(v)) for u, v in options.pairs],
        count=options.count,
        seed=options.seed,
        relative_tolerance=options.relative_tolerance,
    )
    _fill_call(request.call, question, fill)
    return request


def _entry_message(entry: Entry) -> verification_pb.Entry:
    return verification_pb.Entry(input=entry.input, index=entry.index)


def symmetry_progress(message: verification_pb.VerifySymmetryResponse) -> SymmetryProgress:
    """One message of the stream of a verification of symmetry."""
    found = _symmetry(message.report) if message.HasField("report") else None
    return SymmetryProgress(message.stage, message.evaluations, report(message.execution), found)


def _symmetry(message: verification_pb.SymmetryReport) -> SymmetryReport:
    return SymmetryReport(
        verdict=_verdict(message.verdict),
        pairs=tuple(
            PairReport(
                verdict=_verdict(p.verdict),
                entries=(_entry(p.entries.u), _entry(p.entries.v)) if p.HasField("entries") else None,
                uv=p.uv,
                uv_bound=p.uv_bound,
                vu=p.vu,
                vu_bound=p.vu_bound,
                u_hv=p.u_hv,
                v_hu=p.v_hu,
            )
            for p in message.pairs
        ),
        evaluations=message.evaluations,
        noise=message.noise,
        seed=message.seed,
    )


def _entry(message: verification_pb.Entry) -> Entry:
    return Entry(message.input, tuple(message.index))


def _verdict(number: int) -> str:
    return _word(verification_pb.Verdict, number, "VERDICT_")


def _word(enum: Any, number: int, prefix: str) -> str:
    """The name of an enum value in lower case without its prefix; empty for unspecified."""
    word: str = enum.Name(number).removeprefix(prefix).lower()
    return "" if word == "unspecified" else word


def explain_request(question: Question, batch_size: int) -> graph_pb.ExplainGraphRequest:
    """The request to explain a question."""
    return graph_pb.ExplainGraphRequest(
        graph=execution_pb2.GraphRef(digest=question.graph.digest),
        derivation=f"DERIVATION_{question.derivation.upper()}",
        wrt=question.wrt,
        batch=_batch(question) if question.batch else None,
        batch_size=batch_size,
        options=_options(question),
    )


def explanation(message: graph_pb.ExplainGraphResponse) -> Explanation:
    """The prediction in a reply."""
    return Explanation(
        inputs={i.name: str(wire.decode_type(i.type)) for i in message.signature.inputs},
        outputs={o.name: str(wire.decode_type(o.type)) for o in message.signature.outputs},
        text=message.text,
        flops=message.flops,
        bytes=message.bytes,
        peak_bytes=message.peak_bytes,
        seconds=message.seconds,
        chunks=tuple(message.chunks),
        placement=message.placement,
        executor=message.executor,
        reason=message.reason,
        loss_flops=message.loss_flops,
        mode=message.mode,
    )
