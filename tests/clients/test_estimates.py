"""Verification, traces of Hessians and predictions, as a user asks for them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from gradserve.client import GradserveError, InvalidRequest, NotDifferentiable
from gradserve.questions.estimates import StopReason
from gradserve.questions.verification import DirectionReport, EntryReport
from tests.clients.bits import same_bits
from tests.clients.examples import C as B
from tests.clients.examples import V as W
from tests.clients.examples import fitted as loss


def gradient(client):
    return client.function(loss).grad(W, B)


def without_times(estimate):
    return (estimate.value, estimate.interval, estimate.standard_error, estimate.probes, estimate.stop_reason)


# ---- verification


def test_a_right_gradient_passes(agree):
    report = agree(lambda c: c.function(loss).verify(W, B, seed=4))
    assert report.passed
    assert report.verdict == "agrees"
    assert report.entries == ()
    assert [row.name for row in report.inputs] == ["w", "b"]
    assert isinstance(report.worst, DirectionReport)
    assert report.seed == 4


def test_a_report_prints_as_a_table(client):
    lines = str(client.function(loss).verify(W, B)).splitlines()
    assert lines[0].startswith("verification: agrees (")
    assert lines[1].split() == ["input", "verdict", "claimed", "measured", "bound"]
    assert [line.split()[:2] for line in lines[2:]] == [["w", "agrees"], ["b", "agrees"]]
    assert all(line == line.rstrip() for line in lines)


def test_a_wrong_gradient_names_its_entry(agree):
    def verify(client):
        claimed = gradient(client)
        claimed["w"][2, 1] += 0.25
        return client.function(loss).verify(W, B, claimed=claimed)

    report = agree(verify)
    assert not report.passed
    assert isinstance(report.worst, EntryReport)
    assert (report.worst.name, report.worst.input, report.worst.index) == ("w[2,1]", "w", (2, 1))
    assert report.worst.claimed - report.worst.measured == pytest.approx(0.25)
    assert str(report.worst).startswith("w[2,1]: disagrees; claimed ")
    assert "w[2,1]  disagrees" in str(report)


def test_a_part_alone_is_verified(agree):
    report = agree(lambda c: c.function(loss).verify(W, B, wrt="b", claimed=gradient(c)["b"], directions=3))
    assert report.passed
    assert len(report.directions) == 3
    assert [row.input for row in report.inputs] == ["b"]


def test_a_kink_is_no_wrong_gradient(agree):
    report = agree(lambda c: c.function(lambda w: np.sum(np.abs(w))).verify(np.array([1.0, 0.0, 2.0])))
    assert report.verdict == "kink"
    assert not report.passed


@pytest.mark.parametrize(
    ("claimed", "message"),
    [
        ({"w": W}, "the claimed gradient must be a dict with w, b, not one with w"),
        (W, "the claimed gradient must be a dict with w, b, not a number or array"),
        ({"w": W, "b": None}, "the claimed gradient has nothing for b"),
        ({"w": W, "b": 1j}, "the claimed gradient of b is complex128 and the function takes float64"),
        ({"w": W, "b": np.ones(5)}, r'claimed\["b"\].*f64\[5\] is given where f64\[2\] is expected'),
    ],
)
def test_claims_that_do_not_fit(client, claimed, message):
    with pytest.raises(InvalidRequest, match=message):
        client.function(loss).verify(W, B, claimed=claimed)


def test_progress_of_a_verification(client):
    seen: list[Any] = []
    f = client.function(loss)
    report = f.verify(W, B, progress=seen.append)
    assert [step.evaluations for step in seen] == sorted(step.evaluations for step in seen)
    assert seen[-1].report is report
    assert all(step.report is None for step in seen[:-1])
    assert all(step.stage for step in seen)
    assert f.last_report == seen[-1].execution
    assert f.last_report.execute > 0


# ---- traces


def test_a_trace_and_its_interval(agree):
    def ask(client):
        return without_times(client.function(loss).hessian_trace(W, B, rel_tol=0.1, estimator="hutchinson", seed=7))

    value, (lower, upper), error, probes, reason = agree(ask)
    assert lower < value < upper
    assert (upper - lower) / 2 <= 0.1 * abs(value)
    assert error > 0
    assert probes > 1
    assert reason == "tolerance"


def test_the_gradient_of_a_trace(agree):
    def ask(client):
        found = client.function(loss).hessian_trace(W, B, max_probes=12, seed=7, gradient=True)
        return found.gradient, found.gradient_half_widths

    gradient, half_widths = agree(ask)
    assert gradient["w"].shape == half_widths["w"].shape == W.shape
    assert np.any(gradient["w"] != 0)


def test_the_trace_of_a_diagonal_hessian_is_exact(client):
    f = client.function(lambda w: np.sum(w**3))
    estimate = f.hessian_trace(np.arange(1.0, 5.0), rel_tol=1e-6, estimator="hutchinson")
    assert estimate.value == pytest.approx(60.0)
    assert str(estimate).startswith("60 ± ")
    assert f.last_report == estimate.report


def test_several_parameters_and_a_selection(client):
    f = client.function(loss)
    whole = f.hessian_trace(W, B, max_probes=2000, estimator="hutchinson", seed=1)
    parts = [f.hessian_trace(W, B, wrt=name, max_probes=2000, estimator="hutchinson", seed=1) for name in ("w", "b")]
    assert parts[0].value != parts[1].value
    assert abs(whole.value - sum(p.value for p in parts)) < sum(p.upper - p.lower for p in (whole, *parts))


def test_progress_is_told_every_estimate(client):
    seen: list[Any] = []
    estimate = client.function(loss).hessian_trace(W, B, max_probes=64, estimator="hutchinson", progress=seen.append)
    assert seen[-1] is estimate
    assert [e.probes for e in seen] == sorted({e.probes for e in seen})
    assert all(not e.stop_reason for e in seen[:-1])
    assert estimate.stop_reason == "max_probes"


def test_progress_may_leave(client, server):
    def enough(estimate):
        if estimate.probes >= 16:
            raise StopIteration

    estimate = client.function(loss).hessian_trace(W, B, max_probes=1_000_000, estimator="hutchinson", progress=enough)
    assert 16 <= estimate.probes < 1000
    assert estimate.stop_reason == ""
    assert server.admission.wait_idle(2)


def test_what_progress_answers_makes_no_difference(client):
    estimate = client.function(loss).hessian_trace(W, B, max_probes=64, estimator="hutchinson", progress=lambda _: True)
    assert estimate.probes == 64


def test_a_verification_that_is_left_has_no_report(client):
    def leave(step):
        raise StopIteration

    with pytest.raises(GradserveError, match="left before it came to a report"):
        client.function(loss).verify(W, B, progress=leave)


def test_an_error_in_progress_ends_the_work(client, server):
    class Enough(Exception):
        pass

    def stop(estimate):
        raise Enough

    started = time.monotonic()
    with pytest.raises(Enough) as caught:  # which keeps the traceback, and so whatever hangs on it
        client.function(loss).hessian_trace(W, B, max_probes=1_000_000, estimator="hutchinson", progress=stop)
    assert server.admission.wait_idle(2)
    assert time.monotonic() - started < 10
    assert caught.traceback


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"seed": 1.5}, "seed is 1.5; it must be a whole number"),
        ({"max_probes": -3}, "max_probes is -3"),
        ({"rel_tol": -1.0}, "tolerance"),
        ({"confidence": 2.0}, "confidence"),
    ],
)
def test_options_that_do_not_fit(client, options, message):
    with pytest.raises(InvalidRequest, match=message):
        client.function(loss).hessian_trace(W, B, **options)


def test_what_is_no_loss_has_no_hessian(client):
    with pytest.raises(NotDifferentiable, match="no loss"):
        client.function(lambda w: 2 * w).hessian_trace(B)


# ---- predictions


@pytest.mark.parametrize("derivation", ["evaluate", "gradient", "jvp", "vjp", "hvp"])
def test_predictions(agree, derivation):
    found = agree(lambda c: c.function(loss).explain(W, B, derivation=derivation))
    assert found.flops >= found.loss_flops > 0
    assert found.peak_bytes > 0
    assert list(found.inputs)[:2] == ["w", "b"]


def test_a_prediction_prints_as_a_page(agree):
    points = np.zeros((500, 3, 2)), np.zeros((500, 2))
    found = agree(lambda c: c.function(loss).explain(*points, batch=True, reduction="mean"))
    page, text = str(found).split("\n\n")
    titles = [line.split()[0] for line in page.splitlines()]
    assert titles == ["inputs", "outputs", "cost", "loss", "memory", "chunks", "placement"]
    assert sum(found.chunks) == 500
    assert text.startswith('graph (%0 "w": f64[3,2], %1 "b": f64[2])')
    assert "examples.py:" in text


def test_nothing_runs_for_a_prediction(client):
    """A refused job is explained as well, and its 80 GB of arguments are never there."""
    huge = np.broadcast_to(np.zeros(()), (10**10,))
    found = client.function(lambda w: np.sum(w * w)).explain(huge)
    assert found.placement == "refused"
    assert "limit" in found.reason


def test_unknown_derivations(client):
    with pytest.raises(InvalidRequest, match="no derivation 'laplacian'; there are evaluate, gradient, jvp, vjp, hvp"):
        client.function(loss).explain(W, B, derivation="laplacian")


# ---- reports


def test_a_report_of_each_call(client):
    f = client.function(loss)
    assert f.last_report is None
    first = reported(f, W)
    assert (first.placement, first.executor) == ("front-end", "numpy")
    assert first.flops == f.explain(W, B).flops
    assert list(first.phases) == ["queue", "decode", "plan", "execute", "encode"]
    assert "1 chunk(s) on front-end by numpy, 0 retries" in str(first)
    assert reported(f, W).plan_cache_hit
    assert reported(f, np.full((3, 2), np.nan)).nonfinite_outputs == 9


def reported(f, w) -> Any:
    f.value_and_grad(w, B)
    return f.last_report


def test_the_comparison_can_fail(remote, embedded):
    """A planted fault: another seed."""
    one = embedded.function(loss).verify(W, B, seed=1)
    assert same_bits(one, embedded.function(loss).verify(W, B, seed=1))
    assert not same_bits(one, remote.function(loss).verify(W, B, seed=2))


def test_a_small_problem_has_its_exact_trace_without_being_asked(client):
    """Of f = sum w_i^3 + w_1 w_2 at 1, 2, 3: 6 (1 + 2 + 3)."""
    found = client.function(lambda w: np.sum(w**3) + w[0] * w[1]).hessian_trace(np.arange(1.0, 4.0))
    assert (found.value, found.probes, found.stop_reason) == (36.0, 3, StopReason.EXACT)
    assert found.upper - found.lower < 1e-12
    assert found.way.startswith("every column of the matrix")


def test_without_tolerances_and_probes_it_stops_at_one_percent_and_says_how_it_was_made(client):
    rng = np.random.default_rng(0)
    scaled, w = rng.standard_normal((60, 80)) / np.arange(1, 81), rng.standard_normal(80)
    found = client.function(lambda w: np.mean(np.logaddexp(0, scaled @ w))).hessian_trace(w)
    assert found.stop_reason is StopReason.TOLERANCE
    assert found.upper - found.lower <= 0.02 * found.value
    assert found.probes < 80
    assert "beside" in found.way
    p = 1 / (1 + np.exp(-scaled @ w))
    assert found.lower <= np.mean(p * (1 - p) * np.sum(scaled**2, axis=1)) <= found.upper
