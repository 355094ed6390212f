"""The laws can fail: each planted fault is seen by the law that watches over it."""

from dataclasses import replace

import numpy as np
import pytest

from gradserve.execution.numpy.kernels import table
from gradserve.ir.op import Cost
from gradserve.ir.types import ElementType
from gradserve.ops.elementwise.arithmetic import Abs, Neg
from gradserve.ops.elementwise.comparison import Gt, Select
from gradserve.ops.elementwise.parts import Conj, Imag
from gradserve.ops.elementwise.powers import Exp, LogAddExp
from gradserve.ops.elementwise.trigonometry import Sin
from gradserve.ops.family import only, with_batch
from gradserve.ops.fourier.transforms import Irfft, Rfft
from gradserve.ops.indexing.sorting import Sort
from gradserve.ops.linalg.determinants import Slogdet
from gradserve.ops.movement.shapes import BroadcastTo
from gradserve.ops.reduction.ordered import Cumsum
from gradserve.ops.reduction.reductions import ReduceSum
from gradserve.ops.special.elliptic import Jacobi
from gradserve.optimize import simplify
from tests.laws.derived import Derived
from tests.laws.laws import LAWS
from tests.laws.support import complexified


def result_of_the_operands_type(self, operand):
    return operand


def branches_swapped(op, types):
    return lambda condition, x, y: np.where(condition, y, x)


def sine_off_by_one_percent(self, g, dx, x, y):
    return g.mul(g.mul(g.cos(x), 1.01), dx)


def repeated_elements_averaged(self, g, cotangent, operand, right=BroadcastTo.pullback):
    return g.div(right(self, g, cotangent, operand), max(1.0, cotangent.type.size / max(1, operand.size)))


def cumsum_not_reversed(self, g, cotangents, operands):
    return (g.cumsum(only(cotangents), axis=self.axis),)


def exponential_of_the_cotangent(self, g, cotangents, operands):
    return (g.exp(only(cotangents)),)


def all_in_double_precision(self, g, dx, x, y):
    return g.mul(g.convert(y, ElementType.FLOAT64), g.convert(dx, ElementType.FLOAT64))


def rounded_away_in_single(self, g, dx, x, y):
    near = g.sub(g.add(y, 1e6), 1e6)  # what is left of y has lost 6 digits
    return g.mul(near, dx)


def constant_in_its_shape(self, g, k, dx, operands, y):
    return g.mul(dx, float(k))


def at_one_instead_of_zero(self, g, operands, outputs):
    return g.eq(operands[0], 1.5)


def nowhere(self, g, operands, outputs):
    return g.ne(operands[0], operands[0])


def gap_constant_at_ties(self, g, k, dx, operands, y):
    own, other = operands[k], operands[1 - k]
    return g.mul(g.logistic(g.select(g.eq(own, other), 0.0, g.sub(own, other))), dx)


def axes_not_shifted(self, g, operands, batched, size):
    return g.apply(self, [with_batch(g, operands[0], batched[0], size)])


def first_axis_always(self):
    return {"axis": 0}


def paid_for(self, operands, results):
    return Cost(-1.0, 0.0)


def not_conjugated(self, g, cotangents, operands):
    return (only(cotangents),)


def imaginary_from_above(self, g, cotangents, operands):
    return (g.complex(g.zeros(only(cotangents).type), only(cotangents)),)


def without_weights(self, g, half, length, inside):
    return half


def sign_that_stays(self, g, outputs, primals, tangents, right=Slogdet.jvp):
    return (None, right(self, g, outputs, primals, tangents)[1])


FAULTS = [
    ("infer_agrees_with_impl", Gt, "result_type", result_of_the_operands_type),
    ("misuse_breaks_a_numbered_constraint", Sin, "constraints", {}),
    ("jvp_agrees_with_differences", Sin, "differential", sine_off_by_one_percent),
    ("transpose_keeps_inner_products", BroadcastTo, "pullback", repeated_elements_averaged),
    ("transpose_keeps_inner_products", Cumsum, "transpose", cumsum_not_reversed),
    ("transpose_is_linear", Neg, "transpose", exponential_of_the_cotangent),
    ("derivatives_keep_types", Exp, "differential", all_in_double_precision),
    ("single_precision_agrees_with_double", Exp, "differential", rounded_away_in_single),
    ("missing_derivatives_are_refused", Jacobi, "differential", constant_in_its_shape),
    ("kinks_are_where_it_is_not_smooth", Abs, "kink", at_one_instead_of_zero),
    ("kinks_are_where_it_is_not_smooth", Sort, "kink", nowhere),
    ("second_derivative_agrees_with_differences", LogAddExp, "differential", gap_constant_at_ties),
    ("vmap_agrees_with_loop", ReduceSum, "batch", axes_not_shifted),
    ("text_round_trip", Cumsum, "attributes", first_axis_always),
    ("proto_round_trip", Cumsum, "attributes", first_axis_always),
    ("cost_is_not_negative", Sin, "cost", paid_for),
    ("analytic_ops_are_linear_over_complex_numbers", Conj, "analytic", True),
    ("transpose_keeps_inner_products", Conj, "transpose", not_conjugated),
    ("transpose_keeps_inner_products", Imag, "transpose", imaginary_from_above),
    ("transpose_keeps_inner_products", Rfft, "weighted", without_weights),
    ("transpose_keeps_inner_products", Irfft, "weighted", without_weights),
    ("jvp_agrees_with_differences", Slogdet, "jvp", sign_that_stays),
]


ENTRIES = [
    ("kernel_agrees_with_impl", Select, {"make": branches_swapped}),
    ("kernel_agrees_with_impl", Select, {"overwrites": True}),
    ("executor_agrees_with_impl", Select, {"make": branches_swapped}),
]


def check(law, op):
    derived = Derived()
    for sample in [*op.samples(), *complexified(op)]:
        LAWS[law](sample, derived)


@pytest.mark.parametrize(("law", "op", "rule", "fault"), FAULTS)
def test_law_sees_the_fault(law, op, rule, fault, monkeypatch):
    check(law, op)
    monkeypatch.setattr(op, rule, fault)
    with pytest.raises((AssertionError, TypeError)):
        check(law, op)


@pytest.mark.parametrize(("law", "op", "fault"), ENTRIES)
def test_law_sees_the_wrong_kernel(law, op, fault, monkeypatch):
    check(law, op)
    with monkeypatch.context() as planted:
        planted.setitem(table._ENTRIES, op, replace(table.entry(op), **fault))
        table.entry.cache_clear()
        with pytest.raises((AssertionError, TypeError)):
            check(law, op)
    table.entry.cache_clear()


def test_law_sees_a_wrong_simplification(monkeypatch):
    monkeypatch.setitem(simplify.RULES, Neg, lambda g, op, operands: operands[0])
    with pytest.raises(AssertionError):
        check("optimize_keeps_results", Neg)


def test_every_law_has_a_fault():
    assert {law for law, *_ in FAULTS + ENTRIES} | {"optimize_keeps_results"} == set(LAWS)
