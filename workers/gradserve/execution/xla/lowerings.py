"""How XLA does what an op's general mathematics would do slowly: factorisations and sums at positions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax.numpy as jnp
from jax import lax

from gradserve.execution.numpy.kernels.table import made
from gradserve.execution.xla.callbacks import called_back
from gradserve.ir.graph import Node
from gradserve.ir.op import Op
from gradserve.ir.types import TensorType
from gradserve.ops.elementwise.powers import Pow
from gradserve.ops.indexing.gather import ScatterAdd
from gradserve.ops.linalg.banded import BandedSolve
from gradserve.ops.linalg.exponential import OfPlane
from gradserve.ops.linalg.factors import Lu, LuInverse, LuSolve
from gradserve.ops.linalg.finite import where_finite
from gradserve.ops.linalg.riccati import Riccati
from gradserve.ops.linalg.sparse import SparseTriangularSolve
from gradserve.ops.linalg.sparse_solve import SparseSolve
from gradserve.ops.linalg.sylvester import Sylvester
from gradserve.ops.special.bessel import Bessel
from gradserve.ops.special.erf import Erfcinv
from gradserve.ops.special.gammas import Beta, Binom, Digamma, Expi, Poch, Zeta
from gradserve.ops.special.rare import OfScipy
from gradserve.ops.spectral.eigen import UpperEigh
from gradserve.ops.spectral.general import Eig

Traced: TypeAlias = Any
"""An array that JAX traces."""


@functools.singledispatch
def lowered(op: Op, node: Node, operands: Sequence[Traced], types: Sequence[TensorType]) -> Sequence[Traced]:
    """The results of a node, whose operands have these types: by the op's own mathematics unless said otherwise."""
    del node, types
    return op.results(jnp, *operands)


@lowered.register(Bessel)
@lowered.register(OfScipy)
@lowered.register(OfPlane)
@lowered.register(Eig)
@lowered.register(Riccati)
@lowered.register(Binom)
@lowered.register(Poch)
@lowered.register(Erfcinv)
@lowered.register(Digamma)
@lowered.register(Zeta)
@lowered.register(Beta)
@lowered.register(Expi)
@lowered.register(Sylvester)
@lowered.register(SparseTriangularSolve)
@lowered.register(SparseSolve)
@lowered.register(BandedSolve)
def _(op: Op, node: Node, operands: Sequence[Traced], types: Sequence[TensorType]) -> Sequence[Traced]:
    """By NumPy and SciPy: JAX (0.10) lacks most of them, and at poles or far out errs for the others."""
    return called_back(made(op, types), node.types, operands)


@lowered.register
def _(op: Pow, node: Node, operands: Sequence[Traced], types: Sequence[TensorType]) -> Sequence[Traced]:
    """NumPy's powers of a complex 0, of which XLA takes the logarithm."""
    del node
    x, y = operands
    if not types[0].is_complex:
        return op.results(jnp, x, y)
    at_zero = jnp.where(y == 0, 1.0, jnp.where(jnp.real(y) > 0, 0.0, jnp.nan))
    return (jnp.where(x == 0, at_zero, jnp.power(jnp.where(x == 0, 1.0, x), y)),)


@lowered.register
def _(op: UpperEigh, node: Node, operands: Sequence[Traced], types: Sequence[TensorType]) -> Sequence[Traced]:
    del node, types
    upper = functools.partial(jnp.linalg.eigh, UPLO="U", symmetrize_input=False)
    return [x[..., op.start : op.stop] for x in where_finite(jnp, upper, operands[0])]


@lowered.register
def _(op: ScatterAdd, node: Node, operands: Sequence[Traced], types: Sequence[TensorType]) -> Sequence[Traced]:
    del types
    updates, indices = operands
    (result,) = node.types
    where = (*(slice(None) for _ in range(op.axis)), indices)
    return (jnp.zeros(result.lengths, updates.dtype).at[where].add(updates),)


@lowered.register
def _(op: Lu, node: Node, operands: Sequence[Traced], types: Sequence[TensorType]) -> Sequence[Traced]:
    del op, node, types
    factors, exchanges, _ = lax.linalg.lu(operands[0])
    return jnp.matrix_transpose(factors), exchanges


@lowered.register
def _(op: LuSolve, node: Node, operands: Sequence[Traced], types: Sequence[TensorType]) -> Sequence[Traced]:
    del node, types
    packed, exchanges, b = operands
    return (_solved(packed, exchanges, b, transposed=op.transposed),)


@lowered.register
def _(op: LuInverse, node: Node, operands: Sequence[Traced], types: Sequence[TensorType]) -> Sequence[Traced]:
    del op, types
    packed, exchanges = operands
    (result,) = node.types
    identity = jnp.broadcast_to(jnp.eye(result.lengths[-1], dtype=packed.dtype), result.lengths)
    return (_solved(packed, exchanges, identity, transposed=False),)


def _solved(packed: Traced, exchanges: Traced, b: Traced, transposed: bool) -> Traced:
    """The solutions by triangles; the rows in the order of LAPACK's exchanges."""
    n = b.shape[-2]
    factors = jnp.matrix_transpose(packed)
    order = lax.linalg.lu_pivots_to_permutation(exchanges, n)
    solve = functools.partial(lax.linalg.triangular_solve, factors, left_side=True)
    if not transposed:
        rows = jnp.take_along_axis(b, order[..., None], axis=-2)
        return solve(solve(rows, lower=True, unit_diagonal=True), lower=False)
    found = solve(b, lower=False, transpose_a=True)
    found = solve(found, lower=True, unit_diagonal=True, transpose_a=True)
    return jnp.take_along_axis(found, jnp.argsort(order, axis=-1)[..., None], axis=-2)
