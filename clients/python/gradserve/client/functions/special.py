"""Functions of scipy.special that are no ufuncs."""

from __future__ import annotations

from typing import Any

from gradserve.client.functions.of_arrays import of_arrays
from gradserve.client.numpy_surface.operands import as_operand, axes_of, integer, lift
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import exponentials, probability
from gradserve.ops.family import to_float


@of_arrays
def logsumexp(
    g: Builder, a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Value | tuple[Value, Value]:
    """log sum b exp a along the axes, without overflow; -inf over nothing.

    With `return_sign`, the logarithm of the size of the sum, and its sign; without it NaN where the sum is negative.
    """
    x = to_float(g, as_operand(g, a))
    if b is None:
        logarithm = exponentials.logsumexp(x, axes_of(x, axis), keepdims)
        return (logarithm, g.full(logarithm.type, 1)) if return_sign else logarithm
    x, weights = g.align([x, lift(g, b)])
    logarithm, sign = exponentials.weighted_logsumexp(x, weights, axes_of(x, axis), keepdims)
    if return_sign:
        return logarithm, sign
    return g.mul(logarithm, g.select(g.lt(sign, 0), float("nan"), g.full(sign.type, 1)))


@of_arrays
def softmax(g: Builder, x: Any, axis: Any = None) -> Value:
    """exp x divided by its sum along the axes, without overflow."""
    value = to_float(g, as_operand(g, x))
    return exponentials.softmax(value, axes_of(value, axis))


@of_arrays
def log_softmax(g: Builder, x: Any, axis: Any = None) -> Value:
    """The logarithm of softmax, without overflow or underflow."""
    value = to_float(g, as_operand(g, x))
    return exponentials.log_softmax(value, axes_of(value, axis))


@of_arrays
def softplus(g: Builder, x: Any) -> Value:
    """log(1 + exp x), without overflow."""
    return g.logaddexp(0, to_float(g, as_operand(g, x)))


@of_arrays
def polygamma(g: Builder, n: Any, x: Any) -> Value:
    """The derivative of order n of digamma, n a whole number."""
    return probability.polygamma(integer(n, "an order"), lift(g, x))


@of_arrays
def multigammaln(g: Builder, a: Any, d: Any) -> Value:
    """The logarithm of the gamma function of positive definite matrices of dimension d."""
    return probability.multigammaln(lift(g, a), integer(d, "a dimension"))
