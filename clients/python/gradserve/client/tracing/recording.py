"""What is being recorded, with which source lines, and how what cannot be recorded is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gradserve.client.tracing.choices import step
from gradserve.client.tracing.current import INNERMOST, current
from gradserve.client.tracing.origins import origin, untraceable
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError, InvalidGraph, Untraceable, Violation
from gradserve.ir.graph import Graph
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder


@contextmanager
def recording(g: Recorder) -> Iterator[None]:
    """A context in which what is traced goes into this graph, which is closed afterwards."""
    token = INNERMOST.set(g)
    try:
        yield
    finally:
        INNERMOST.reset(token)
        g.closed = True


def recorded(value: Value) -> tuple[Builder, Value]:
    """Where an operation on a value is recorded, and the value there: an input of a function if it is from around it.

    Raises:
        Untraceable: it belongs to a function that has returned.
    """
    inner = current()
    if inner is not None and inner.is_within(value.builder):
        return inner, inner.adopt(value)
    if isinstance(value.builder, Recorder) and value.builder.closed and value.builder.parent is not None:
        raise untraceable(
            "a traced array was kept from a function that is called within the graph",
            "return it from that function, as a part of its result",
        )
    return value.builder, value


def traced(g: Builder, name: str, emit: Callable[[Builder], Any]) -> Any:
    """What `emit` returns, its nodes marked with the author's line; refusals say it as well."""
    g.origin = origin()
    try:
        return step(g, name, lambda: emit(g))
    except Unsupported as refusal:
        raise untraceable(refusal.problem, refusal.instead) from None
    except Untraceable:
        raise
    except ConstraintError as error:
        violation = Violation("", f"{name} ({error.constraint})", error.description, str(g.origin or ""))
        raise InvalidGraph("this operation is not possible", [violation]) from None
    except TypeError as error:
        raise untraceable(f"{name} does not take these arguments", str(error)) from error


def written(g: Builder, graph: Graph, arguments: Sequence[Value]) -> list[Value]:
    """The outputs of a function of these arguments, its nodes written in place."""
    values = [*arguments, *map(g.constant, graph.constants)]
    for node in graph.nodes:
        g.origin = node.origin
        values += g.apply(node.op, [values[k] for k in node.operands])
    return [values[output.value] for output in graph.outputs]
