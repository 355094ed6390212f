"""Choices between graphs within the program, and loops over rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradserve.client.importers.aten.table import Given, Node, Result, translates
from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.numpy.recorder import Recorder

_BOOL = np.dtype(np.bool_)


def _body(
    n: Node, graph: Mapping[str, Any], given: Sequence[Any]
) -> Callable[[Recorder, Sequence[Any]], list[Operand]]:
    """What a graph within makes; the first of its inputs are `first`, the others are `given`, of the graph around."""

    def step(inner: Recorder, first: Sequence[Any]) -> list[Operand]:
        around = [Operand(inner.adopt(x.value), x.dtype) if isinstance(x, Operand) else x for x in given]
        names = [each["as_tensor"]["name"] for each in graph["graph"]["inputs"]]
        scope = dict(zip(names, [*first, *around], strict=True))
        return n.reader.read(inner, graph["graph"], scope, 1)

    return step


@translates("_linalg_check_errors", "_assert_async", "_assert_scalar")
@translates("_assert_tensor_metadata", "sym_constrain_range_for_size", "sym_constrain_range")
def _nothing(n: Node, *told: object, **named: object) -> Result:
    """Nothing: it tells what the exporter has seen already."""
    return []


@translates("higher_order.cond")
def _cond(n: Node, condition: Given, yes: Any, no: Any, operands: Sequence[Any] = ()) -> Result:
    """The results of one of two graphs."""
    branches = [_body(n, graph, operands) for graph in (no, yes)]
    which = n.operand(condition, _BOOL)
    return control.choose(n.g, which, [lambda inner, step=step: step(inner, []) for step in branches])  # type: ignore[misc]


@translates("higher_order.while_loop")
def _while_loop(n: Node, condition: Any, body: Any, carries: Sequence[Operand], shared: Sequence[Any] = ()) -> Result:
    """The last carries of a graph done as long as another one holds; how often must be known."""
    go_on, step = (_body(n, graph, shared) for graph in (condition, body))
    made = control.while_loop(n.g, go_on, step, list(carries), None)
    return [Operand(value, x.dtype) for value, x in zip(made, carries, strict=True)]


@translates("higher_order.scan")
def _scan(
    n: Node, body: Any, carries: Sequence[Operand], rows: Sequence[Operand], shared: Sequence[Any] = ()
) -> Result:
    """The last carries and the stacked results of a graph done for each row."""
    step = _body(n, body, shared)
    dtypes: list[Any] = []

    def seen(inner: Recorder, given: list[Operand]) -> list[Operand]:
        made = step(inner, given)
        dtypes[:] = [x.dtype for x in made]
        return made

    values = control.scan(n.g, seen, list(carries), list(rows), rows[0].shape[0], False)
    return [Operand(value, dtype) for value, dtype in zip(values, dtypes, strict=True)]
