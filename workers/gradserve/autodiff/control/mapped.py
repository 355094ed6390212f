"""A batch done one example after the other: right for every op, and the way out where examples go different ways."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff.control.functions import function, parameters
from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op
from gradserve.ir.types import ElementType
from gradserve.ops import builder
from gradserve.ops.control.scan import Scan


def mapped(op: Op, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
    """The op on each example of a batch, by a scan without carries."""
    order = sorted(range(len(operands)), key=lambda k: not batched[k])
    types = [x.type.with_shape(x.type.shape[1:]) if b else x.type for x, b in zip(operands, batched, strict=True)]
    inner = builder()
    own = dict(zip(order, parameters(inner, [types[k] for k in order]), strict=True))
    body = function(inner, inner.apply(op, [own[k] for k in range(len(operands))]))
    scan = Scan(body, length=size, carries=0, scanned=sum(batched), reverse=False, stops=False)
    return g.apply(scan, [g.constant(size, ElementType.INT64), *(operands[k] for k in order)])
