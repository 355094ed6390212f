"""Every op keeps every law at every one of its samples."""

import pytest

from tests.laws.derived import Derived
from tests.laws.laws import LAWS
from tests.laws.support import OPS, complexified
from tests.rows import each


def keep_laws(samples):
    """The laws are kept at all samples; several ask for the same derivatives."""
    derived = Derived()
    tried = ((f"{law} at sample {k}", (LAWS[law], sample)) for k, sample in enumerate(samples) for law in LAWS)
    each(tried, lambda row: row[0](row[1], derived))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_laws(op):
    keep_laws(op.samples())


@pytest.mark.parametrize("op", [op for op in OPS if complexified(op)], ids=lambda op: op.name)
def test_laws_of_complex_numbers(op):
    keep_laws(complexified(op))
