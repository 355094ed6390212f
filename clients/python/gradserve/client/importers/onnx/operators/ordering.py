"""Elements in order, and what matrices have as a whole."""

from __future__ import annotations

import numpy as np

from gradserve.client.importers.lax import ordering as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates


@translates("TopK", known=(1,), moves=True, uint64=False)
def top_k(n: Node, x: Operand, count: Operand | None = None) -> Result:
    """The largest or smallest elements along an axis in order, and where they are."""
    g, axis, found = n.g, axis_in(n.get("axis", -1), x.rank), n.ints(1, "k")
    assert found is not None
    if n.get("largest", 1):
        values, places = lax.top_k(g, x, found[0], axis)
    else:
        places = part(g, g.argsort(x.value, axis=axis), axis, 0, found[0])
        values = lax.along_axis(g, x.value, places, axis)
    return [values, Operand(places, np.dtype(np.int64))]


@translates("Det")
def determinant(n: Node, x: Operand) -> Result:
    """The determinants of matrices."""
    return n.g.det(x.value)
