"""The example of docs/CERTIFICATES.md says what comes out."""

import re
from pathlib import Path

import numpy as np

from gradserve.client import Certificate, certify

PAGE = Path(__file__).resolve().parents[3] / "docs" / "CERTIFICATES.md"


def test_the_example():
    (example, *_) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    found = names["found"]
    assert isinstance(found, Certificate)
    assert found.verdict == "disagrees"
    assert [(row.input, row.verdict) for row in found.inputs] == [("w", "disagrees"), ("b", "agrees")]
    assert {entry.input for entry in found.entries} == {"w"}


def test_the_evaluations():
    told = int(re.findall(r"takes (\d+) evaluations", PAGE.read_text())[0])
    x = np.linspace(-1, 1, 500)
    assert certify(lambda x: float(np.sum(np.sin(x))), np.cos(x), at=x).evaluations == told
