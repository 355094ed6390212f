"""What LAPACK leaves of Q R: R, and below it the reflections that Q is the product of, which nothing but that reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from gradserve.client.importers.lax import products
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part
from gradserve.client.importers.stablehlo.operations import ARRAYS
from gradserve.client.importers.stablehlo.syntax import Operation
from gradserve.ir.builder import Builder, Value
from gradserve.ir.evaluate import evaluated
from gradserve.ir.records import dataclass
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder


@dataclass(frozen=True)
class Reflections:
    """The result of a factorisation of which only R is known as numbers, or the scales of its reflections."""

    matrix: Operand
    """That was factorised."""
    upper: Operand
    """R, with zeros below; of scales zeros."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its lengths."""
        return self.upper.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its elements."""
        return self.upper.dtype

    def within(self, g: Recorder) -> Reflections:
        """The same in this graph."""
        matrix, upper = (Operand(g.adopt(x.value), x.dtype) for x in (self.matrix, self.upper))
        return Reflections(matrix, upper)

    def __str__(self) -> str:
        return f"reflections and {self.upper}"


Given: TypeAlias = Operand | Reflections
"""What an operation may be given."""


def factorised(g: Builder, a: Operand) -> list[Reflections]:
    """What `geqrf` leaves of a matrix, and the scales."""
    m, n = a.shape[-2:]
    rank, count = a.rank, min(m, n)
    _, r = products.qr(g, a, full=False)
    high = tuple(m - count if axis == rank - 2 else 0 for axis in range(rank))
    padded = g.emit("pad", r, low=(0,) * rank, high=high, interior=(0,) * rank)
    scales = g.zeros(a.value.type.with_shape((*a.shape[:-2], count)))
    return [Reflections(a, Operand(each, a.dtype)) for each in (padded, scales)]


def read(g: Builder, op: Operation, x: Sequence[Given]) -> Value | Reflections:
    """What an operation makes of the reflections among its operands.

    Raises:
        Unsupported: it reads what is not known of them.
    """
    if (
        op.name in ("slice", "pad")
        and isinstance(x[0], Reflections)
        and not any(isinstance(y, Reflections) for y in x[1:])
    ):
        return _resized(g, op, x[0], [y for y in x[1:] if isinstance(y, Operand)])
    if op.name == "select":
        return _above(g, x)
    if op.name == "custom_call" and op.attributes.get("symbol") in PRODUCTS:
        packed = x[0]
        if isinstance(packed, Reflections) and all(isinstance(y, Reflections) and y.matrix == packed.matrix for y in x):
            columns = op.types[0].shape[-1]
            q, _ = products.qr(g, packed.matrix, full=columns > packed.shape[-1])
            return part(g, q, len(packed.shape) - 1, 0, columns)
    raise Unsupported("what geqrf leaves below R is no function of graphs", "use jnp.linalg.qr, or orgqr beside it")


FACTORISATIONS = ("lapack_sgeqrf_ffi", "lapack_dgeqrf_ffi", "lapack_cgeqrf_ffi", "lapack_zgeqrf_ffi")
"""Calls whose results are reflections."""
PRODUCTS = ("lapack_sorgqr_ffi", "lapack_dorgqr_ffi", "lapack_cungqr_ffi", "lapack_zungqr_ffi")
"""Calls that make Q of reflections."""


def _resized(g: Builder, op: Operation, given: Reflections, others: Sequence[Operand]) -> Reflections:
    """The first rows and columns, or more of them."""
    begins = [n for name in ("start_indices", "low", "edge_padding_low") for n in op.attributes.get(name, [])]
    spread = [n for name in ("interior", "interior_padding") for n in op.attributes.get(name, [])]
    steps = op.attributes.get("strides", [])
    if any(begins) or any(spread) or any(n != 1 for n in steps):
        raise Unsupported("it takes reflections apart", "use jnp.linalg.qr, or orgqr beside it")
    found = ARRAYS[op.name](g, op, [given.upper, *others])
    assert isinstance(found, Value)
    return replace(given, upper=Operand(found, given.dtype))


def _above(g: Builder, x: Sequence[Given]) -> Value:
    """R alone, where it is known beforehand that nothing below it is chosen."""
    chosen, *cases = x
    (mask,) = evaluated(g, [chosen.value]) if isinstance(chosen, Operand) else (None,)
    below = np.tril(np.ones(cases[0].shape[-2:], bool), -1)
    if mask is not None:
        taken = [mask, ~mask]
        reads = [
            bool(np.any(which & below))
            for which, case in zip(taken, cases, strict=True)
            if isinstance(case, Reflections)
        ]
        if isinstance(chosen, Operand) and not any(reads):
            yes, no = (case.upper if isinstance(case, Reflections) else case for case in cases)
            return g.select(chosen.value, yes.value, no.value)
    raise Unsupported("it reads what geqrf leaves below R", "use jnp.linalg.qr, or orgqr beside it")
