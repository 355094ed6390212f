"""Every op keeps every law at every one of its samples."""

import pytest

from tests.laws.laws import LAWS
from tests.laws.support import OPS, complexified


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("law", LAWS)
def test_law(law, op):
    for sample in op.samples():
        LAWS[law](sample)


@pytest.mark.parametrize("op", [op for op in OPS if complexified(op)], ids=lambda op: op.name)
@pytest.mark.parametrize("law", LAWS)
def test_law_of_complex_numbers(law, op):
    for sample in complexified(op):
        LAWS[law](sample)
