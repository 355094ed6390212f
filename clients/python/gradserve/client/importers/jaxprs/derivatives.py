"""Functions of JAX with derivatives of their authors': imported with the rules that JAX holds for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from gradserve.client.importers.jaxprs.binding import Leaves, NoRule, around, empty, examples_of, is_real, traced
from gradserve.client.importers.jaxprs.operands import Known, flat
from gradserve.client.importers.jaxprs.reading import Reader
from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.errors import ConstraintError, InvalidGraph, Untraceable
from gradserve.ir.records import dataclass
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.custom_derivative import CustomDerivative
from gradserve.ops.control.derivatives import Vjp
from gradserve.ops.control.linearity import require_linear


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
    if not rule.moved or not any(map(is_real, results)):
        return reader.called(g, equation, body, operands)
    moving = [given[k] for k in rule.moved]

    def compute(inner: Recorder, given: list[Operand]) -> list[Operand]:
        return flat(reader.called(inner, equation, body, given))

    try:
        with reader.of_order(None):
            function = control.Function.of(g, compute, given)
        made = [empty(g, each) for each in results]
        with reader.of_order(orders - 1):
            derived = control.Function.of(g, rule.step(len(made)), [*made, *moving, *given])
        captured = list(dict.fromkeys([*function.reads(), *derived.reads()]))
        op = CustomDerivative(function.graph(captured), derived.graph(captured), rule.moved)
        values = g.apply(op, [*(operand.value for operand in given), *captured])
    except (NoRule, ConstraintError, InvalidGraph, Unsupported, Untraceable):
        return None
    return [Operand(value, operand.dtype) for value, operand in zip(values, made, strict=True)]


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
            with self.reader.along(given[results:first]):
                return rule(inner, given[results:first], point)

        return emit

    def _pushed(self, g: Recorder, tangents: list[Operand], operands: list[Operand]) -> list[Operand]:
        """By the author's tangents."""
        examples = examples_of(self.equation.invars)

        def jvp(tangents: Leaves, point: Leaves) -> Any:
            return jax.jvp(around(self.equation, point, self.moved), [point[k] for k in self.moved], tangents)[1]

        body = traced(jvp, [examples[k] for k in self.moved], examples)
        return flat(self.reader.called(g, self.equation, body, [*tangents, *operands]))

    def _pulled(self, g: Recorder, tangents: list[Operand], operands: list[Operand]) -> list[Operand]:
        """By the transpose of the author's cotangents, which are linear in those of the results."""

        def vjp(cotangents: Leaves, point: Leaves) -> Any:
            return jax.vjp(around(self.equation, point, self.moved), *(point[k] for k in self.moved))[1](
                list(cotangents)
            )

        cotangents = [each for each in examples_of(self.equation.outvars) if is_real(each)]
        body = traced(vjp, cotangents, examples_of(self.equation.invars))

        def backward(inner: Recorder, given: list[Operand]) -> list[Operand]:
            with self.reader.along(given):
                return flat(self.reader.called(inner, self.equation, body, [*given, *operands]))

        zeros = [empty(g, each) for each in cotangents]
        turned = tuple(range(len(zeros)))
        function = control.Function.of(g, backward, zeros)
        captured = function.reads()
        pull = function.graph(captured)
        require_linear(pull, turned, "C6", "the cotangents")
        made = g.apply(
            Vjp(pull, turned, stacked=False), [x.value for x in zeros] + captured + [x.value for x in tangents]
        )
        return [Operand(v, x.dtype) for v, x in zip(made[len(pull.outputs) :], zeros, strict=True)]
