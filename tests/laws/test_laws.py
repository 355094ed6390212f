"""Every op keeps every law at every one of its samples."""

import pytest

from tests.laws.laws import LAWS
from tests.laws.support import OPS


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("law", LAWS)
def test_law(law, op):
    for sample in op.samples():
        LAWS[law](sample)
