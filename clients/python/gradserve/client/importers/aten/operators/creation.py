"""Arrays of numbers that are known, or of one number."""

from __future__ import annotations

import math

import numpy as np

from gradserve.client.importers.aten.table import Given, Node, Result, Scalar, require_small, translates
from gradserve.client.importers.lax.elements import Operand


@translates("fill")
def _fill(n: Node, x: Operand, value: Given) -> Result:
    """One number in the shape of x."""
    return n.g.broadcast(n.of(value), x.shape)


@translates("full", "full_like", "new_full")
def _full(n: Node, like: object, value: Given, fill: Given | None = None, **named: object) -> Result:
    """One number in a shape."""
    return n.g.broadcast(n.of(value if fill is None else fill), n.shape)


@translates("zeros", "zeros_like", "new_zeros", "empty", "empty_like", "new_empty", "empty_strided", "empty_permuted")
@translates("new_empty_strided", "_new_zeros_with_same_feature_meta")
def _zeros(n: Node, *like: object, **named: object) -> Result:
    """Zeros in a shape; what torch leaves as it lies is zero as well."""
    return n.g.broadcast(n.of(0), n.shape)


@translates("ones", "ones_like", "new_ones")
def _ones(n: Node, *like: object, **named: object) -> Result:
    """Ones in a shape."""
    return n.g.broadcast(n.of(1), n.shape)


@translates("scalar_tensor")
def _scalar_tensor(n: Node, value: Given, **named: object) -> Result:
    """A number as an array."""
    return n.of(value)


@translates("arange")
def _arange(n: Node, *bounds: Scalar, **named: object) -> Result:
    """Numbers from a start to before an end."""
    start, step = (0, 1) if len(bounds) == 1 else (bounds[0], bounds[2] if bounds[2:] else 1)
    require_small(n.shape[0])
    line = start + np.arange(n.shape[0]) * step
    return n.g.constant(line.astype(n.of(0).type.element_type.dtype))


@translates("linspace", "logspace")
def _linspace(n: Node, start: Scalar, end: Scalar, steps: int, base: float = 10.0, **named: object) -> Result:
    """Numbers at equal distances, or powers of them."""
    if isinstance(start, Operand) or isinstance(end, Operand):
        raise n.refuse("its ends are arrays", "write it by torch.arange and products")
    require_small(steps)
    line = np.linspace(start, end, steps)
    whole = line if n.name == "linspace" else np.power(base, line)
    return n.g.constant(whole.astype(n.of(0).type.element_type.dtype))


@translates("eye")
def _eye(n: Node, *lengths: int, **named: object) -> Result:
    """Ones on the diagonal of a matrix."""
    require_small(math.prod(n.shape))
    return n.g.constant(np.eye(n.shape[0], n.shape[1]).astype(n.of(0).type.element_type.dtype))


@translates("tril_indices", "triu_indices")
def _triangle_indices(n: Node, rows: int, columns: int, offset: int = 0, **named: object) -> Result:
    """The places of a triangle."""
    require_small(rows * columns)
    found = getattr(np, n.name)(rows, offset, columns)
    return n.g.constant(np.stack(found).astype(n.of(0).type.element_type.dtype))
