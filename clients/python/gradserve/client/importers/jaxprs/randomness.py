"""JAX's keys of random numbers, which are words of threefry, and what is drawn by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from gradserve.client.importers.jaxprs.operands import Keys, Known, flat, joined, split
from gradserve.client.importers.jaxprs.reading import Reader, rule
from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.random import threefry2x32
from gradserve.client.importers.lax.special import gamma_draw_by_shape, log_gamma_draw_by_shape
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.custom_derivative import CustomDerivative


@rule("threefry2x32")
def words(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """Two words of random bits for each pair of words of a counter."""
    arrays = flat(operands)
    shape = tuple(equation.outvars[0].aval.shape)
    wide = [Operand(g.broadcast(x.value, shape), x.dtype) for x in arrays]
    made = threefry2x32(g, (wide[0], wide[1]), (wide[2], wide[3]))
    return [Operand(value, np.dtype(np.uint32)) for value in made]


@rule("random_wrap")
def wrap(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """Keys of their words."""
    _implementation(equation.outvars[0].aval)
    return [split(g, flat(operands)[0])]


@rule("random_unwrap")
def unwrap(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """The words of keys."""
    return [joined(g, _keys(operands[0]))]


@rule("random_clone")
def clone(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """The same keys."""
    return operands


@rule("random_bits", "random_split", "random_fold_in", "random_seed")
def drawn(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """What JAX computes of the words, traced anew: it does so only when it compiles."""
    name, params, result = equation.primitive.name, equation.params, equation.outvars[0].aval
    key = result if name == "random_seed" else equation.invars[0].aval
    implementation = _implementation(key)

    def apply(words: Any, *others: Any) -> Any:
        if name == "random_bits":
            return implementation.random_bits(words, params["bit_width"], params["shape"])
        if name == "random_split":
            return implementation.split(words, params["shape"])
        return implementation.seed(words) if name == "random_seed" else implementation.fold_in(words, *others)

    for _ in key.shape:
        apply = jax.vmap(apply)
    arrays = [joined(g, operand) if isinstance(operand, Keys) else flat([operand])[0] for operand in operands]
    if name == "random_fold_in" and arrays[1].dtype != np.uint32:
        raise Unsupported(f"the data is {arrays[1].dtype}", "fold in numbers of uint32")
    examples = [np.broadcast_to(np.zeros((), x.dtype), x.shape) for x in arrays]
    made = flat(reader.closed(g, jax.make_jaxpr(apply)(*examples), arrays))
    return made if name == "random_bits" else [split(g, made[0])]


@rule("random_gamma")
def gamma(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """Gamma numbers of shapes, or their logarithms; they move with the shape so that their probabilities stay."""
    params, key = equation.params, equation.invars[0].aval
    _implementation(key)
    words, (a,) = joined(g, _keys(operands[0])), flat(operands[1:])

    def draw(words: Any, a: Any) -> Any:
        return equation.primitive.impl(jax.random.wrap_key_data(words), a, use_vmap=True, **params)

    body = jax.make_jaxpr(draw)(*(np.broadcast_to(np.zeros((), x.dtype), x.shape) for x in (words, a)))
    by_shape = log_gamma_draw_by_shape if params["log_space"] else gamma_draw_by_shape

    def drawn_of(inner: Recorder, given: list[Operand]) -> list[Operand]:
        return flat(reader.closed(inner, body, [reader.adopted(inner, words), *given]))

    def moved(inner: Recorder, given: list[Operand]) -> list[Operand]:
        x, tangent, shape = given
        return [Operand(inner.mul(by_shape(inner, shape, x), tangent.value), x.dtype)]

    numbers, rule = control.Function.of(g, drawn_of, [a]), control.Function.of(g, moved, [a, a, a])
    captured = list(dict.fromkeys([*numbers.reads(), *rule.reads()]))
    op = CustomDerivative(numbers.graph(captured), rule.graph(captured), (0,))
    return [Operand(g.apply(op, [a.value, *captured])[0], a.dtype)]


def _keys(operand: Known) -> Keys:
    if not isinstance(operand, Keys):
        flat([operand])
        raise Unsupported("the operand is no key", "use keys of jax.random")
    return operand


def _implementation(aval: Any) -> Any:
    """JAX's implementation of the keys of a type.

    Raises:
        Unsupported: it is not threefry.
    """
    found = aval.dtype._impl
    if found.name != "threefry2x32" or tuple(found.key_shape) != (2,):
        raise Unsupported(f"its keys are of {found.name}", "use keys of threefry2x32, JAX's default")
    return found
