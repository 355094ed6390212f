"""Gradients from values alone as a user asks for them: of a service, in process, and on the terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.clients.examples import C as B
from tests.clients.examples import V as W
from tests.clients.examples import fitted as loss


def told(answer):
    return {name: value for name, value in vars(answer).items() if name not in ("report", "token")}


@pytest.mark.parametrize("sampler", ["sphere", "gaussian", "signs", "basis"])
@pytest.mark.parametrize("scheme", ["central", "forward"])
def test_a_service_and_this_process_answer_the_same_bits(agree, embedded, sampler, scheme):
    options = {"sampler": sampler, "scheme": scheme, "seed": 3, "max_probes": 40}
    found = agree(lambda c: told(c.function(loss).zero_order_gradient(W, B, **options)))
    gradient = embedded.function(loss).grad(W, B)
    for name in ("w", "b"):
        assert np.all(np.abs(found["values"][name] - gradient[name]) <= 2 * found["half_widths"][name])
    each = 2 if scheme == "central" else 1
    assert found["evaluations"] > each * found["probes"]


def test_a_part_alone(agree, embedded):
    found = agree(lambda c: told(c.function(loss).zero_order_gradient(W, B, wrt="b", sampler="basis")))
    assert found["values"] == pytest.approx(embedded.function(loss).grad(W, B, wrt="b"), abs=found["step_error"])


def test_progress_is_told_every_estimate_and_may_leave(client):
    seen: list[Any] = []

    def leave(answer):
        raise StopIteration

    f = client.function(loss)
    found = f.zero_order_gradient(W, B, max_probes=64, progress=seen.append)
    assert [each.probes for each in seen] == [16, 32, 64]
    assert told(seen[-1])["widest"] == found.widest
    assert f.last_report == found.report
    assert f.last_report.batch_size == 64
    assert f.zero_order_gradient(W, B, progress=leave).probes == 16


def test_the_step_of_one_answer_saves_the_next_its_choice(client):
    f = client.function(loss)
    first = f.zero_order_gradient(W, B, max_probes=1)
    second = f.zero_order_gradient(W, B, max_probes=1, step=first.step)
    assert first.evaluations > second.evaluations == 2
    np.testing.assert_array_equal(first.values["w"], second.values["w"])


def test_a_prediction(agree):
    found = agree(lambda c: c.function(loss).explain(W, B, derivation="zero_order_gradient"))
    assert sum(found.chunks) == 4096
    assert found.flops > 2 * 4096 * found.loss_flops * 0.9
    assert list(found.outputs) == ["value:slope", "value:factor"]


def test_a_parameter_may_be_called_step(client):
    f = client.function(lambda step: np.sum(step**3))
    assert f.verify(np.array([1.0, 2.0])).passed
    assert f.zero_order_gradient(np.array([1.0, 2.0]), sampler="basis").values == pytest.approx([3, 12])
    assert f.taylor(np.array([1.0, 2.0])).passed


def test_on_the_terminal(run, folder, place):
    command = ("zero-order-gradient", "loss.pb", "point.npz", *place)
    status, out, err = run(*command, "--sampler", "basis", "--out", "z.npz")
    assert (status, err) == (0, "")
    assert "every entry by itself, error of the step" in out
    run("gradient", "loss.pb", "point.npz", *place, "--out", "g.npz")
    with np.load("z.npz") as found, np.load("g.npz") as exact:
        np.testing.assert_allclose(found["values:w"], exact["gradient:w"], rtol=1e-6, atol=1e-8)
    assert "40 directions" in run(*command, "--max-probes", "40")[1]
    status, _, err = run(*command, "--sampler", "basis", "--max-probes", "1")
    assert status == 2
    assert "max_probes: E4" in err


def test_the_help_teaches(run, capsys):
    for command, word in (("zero-order-gradient", "variance"), ("hessian-diagonal", "random signs")):
        with pytest.raises(SystemExit):
            run(command, "--help")
        assert word in capsys.readouterr().out
