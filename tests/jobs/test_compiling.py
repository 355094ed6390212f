"""Programs that run often become machine code, of themselves, and nobody waits for it."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.execution import compiler
from gradserve.execution.fused.executor import FusedExecutor
from gradserve.jobs.sweeps import compiling
from gradserve.jobs.sweeps.compiling import Compiling, Heat
from gradserve.questions.report import Report

W = np.linspace(-1.0, 1.0, 40)


def report_of(f: Any) -> Report:
    """The report on the last call."""
    assert f.last_report is not None
    found: Report = f.last_report
    return found


def executor_of(f: Any) -> str:
    """What the last call ran on."""
    return report_of(f).executor


def loss(w):
    return np.sum(np.sin(w) * np.exp(w))


@pytest.fixture
def eager(monkeypatch):
    """Every program has earned machine code after its first run; all compilers of the process, to be waited for."""
    made: list[Compiling] = []
    begin = Compiling.__init__

    def noted(self: Compiling) -> None:
        begin(self)
        made.append(self)

    monkeypatch.setattr(Compiling, "__init__", noted)
    monkeypatch.setenv(compiling.COMPILE, "1")
    monkeypatch.setattr(FusedExecutor, "preparing_seconds", lambda *_: 0.0)

    def wait() -> None:
        for each in made:
            each.wait()

    return wait


def test_a_program_that_runs_often_is_compiled_and_gives_the_same(eager):
    with Client() as client:
        f = client.function(loss, w=W)
        first = f.value_and_grad(W)
        assert executor_of(f) == "numpy"
        eager()
        second = f.value_and_grad(W)
        assert executor_of(f) == f.explain(W).executor == "fused"
        np.testing.assert_allclose(second[0], first[0], rtol=1e-15)
        np.testing.assert_allclose(second[1], first[1], rtol=1e-15, atol=1e-15)
        assert f.grad(W + 1.0).shape == W.shape


def test_a_loop_of_calls_comes_to_run_on_machine_code(eager):
    with Client() as client:
        f = client.function(lambda w: np.sum(np.sin(w) * w), w=W)
        kept = []  # reports keep what they report on
        for k in range(5):
            f.value_and_grad(W)
            kept.append(report_of(f))
            if k == 2:
                eager()
        assert executor_of(f) == "fused"


def test_batches_keep_their_chunks(eager):
    points = np.tile(W, (300, 1))
    with Client() as client:
        f = client.function(loss, w=W)
        first, chunks = f.value_and_grad(points, batch=True), report_of(f).chunks
        eager()
        second = f.value_and_grad(points, batch=True)
        assert executor_of(f) == "fused"
        assert report_of(f).chunks == chunks
        np.testing.assert_allclose(second[1], first[1], rtol=1e-14)


class AtOnce(ThreadPoolExecutor):
    """A compiler that is done before whoever asked goes on."""

    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        future.result()
        return future


@pytest.mark.parametrize(
    "ask",
    [lambda f: f.grad(W), lambda f: f.hessian(W), lambda f: f.grad(np.tile(W, (300, 1)), batch=True)],
    ids=["gradient", "hessian", "batch"],
)
def test_machine_code_that_comes_while_its_first_job_ends_is_found(eager, monkeypatch, ask):
    monkeypatch.setattr(compiling, "ThreadPoolExecutor", AtOnce)
    with Client() as client:
        f = client.function(loss, w=W)
        ask(f)
        assert executor_of(f) == "numpy"
        ask(f)
        assert executor_of(f) == "fused"


def test_whoever_pins_an_executor_keeps_it(eager):
    with Client() as client:
        f = client.function(loss, w=W)
        f.executor = "numpy"
        for _ in range(3):
            f.grad(W)
            eager()
        assert executor_of(f) == "numpy"


def test_bits_that_must_not_change_are_kept_by_a_variable(eager, monkeypatch):
    monkeypatch.setenv(compiling.COMPILE, "0")
    with Client() as client:
        f = client.function(loss, w=W)
        for _ in range(3):
            f.grad(W)
            eager()
        assert executor_of(f) == "numpy"


def test_what_cannot_be_compiled_stays_on_numpy(eager, monkeypatch, caplog):
    monkeypatch.setattr(type(compiler()), "prepare", lambda self, schedule: 1 / 0)
    with Client() as client, caplog.at_level(logging.ERROR):
        f = client.function(lambda w: np.sum(np.cos(w) * w), w=W)
        for _ in range(3):
            f.grad(W)
            eager()
        assert executor_of(f) == "numpy"
    assert "no machine code" in caplog.text


def test_without_the_compiler_everything_runs_on_numpy(eager, monkeypatch):
    monkeypatch.setattr(compiling, "compiler", lambda: None)
    with Client() as client:
        f = client.function(lambda w: np.sum(np.cos(w) - w), w=W)
        for _ in range(3):
            f.grad(W)
            eager()
        assert executor_of(f) == "numpy"


def test_heat_ignites_once_when_enough_has_run():
    lit: list[int] = []
    heat = Heat(1.0, lambda: lit.append(1))
    for _ in range(3):
        heat.add(0.4)
        assert len(lit) == 0 or heat is not None
    assert lit == [1]
    heat.add(5.0)
    assert lit == [1]
