"""The laws reach every op: each has samples of every kind that it needs."""

import pytest

from gradserve.ir.errors import ConstraintError
from gradserve.ir.op import Op
from gradserve.ir.types import type_of
from gradserve.ops.elementwise.differentiate_as import DifferentiateAs
from gradserve.ops.family import Elementwise
from gradserve.ops.manifest import entry
from tests.laws.support import OPS, has_derivative, results_of
from tests.rows import in_one


def names(op: type[Op]) -> str:
    return op.name


@in_one
@pytest.mark.parametrize("op", OPS, ids=names)
def test_op_has_a_sample_with_a_batchable_operand(op):
    operands = [len(sample.operands) for sample in op.samples()]
    assert max(operands) > 0 or op.arity == 0


@in_one
@pytest.mark.parametrize("op", OPS, ids=names)
def test_samples_have_the_declared_arity(op):
    counts = {len(sample.operands) for sample in op.samples()}
    assert counts == {op.arity} if op.arity is not None else min(counts) >= 1


@in_one
@pytest.mark.parametrize(
    "op",
    [op for op in OPS if entry(op)["differentiable"] and op is not DifferentiateAs],  # whose value tells nothing of it
    ids=names,
)
def test_differentiable_op_has_a_differentiable_sample(op):
    assert any(s.differentiable and has_derivative(s) and all(x.size for x in s.operands) for s in op.samples())


@in_one
@pytest.mark.parametrize("op", [op for op in OPS if op.arity != 0], ids=names)
def test_op_has_a_sample_of_no_elements(op):
    samples = [[*sample.operands, *results_of(sample.op, sample.operands)] for sample in op.samples()]
    assert any(any(x.size == 0 for x in arrays) for arrays in samples)


@in_one
@pytest.mark.parametrize("op", [op for op in OPS if issubclass(op, Elementwise)], ids=names)
def test_elementwise_op_has_a_sample_of_scalars(op):
    assert any(all(x.shape == () for x in sample.operands) for sample in op.samples())


@in_one
@pytest.mark.parametrize("op", OPS, ids=names)
def test_op_that_takes_a_scalar_has_a_sample_of_one(op):
    samples = list(op.samples())
    shapes = {x.shape for sample in samples for x in sample.operands}
    assert () in shapes or not any(takes_scalars(sample) for sample in samples)


def takes_scalars(sample):
    """Whether the op, with these attributes, takes scalars in place of all operands."""
    try:
        sample.op.infer(*(type_of(x).with_shape(()) for x in sample.operands))
    except ConstraintError:
        return False
    return bool(sample.operands)


@in_one
@pytest.mark.parametrize("op", OPS, ids=names)
def test_every_sample_is_correct(op):
    for sample in op.samples():
        assert type(sample.op) is op
        assert sample.op.infer(*(type_of(x) for x in sample.operands))


@in_one
@pytest.mark.parametrize("op", OPS, ids=names)
def test_op_is_documented(op):
    assert op.__doc__
    assert not op.__doc__.startswith(f"{op.__name__}(")  # what dataclasses write where nobody has
    assert op.constraints
