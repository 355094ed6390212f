"""Activations; at kinks the derivatives are torch's."""

from __future__ import annotations

from gradserve.client.importers.aten.refused import WAYS_ROUND
from gradserve.client.importers.aten.table import Node, Result, axis_in, translates
from gradserve.client.importers.lax import activations
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part
from gradserve.ir.builder import Value
from gradserve.numpy import exponentials


@translates("relu")
def _relu(n: Node, x: Operand) -> Result:
    """x where it is positive, else 0."""
    return activations.relu(n.g, x.value)


@translates("relu6")
def _relu6(n: Node, x: Operand) -> Result:
    """x within 0 and 6."""
    g = n.g
    return g.select(g.ge(x.value, 6), 6, activations.relu(g, x.value))


@translates("leaky_relu")
def _leaky_relu(n: Node, x: Operand, slope: float = 0.01) -> Result:
    """x where it is positive, else a share of it."""
    return activations.leaky_relu(n.g, x.value, n.of(slope))


@translates("rrelu_with_noise_functional")
def _rrelu(
    n: Node, x: Operand, noise: Operand, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False
) -> tuple[Value, Value]:
    """x where it is positive, else the share of it that lies in the middle; and the noise, which is not used."""
    if training:
        raise n.refuse("it draws random numbers", WAYS_ROUND["rrelu_with_noise"])
    return activations.leaky_relu(n.g, x.value, n.of((lower + upper) / 2)), noise.value


@translates("_prelu_kernel")
def _prelu(n: Node, x: Operand, slope: Operand) -> Result:
    """x where it is positive, else a share of it, which is an operand."""
    return activations.leaky_relu(n.g, x.value, slope.value)


@translates("elu")
def _elu(n: Node, x: Operand, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Result:
    """scale x where it is positive, else scale alpha (exp(input_scale x) - 1)."""
    return n.g.mul(activations.elu(n.g, x.value, alpha, input_scale), n.of(scale))


@translates("gelu")
def _gelu(n: Node, x: Operand, approximate: str = "none") -> Result:
    """x times the probability that a standard normal variable is below x, or an approximation of it."""
    return activations.gelu(n.g, x.value, approximate == "tanh")


@translates("silu")
def _silu(n: Node, x: Operand) -> Result:
    """x times its sigmoid."""
    return n.g.mul(x.value, n.g.logistic(x.value))


@translates("mish")
def _mish(n: Node, x: Operand) -> Result:
    """x tanh(softplus(x))."""
    return n.g.mul(x.value, n.g.tanh(exponentials.softplus(x.value)))


@translates("softplus")
def _softplus(n: Node, x: Operand, beta: float = 1.0, threshold: float = 20.0) -> Result:
    """log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold."""
    g, scaled = n.g, n.g.mul(x.value, n.of(beta))
    return g.select(g.gt(scaled, threshold), x.value, g.div(exponentials.softplus(scaled), n.of(beta)))


@translates("hardsigmoid", "hardswish")
def _hard_sigmoid(n: Node, x: Operand) -> Result:
    """x / 6 + 1 / 2 within 0 and 1, or x times that."""
    found = activations.hard_sigmoid(n.g, x.value, 1 / 6, 0.5)
    return found if n.name == "hardsigmoid" else n.g.mul(x.value, found)


@translates("threshold")
def _threshold(n: Node, x: Operand, threshold: float, value: float) -> Result:
    """x where it is above a threshold, else another number."""
    return n.g.select(n.g.gt(x.value, n.of(threshold)), x.value, n.of(value))


@translates("softshrink", "hardshrink")
def _shrink(n: Node, x: Operand, bound: float = 0.5) -> Result:
    """0 where |x| is at most a bound, else x, brought towards 0 by it or not."""
    g, by = n.g, bound if n.name == "softshrink" else 0.0
    above = g.select(g.gt(x.value, bound), g.sub(x.value, by), 0)
    return g.select(g.lt(x.value, -bound), g.add(x.value, by), above)


@translates("glu")
def _glu(n: Node, x: Operand, dim: int = -1) -> Result:
    """One half of x along an axis times the sigmoid of the other."""
    axis = axis_in(dim, x.rank)
    half = x.shape[axis] // 2
    return n.g.mul(part(n.g, x.value, axis, 0, half), n.g.logistic(part(n.g, x.value, axis, half, 2 * half)))


@translates("_softmax", "softmax")
def _softmax(n: Node, x: Operand, dim: int, half_to_float: bool = False, dtype: object = None) -> Result:
    """exp(x) divided by its sums along an axis."""
    return exponentials.softmax(n.of(x), axis=axis_in(dim, x.rank)) if x.rank else n.g.full(x.value.type, 1)


@translates("_log_softmax", "log_softmax")
def _log_softmax(n: Node, x: Operand, dim: int, half_to_float: bool = False, dtype: object = None) -> Result:
    """The logarithm of softmax."""
    return exponentials.log_softmax(n.of(x), axis=axis_in(dim, x.rank)) if x.rank else n.g.zeros(x.value.type)
