"""The quadratic form of a Hessian, with the shares of its vector's entries, and its gradient; products of gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.jvp import push_forward
from gradserve.autodiff.walk import declare_inputs, inline
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType
from gradserve.ops import builder

SHARES = 509
"""The most shares of an input. A prime, so that what lies a row or a block apart seldom falls into the same one."""
PERIOD = 1 << 12
"""Rows of shares after which their signs repeat: lengths are the client's, and the signs are there before any limit."""


def curvature(hvp: Graph, wrt: Sequence[str], shares: bool = True) -> Graph:
    """<v, H v> of a graph that gives H v, as `product:curvature`, and the `shares` `share:NAME` of each input in it.

    They are the products v_i (H v)_i; of an input with more entries than `SHARES` sums of some of them with signs.
    """
    g = builder()
    arguments = declare_inputs(g, hvp)
    results = inline(g, hvp, arguments)
    parts, told = [], {}
    for name in wrt:
        v, hv = arguments[names.tangent(name)], results[names.product(name)]
        products = g.mul(v, hv)
        parts.append(g.convert(g.reduce_sum(products, axes=tuple(range(v.type.rank))), ElementType.FLOAT64))
        if shares:
            told[names.share(name)] = g.convert(_shares(g, products), ElementType.FLOAT64)
    total = parts[0]
    for part in parts[1:]:
        total = g.add(total, part)
    return g.finished({names.product("curvature"): total, **told})


def slope(hvp: Graph, wrt: Sequence[str]) -> Graph:
    """The gradient of <u, H v> for u in `direction:NAME`, as `slope:NAME`, of a graph that gives H v.

    It is the derivative of H v along u: third derivatives are symmetric.
    """
    g = builder()
    arguments = declare_inputs(g, hvp)
    types = {name: hvp.input_types[names.tangent(name)] for name in wrt}
    directions = {name: g.input(names.direction(name), type_) for name, type_ in types.items()}
    _, dots = push_forward(g, hvp, arguments, directions)
    found = {names.split(o.name)[1]: dots[o.value] for o in hvp.outputs}
    return g.finished({names.slope(n): g.zeros(types[n]) if dot is None else dot for n, dot in found.items()})


def fisher_product(gradient: Graph, wrt: Sequence[str]) -> Graph:
    """g <g, v> of a graph that gives the gradient g, for v in `tangent:NAME`, as `product:NAME`."""
    g = builder()
    results = inline(g, gradient, declare_inputs(g, gradient))
    tangents = {name: g.input(names.tangent(name), results[names.gradient(name)].type) for name in wrt}
    parts = []
    for name, tangent in tangents.items():
        each = g.mul(results[names.gradient(name)], tangent)
        parts.append(g.convert(g.reduce_sum(each, axes=tuple(range(each.type.rank))), ElementType.FLOAT64))
    total = parts[0]
    for part in parts[1:]:
        total = g.add(total, part)
    products = {}
    for name in wrt:
        own = results[names.gradient(name)]
        scale = g.broadcast(g.convert(total, own.type.element_type), own.type.shape)
        products[names.product(name)] = g.mul(own, scale)
    return g.finished(products)


def _shares(g: Builder, products: Value) -> Value:
    size = products.type.size
    flat = g.reshape(products, (size,))
    if size <= SHARES:
        return flat
    rows = min(-(-size // SHARES), PERIOD)
    blocks = -(-size // (rows * SHARES))
    padded = g.emit("pad", flat, low=(0,), high=(blocks * rows * SHARES - size,), interior=(0,))
    signs = np.array([1.0 - 2.0 * (row.bit_count() & 1) for row in range(rows)], products.type.element_type.dtype)
    each = g.broadcast(g.reshape(g.constant(signs), (1, rows, 1)), (blocks, rows, SHARES))
    return g.reduce_sum(g.mul(each, g.reshape(padded, (blocks, rows, SHARES))), axes=(0, 1))
