"""Estimates and verifications as streams."""

import grpc
import numpy as np
import pytest

from gradserve.v1 import estimate_service_pb2, execution_pb2, spectrum_pb2, verification_service_pb2
from tests.service.support import QUADRATIC, SCALED, VECTOR, W, call_of, refusal, tensors

COUPLED = """\
graph (%0 "w": f64[3]) {
  %1: f64[3] = mul %0, %0
  %2: f64[3] = mul %1, %0
  %3: f64[] = reduce_sum %2 {axes=[0]}
  %4: f64[] = mul %3, %3
  return "loss" %4
}"""
"""(w1^3 + w2^3 + w3^3)^2: its Hessian is not diagonal."""


def coupled_trace(w):
    return float(18 * (w**4).sum() + 12 * (w**3).sum() * w.sum())


SIGNS = estimate_service_pb2.ESTIMATOR_HUTCHINSON


def estimates(stubs, **more):
    request = estimate_service_pb2.EstimateTraceRequest(
        **{"call": call_of(COUPLED), "seed": 1, "estimator": SIGNS, **more}
    )
    return list(stubs.estimates.EstimateTrace(request))


def test_estimates_come_with_intervals_and_end_with_a_reason(stubs):
    found = estimates(stubs, max_probes=512)
    assert len(found) > 1
    assert [e.stop_reason for e in found[:-1]] == [0] * (len(found) - 1)
    last = found[-1]
    assert last.stop_reason == estimate_service_pb2.STOP_REASON_MAX_PROBES
    assert (last.probes, last.seed, last.confidence) == (512, 1, 0.95)
    assert last.lower <= coupled_trace(W) <= last.upper
    assert last.lower <= last.value <= last.upper
    assert last.report.chunks > 0
    assert last.report.execute.ToTimedelta().total_seconds() > 0


def test_tolerance_ends_a_stream(stubs):
    last = estimates(stubs, max_probes=100_000, relative_tolerance=0.1)[-1]
    assert last.stop_reason == estimate_service_pb2.STOP_REASON_TOLERANCE
    assert last.upper - last.lower <= 0.2 * abs(last.value) * (1 + 1e-12)


def test_same_seed_same_bits(stubs):
    first, second, other = (estimates(stubs, max_probes=64, seed=seed)[-1].value for seed in (7, 7, 8))
    assert first == second != other


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"call": call_of(VECTOR)}, "FAILED_PRECONDITION", "call.graph.inline.outputs"),
        ({"wrt": ["nope"]}, "INVALID_ARGUMENT", "wrt[0]"),
        ({"confidence": 1.5}, "INVALID_ARGUMENT", "confidence"),
        ({"confidence": float("nan")}, "INVALID_ARGUMENT", "confidence"),
        ({"relative_tolerance": -1.0}, "INVALID_ARGUMENT", "relative_tolerance"),
        ({"groups": [{"name": "a", "inputs": ["nope"]}]}, "INVALID_ARGUMENT", "groups[0].inputs"),
        ({"resume": b"nothing"}, "INVALID_ARGUMENT", "resume"),
    ],
)
def test_what_cannot_be_estimated(stubs, more, code, field):
    refused = refusal(lambda: estimates(stubs, **more))
    assert refused.code is grpc.StatusCode[code]
    assert field in refused.violations


def test_a_batch_that_is_not_reduced_is_answered_point_after_point(stubs):
    points = np.stack([W, 2 * W, -W])
    batch = execution_pb2.Batch(inputs=["w"])
    found = estimates(stubs, call=call_of(COUPLED, {"w": points}, batch=batch), max_probes=32)
    assert [e.point for e in found] == sorted(e.point for e in found)
    for k, w in enumerate(points):
        alone = estimates(stubs, call=call_of(COUPLED, {"w": w}), max_probes=32)
        assert [(e.value, e.lower, e.upper) for e in found if e.point == k] == [
            (e.value, e.lower, e.upper) for e in alone
        ]


def test_diagonals_come_point_after_point(stubs):
    def diagonals(call):
        asked = estimate_service_pb2.EstimateDiagonalRequest(call=call, max_probes=8, seed=1)
        return [(each.point, each.widest, each.probes) for each in stubs.estimates.EstimateDiagonal(asked)]

    batch = execution_pb2.Batch(inputs=["w"])
    found = diagonals(call_of(COUPLED, {"w": np.stack([W, 2 * W])}, batch=batch))
    for k, point in enumerate((W, 2 * W)):
        alone = diagonals(call_of(COUPLED, {"w": point}))
        assert [each[1:] for each in found if each[0] == k] == [each[1:] for each in alone]


def test_a_system_is_of_one_point(stubs):
    batch = execution_pb2.Batch(inputs=["w"])
    call = call_of(COUPLED, {"w": W[None]}, batch=batch)
    refused = refusal(lambda: list(stubs.estimates.SolveHessian(spectrum_pb2.SolveHessianRequest(call=call))))
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "call.batch" in refused.violations


