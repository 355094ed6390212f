"""What is computed while a graph is made: the one evaluator beside the executors, op by op on NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.ir.op import Op
from gradserve.ir.types import Array


def applied(op: Op, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """The results of an op; infinities and NaN are data and raise no warnings.

    Raises:
        NumericalFailure, NotDifferentiable: a guard of the op refuses them.
    """
    with np.errstate(all="ignore"):
        return tuple(map(np.asarray, op.numbers(*arrays)))


def evaluated(g: Builder, values: Sequence[Value], given: Mapping[int, Array] | None = None) -> list[Array | None]:
    """The elements of values; None for what follows neither from constants nor from values with given elements.

    Args:
        g: the builder of the values.
        values: what is asked for; only what these need is computed.
        given: elements by the indices of values, such as those of inputs.
    """
    found: dict[int, Array | None] = dict(given or {})
    waiting = list(values)
    while waiting:
        value = waiting[-1]
        made, literal = g.producer(value), g.literal(value)
        missing = [x for x in made.operands if x.index not in found] if made and value.index not in found else []
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if value.index in found:
            continue
        if made is None:
            found[value.index] = literal.array if isinstance(literal, Literal) else None
            continue
        operands = [found[x.index] for x in made.operands]
        known = [x for x in operands if x is not None]
        results = applied(made.op, known) if len(known) == len(operands) else (None,) * len(made.results)
        found |= {result.index: array for result, array in zip(made.results, results, strict=True)}
    return [found[value.index] for value in values]
