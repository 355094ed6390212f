"""What becomes of primitives that call functions: choices, loops, and functions with derivatives of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradserve.client.importers.jaxprs.operands import Known, flat, shaped, types_of
from gradserve.client.importers.jaxprs.reading import Reader, avals_of, rule
from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy.recorder import Recorder


def _body(params: Any, *names: str) -> Any:
    return next(params[name] for name in names if name in params)


@rule("jit", "pjit", "closed_call", "core_call", "call", "remat2", "checkpoint", "custom_vmap_call", "composite")
def call(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """What it calls, in its place."""
    return reader.called(g, equation, _body(equation.params, "jaxpr", "call_jaxpr", "call"), operands)


@rule("platform_index")
def platform(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """The branch for the processor, or else the one for all platforms."""
    platforms = equation.params["platforms"]
    number = next((k for k, names in enumerate(platforms) if names is None or "cpu" in names), len(platforms) - 1)
    return [Operand(g.constant(number, ElementType.INT32), equation.outvars[0].aval.dtype)]


@rule("cond")
def cond(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """The results of the branch of that number."""
    (index,), others = flat(operands[:1]), operands[1:]

    def branch(body: Any) -> Callable[[Recorder], list[Operand]]:
        return lambda inner: flat(reader.called(inner, equation, body, others))

    return shaped(
        avals_of(equation.outvars), control.choose(g, index, [branch(b) for b in equation.params["branches"]])
    )


@rule("scan")
def scan(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """A loop over rows."""
    params, avals = equation.params, avals_of(equation.outvars)
    first, split = params["num_consts"], params["num_consts"] + params["num_carry"]
    shared, carries, rows = operands[:first], operands[first:split], operands[split:]
    body, types = params["jaxpr"], avals_of(params["jaxpr"].jaxpr.invars)[first:]

    def step(inner: Recorder, given: list[Operand]) -> list[Operand]:
        return flat(reader.called(inner, equation, body, [*shared, *shaped(types, given)]))

    made = control.scan(g, step, flat(carries), flat(rows), params["length"], params["reverse"])
    dtypes = [dtype for aval in avals for _, dtype in types_of(aval)]
    return shaped(avals, [Operand(value, dtype) for value, dtype in zip(made, dtypes, strict=True)])


def _together(go_on: control.Step, body: control.Step) -> tuple[control.Step, control.Step]:
    """Loops side by side, as vmap makes them, as one: it goes on while one of them does, and the others stand still."""

    def one_goes_on(inner: Recorder, given: list[Operand]) -> list[Operand]:
        (truths,) = go_on(inner, given)
        return [Operand(inner.reduce_any(truths.value, axes=tuple(range(truths.rank))), truths.dtype)]

    def moved(inner: Recorder, given: list[Operand]) -> list[Operand]:
        (truths,) = go_on(inner, given)
        made = body(inner, given)
        return [Operand(chosen(truths, new.value, old.value), old.dtype) for new, old in zip(made, given, strict=True)]

    def chosen(truths: Operand, new: Value, old: Value) -> Value:
        g = truths.value.builder
        lead = g.reshape(truths.value, (*truths.shape, *(1,) * (old.type.rank - truths.rank)))
        return g.select(lead, new, old)

    return one_goes_on, moved


@rule("while")
def while_loop(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """A loop as long as a condition holds."""
    params, avals = equation.params, avals_of(equation.outvars)
    split = params["cond_nconsts"]
    first = split + params["body_nconsts"]
    of_condition, of_body, carries = operands[:split], operands[split:first], operands[first:]

    def of(name: str, shared: Sequence[Known]) -> control.Step:
        def step(inner: Recorder, given: list[Operand]) -> list[Operand]:
            return flat(reader.called(inner, equation, params[name], [*shared, *shaped(avals, given)]))

        return step

    go_on, body, start = of("cond_jaxpr", of_condition), of("body_jaxpr", of_body), flat(carries)
    if params["cond_jaxpr"].out_avals[0].shape:
        go_on, body = _together(go_on, body)
    made = control.while_loop(g, go_on, body, start, reader.bound_of(params["body_jaxpr"]))
    return shaped(avals, [Operand(value, x.dtype) for value, x in zip(made, start, strict=True)])
