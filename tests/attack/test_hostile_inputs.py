"""Bytes, requests and texts with changes: read, answered, or refused by name. `make fuzz` tries many more."""

import io
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from gradserve.client.importers import from_stablehlo
from gradserve.ir.errors import GradserveError
from tests.attack import campaign, targets
from tests.attack.targets import TARGETS

COUNT = {"bytes": 1500, "requests": 400, "text": 300, "stablehlo": 100}


@pytest.mark.parametrize("name", COUNT)
def test_no_input_does_harm(name):
    outcomes = {seed: TARGETS[name](seed) for seed in range(COUNT[name])}
    assert {seed: found.faults for seed, found in outcomes.items() if found.faults} == {}
    ends = {end for found in outcomes.values() for end in found.stages.values()}
    assert "fine" in ends
    assert len(ends) > 1


@given(st.sampled_from(sorted(COUNT)), st.integers(0, 2**63))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_other_input_does_either(name, seed):
    assert TARGETS[name](seed).faults == []


def test_requests_are_not_all_refused():
    stages = {s for seed in range(1500) for s, end in TARGETS["requests"](seed).stages.items() if end == "fine"}
    assert {f"answer {name}" for name in ("Evaluate", "Gradient", "Hessian", "Jacobian", "ExplainGraph")} <= stages


@pytest.mark.parametrize(("name", "at"), [("bytes", "decode_graph"), ("requests", "answers"), ("text", "parse")])
def test_a_fault_would_be_seen(monkeypatch, name, at):
    def breaks(*_):
        raise RecursionError("too deep")

    TARGETS[name](0)  # which parses what it is made of
    monkeypatch.setattr(targets, at, breaks)
    found = [fault for seed in range(60) for fault in TARGETS[name](seed).faults]
    assert any("RecursionError" in fault for fault in found)


def test_a_campaign_counts_what_comes_of_its_inputs():
    found = campaign.campaign("bytes", 0, 300, Console(file=io.StringIO()))
    assert found.faults == []
    assert sum(number for (stage, _), number in found.stages.items() if stage == "parse") == 300


@pytest.mark.parametrize("path", sorted(targets.CORPUS.glob("*.mlir")), ids=lambda path: path.stem)
def test_numbers_of_thousands_of_digits_are_refused(path):
    text, refused = path.read_text(), 0
    numbers = [match.span() for match in re.finditer(r"\b\d+\b", text)]
    for start, stop in numbers[:: max(1, len(numbers) // 12)]:
        try:  # some are never read, such as those of sharding
            from_stablehlo(text[:start] + "9" * 5000 + text[stop:])
        except GradserveError:
            refused += 1
    assert refused > 4
