"""What JAX computes for each differentiable op: functions of the op (for its attributes) and its operands."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from tests.laws.jax_linalg import LINALG

ABSENT = frozenset(
    {
        "airy",
        "bessel_j",
        "bessel_integral",
        "bessel_k",
        "bessel_ke",
        "bessel_of_complex",
        "bessel_y",
        "beta_tail",
        "betainc",
        "betaincinv",
        "binom",
        "continuous_riccati",
        "cosine_integral",
        "dawsn",
        "differentiate_as",
        "discrete_riccati",
        "eig",
        "ellipe",
        "ellipeinc",
        "ellipk",
        "ellipkinc",
        "erfcinv",
        "erfcx",
        "erfi",
        "exp1",
        "expn",
        "fresnel_cosine",
        "fresnel_sine",
        "gamma_tail",
        "gammainccinv",
        "gammaincinv",
        "hermitian_svd",
        "hyp0f1",
        "hyp1f1",
        "hyp2f1",
        "hyperu",
        "integral",
        "jacobi",
        "kolmogi",
        "lambertw",
        "log_wright_bessel",
        "logm",
        "modified_mathieu",
        "ndtri_exp",
        "nearest_rotation",
        "noncentral",
        "normal_mean",
        "owens_t",
        "parabolic_cylinder",
        "poch",
        "scaled_airy",
        "shape_by_three",
        "shape_by_two",
        "sine_integral",
        "smirnovi",
        "special_of_complex",
        "spence",
        "spherical_i",
        "spherical_j",
        "spherical_k",
        "spherical_y",
        "spheroidal_radial",
        "sqrtm",
        "stdtrit",
        "struve",
        "stumpff",
        "tanh_slope",
        "tklmbda",
        "turning",
        "wofz",
        "wright_bessel",
        "wrightomega",
    }
)
"""Functions that JAX lacks, or lacked until lately, or has with other signs, or with derivatives that are NaN or none.

