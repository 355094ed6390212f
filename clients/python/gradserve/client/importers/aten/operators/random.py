"""Random numbers by a key that is given: counted draws of threefry, which are not those of torch's generators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.table import Node, Result, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part
from gradserve.client.importers.lax.random import threefry2x32
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import probability

DRAWS = frozenset(
    {
        *("native_dropout", "bernoulli", "rand", "rand_like", "randn", "randn_like", "uniform", "normal_functional"),
        *("normal", "exponential", "randint", "randint_like", "randperm", "poisson", "binomial", "multinomial"),
        *("cauchy", "geometric", "log_normal", "_standard_gamma", "_sample_dirichlet"),
    }
)
"""What draws random numbers here."""
_DOUBLE = np.dtype(np.float64)


def uniforms(n: Node, shape: Sequence[int]) -> Value:
    """Numbers within 0 and 1, neither of which is one: of 52 or 23 bits, that lie evenly about a half, in float64."""
    g, size = n.g, int(np.prod(shape, dtype=np.int64))
    key, number = n.reader.drawn(n)
    places = g.emit("iota", length=size, element_type=ElementType.INT64)
    count = g.full(places.type, number), places
    words = [g.broadcast(g.reshape(part(g, key.value, 0, k, k + 1), ()), (size,)) for k in (0, 1)]
    own, counted = ((Operand(x, key.dtype), Operand(y, key.dtype)) for x, y in (words, count))
    first, second = threefry2x32(g, own, counted)
    if n.dtype == np.float32:  # of more bits some would be rounded to 1
        bits, count_of_bits = g.shift_right(first, 9), 23
    else:
        bits, count_of_bits = g.add(g.mul(g.shift_right(first, 6), 1 << 26), g.shift_right(second, 6)), 52
    return g.reshape(g.mul(g.add(g.convert(bits, n.held(_DOUBLE)), 0.5), 2.0**-count_of_bits), tuple(shape))


def normals(n: Node, shape: Sequence[int]) -> Value:
    """Standard normal numbers, in float64."""
    return probability.ndtri(uniforms(n, shape))


def finished_draw(n: Node, value: Value) -> Operand:
    """The numbers in the elements of the result."""
    return Operand(n.g.convert(value, n.held(n.dtype)), n.dtype)


@translates("native_dropout")
def _dropout(n: Node, x: Operand, p: float, train: bool | None = True) -> Result:
    """x without a share of its elements, the others larger by as much; and which these are."""
    g = n.g
    if not train:
        return [x, g.full(x.value.type.with_shape(x.shape), 1.0)]
    kept = g.ge(uniforms(n, x.shape), float(p))
    return [g.select(kept, g.mul(x.value, 1 / (1 - p) if p < 1 else 0.0), 0.0), kept]


@translates("bernoulli")
def _bernoulli(n: Node, x: Operand, p: Operand | float | None = None) -> Result:
    """1 with a probability, which is x unless another is given, and 0 else."""
    chance = n.of(x, _DOUBLE) if p is None else n.of(p, _DOUBLE)
    return finished_draw(n, n.g.lt(uniforms(n, n.shape), n.g.broadcast(chance, n.shape)))


@translates("rand", "rand_like")
def _rand(n: Node, *_: object, **elements: object) -> Result:
    """Numbers that are uniform within 0 and 1."""
    return finished_draw(n, uniforms(n, n.shape))


@translates("randn", "randn_like")
def _randn(n: Node, *_: object, **elements: object) -> Result:
    """Standard normal numbers."""
    return finished_draw(n, normals(n, n.shape))


@translates("uniform")
def _between(n: Node, x: Operand, low: float = 0.0, high: float = 1.0) -> Result:
    """Numbers that are uniform within bounds."""
    return finished_draw(n, n.g.add(n.g.mul(uniforms(n, n.shape), float(high - low)), float(low)))


def _gaussian(n: Node, mean: float, deviation: float) -> Result:
    return finished_draw(n, n.g.add(n.g.mul(normals(n, n.shape), float(deviation)), float(mean)))


@translates("normal_functional")
def _gaussian_like(n: Node, x: Operand, mean: float = 0.0, std: float = 1.0) -> Result:
    """Normal numbers of a mean and a standard deviation, in the shape of x."""
    return _gaussian(n, mean, std)


@translates("normal.float_float")
def _gaussian_of(n: Node, mean: float, std: float, *_: object, **elements: object) -> Result:
    """Normal numbers of a mean and a standard deviation."""
    return _gaussian(n, mean, std)


@translates("exponential")
def _exponential(n: Node, x: Operand, rate: float = 1.0) -> Result:
    """Exponentially distributed numbers."""
    return finished_draw(n, n.g.div(n.g.neg(n.g.log(uniforms(n, n.shape))), float(rate)))


@translates("randint", "randint_like")
def _integers(n: Node, *bounds: object, **elements: object) -> Result:
    """Integers from a bound, or 0, to below another one."""
    numbers = [each for each in bounds if isinstance(each, int)]
    low, high = numbers if len(numbers) == 2 else (0, numbers[0])
    return finished_draw(n, n.g.add(n.g.floor(n.g.mul(uniforms(n, n.shape), float(high - low))), float(low)))


@translates("randperm")
def _permuted(n: Node, count: int, **elements: object) -> Result:
    """The numbers from 0 on in any order."""
    return n.g.argsort(uniforms(n, (count,)), axis=0)
