"""Programs of JAX on complex numbers: Fourier transforms, parts, elementwise functions, movements, linear algebra."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(29)
Z = RNG.uniform(0.2, 0.8, (3, 4)) + 1j * RNG.uniform(-0.7, 0.7, (3, 4))
W = RNG.uniform(1.1, 1.9, (3, 4)) - 1j * RNG.uniform(0.3, 0.9, (3, 4))
X = RNG.standard_normal((2, 3, 5))
M = RNG.standard_normal((4, 4)) + 1j * RNG.standard_normal((4, 4)) + 4 * np.eye(4)
RIGHT = RNG.standard_normal((4, 2)) + 1j * RNG.standard_normal((4, 2))
REAL = RNG.standard_normal((4, 4)) + 3 * np.eye(4)
TALL = RNG.standard_normal((5, 3))

_UNARY = ["exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh"]
_UNARY += ["acosh", "atanh", "sqrt", "rsqrt", "logistic", "neg", "square"]
_BINARY = ["add", "sub", "mul", "div", "pow", "eq", "ne"]


def _transforms(x: Any) -> Any:
    z = jnp.fft.fft(x, axis=1)
    return z, jnp.fft.ifft2(z * z), jnp.fft.rfftn(x), jnp.fft.hfft(z[0, :, :3], 4), jnp.fft.ihfft(x[0])


def _and_back(z: Any) -> Any:
    return jnp.fft.irfft(z, 6), jnp.fft.irfft(z, 7), jnp.fft.irfftn(z, (3, 5)), jnp.fft.fft(z, 9), jnp.fft.ifft(z, 2)


def _moved(z: Any) -> Any:
    at = jnp.asarray(z).at
    return [
        lax.pad(z, 1.5 - 2j, ((1, 0, 1), (0, -1, 0))),
        jnp.where(z.real > 0.5, z, z[::-1]),
        at[jnp.array([0, 2, 0])].add(z * 1j),
        at[1].multiply(z[0]),
        z[jnp.array([2, 0])],
        lax.dynamic_update_slice(z, z[:2, :2] * z[:2, :2], (jnp.int64(1), jnp.int64(1))),
        lax.gather(
            z,
            np.array([[0, 1], [2, 3]]),
            lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0, 1)),
            (1, 2),
            mode="fill",
            fill_value=0.5j,
        ),
    ]


def _folded(z: Any) -> Any:
    return z.sum(0), z.prod(1), jnp.cumsum(z, 1), jnp.cumprod(z, 0), jnp.mean(z), jnp.var(z, axis=0)


def _hermitian(a: Any) -> Any:
    return a @ a.conj().T + jnp.eye(4)


def _systems(a: Any, b: Any) -> Any:
    return [
        jnp.linalg.solve(a, b),
        jnp.linalg.inv(a),
        jnp.linalg.det(a),
        jnp.linalg.slogdet(a),
        lax.linalg.triangular_solve(a, b, left_side=True, lower=True, transpose_a=True, conjugate_a=True),
    ]


def _factors(a: Any) -> Any:
    return [
        jnp.linalg.cholesky(_hermitian(a)),
        jnp.linalg.qr(a),
        jnp.linalg.eigvalsh(_hermitian(a)),
        jnp.abs(jnp.linalg.eigh(_hermitian(a))[1]),
        jnp.linalg.svd(a, compute_uv=False),
    ]


def _looped(z: Any) -> Any:
    carry, rows = lax.scan(lambda c, row: (jnp.exp(1j * c) * 0.5, c * row), z[0], z)
    return lax.cond(carry[0].real > 0, jnp.sin, jnp.conj, carry), rows


def _packed(a: Any) -> Any:
    packed, pivots, order = lax.linalg.lu(a)
    return packed, pivots, order, lax.linalg.lu_pivots_to_permutation(pivots, 6)


Program = tuple[Callable[..., Any], tuple[Any, ...]]
COMPLEX_PROGRAMS: Mapping[str, Program] = {
    "fft": (_transforms, (X,)),
    "fft back": (_and_back, (Z,)),
    "complex": (lambda x, y: lax.complex(x, y * x), (X, X[::-1])),
    "parts": (lambda z: (z.real, z.imag, jnp.conj(z), jnp.abs(z), jnp.angle(z), lax.sign(lax.stop_gradient(z))), (Z,)),
    "conj of a real": (lambda x: lax.conj(x), (X,)),
    "complex elementwise": (lambda z: [getattr(lax, name)(z) for name in _UNARY], (Z,)),
    "complex pairs": (lambda z, w: [getattr(lax, name)(z, w) for name in _BINARY], (Z, W)),
    "complex integer_pow": (lambda z: z**2 + z**3 + z**-2 + z**6, (W,)),
    "complex converted": (lambda z, x: ((x * 1j).astype(np.complex64), (z * z).real, x.astype(complex)), (Z, X)),
    "complex moved": (_moved, (Z,)),
    "complex folded": (_folded, (Z,)),
    "complex products": (lambda z, w: (jnp.vdot(z, w), z @ w.T, jnp.einsum("ij,ik->jk", z, w)), (Z, W)),
    "complex convolution": (lambda z, w: lax.conv(z[None, None], w[None, None, :2, :2], (1, 1), "SAME"), (Z, W)),
    "complex sort": (lambda z: lax.sort(jnp.round(z * 2) / 2 + 0 * z), (Z,)),
    "complex systems": (_systems, (M, RIGHT)),
    "complex factors": (_factors, (M,)),
    "complex loop": (_looped, (Z,)),
    "lu": (_packed, (REAL,)),
    "lu in batches": (lambda a: lax.linalg.lu(jnp.stack([a, a.T, a[::-1]])), (REAL,)),
    "lu of a tall matrix": (lambda a: jax.scipy.linalg.lu(a), (TALL,)),
    "lu of a wide complex matrix": (lambda a: lax.linalg.lu(a[:3])[0], (M,)),
}
