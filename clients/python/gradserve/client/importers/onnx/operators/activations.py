"""Activations; at kinks the derivatives are those that PyTorch takes."""

from __future__ import annotations

import math
from collections.abc import Callable

from gradserve.client.importers.lax import activations
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import along, numbers
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import exponentials


@translates("Relu")
def _relu(n: Node, x: Operand) -> Result:
    """x where it is positive, else 0."""
    return activations.relu(n.g, x.value)


@translates("LeakyRelu")
def leaky_relu(n: Node, x: Operand) -> Result:
    """x where it is positive, else a share of it."""
    return activations.leaky_relu(n.g, x.value, n.get("alpha", 0.01))


@translates("PRelu")
def prelu(n: Node, x: Operand, slope: Operand) -> Result:
    """x where it is positive, else a share of it, which is an operand."""
    return activations.leaky_relu(n.g, *n.g.align([x.value, slope.value]))


@translates("ThresholdedRelu")
def thresholded_relu(n: Node, x: Operand) -> Result:
    """x where it is above a threshold, else 0."""
    return n.g.select(n.g.gt(x.value, n.get("alpha", 1.0)), x.value, 0)


@translates("Elu")
def elu(n: Node, x: Operand) -> Result:
    """x where it is positive, else alpha (exp(x) - 1)."""
    return activations.elu(n.g, x.value, n.get("alpha", 1.0))


@translates("Selu")
def selu(n: Node, x: Operand) -> Result:
    """A multiple of Elu."""
    g, alpha = n.g, n.get("alpha", 1.67326319217681884765625)
    return g.mul(activations.elu(g, x.value, alpha), n.get("gamma", 1.05070102214813232421875))


@translates("Celu")
def celu(n: Node, x: Operand) -> Result:
    """x where it is positive, else alpha (exp(x / alpha) - 1)."""
    g, alpha = n.g, n.get("alpha", 1.0)
    return g.select(g.gt(x.value, 0), x.value, g.mul(g.expm1(g.div(x.value, alpha)), alpha))


@translates("Softplus")
def softplus(n: Node, x: Operand) -> Result:
    """log(1 + exp(x))."""
    return exponentials.softplus(x.value)


@translates("Softsign")
def softsign(n: Node, x: Operand) -> Result:
    """x / (1 + |x|)."""
    return n.g.div(x.value, n.g.add(1.0, n.g.abs(x.value)))


@translates("HardSigmoid")
def hard_sigmoid(n: Node, x: Operand) -> Result:
    """alpha x + beta, within 0 and 1."""
    return activations.hard_sigmoid(n.g, x.value, n.get("alpha", 0.2), n.get("beta", 0.5))


@translates("HardSwish")
def hard_swish(n: Node, x: Operand) -> Result:
    """x times a hard sigmoid."""
    return n.g.mul(x.value, activations.hard_sigmoid(n.g, x.value, 1 / 6, 0.5))


@translates("Swish")
def swish(n: Node, x: Operand) -> Result:
    """x sigmoid(alpha x)."""
    return n.g.mul(x.value, n.g.logistic(n.g.mul(x.value, n.get("alpha", 1.0))))


@translates("Mish")
def mish(n: Node, x: Operand) -> Result:
    """x tanh(softplus(x))."""
    return n.g.mul(x.value, n.g.tanh(exponentials.softplus(x.value)))


@translates("Gelu")
def gelu(n: Node, x: Operand) -> Result:
    """x times the probability that a standard normal variable is below x, or an approximation of it."""
    return activations.gelu(n.g, x.value, n.get("approximate", "none") == "tanh")


@translates("Shrink")
def shrink(n: Node, x: Operand) -> Result:
    """x brought towards 0 by `bias`, and 0 where |x| is at most `lambd`."""
    g, bias, bound = n.g, n.get("bias", 0.0), n.get("lambd", 0.5)
    real = x.value if x.is_float else g.convert(x.value, ElementType.FLOAT64)
    above = g.select(g.gt(real, bound), g.sub(real, bias), 0)
    return g.select(g.lt(real, -bound), g.add(real, bias), above)


def _along(n: Node, x: Operand, function: Callable[..., Value]) -> Value:
    """A function along an axis; before operator set 13 along all axes from that one on, as one."""
    if n.version >= 13:
        return function(x.value, axis=axis_in(n.get("axis", -1), x.rank))
    axis = axis_in(n.get("axis", 1), x.rank)
    rows = n.g.reshape(x.value, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
    return n.g.reshape(function(rows, axis=1), x.shape)


@translates("Softmax")
def softmax(n: Node, x: Operand) -> Result:
    """exp(x) divided by its sums along an axis."""
    return _along(n, x, exponentials.softmax)


@translates("LogSoftmax")
def log_softmax(n: Node, x: Operand) -> Result:
    """The logarithm of softmax."""
    return _along(n, x, exponentials.log_softmax)


@translates("Hardmax")
def hardmax(n: Node, x: Operand) -> Result:
    """1 at the first largest element along an axis, else 0."""

    def largest(value: Value, axis: int) -> Value:
        g, shape = n.g, value.shape
        place = g.emit("argmax", value, axis=axis)
        line = along(g, numbers(g, shape[axis]), axis, len(shape))
        kept = g.reshape(place, tuple(1 if k == axis else length for k, length in enumerate(shape)))
        return g.convert(g.eq(g.convert(kept, ElementType.INT64), line), value.type.element_type)

    return _along(n, x, largest)
