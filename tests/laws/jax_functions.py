"""What JAX computes for each differentiable op: functions of the op (for its attributes) and its operands."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": lambda op, x: jnp.abs(x),
    "acos": lambda op, x: jnp.arccos(x),
    "acosh": lambda op, x: jnp.arccosh(x),
    "add": lambda op, x, y: x + y,
    "asin": lambda op, x: jnp.arcsin(x),
    "asinh": lambda op, x: jnp.arcsinh(x),
    "atan": lambda op, x: jnp.arctan(x),
    "atan2": lambda op, x, y: jnp.arctan2(x, y),
    "atanh": lambda op, x: jnp.arctanh(x),
    "broadcast_to": lambda op, x: jnp.broadcast_to(x, op.shape),
    "cholesky": lambda op, x: jnp.linalg.cholesky((x + jnp.swapaxes(x, -1, -2)) / 2),
    "clip": lambda op, x, low, high: jnp.minimum(jnp.maximum(x, low), high),
    "concatenate": lambda op, *arrays: jnp.concatenate(arrays, axis=op.axis),
    "contract": lambda op, x, y: jax.lax.dot_general(
        x, y, ((op.lhs_contract, op.rhs_contract), (op.lhs_batch, op.rhs_batch)), precision="highest"
    ),
    "convert": lambda op, x: x.astype(op.element_type.dtype),
    "cos": lambda op, x: jnp.cos(x),
    "cosh": lambda op, x: jnp.cosh(x),
    "cumsum": lambda op, x: jnp.cumsum(x, axis=op.axis),
    "det": lambda op, x: jnp.linalg.det(x),
    "div": lambda op, x, y: x / y,
    "erf": lambda op, x: jax.scipy.special.erf(x),
    "exp": lambda op, x: jnp.exp(x),
    "expm1": lambda op, x: jnp.expm1(x),
    "gather": lambda op, x, indices: jnp.take(x, indices, axis=op.axis),
    "inv": lambda op, x: jnp.linalg.inv(x),
    "log": lambda op, x: jnp.log(x),
    "log1p": lambda op, x: jnp.log1p(x),
    "logaddexp": lambda op, x, y: jnp.logaddexp(x, y),
    "logistic": lambda op, x: jax.nn.sigmoid(x),
    "maximum": lambda op, x, y: jnp.maximum(x, y),
    "minimum": lambda op, x, y: jnp.minimum(x, y),
    "mul": lambda op, x, y: x * y,
    "neg": lambda op, x: -x,
    "pad": lambda op, x: jax.lax.pad(x, jnp.zeros((), x.dtype), list(zip(op.low, op.high, op.interior, strict=True))),
    "permute": lambda op, x: jnp.transpose(x, op.order),
    "pow": lambda op, x, y: x**y,
    "reduce_max": lambda op, x: jnp.max(x, axis=op.axes),
    "reduce_min": lambda op, x: jnp.min(x, axis=op.axes),
    "reduce_prod": lambda op, x: jnp.prod(x, axis=op.axes),
    "reduce_sum": lambda op, x: jnp.sum(x, axis=op.axes),
    "remainder": lambda op, x, y: jnp.remainder(x, y),
    "reshape": lambda op, x: jnp.reshape(x, op.shape),
    "reverse": lambda op, x: jnp.flip(x, axis=op.axes),
    "scatter_add": lambda op, updates, indices: _scattered(op, updates, indices),
    "select": lambda op, condition, x, y: jnp.where(condition, x, y),
    "sin": lambda op, x: jnp.sin(x),
    "sinh": lambda op, x: jnp.sinh(x),
    "slice": lambda op, x: jax.lax.slice(x, op.starts, op.stops, op.strides),
    "slogdet": lambda op, x: tuple(jnp.linalg.slogdet(x)),
    "solve": lambda op, a, b: jnp.linalg.solve(a, b),
    "sqrt": lambda op, x: jnp.sqrt(x),
    "sub": lambda op, x, y: x - y,
    "tan": lambda op, x: jnp.tan(x),
    "tanh": lambda op, x: jnp.tanh(x),
    "triangular_solve": lambda op, a, b: jax.scipy.linalg.solve_triangular(
        a, b, trans=int(op.transposed), lower=op.lower
    ),
}


def _scattered(op: Any, updates: Any, indices: Any) -> Any:
    """Zeros with the updates added at the indices along the axis."""
    shape = (*updates.shape[: op.axis], op.length, *updates.shape[op.axis + indices.ndim :])
    where = (*(slice(None) for _ in range(op.axis)), indices)
    return jnp.zeros(shape, updates.dtype).at[where].add(updates)
