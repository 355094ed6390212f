"""Functions of JAX with derivatives of their authors': imported with the rules that JAX holds for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from gradserve.client.importers.jaxprs.operands import Known, flat, types_of
from gradserve.client.importers.jaxprs.reading import Reader, avals_of
from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.errors import ConstraintError, InvalidGraph, Untraceable
from gradserve.ir.records import dataclass
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.custom_derivative import CustomDerivative
from gradserve.ops.control.derivatives import Vjp
from gradserve.ops.control.linearity import require_linear

Leaves: TypeAlias = Sequence[Any]


def with_rule(
    reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known], body: Any
) -> Sequence[Known] | None:
    """What a function that an equation calls computes, as its body says, with the derivative of its own.

    None if no graph can say that: the rule is not linear, is of complex numbers, or computes what cannot be imported.
    """
    if not all(isinstance(operand, Operand) and not operand.is_complex for operand in operands):
        return None
    orders, given, results = reader.orders or 0, flat(operands), examples_of(equation.outvars)
    rule = _Rule(reader, equation, tuple(k for k, x in enumerate(given) if reader.activity.moves(x.value)))
    if not rule.moved or not any(map(_is_real, results)):
        return reader.called(g, equation, body, operands)
    moving = [given[k] for k in rule.moved]

    def compute(inner: Recorder, given: list[Operand]) -> list[Operand]:
        return flat(reader.called(inner, equation, body, given))

    try:
        with reader.of_order(None):
            function = control.Function.of(g, compute, given)
        made = [_empty(g, each) for each in results]
        with reader.of_order(orders - 1):
            derived = control.Function.of(g, rule.step(len(made)), [*made, *moving, *given])
        captured = list(dict.fromkeys([*function.reads(), *derived.reads()]))
        op = CustomDerivative(function.graph(captured), derived.graph(captured), rule.moved)
        values = g.apply(op, [*(operand.value for operand in given), *captured])
    except (_NoRule, ConstraintError, InvalidGraph, Unsupported, Untraceable):
        return None
    return [Operand(value, operand.dtype) for value, operand in zip(values, made, strict=True)]


class _NoRule(Exception):
    """JAX has none, or cannot trace it."""


@dataclass(frozen=True)
class _Rule:
    """The tangents of the real results of an equation, by the rule of it that JAX has."""

    reader: Reader
    equation: Any
    moved: tuple[int, ...]
    """Which of its operands move: authors may refuse tangents of others."""

    def step(self, results: int) -> control.Step:
        """What they are, of so many results, of tangents of what is moved, and of the operands."""
        rule = self._pulled if "custom_vjp" in self.equation.primitive.name else self._pushed
        first = results + len(self.moved)

        def emit(inner: Recorder, given: list[Operand]) -> list[Operand]:
            point = given[first:]
            self.reader.activity.stand(x.value for k, x in enumerate(point) if k not in self.moved)
            return rule(inner, given[results:first], point)

        return emit

    def _pushed(self, g: Recorder, tangents: list[Operand], operands: list[Operand]) -> list[Operand]:
        """By the author's tangents."""
        examples = examples_of(self.equation.invars)

        def jvp(tangents: Leaves, point: Leaves) -> Any:
            return jax.jvp(self._around(point), [point[k] for k in self.moved], tangents)[1]

        body = _traced(jvp, [examples[k] for k in self.moved], examples)
        return flat(self.reader.called(g, self.equation, body, [*tangents, *operands]))

    def _pulled(self, g: Recorder, tangents: list[Operand], operands: list[Operand]) -> list[Operand]:
        """By the transpose of the author's cotangents, which are linear in those of the results."""

        def vjp(cotangents: Leaves, point: Leaves) -> Any:
            return jax.vjp(self._around(point), *(point[k] for k in self.moved))[1](list(cotangents))

        cotangents = [each for each in examples_of(self.equation.outvars) if _is_real(each)]
        body = _traced(vjp, cotangents, examples_of(self.equation.invars))

        def backward(inner: Recorder, given: list[Operand]) -> list[Operand]:
            return flat(self.reader.called(inner, self.equation, body, [*given, *operands]))

        zeros = [_empty(g, each) for each in cotangents]
        turned = tuple(range(len(zeros)))
        function = control.Function.of(g, backward, zeros)
        captured = function.reads()
        pull = function.graph(captured)
        require_linear(pull, turned, "C6", "the cotangents")
        made = g.apply(
            Vjp(pull, turned, stacked=False), [x.value for x in zeros] + captured + [x.value for x in tangents]
        )
        return [Operand(v, x.dtype) for v, x in zip(made[len(pull.outputs) :], zeros, strict=True)]

    def _around(self, point: Leaves) -> Callable[..., Leaves]:
        """The real results, of the operands that are moved; the others are those of the point."""

        def call(*moved: Any) -> Leaves:
            given = [*point]
            for k, x in zip(self.moved, moved, strict=True):
                given[k] = x
            return [y for y in _bound(self.equation, given) if _is_real(y)]

        return call


def _bound(equation: Any, operands: Leaves) -> Leaves:
    """The results of an equation for other operands."""
    found = equation.primitive.get_bind_params(equation.params)
    functions, params = found if isinstance(found, tuple) else ((), found)  # a pair in earlier versions of JAX
    results = equation.primitive.bind(*functions, *operands, **params)
    return list(results) if equation.primitive.multiple_results else [results]


def _traced(function: Callable[..., Any], *examples: Leaves) -> Any:
    """The jaxpr of a function of lists.

    Raises:
        _NoRule: JAX cannot trace it.
    """
    try:
        return jax.make_jaxpr(function)(*examples)
    except Exception as error:  # whatever authors raise
        raise _NoRule from error


def examples_of(variables: Sequence[Any]) -> Leaves:
    """Arrays without elements, of the types of variables."""
    like: Any = jax.ShapeDtypeStruct
    return [like(aval.shape, aval.dtype) for aval in avals_of(variables)]


def _is_real(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.floating))


def _empty(g: Recorder, like: Any) -> Operand:
    """Zeros of a type of JAX."""
    ((type_, dtype),) = types_of(like)
    return Operand(g.zeros(type_), dtype)
