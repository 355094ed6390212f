"""Ops that say that they have a result for all numbers have one, and all that do not say so have a reason."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gradserve.ir.evaluate import applied
from gradserve.ir.op import Op, Sample
from gradserve.ir.types import Array, type_of
from gradserve.ops import OP_SET
from gradserve.ops.elementwise.powers import Pow
from tests.rows import in_one

NASTY = (np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1e300, 5e-324)
TOTAL = [op for op in OP_SET if op.total and not op.calls_functions]


def filled(array: Array) -> Iterator[Array]:
    """Arrays like this one, of numbers that are hard to take."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            numbers = np.array(NASTY).astype(array.dtype)
        yield from (np.full_like(array, number) for number in numbers)
        yield np.resize(numbers, array.shape)
    elif array.dtype.kind == "i":
        limits = np.iinfo(array.dtype)
        yield from (np.full_like(array, number) for number in (0, -1, limits.min, limits.max))
    else:
        yield from (np.full_like(array, truth) for truth in (False, True))


def faults(sample: Sample) -> Iterator[str]:
    """Why the op of a sample is not total."""
    if sample.op.guards:
        yield "it has guards"
    for k, operand in enumerate(sample.operands):
        for hard in filled(np.asarray(operand)):
            try:
                applied(sample.op, [*sample.operands[:k], hard, *sample.operands[k + 1 :]])
            except Exception as error:  # whatever it is, it is a failure
                yield f"{error!r} of {hard}"


@in_one
@pytest.mark.parametrize("op", TOTAL, ids=lambda op: op.name)
def test_total_ops_have_results_for_all_numbers(op: type[Op]):
    samples = [s for s in op.samples() if s.op.is_total(*(type_of(np.asarray(x)) for x in s.operands))]
    assert samples
    assert [fault for sample in samples for fault in faults(sample)] == []


def test_the_planted_fault_of_integer_powers_that_are_called_total_is_found():
    numbers = np.array([2, 3])
    assert not Pow().is_total(type_of(numbers), type_of(numbers))
    assert any("negative" in fault for fault in faults(Sample(Pow(), (numbers, numbers))))


def test_ops_that_are_not_total_have_a_reason():
    """Guards, functions that may fail, or a factorisation by iteration, which need not end in one."""
    for op in OP_SET:
        if not op.total:
            guarded = any(sample.op.guards for sample in op.samples())
            factorised = op.__module__.split(".")[2] in ("linalg", "spectral")
            assert guarded or factorised or op.calls_functions, op.name
