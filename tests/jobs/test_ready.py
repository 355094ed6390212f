"""Calls that are ready answer as the first call of their kind did, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.ir.errors import DeadlineExceeded, GradserveError, NotDifferentiable
from gradserve.jobs.sweeps.ready import Ready
from gradserve.questions.report import PHASES, Report

DATA = np.random.default_rng(0).normal(size=(30, 4))
LOSSES: dict[str, Callable[[Any], Any]] = {
    "smooth": lambda w: np.sum(np.tanh(DATA @ w) ** 2),
    "on a kink": lambda w: np.sum(np.abs(w - 1)) + np.max(w),
    "zeros against infinities": lambda w: np.sum(np.where(w > 2, np.log(w - 1), w**2)),
    "infinite": lambda w: np.sum(1 / (w - w[0])),
}
W = np.array([1.0, 0.5, -2.0, 3.0])
ASKED: dict[str, Callable[[Any, Any], Any]] = {
    "value": lambda f, w: f(w),
    "gradient": lambda f, w: f.value_and_grad(w),
    "hvp": lambda f, w: f.hvp(w, tangent=np.ones(4)),
    "jvp": lambda f, w: f.jvp(w, tangent=np.ones(4)),
    "vjp": lambda f, w: f.vjp(w, cotangent=2.0),
    "batch": lambda f, w: f.value_and_grad(np.stack([w, w + 1, w - 1]), batch=True),
    "mean of a batch": lambda f, w: f.grad(np.stack([w, w + 1, w - 1]), batch=True, reduction="mean"),
    "products of a batch": lambda f, w: f.hvp(np.stack([w, 2 * w]), tangent=np.ones((2, 4)), batch=True),
}


def told(report: Report | None) -> Report:
    """A report without what differs from call to call."""
    assert report is not None
    times: dict[str, Any] = dict.fromkeys(PHASES, 0.0)
    return replace(report, plan_cache_hit=True, workers=(), **times)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("asked", ASKED)
def test_later_calls_answer_as_the_first(loss: str, asked: str) -> None:
    with Client(threads=1) as client:
        f = client.function(LOSSES[loss])
        first, report = ASKED[asked](f, W), told(f.last_report)
        for _ in range(2):
            np.testing.assert_equal(ASKED[asked](f, W), first)
            assert told(f.last_report) == report
        other = ASKED[asked](f, W + 0.25)
        np.testing.assert_equal(ASKED[asked](client.function(LOSSES[loss]), W + 0.25), other)


def test_results_are_the_caller_s_own() -> None:
    with Client(threads=1) as client:
        f = client.function(lambda w: w * 1.0 + 0.0)
        f(W)
        result = f(W)
        result += 5
        np.testing.assert_array_equal(f(W), W)


def test_other_types_are_other_calls() -> None:
    with Client(threads=1) as client:
        f = client.function(lambda w, k: np.sum(w**k))
        for w in (W, W[:2], W.astype(np.float32), np.arange(1, 5)):
            for k in (2, 3.0, np.array(3.0)):
                np.testing.assert_allclose(f(w, k), np.sum(w.astype(float) ** k), rtol=1e-6)
                np.testing.assert_allclose(f(w, k), np.sum(w.astype(float) ** k), rtol=1e-6)


def test_what_is_differentiated_is_part_of_the_call() -> None:
    with Client(threads=1) as client:
        f = client.function(lambda a, b: np.sum(a * b**2))
        for _ in range(2):
            np.testing.assert_array_equal(f.grad(W, W, wrt="a"), W**2)
            np.testing.assert_array_equal(f.grad(W, W, wrt=["b"]), 2 * W * W)
            assert set(f.grad(W, W)) == {"a", "b"}


def test_changed_data_is_seen() -> None:
    data = np.ones(4)
    with Client(threads=1) as client:
        f = client.function(lambda w: np.sum(w * data))
        f.grad(W)
        f.grad(W)
        data[2] = 7.0
        np.testing.assert_array_equal(f.grad(W), [1, 1, 7, 1])


def test_limits_of_time_and_closed_clients_hold() -> None:
    client = Client(threads=1)
    f = client.function(LOSSES["smooth"])
    f.grad(W)
    f.grad(W)
    f.timeout = 1e-9
    with pytest.raises(DeadlineExceeded):
        f.grad(W)
    f.timeout = None
    client.close()
    with pytest.raises(GradserveError, match="closed"):
        f.grad(W)


def test_a_ready_call_that_mixes_points_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Ready.answer
    with Client(threads=1) as client:
        f = client.function(LOSSES["smooth"])
        first = f.grad(W)
        monkeypatch.setattr(
            Ready,
            "answer",
            lambda self, given, control: answer(self, {n: np.roll(a, 1) for n, a in given.items()}, control),
        )
        assert not np.array_equal(f.grad(W), first)


def test_vectors_go_where_they_belong_in_any_order() -> None:
    a, b, t, u = W, W + 1, np.arange(4.0), np.ones(4)
    with Client(threads=1) as client:
        f = client.function(lambda a, b: np.sum(a**2 * b))
        first = f.hvp(a, b, tangent={"a": t, "b": u})
        for tangent in ({"a": t, "b": u}, {"b": u, "a": t}, {"a": t, "b": u}):
            for _ in range(2):
                np.testing.assert_equal(f.hvp(a, b, tangent=tangent), first)
                np.testing.assert_equal(f.hvp(b=b, a=a, tangent=tangent), first)
                np.testing.assert_equal(f.hvp(a, b=b, tangent=tangent), first)
        for step in ({"p": 1.0, "q": 2.0}, {"q": 2.0, "p": 1.0}):
            g = client.function(lambda p, q: p**2 * q)
            for _ in range(3):
                assert g.hvp(3.0, 5.0, tangent=step) == {"p": 2 * 5.0 * 1 + 2 * 3.0 * 2, "q": 2 * 3.0}


def test_equal_options_of_other_types_are_refused_as_ever() -> None:
    with Client(threads=1) as client:
        f = client.function(lambda w: np.sum(w**2))
        for _ in range(2):
            f.grad(np.ones((2, 3)), batch=True)
            with pytest.raises(GradserveError, match="batch takes names"):
                f.grad(np.ones((2, 3)), batch=1)  # type: ignore[arg-type]  # what is refused
            with pytest.raises(GradserveError, match="do not fit"):
                f.hvp(np.ones(3), tangent=np.ones(4))
            f.hvp(np.ones(3), tangent=np.ones(3))


def test_settings_are_part_of_the_call() -> None:
    with Client(threads=1) as client:
        f = client.function(lambda w: np.sum(np.abs(w)))
        for _ in range(2):
            f.kinks = "convention"
            f.grad(np.zeros(3))
            assert f.last_report is not None
            assert f.last_report.kinks is not None
            assert f.last_report.kinks.nodes == 1
            f.count_kinks = False
            f.grad(np.zeros(3))
            assert f.last_report.kinks is None
            f.count_kinks, f.kinks = True, "refuse"
            with pytest.raises(NotDifferentiable):
                f.grad(np.zeros(3))


def test_trees_and_numbers_are_remembered_by_their_structure() -> None:
    def loss(model: Any, scale: Any) -> Any:
        return scale * np.sum(model["a"] ** 2) * model["b"][0] + model["b"][1]

    model = {"a": W, "b": (2.0, np.float64(3.0))}
    with Client(threads=1) as client:
        f = client.function(loss)
        for scale in (2.0, np.array(2.0), 2.0, 5.0):
            for shuffled in (model, dict(reversed([*model.items()]))):
                value, grad = f.value_and_grad(shuffled, scale)
                assert value == loss(model, scale)
                np.testing.assert_equal(grad["model"]["a"], scale * 2 * W * 2.0)
                assert [*grad["model"]] == [*shuffled]
                assert grad["model"]["b"] == (scale * np.sum(W**2), 1.0)


def test_a_forgotten_call_is_answered_all_the_same() -> None:
    with Client(threads=1) as client:
        f = client.function(LOSSES["smooth"])
        first = f.grad(W)
        f.grad(W)
        for _ in range(2):
            client._backend._context.ready.put("another", None, 1 << 40)  # type: ignore[attr-defined]  # drops all others
            for _ in range(3):
                np.testing.assert_array_equal(f.grad(W), first)


MATRICES: dict[str, Callable[[Any, Any], Any]] = {
    "rows": lambda f, w: f.jacobian(w, mode="reverse"),
    "columns": lambda f, w: f.jacobian(w, mode="forward"),
    "a batch": lambda f, w: f.jacobian(np.stack([w, w + 1]), batch=True),
    "a mean": lambda f, w: f.jacobian(np.stack([w, w + 1]), batch=True, reduction="mean"),
    "two parameters": lambda f, w: f.jacobian(w, np.float64(2.0)),
    "a hessian": lambda f, w: f.hessian(w),
    "hessians of a batch": lambda f, w: f.hessian(np.stack([w, w + 1]), batch=True),
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "smooth": lambda w, s=1.0: np.tanh(DATA @ w) * s,
    "on a kink": lambda w, s=1.0: np.abs(w - 1) * s + np.max(w),
    "zeros against infinities": lambda w, s=1.0: np.where(w > 2, np.log(w - 1), w**2) * s,
    "infinite": lambda w, s=1.0: 1 / (w - w[0]) * s,
    "linear": lambda w, s=1.0: w * s,
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("asked", MATRICES)
def test_later_matrices_are_as_the_first(function: str, asked: str) -> None:
    def of(w: Any, *s: Any) -> Any:
        found = FUNCTIONS[function](w, *s)
        return np.sum(found**2) if "hessian" in asked else found

    with Client(threads=1) as client:
        f = client.function(of)
        first, report = MATRICES[asked](f, W), told(f.last_report)
        for _ in range(2):
            found = MATRICES[asked](f, W)
            np.testing.assert_equal(found, first)
            assert told(f.last_report) == report
            for part in filter(
                lambda each: isinstance(each, np.ndarray), found.values() if type(found) is dict else [found]
            ):
                part += 5
        other = MATRICES[asked](f, W + 0.25)
        np.testing.assert_equal(MATRICES[asked](client.function(of), W + 0.25), other)
