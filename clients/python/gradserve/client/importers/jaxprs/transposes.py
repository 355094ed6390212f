"""Primitives that are linear, as their authors say by a transpose, in the tangents of a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
from jax.interpreters import ad

from gradserve.client.importers.jaxprs.binding import Leaves, NoRule, around, empty, examples_of, is_real, traced
from gradserve.client.importers.jaxprs.operands import Known, flat
from gradserve.client.importers.jaxprs.reading import Reader
from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.errors import ConstraintError, InvalidGraph, Untraceable
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.linear_call import LinearCall

Computed: TypeAlias = Callable[[Recorder, Sequence[Known]], Sequence[Known]]
"""The results of an equation, of its operands in a graph."""


def with_transpose(
    reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known], compute: Computed
) -> Sequence[Known] | None:
    """What a linear primitive computes, with the transpose of its author's.

    A system may be solved in many steps, none of which is linear in what the solution is. None if the primitive has no
    transpose, no tangents lead to it, or no graph can say the transpose.
    """
    if reader.tangents is None or equation.primitive not in ad.primitive_transposes:
        return None
    given, results = flat(operands), examples_of(equation.outvars)
    linear = [k for k, x in enumerate(given) if reader.tangents.moves(x.value)]
    if not linear or len(given) != len(equation.invars) or any(x.is_complex for x in given):
        return None
    shapes, real = [examples_of(equation.invars)[k] for k in linear], [y for y in results if is_real(y)]

    def there(inner: Recorder, moving: list[Operand]) -> list[Operand]:
        own: list[Known] = [reader.adopted(inner, x) for x in given]
        for k, x in zip(linear, moving, strict=True):
            own[k] = x
        made = flat(compute(inner, own))
        return [y for y, like in zip(made, results, strict=True) if is_real(like)]

    def back(inner: Recorder, cotangents: list[Operand]) -> list[Operand]:
        return flat(reader.called(inner, equation, body, [*cotangents, *given]))

    def transpose(cotangents: Leaves, point: Leaves) -> Any:
        return jax.linear_transpose(around(equation, point, linear), *shapes)(list(cotangents))

    try:
        body = traced(transpose, real, examples_of(equation.invars))
        made = [empty(g, like) for like in real]
        with reader.along(None):
            function = control.Function.of(g, there, [given[k] for k in linear])
            transposed = control.Function.of(g, back, made)
            with reader.of_order(None):
                plain = compute(g, operands)
        captured = list(dict.fromkeys([*function.reads(), *transposed.reads()]))
        op = LinearCall(function.graph(captured), transposed.graph(captured), len(linear))
        found = iter(g.apply(op, [*(given[k].value for k in linear), *captured]))
    except (NoRule, ConstraintError, InvalidGraph, Unsupported, Untraceable):
        return None
    return [Operand(next(found), y.dtype) if is_real(like) else y for y, like in zip(flat(plain), results, strict=True)]
