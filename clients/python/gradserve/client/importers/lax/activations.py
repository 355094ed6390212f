"""Activations of networks; at kinks the derivatives are those that PyTorch takes."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Operand, Value


def relu(g: Builder, x: Value) -> Value:
    """x where it is positive, else 0; NaN stays."""
    return g.select(g.le(x, 0), 0, x)


def leaky_relu(g: Builder, x: Value, slope: Operand) -> Value:
    """x where it is positive, else a share of it."""
    return g.select(g.gt(x, 0), x, g.mul(x, slope))


def elu(g: Builder, x: Value, alpha: float, scale: float = 1.0) -> Value:
    """x where it is positive, else alpha (exp(scale x) - 1)."""
    scaled = x if scale == 1 else g.mul(x, scale)
    return g.select(g.gt(x, 0), x, g.mul(g.expm1(scaled), alpha))


def hard_sigmoid(g: Builder, x: Value, alpha: float, beta: float) -> Value:
    """alpha x + beta, within 0 and 1."""
    line = g.add(g.mul(x, alpha), beta)
    return g.select(g.le(line, 0), 0, g.select(g.ge(line, 1), 1, line))


def gelu(g: Builder, x: Value, by_tanh: bool) -> Value:
    """x times the probability that a standard normal variable is below x, or an approximation of it by tanh."""
    if by_tanh:
        cubic = g.add(x, g.mul(g.mul(x, g.mul(x, x)), 0.044715))
        return g.mul(g.mul(x, 0.5), g.add(1.0, g.tanh(g.mul(cubic, math.sqrt(2 / math.pi)))))
    return g.mul(g.mul(x, 0.5), g.add(1.0, g.erf(g.mul(x, math.sqrt(0.5)))))
