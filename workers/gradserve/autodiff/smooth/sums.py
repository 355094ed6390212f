"""Forms of sums and differences, among them 1 - cos(r) and r - sin(r), which vanish as the root does."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff.smooth.forms import Form, Later, Once
from gradserve.autodiff.smooth.pairs import applied, together
from gradserve.autodiff.smooth.smoother import Smoother
from gradserve.ir.builder import Value
from gradserve.ir.op import Op
from gradserve.ir.splat import is_splat
from gradserve.ops.elementwise.entire import Stumpff


def add(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    """The form of a sum."""
    return _sum(s, op, operands, negated=False)


def sub(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    """The form of a difference."""
    return _sum(s, op, operands, negated=True)


def _sum(s: Smoother, op: Op, operands: Sequence[Value], negated: bool) -> Form | None:
    found = together(s, operands)
    if found is None:
        return None
    x, y, guard = found
    right = applied(s, op, x.right, y.right)
    vanishes = x.vanishes and y.vanishes
    if x.odd is None or x.odd != y.odd:
        return None if right is None else Form(x.root, None, right=right, vanishes=vanishes, guard=guard)
    signed = applied(s, op, x.signed, y.signed)
    order, factor = _remainder(s, x, y, negated) or (min(x.order, y.order), None)
    if factor is None:
        factor = applied(s, op, s.beside(x, order), s.beside(y, order))
    return Form(x.root, x.odd, order, factor, signed, right, vanishes, guard=guard)


def _remainder(s: Smoother, x: Form, y: Form, negated: bool) -> tuple[int, Later] | None:
    """Order and factor of a series less its first term: c_j(z) = 1/j! - z c_{j+2}(z); None if it is no such thing."""
    series, first = (x.series, y) if x.series else (y.series, x)
    if series is None or series.of.factor is None or first.factor is None or (x.series and y.series):
        return None
    of, lead = series.of, series.of.factor
    if series.order:  # u c_1(u^2) - u
        begins = negated and first.order == of.order and first.factor() is lead()
    else:  # c_0(u^2) - 1, or -1 + c_0(u^2)
        begins = first.order == 0 and is_splat(s.g, first.factor(), 1 if negated else -1)
    if not begins:
        return None
    lead_is_left = first is x

    def factor() -> Value:
        (rest,) = s.g.apply(Stumpff(series.order + 2), [series.z()])
        found = s.times(s.times(lead(), lead()), rest)
        if series.order:
            found = s.times(lead(), found)
        return s.g.neg(found) if (lead_is_left and negated) == series.hyperbolic else found

    return (2 + series.order) * of.order, Once(factor)
