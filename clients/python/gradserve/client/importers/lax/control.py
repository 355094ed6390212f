"""Choices and loops on values: functions that graphs call, made of functions that emit nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Value
from gradserve.ir.graph import Graph, Input, Literal
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.scan import Scan
from gradserve.ops.elementwise.arithmetic import Add
from gradserve.ops.elementwise.comparison import Lt

Step: TypeAlias = Callable[[Recorder, list[Operand]], list[Operand]]
"""Emits what a function computes; reads the operands given, and any of the graphs around."""


@dataclass
class Function:
    """A function in the making, with what it reads of the graphs around it."""

    recorder: Recorder
    inputs: list[Value]
    outputs: list[Value]

    @staticmethod
    def of(outer: Recorder, step: Step, operands: Sequence[Operand]) -> Function:
        """What a step makes of operands of these types."""
        recorder = Recorder(outer)
        recorder.origin = outer.origin
        inputs = [recorder.input(f"x{k}", operand.value.type) for k, operand in enumerate(operands)]
        given = [Operand(value, operand.dtype) for value, operand in zip(inputs, operands, strict=True)]
        return Function(recorder, inputs, [recorder.adopt(made.value) for made in step(recorder, given)])

    def reads(self) -> list[Value]:
        """The values around it that it needs."""
        live = self.recorder.live(self.outputs)
        return [outer for outer, inner in self.recorder.captured.values() if inner.index in live]

    def graph(self, captured: Sequence[Value], order: Sequence[int] | None = None) -> Graph:
        """The function of its arguments, in their order or another one, and of these values around it."""
        arguments = self.inputs if order is None else [self.inputs[k] for k in order]
        inputs = [*arguments, *(self.recorder.adopt(value) for value in captured)]
        made = self.recorder.build({f"y{k}": value for k, value in enumerate(self.outputs)}, inputs)
        return replace(made, inputs=tuple(Input(f"x{k}", given.type) for k, given in enumerate(made.inputs)))


def choose(g: Recorder, index: Operand, branches: Sequence[Callable[[Recorder], list[Operand]]]) -> list[Operand]:
    """The results of the branch of that number, the nearest one there is; for a true value those of the second."""
    known = g.literal(index.value)
    if isinstance(known, Literal):
        return branches[min(max(int(known.array), 0), len(branches) - 1)](g)
    if len(branches) == 1:
        return branches[0](g)
    first, *others = branches
    found: list[Operand] = []

    def otherwise(inner: Recorder, _: list[Operand]) -> list[Operand]:
        made = first(inner)
        found[:] = made
        return made

    def then(inner: Recorder, _: list[Operand]) -> list[Operand]:
        if len(others) == 1:
            return others[0](inner)
        rest = inner.sub(inner.adopt(index.value), 1)
        return choose(inner, Operand(rest, index.dtype), others)

    functions = [Function.of(g, step, []) for step in (then, otherwise)]
    if not found:
        return []
    captured = list(dict.fromkeys(value for function in functions for value in function.reads()))
    truth = index.value if index.dtype.kind == "b" else g.gt(index.value, 0)
    results = g.apply(Cond(*(function.graph(captured) for function in functions)), [truth, *captured])
    return [Operand(value, made.dtype) for value, made in zip(results, found, strict=True)]


def scan(
    g: Recorder, step: Step, carries: Sequence[Operand], rows: Sequence[Operand], length: int, reverse: bool
) -> list[Value]:
    """The last carries and the stacked rows of a step done once for each row."""
    single = [Operand(_row_like(g, row), row.dtype) for row in rows]
    body = Function.of(g, step, [*carries, *single])
    if not body.outputs:
        return []
    captured = body.reads()
    op = Scan(body.graph(captured), length, len(carries), len(rows), reverse, stops=False)
    given = [operand.value for operand in (*carries, *rows)]
    return list(g.apply(op, [g.constant(length, ElementType.INT64), *given, *captured]))


def _row_like(g: Recorder, rows: Operand) -> Value:
    """A value of the type of one row, which nobody reads."""
    return g.zeros(rows.value.type.with_shape(rows.shape[1:]))


def while_loop(g: Recorder, go_on: Step, step: Step, first: Sequence[Operand], most: int | None) -> list[Value]:
    """The last carries of a step done as long as a condition on them holds.

    What a step leaves as it is, is no carry. If the condition counts to a number that is known, that many steps are
    done; otherwise at most `most`, more of which are refused when they are run.

    Raises:
        Unsupported: neither is known.
    """
    body, condition = Function.of(g, step, first), Function.of(g, go_on, first)
    same = [out.index == given.index for out, given in zip(body.outputs, body.inputs, strict=True)]
    moving = [k for k, is_same in enumerate(same) if not is_same]
    order = [*moving, *(k for k, is_same in enumerate(same) if is_same)]
    count = _count(g, condition, body, first)
    if count == 0 or not moving:
        return [x.value for x in first]
    if count is None and most is None:
        raise Unsupported(
            "how often this loop runs is not known beforehand, and nothing bounds it",
            "give a bound on the steps of such loops, as in from_jax(f, x, most=100), or write lax.scan, lax.fori_loop "
            "with known numbers",
        )
    kept = [Operand(out, x.dtype) for out, x in zip(body.outputs, first, strict=True)]
    goes_on = [] if count is not None else [body.recorder.adopt(x.value) for x in go_on(body.recorder, kept)]
    body.outputs = [*goes_on, *(body.outputs[k] for k in moving)]
    steps: Value = g.constant(count or 0, ElementType.INT64)
    length = count if count is not None else max(most or 0, 1)
    if count is None:
        begins = go_on(g, list(first))[0].value
        steps = g.select(begins, g.constant(length, ElementType.INT64), g.constant(0, ElementType.INT64))
    captured = body.reads()
    op = Scan(body.graph(captured, order), length, len(moving), 0, reverse=False, stops=count is None)
    made = g.apply(op, [steps, *(first[k].value for k in order), *captured])
    results = [x.value for x in first]
    for k, value in zip(moving, made[1 if count is None else 0 :], strict=True):
        results[k] = value
    return results


def _count(g: Recorder, condition: Function, body: Function, first: Sequence[Operand]) -> int | None:
    """How many steps there are, if the condition is that a carry that grows by a known number is below a known one."""
    made = condition.recorder.producer(condition.outputs[0])
    if made is None or not isinstance(made.op, Lt):
        return None
    counter, bound = (_number(condition, value) for value in made.operands)
    if counter is None or first[counter].dtype.name not in ("int32", "int64"):
        return None
    grown = body.recorder.producer(body.outputs[counter])
    if grown is None or not isinstance(grown.op, Add):
        return None
    own = [k for k, value in enumerate(grown.operands) if value.index == body.inputs[counter].index]
    if len(own) != 1:
        return None
    kept = bound is not None and body.outputs[bound].index == body.inputs[bound].index
    stop = g.literal(first[bound].value) if bound is not None and kept else condition.recorder.literal(made.operands[1])
    pace, start = body.recorder.literal(grown.operands[1 - own[0]]), g.literal(first[counter].value)
    if not (isinstance(stop, Literal) and isinstance(pace, Literal) and isinstance(start, Literal)):
        return None
    by = int(pace.array)
    return max(0, -((int(start.array) - int(stop.array)) // by)) if by > 0 else None


def _number(function: Function, value: Value) -> int | None:
    """Which argument of a function a value is."""
    return next((k for k, given in enumerate(function.inputs) if given.index == value.index), None)
