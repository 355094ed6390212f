"""Randomised estimates, as streams of current answers."""

from __future__ import annotations

from collections.abc import Iterator

from gradserve.jobs.context import Context
from gradserve.jobs.derivative import float_inputs
from gradserve.jobs.trace import estimate_trace
from gradserve.service.metrics import Metrics
from gradserve.service.rpc import Rpc
from gradserve.service.wire import Wire
from gradserve.v1 import estimate_service_pb2 as pb

_STOP_REASONS = {
    "": pb.STOP_REASON_UNSPECIFIED,
    "tolerance": pb.STOP_REASON_TOLERANCE,
    "max_probes": pb.STOP_REASON_MAX_PROBES,
}


class Estimates:
    """The methods of EstimateService."""

    def __init__(self, context: Context, wire: Wire, metrics: Metrics) -> None:
        """`context` is what jobs run in."""
        self._context = context
        self._wire = wire
        self._probes = metrics.probes

    def estimate_trace(self, request: pb.EstimateTraceRequest, rpc: Rpc) -> Iterator[pb.EstimateTraceResponse]:
        """The trace of the Hessian."""
        call = self._wire.call(request.call, rpc)
        rpc.decoded()
        spent = 0
        for estimate in estimate_trace(
            self._context,
            call,
            float_inputs(call.graph, request.wrt),
            seed=request.seed,
            max_probes=request.max_probes,
            relative_tolerance=request.relative_tolerance,
            absolute_tolerance=request.absolute_tolerance,
            confidence=request.confidence,
            control=rpc.control,
        ):
            rpc.ran(estimate.report)
            self._probes.inc(estimate.probes - spent)
            spent = estimate.probes
            yield pb.EstimateTraceResponse(
                value=estimate.value,
                standard_error=estimate.standard_error,
                lower=estimate.lower,
                upper=estimate.upper,
                probes=estimate.probes,
                stop_reason=_STOP_REASONS[estimate.stop_reason.value],
                seed=estimate.seed,
                confidence=estimate.confidence,
            )
