"""Calls of functions: loops write rows in place, and results never share memory with operands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradserve.ir.op import Op
from gradserve.ir.types import Array
from gradserve.ops.control.calling import Function, output_types
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.once import Once
from gradserve.ops.control.scan import Scan


@functools.singledispatch
def run(op: Op, functions: Mapping[str, Function], check: Callable[[], None], *operands: Array) -> list[Array]:
    """The results of an op that calls functions, given what computes each of them; a scan's is its whole loop.

    They call `check` as often as somebody has to look whether to stop.
    """
    del functions, check, operands
    raise TypeError(f"{op.name} calls no functions")


@run.register
def _(op: Cond, functions: Mapping[str, Function], check: Callable[[], None], *operands: Array) -> list[Array]:
    check()
    chosen = functions[op.calls_functions[0 if operands[0] else 1]]
    return _own(chosen(check, *operands[1:]), operands)


@run.register
def _(op: Once, functions: Mapping[str, Function], check: Callable[[], None], *operands: Array) -> list[Array]:
    check()
    return _own(functions[op.calls_functions[0]](check, *operands), operands)


@run.register
def _(op: Scan, functions: Mapping[str, Function], check: Callable[[], None], *operands: Array) -> list[Array]:
    steps, carries, scanned, shared = op.parts(operands)
    types = output_types(op.body)[int(op.stops) + op.carries :]
    stacks = [np.zeros((op.length, *t.lengths), t.element_type.dtype) for t in types]
    count = min(int(steps), op.length)
    order = range(count - 1, -1, -1) if op.reverse else range(count)
    rows = [np.ascontiguousarray(array)[:count][:: -1 if op.reverse else 1] for array in scanned]
    done, goes_on, *last = functions["body"](check, order, *carries, *rows, *shared, *stacks)
    done += op.cut_off(done, goes_on, int(steps))
    return [*[np.asarray(done, np.int64)] * op.stops, *_own(last, operands), *stacks]


def _own(arrays: Sequence[Array], others: Sequence[Array]) -> list[Array]:
    """The arrays, row-major and each in memory of its own: copied where it may lie in that of another."""
    taken = {id(other) for other in others}
    found: list[Any] = []
    for array in arrays:
        if not np.ndim(array):
            found.append(array)
        elif isinstance(array, np.ndarray) and (id(array) in taken or array.base is not None):
            found.append(np.array(array, order="C", copy=True))
        else:
            found.append(np.asarray(array, order="C"))
        taken.add(id(array))
    return found
