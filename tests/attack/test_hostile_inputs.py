"""Bytes, requests and texts with changes: read, answered, or refused by name. `make fuzz` tries many more."""

import io
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from gradserve import wire
from gradserve.client.importers import from_stablehlo
from gradserve.ir.check import check
from gradserve.ir.errors import GradserveError
from gradserve.service.storage.owners import OwnedBlobs
from tests.attack import campaign, house, targets
from tests.attack.record import Record
from tests.attack.seeds import program
from tests.attack.targets import TARGETS

pytestmark = pytest.mark.slow

COUNT = {"bytes": 800, "reading": 600, "requests": 200, "sessions": 60, "text": 300, "stablehlo": 100}


@pytest.mark.parametrize("name", COUNT)
def test_no_input_does_harm(name):
    outcomes = {seed: TARGETS[name](seed) for seed in range(COUNT[name])}
    assert {seed: found.faults for seed, found in outcomes.items() if found.faults} == {}
    ends = {end for found in outcomes.values() for end in found.stages.values()}
    assert "fine" in ends
    assert len(ends) > 1


@given(st.sampled_from(sorted(COUNT)), st.integers(0, 2**63))
@settings(max_examples=60)
def test_no_other_input_does_either(name, seed):
    assert TARGETS[name](seed).faults == []


def test_requests_are_not_all_refused():
    """Every request that is sent as it was made is read, and most are answered."""
    sound = [targets.TARGETS["requests"](seed).stages for seed in range(0, 240, 4)]
    read = [end for stages in sound for stage, end in stages.items() if stage.startswith("read ")]
    assert read.count("fine") >= 0.9 * len(read)
    answered = [end for stages in sound for stage, end in stages.items() if stage.startswith("answer ")]
    assert answered.count("fine") >= 0.4 * len(answered)


def test_every_program_is_correct():
    assert [check(program(random.Random(seed))) for seed in range(100)] == [[]] * 100


@pytest.mark.parametrize(("name", "module", "at"), [
    ("bytes", targets, "decode_graph"), ("requests", house, "answers"), ("text", targets, "parse"),
    ("sessions", OwnedBlobs, "append"), ("reading", wire, "decode_question"),
])  # fmt: skip
def test_a_fault_would_be_seen(monkeypatch, name, module, at):
    def breaks(*_, **__):
        raise RecursionError("too deep")

    TARGETS[name](0)  # which parses what it is made of
    monkeypatch.setattr(module, at, breaks)
    found = [fault for seed in range(60) for fault in TARGETS[name](seed).faults]
    assert any("RecursionError" in fault for fault in found)


def test_a_campaign_goes_on_from_its_record(tmp_path):
    record = Record(tmp_path / "record")
    for first in (0, record.next("bytes") or 300):
        run = campaign.Campaign(Console(file=io.StringIO()), record)
        run.run(campaign.pieces(["bytes"], {"bytes": first}, 300, 0.0))
        assert run.found["bytes"].inputs == 300
    assert record.next("bytes") == 600
    found = record.sums()["bytes"]
    assert found.faults == []
    assert found.inputs == sum(number for (stage, _), number in found.stages.items() if stage == "parse") == 600


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
