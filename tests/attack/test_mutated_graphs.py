"""Correct graphs with mutations go through every pass: answered or refused by name, in bounded memory."""

import os

import pytest

from tests.attack import trial

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("GRADSERVE_MUTATED_GRAPHS", "300"))
"""How many are tried here; `python -m tests.attack.campaign` tries as many as one likes, in processes of their own."""
_TOGETHER = 50


@pytest.mark.parametrize("first", range(0, COUNT, _TOGETHER))
def test_no_graph_does_harm(first):
    faults = {seed: found for seed in range(first, first + _TOGETHER) if (found := trial.try_seed(seed, 3).faults)}
    assert faults == {}


def test_mutations_reach_every_pass():
    outcomes = [trial.try_seed(seed, 3) for seed in range(40)]
    seen = {stage for outcome in outcomes for stage in outcome.stages}
    assert {"decode", "check", "bind"} < seen
    assert any(stage.startswith("run ") for stage in seen)
    assert "InvalidGraph" in {end for outcome in outcomes for end in outcome.stages.values()}


def test_a_fault_would_be_seen(monkeypatch):
    def breaks(*_):
        raise RecursionError("too deep")

    monkeypatch.setattr(trial, "check", breaks)
    outcomes = [trial.try_seed(seed, 1) for seed in range(20)]
    assert any("RecursionError" in fault for outcome in outcomes for fault in outcome.faults)
    monkeypatch.setattr(trial, "SECONDS", 0.0)
    assert any("decode: 0.0" in fault for fault in trial.try_seed(0).slow)
