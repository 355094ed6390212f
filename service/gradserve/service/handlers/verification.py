"""Numerical verification, as a stream of progress that ends in a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any, TypeVar

from gradserve.jobs.context import Context
from gradserve.jobs.derivative import float_inputs
from gradserve.jobs.symmetry import verify_symmetry
from gradserve.jobs.verify import Progress, verify_gradient
from gradserve.service.metrics import Metrics
from gradserve.service.rpc import Rpc
from gradserve.service.wire import Wire
from gradserve.v1 import verification_service_pb2 as pb
from gradserve.verification.report import Place, SymmetryReport, Verdict, VerificationReport

R = TypeVar("R", VerificationReport, SymmetryReport)
M = TypeVar("M", pb.VerifyGradientResponse, pb.VerifySymmetryResponse)

_VERDICTS: dict[Verdict, Any] = {verdict: pb.Verdict.Value(f"VERDICT_{verdict.name}") for verdict in Verdict}


class Verification:
    """The methods of VerificationService."""

    def __init__(self, context: Context, wire: Wire, metrics: Metrics) -> None:
        """`context` is what jobs run in."""
        self._context = context
        self._wire = wire
        self._verifications = {verdict: metrics.verifications.labels(verdict.name.lower()) for verdict in Verdict}

    def verify_gradient(self, request: pb.VerifyGradientRequest, rpc: Rpc) -> Iterator[pb.VerifyGradientResponse]:
        """The gradient compared with finite differences."""
        call = self._wire.call(request.call, rpc)
        claimed = self._wire.arrays(request.claimed, "claimed") or None
        rpc.decoded()
        stages = verify_gradient(
            self._context,
            call,
            float_inputs(call.graph, request.wrt),
            claimed=claimed,
            directions=request.directions,
            seed=request.seed,
            relative_tolerance=request.relative_tolerance,
            control=rpc.control,
        )
        yield from self._replies(stages, pb.VerifyGradientResponse, encode_verification, rpc)

    def verify_symmetry(self, request: pb.VerifySymmetryRequest, rpc: Rpc) -> Iterator[pb.VerifySymmetryResponse]:
        """Both orders of mixed partials compared with each other and with the derived Hessian."""
        call = self._wire.call(request.call, rpc)
        rpc.decoded()
        stages = verify_symmetry(
            self._context,
            call,
            float_inputs(call.graph, request.wrt),
            pairs=[(_place(pair.u), _place(pair.v)) for pair in request.pairs],
            count=request.count,
            seed=request.seed,
            relative_tolerance=request.relative_tolerance,
            control=rpc.control,
        )
        yield from self._replies(stages, pb.VerifySymmetryResponse, encode_symmetry, rpc)

    def _replies(
        self, stages: Iterable[Progress[R]], reply: type[M], encode: Callable[[R], Any], rpc: Rpc
    ) -> Iterator[M]:
        """A message for each stage, with the report in the last."""
        for progress in stages:
            rpc.ran(progress.execution)
            message = reply(evaluations=progress.evaluations, stage=progress.stage)
            if progress.report is not None:
                self._verifications[progress.report.verdict].inc()
                message.report.CopyFrom(encode(progress.report))
            yield message


def encode_verification(report: VerificationReport) -> pb.VerificationReport:
    """The message of a verification's report."""
    return pb.VerificationReport(
        verdict=_VERDICTS[report.verdict],
        directions=[pb.DirectionReport(**_fields(direction)) for direction in report.directions],
        inputs=[pb.InputReport(**_fields(row)) for row in report.inputs],
        entries=[pb.EntryReport(**_fields(entry)) for entry in report.entries],
        evaluations=report.evaluations,
        noise=report.noise,
        seed=report.seed,
    )


def encode_symmetry(report: SymmetryReport) -> pb.SymmetryReport:
    """The message of a symmetry's report."""
    return pb.SymmetryReport(
        verdict=_VERDICTS[report.verdict],
        pairs=[pb.PairReport(**{**_fields(pair), "entries": _entries(pair.entries)}) for pair in report.pairs],
        evaluations=report.evaluations,
        noise=report.noise,
        seed=report.seed,
    )


def _place(message: pb.Entry) -> Place:
    return Place(message.input, tuple(message.index))


def _entries(places: tuple[Place, Place] | None) -> pb.EntryPair | None:
    if places is None:
        return None
    u, v = (pb.Entry(input=place.input, index=place.index) for place in places)
    return pb.EntryPair(u=u, v=v)


def _fields(record: Any) -> dict[str, Any]:
    """The fields of a record, which are those of its message."""
    return {**asdict(record), "verdict": _VERDICTS[record.verdict]}
