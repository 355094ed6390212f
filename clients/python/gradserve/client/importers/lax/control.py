"""Choices and loops on values: functions that graphs call, made of functions that emit nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Value
from gradserve.ir.graph import Graph, Input, Literal
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

    def graph(self, captured: Sequence[Value]) -> Graph:
        """The function of its arguments, and of these values around it."""
        inputs = [*self.inputs, *(self.recorder.adopt(value) for value in captured)]
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
    moving = _moving(g, step, first)

    def whole(inner: Recorder, carries: list[Operand]) -> list[Operand]:
        given = iter(carries)
        return [next(given) if k in moving else Operand(inner.adopt(x.value), x.dtype) for k, x in enumerate(first)]

    def following(inner: Recorder, carries: list[Operand]) -> list[Operand]:
        made = step(inner, whole(inner, carries))
        return [made[k] for k in moving]

    def continues(inner: Recorder, carries: list[Operand]) -> list[Operand]:
        return go_on(inner, whole(inner, carries))

    carried = [first[k] for k in moving]
    count = _count(g, continues, following, carried)
    if count is not None:
        made = (
            scan(g, following, carried, [], count, reverse=False) if count and carried else [x.value for x in carried]
        )
    elif most is None:
        raise Unsupported(
            "how often this loop runs is not known beforehand, and nothing bounds it",
            "give a bound on the steps of such loops, as in from_jax(f, x, most=100), or write lax.scan, lax.fori_loop "
            "with known numbers",
        )
    else:
        made = _bounded(g, continues, following, carried, most)
    results = [x.value for x in first]
    for k, value in zip(moving, made, strict=True):
        results[k] = value
    return results


def _moving(g: Recorder, step: Step, first: Sequence[Operand]) -> list[int]:
    """The carries that a step changes."""
    body = Function.of(g, step, first)
    same = [out.index == given.index for out, given in zip(body.outputs, body.inputs, strict=True)]
    return [k for k, is_same in enumerate(same) if not is_same]


def _count(g: Recorder, go_on: Step, step: Step, first: Sequence[Operand]) -> int | None:
    """How many steps there are, if the condition is that a carry that grows by a known number is below a known one."""
    condition, body = Function.of(g, go_on, first), Function.of(g, step, first)
    made = condition.recorder.producer(condition.outputs[0])
    if made is None or not isinstance(made.op, Lt):
        return None
    counter, bound = made.operands
    number = next((k for k, value in enumerate(condition.inputs) if value.index == counter.index), None)
    if number is None or first[number].dtype.name not in ("int32", "int64"):
        return None
    grown = body.recorder.producer(body.outputs[number])
    if grown is None or not isinstance(grown.op, Add):
        return None
    own = [k for k, value in enumerate(grown.operands) if value.index == body.inputs[number].index]
    if len(own) != 1:
        return None
    known = [
        condition.recorder.literal(bound),
        body.recorder.literal(grown.operands[1 - own[0]]),
        g.literal(first[number].value),
    ]
    if not all(isinstance(literal, Literal) for literal in known):
        return None
    stop, pace, start = (int(literal.array) for literal in known if isinstance(literal, Literal))
    return max(0, -((start - stop) // pace)) if pace > 0 else None


def _bounded(g: Recorder, go_on: Step, step: Step, carried: Sequence[Operand], most: int) -> list[Value]:
    begins = go_on(g, list(carried))[0].value

    def once(inner: Recorder, carries: list[Operand]) -> list[Operand]:
        made = step(inner, carries)
        return [*go_on(inner, made), *made]

    body = Function.of(g, once, carried)
    captured = body.reads()
    op = Scan(body.graph(captured), most, len(carried), 0, reverse=False, stops=True)
    steps = g.select(begins, g.constant(max(most, 1), ElementType.INT64), g.constant(0, ElementType.INT64))
    return list(g.apply(op, [steps, *(x.value for x in carried), *captured]))[1:]
