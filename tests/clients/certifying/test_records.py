"""Silent wrong gradients on record in public trackers are all certified wrong, with the input named."""

import numpy as np
import pytest

from gradserve.client import certify
from gradserve.questions.verdicts import Verdict
from tests.clients.certifying.records import RECORDS


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.source)
def test_the_fault_is_found_and_its_input_named(record):
    right = certify(record.loss, record.right, at=record.at)
    assert right.passed, str(right)
    found = certify(record.loss, record.wrong, at=record.at)
    assert found.verdict is Verdict.DISAGREES
    assert {row.input for row in found.inputs if row.verdict is Verdict.DISAGREES} == record.leaves
    assert {entry.input for entry in found.entries} <= record.leaves
    assert found.entries
    true, claimed = record.right(**record.at), record.wrong(**record.at)
    for entry in found.entries:
        apart = abs(np.asarray(true[entry.input])[entry.index] - entry.measured)
        assert apart <= entry.error_bound + 1e-9 * abs(entry.measured)
        assert entry.claimed == np.asarray(claimed[entry.input])[entry.index]