def test_too_many_probes(stubs):
    refused = refusal(lambda: estimates(stubs, max_probes=2**32 - 1))
    assert (refused.code, refused.limit) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "probes")


def verified(stubs, **more):
    request = verification_service_pb2.VerifyGradientRequest(**{"call": call_of(COUPLED), "seed": 1, **more})
    return list(stubs.verification.VerifyGradient(request))


def test_verification_ends_in_a_report(stubs):
    found = verified(stubs)
    assert not any(progress.HasField("report") for progress in found[:-1])
    report = found[-1].report
    assert report.verdict == verification_service_pb2.VERDICT_AGREES
    assert len(report.directions) == 2
    assert [row.input for row in report.inputs] == ["w"]
    assert report.evaluations == found[-1].evaluations > 0
    assert report.seed == 1
    for direction in report.directions:
        assert abs(direction.claimed - direction.measured) <= direction.error_bound
    assert found[-1].execution.chunks > 0


def test_wrong_claim_is_found(stubs):
    gradient = 6 * (W**3).sum() * W**2
    wrong = gradient * np.array([1.0, 1.01, 1.0])
    assert (
        verified(stubs, claimed=tensors({"w": gradient}))[-1].report.verdict == verification_service_pb2.VERDICT_AGREES
    )
    report = verified(stubs, claimed=tensors({"w": wrong}))[-1].report
    assert report.verdict == verification_service_pb2.VERDICT_DISAGREES
    assert [(entry.input, list(entry.index)) for entry in report.entries] == [("w", [1])]


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"claimed": tensors({"w": W[:2]})}, "INVALID_ARGUMENT", 'claimed["w"]'),
        ({"claimed": tensors({"x": W})}, "INVALID_ARGUMENT", 'claimed["x"]'),
        ({"relative_tolerance": float("nan")}, "INVALID_ARGUMENT", "relative_tolerance"),
        ({"call": call_of(VECTOR)}, "FAILED_PRECONDITION", "call.graph.inline.outputs"),
        ({"call": call_of(SCALED, {"w": W, "scale": 1.0, "count": 2}), "wrt": ["count"]}, "INVALID_ARGUMENT", "wrt[0]"),
    ],
)
def test_what_cannot_be_verified(stubs, more, code, field):
    refused = refusal(lambda: verified(stubs, **more))
    assert refused.code is grpc.StatusCode[code]
    assert field in refused.violations


def symmetric(stubs, **more):
    request = verification_service_pb2.VerifySymmetryRequest(**{"call": call_of(COUPLED), "seed": 1, **more})
    return list(stubs.verification.VerifySymmetry(request))


def test_symmetry_ends_in_a_report(stubs):
    found = symmetric(stubs)
    assert not any(progress.HasField("report") for progress in found[:-1])
    report = found[-1].report
    assert report.verdict == verification_service_pb2.VERDICT_AGREES
    pairs = [(p.entries.u.index[0], p.entries.v.index[0]) for p in report.pairs]
    assert sorted(pairs) == [(0, 1), (0, 2), (1, 2)]
    for pair in report.pairs:
        hessian = 18 * np.prod(W[[pair.entries.u.index[0], pair.entries.v.index[0]]] ** 2)
        assert abs(pair.uv - hessian) <= pair.uv_bound
        assert abs(pair.vu - hessian) <= pair.vu_bound
        assert pair.u_hv == pytest.approx(hessian)
    assert report.evaluations == found[-1].evaluations > 0
    assert found[-1].execution.chunks > 0


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        (
            {"pairs": [{"u": {"input": "w", "index": [0]}, "v": {"input": "w", "index": [3]}}]},
            "INVALID_ARGUMENT",
            "pairs[0].v",
        ),
        ({"pairs": [{"u": {"input": "w", "index": [0]}}]}, "INVALID_ARGUMENT", "pairs[0].v"),
        (
            {"pairs": [{"u": {"input": "w", "index": [0]}, "v": {"input": "w", "index": [0]}}]},
            "INVALID_ARGUMENT",
            "pairs[0]",
        ),
        ({"relative_tolerance": float("inf")}, "INVALID_ARGUMENT", "relative_tolerance"),
        ({"call": call_of(VECTOR)}, "FAILED_PRECONDITION", "call.graph.inline.outputs"),
    ],
)
def test_whose_symmetry_cannot_be_verified(stubs, more, code, field):
    refused = refusal(lambda: symmetric(stubs, **more))
    assert refused.code is grpc.StatusCode[code]
    assert field in refused.violations


def test_client_may_leave_a_stream(stubs, server):
    request = estimate_service_pb2.EstimateTraceRequest(call=call_of(QUADRATIC), max_probes=1_000_000, estimator=SIGNS)
    stream = stubs.estimates.EstimateTrace(request)
    next(stream)
    stream.cancel()
    assert server.admission.wait_idle(5)