They are compared with others' own.
"""


def jax_has(op: Any) -> bool:
    """Whether JAX has a function for the op, with its attributes."""
    return op.name not in ABSENT and getattr(op, "order", 0.0) in (0.0, 1.0)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **LINALG,
    "abs": lambda op, x: jnp.abs(x),
    "acos": lambda op, x: jnp.arccos(x),
    "acosh": lambda op, x: jnp.arccosh(x),
    "add": lambda op, x, y: x + y,
    "apart": lambda op, w, x: x,
    "asin": lambda op, x: jnp.arcsin(x),
    "asinh": lambda op, x: jnp.arcsinh(x),
    "atan": lambda op, x: jnp.arctan(x),
    "atan2": lambda op, x, y: jnp.arctan2(x, y),
    "atanh": lambda op, x: jnp.arctanh(x),
    "bell": lambda op, x: jnp.exp(-x * x / op.scale),
    "bessel_i": lambda op, x: (jax.scipy.special.i0, jax.scipy.special.i1)[int(op.order)](x),
    "bessel_ie": lambda op, x: (jax.scipy.special.i0e, jax.scipy.special.i1e)[int(op.order)](x),
    "beta": lambda op, x, y: jax.scipy.special.beta(x, y),
    "betaln": lambda op, x, y: jax.lax.lgamma(x) + jax.lax.lgamma(y) - jax.lax.lgamma(x + y),  # betaln errs by 1e-10
    "broadcast_to": lambda op, x: jnp.broadcast_to(x, op.shape),
    "cbrt": lambda op, x: jnp.cbrt(x),
    "clip": lambda op, x, low, high: jnp.minimum(jnp.maximum(x, low), high),
    "complex": lambda op, x, y: jax.lax.complex(x, y),
    "concatenate": lambda op, *arrays: jnp.concatenate(arrays, axis=op.axis),
    "conj": lambda op, x: jnp.conj(x),
    "contract": lambda op, x, y: jax.lax.dot_general(
        x, y, ((op.lhs_contract, op.rhs_contract), (op.lhs_batch, op.rhs_batch)), precision="highest"
    ),
    "convert": lambda op, x: x.astype(op.element_type.dtype),
    "cos": lambda op, x: jnp.cos(x),
    "cosh": lambda op, x: jnp.cosh(x),
    "cosine": lambda op, x, y: x / jnp.hypot(x, y),
    "cumprod": lambda op, x: jnp.cumprod(x, axis=op.axis),
    "cumsum": lambda op, x: jnp.cumsum(x, axis=op.axis),
    "digamma": lambda op, x: jax.scipy.special.digamma(x),
    "div": lambda op, x, y: x / y,
    "erf": lambda op, x: jax.scipy.special.erf(x),
    "erfc": lambda op, x: jax.scipy.special.erfc(x),
    "erfinv": lambda op, x: jax.scipy.special.erfinv(x),
    "exp": lambda op, x: jnp.exp(x),
    "expi": lambda op, x: jax.scipy.special.expi(x),
    "expm1": lambda op, x: jnp.expm1(x),
    "fft": lambda op, x: (jnp.fft.ifft if op.inverse else jnp.fft.fft)(x, axis=op.axis, norm=op.norm),
    "gamma": lambda op, x: jax.scipy.special.gamma(x),
    "gammainc": lambda op, a, x: jax.scipy.special.gammainc(a, x),
    "gammaincc": lambda op, a, x: jax.scipy.special.gammaincc(a, x),
    "gammaln": lambda op, x: jax.scipy.special.gammaln(x),
    "gather": lambda op, x, indices: jnp.take(x, indices, axis=op.axis),
    "hermitian_eigh": lambda op, x: jnp.linalg.eigh(x),
    "hypot": lambda op, x, y: jnp.hypot(x, y),
    "hypot_excess": lambda op, x, y: jnp.hypot(x, y) - jnp.abs(y),
    "imag": lambda op, x: jnp.imag(x),
    "irfft": lambda op, x: jnp.fft.irfft(x, n=op.length, axis=op.axis, norm=op.norm),
    "largest_term": lambda op, x: jnp.max(x, axis=op.axes),
    "log": lambda op, x: jnp.log(x),
    "log1p": lambda op, x: jnp.log1p(x),
    "logaddexp": lambda op, x, y: jnp.logaddexp(x, y),
    "logistic": lambda op, x: jax.nn.sigmoid(x),
    "logistic_slope": lambda op, x: jax.nn.sigmoid(x) * jax.nn.sigmoid(-x),
    "maximum": lambda op, x, y: jnp.maximum(x, y),
    "minimum": lambda op, x, y: jnp.minimum(x, y),
    "mul": lambda op, x, y: x * y,
    "of_simple": lambda op, w, left, x: x,
    "ndtr": lambda op, x: jax.scipy.special.ndtr(x),
    "neg": lambda op, x: -x,
    "one_minus_square": lambda op, x: 1 - x * x,
    "overlap_add": lambda op, x: _overlapped(op, x),
    "pad": lambda op, x: jax.lax.pad(x, jnp.zeros((), x.dtype), list(zip(op.low, op.high, op.interior, strict=True))),
    "permute": lambda op, x: jnp.transpose(x, op.order),
    "pivoted_lu": lambda op, x: _pivoted(x),
    "phase_free": lambda op, q, u: u,
    "pow": lambda op, x, y: x**y,
    "real": lambda op, x: jnp.real(x),
    "reduce_max": lambda op, x: jnp.max(x, axis=op.axes),
    "reduce_min": lambda op, x: jnp.min(x, axis=op.axes),
    "reduce_prod": lambda op, x: jnp.prod(x, axis=op.axes),
    "reduce_sum": lambda op, x: jnp.sum(x, axis=op.axes),
    "remainder": lambda op, x, y: jnp.remainder(x, y),
    "required": lambda op, x, truth: x,
    "reshape": lambda op, x: jnp.reshape(x, op.shape),
    "reverse": lambda op, x: jnp.flip(x, axis=op.axes),
    "rfft": lambda op, x: jnp.fft.rfft(x, axis=op.axis, norm=op.norm),
    "root_sum_square": lambda op, x: jnp.sqrt(x * x + op.offset),
    "scatter_add": lambda op, updates, indices: _scattered(op, updates, indices),
    "select": lambda op, condition, x, y: jnp.where(condition, x, y),
    "sin": lambda op, x: jnp.sin(x),
    "sinh": lambda op, x: jnp.sinh(x),
    "slice": lambda op, x: jax.lax.slice(x, op.starts, op.stops, op.strides),
    "sort": lambda op, x: jnp.sort(x, axis=op.axis),
    "sqrt": lambda op, x: jnp.sqrt(x),
    "sub": lambda op, x, y: x - y,
    "tan": lambda op, x: jnp.tan(x),
    "tanh": lambda op, x: jnp.tanh(x),
    "unitary_svd": lambda op, x: _singular(op, x),
    "unitary_svdvals": lambda op, x: jnp.linalg.svdvals(x)[..., op.start : op.stop],
    "windows": lambda op, x: _windows(op, x),
    "zeta": lambda op, x: jax.scipy.special.zeta(op.exponent, x),
}


def _pivoted(x: Any) -> Any:
    packed, _, _ = jax.lax.linalg.lu(x)
    return jnp.tril(packed, -1) + jnp.eye(x.shape[-1], dtype=x.dtype), jnp.triu(packed)


def _singular(op: Any, x: Any) -> Any:
    u, s, vh = jnp.linalg.svd(x, full_matrices=False)
    return u[..., op.start : op.stop], s[..., op.start : op.stop], vh[..., op.start : op.stop, :]


def _scattered(op: Any, updates: Any, indices: Any) -> Any:
    """Zeros with the updates added at the indices along the axis."""
    shape = (*updates.shape[: op.axis], op.length, *updates.shape[op.axis + indices.ndim :])
    where = (*(slice(None) for _ in range(op.axis)), indices)
    return jnp.zeros(shape, updates.dtype).at[where].add(updates)


def _windows(op: Any, x: Any) -> Any:
    """Axis by axis, each element of a window by itself."""
    for axis, size, stride, gap in zip(op.axes, op.sizes, op.strides, op.dilations, strict=True):
        room = x.shape[axis] - (size - 1) * gap
        parts = [jax.lax.slice_in_dim(x, k * gap, k * gap + room, stride, axis) for k in range(size)]
        x = jnp.stack(parts, axis=-1)
    return x


def _overlapped(op: Any, x: Any) -> Any:
    """JAX's own transpose of taking windows."""
    shape = list(x.shape[: x.ndim - len(op.axes)])
    for axis, length in zip(op.axes, op.lengths, strict=True):
        shape[axis] = length
    (total,) = jax.linear_transpose(lambda y: _windows(op, y), jnp.zeros(shape, x.dtype))(x)
    return total
