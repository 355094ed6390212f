"""Complex steps give exact derivatives of what is analytic, and nothing of what is not."""

import numpy as np
import pytest

from gradserve.ir.graph import Literal
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import OP_SET, builder
from gradserve.ops.elementwise.arithmetic import Abs
from gradserve.verification.complex_step import STEP, slope_by_complex_step
from tests.rows import in_one

F64 = ElementType.FLOAT64
ANALYTIC = [
    op
    for op in OP_SET
    if op.analytic and not op.calls_functions and any(x.dtype == np.float64 for s in op.samples() for x in s.operands)
]
"""Those of real numbers; the others are looked at in tests/laws."""
H = 1e-6


def law(op):
    """The complex step of every sample agrees with central differences, in every real operand at once."""
    rng, tried = np.random.default_rng(0), 0
    for sample in op.samples():
        if not sample.differentiable:
            continue
        along = [rng.standard_normal(a.shape) if a.dtype == np.float64 else None for a in sample.operands]

        def moved(step, along=along, sample=sample):
            pairs = zip(sample.operands, along, strict=True)
            with np.errstate(all="ignore"):
                return sample.op.results(np, *(a if v is None else a + step * v for a, v in pairs))

        for exact, right, left in zip(moved(1j * STEP), moved(H), moved(-H), strict=True):
            if right.dtype != np.float64:
                continue
            tried += 1
            quotient = (right - left) / (2 * H)
            finite = np.isfinite(quotient)
            size = np.abs(quotient[finite]).max(initial=1.0)
            np.testing.assert_allclose((np.imag(exact) / STEP)[finite], quotient[finite], rtol=1e-4, atol=1e-5 * size)
    assert tried


@in_one
@pytest.mark.parametrize("op", ANALYTIC, ids=lambda op: op.name)
def test_ops_that_say_they_are_analytic_are(op):
    law(op)


def test_the_law_sees_what_is_not_analytic():
    """The planted fault: a modulus that would say that it is analytic."""
    with pytest.raises(AssertionError):
        law(Abs)


def graph_of(build, shape=(3,)):
    g = builder()
    x = g.input("x", TensorType(F64, shape))
    return g.build({"loss": g.reduce_sum(build(g, x), axes=tuple(range(len(shape))))})


X = np.array([0.3, -1.2, 2.0])
D = np.array([1.0, -2.0, 0.5])


def test_the_derivative_is_exact():
    def build(g, x):
        return g.mul(g.exp(g.sin(x)), g.constant(Literal(D)))

    slope = slope_by_complex_step(graph_of(build), {"x": X}, {"x": D})
    assert slope == pytest.approx(float(np.sum(D * np.exp(np.sin(X)) * np.cos(X) * D)), rel=4e-16, abs=0)


def test_branches_are_those_of_the_real_parts():
    slope = slope_by_complex_step(graph_of(lambda g, x: g.select(g.gt(x, 0.0), g.mul(x, x), x)), {"x": X}, {"x": D})
    assert slope == pytest.approx(float(np.where(X > 0, 2 * X, 1.0) @ D), rel=1e-15)


@pytest.mark.parametrize(
    "build",
    [
        lambda g, x: g.abs(x),
        lambda g, x: g.maximum(x, 0.0),
        lambda g, x: g.mul(g.stop_gradient(x), x),
        lambda g, x: g.pow(x, 121.0),
    ],
    ids=["abs", "maximum", "stop_gradient", "power of a negative number"],
)
def test_of_what_is_not_analytic_nothing_is_said(build):
    assert slope_by_complex_step(graph_of(build), {"x": X}, {"x": D}) is None
