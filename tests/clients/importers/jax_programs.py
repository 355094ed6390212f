"""A program for every primitive of JAX that is imported: what it is called on, and the function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from tests.clients.importers.jax_complex_programs import COMPLEX_PROGRAMS

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(5)
X = RNG.uniform(0.2, 0.8, (3, 4))
Y = RNG.uniform(1.1, 1.9, (3, 4))
SHAPES = np.array([0.02, 0.7, 1.0, 3.5, 40.0])
V = np.array([0.3, -0.7, 1.2, 0.4, -1.1])
A = RNG.standard_normal((4, 4)) + 4 * np.eye(4)
B = RNG.standard_normal((4, 2))
IMAGE = RNG.standard_normal((2, 3, 6, 5))
KERNEL = RNG.standard_normal((4, 3, 3, 2))
WHOLE = np.array([7, -3, 0, 2, -8, 100], np.int32)
OTHER = np.array([2, 5, -4, 3, 3, -7], np.int32)
WORDS = np.array([0, 1, 0xDEADBEEF, 0xFFFFFFFF, 12345], np.uint32)
SMALL = np.array([250, 7, 0, 255, 128], np.uint8)
SIGNED = np.array([-128, 127, -1, 5, 0], np.int8)
LONG = np.array([0, 1, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x123456789ABCDEF0], np.uint64)
TRUTHS = np.array([True, False, True, True])

Program = tuple[Callable[..., Any], tuple[Any, ...]]

_UNARY = ["exp", "exp2", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"]
_UNARY += ["asinh", "atanh", "sqrt", "rsqrt", "cbrt", "logistic", "erf", "erfc", "erf_inv", "lgamma", "digamma"]
_UNARY += ["bessel_i0e", "bessel_i1e", "neg", "abs", "sign", "floor", "ceil", "square", "is_finite"]
_BINARY = ["add", "sub", "mul", "div", "rem", "max", "min", "pow", "atan2", "eq", "ne", "lt", "le", "gt", "ge"]
_ON_INTEGERS = ["add", "sub", "mul", "div", "rem", "max", "min", "eq", "lt", "ge", "bitwise_and", "bitwise_or"]
_ON_INTEGERS += ["bitwise_xor"]


def _each(names: list[str]) -> Callable[..., Any]:
    return lambda *x: [getattr(lax, name)(*x) for name in names]


def _shifted(*arrays: Any) -> Any:
    names = ("shift_left", "shift_right_logical", "shift_right_arithmetic")
    return [getattr(lax, name)(x, x.dtype.type(n)) for name in names for n in (0, 3, 32) for x in arrays]


def _gathered(mode: str) -> Callable[..., Any]:
    numbers = lax.GatherDimensionNumbers(offset_dims=(1, 2), collapsed_slice_dims=(), start_index_map=(0, 1))
    starts = np.array([[0, 1], [2, 2], [-1, 0], [1, 3]])
    return lambda x: lax.gather(x, starts, numbers, (2, 2), mode=mode, fill_value=0.5)


def _taken_in_batches(x: Any) -> Any:
    return jax.vmap(lambda row, k: row[k])(x, jnp.array([[0, 3], [1, 1], [2, 0]]))


def _scattered(x: Any, name: str, mode: str | None = None) -> Any:
    at = jnp.asarray(x).at[jnp.array([0, 2, 0, 5]), jnp.array([1, 3, 1, 0])]
    return getattr(at, name)(jnp.array([0.5, 1.5, 2.5, 3.5]) * x[0, 0], mode=mode)


def _bits_of(x: Any) -> Any:
    x = lax.stop_gradient(x)
    kind = np.int64 if x.dtype == np.float64 else np.uint32
    numbers = (x, lax.nextafter(x, jnp.ones_like(x)), lax.nextafter(x, -x - 1))
    return [lax.bitcast_convert_type(y, kind) for y in numbers]


def _looped(x: Any) -> Any:
    carry, rows = lax.scan(lambda c, row: (jnp.sin(c) + row.sum() * c, c * row), x[0], x, reverse=True)
    return carry.sum() + rows


def _counted(x: Any) -> Any:
    return lax.fori_loop(2, 7, lambda k, c: c * 0.9 + jnp.sin(c) * k, x)


def _bounded(x: Any) -> Any:
    return lax.while_loop(lambda c: c[1] < 5.0, lambda c: (c[0] * 1.1, c[1] + c[0]), (x, 0.0))[0]


def _switched(x: Any) -> Any:
    index = jnp.int32(x * 10) % 3
    return lax.switch(index, [jnp.sin, jnp.cos, lambda y: y * y * y], x)


def _custom(x: Any) -> Any:
    @jax.custom_vjp
    def cube(y: Any) -> Any:
        return y * y * y

    cube.defvjp(lambda y: (cube(y), y), lambda y, ct: (3 * y * y * ct,))
    return cube(x)


def _pooled(reducer: str) -> Callable[..., Any]:
    first = {"add": 0.0, "max": -np.inf, "min": np.inf, "mul": 1.0}[reducer]
    function = getattr(lax, reducer)
    return lambda x: lax.reduce_window(x, first, function, (1, 1, 3, 2), (1, 1, 2, 1), ((0, 0), (0, 0), (1, 1), (0, 1)))


def _largest(x: Any, y: Any) -> Any:
    """The largest of each row, and what stands beside it: y."""

    def larger(one: Any, other: Any) -> Any:
        first = one[0] >= other[0]
        return jnp.where(first, one[0], other[0]), jnp.where(first, one[1], other[1])

    return lax.reduce((x, y), (-np.inf, 0.0), larger, (1,))


def _largest_by_position(x: Any, y: Any) -> Any:
    at = jnp.argmax(x, 1)[:, None]
    return [jnp.take_along_axis(z, at, 1)[:, 0] for z in (x, y)]


def _smoothed(x: Any) -> Any:
    return lax.reduce_window(x, -np.inf, jnp.logaddexp, (1, 3), (1, 2), ((0, 0), (1, 1)))


def _smoothed_one_by_one(x: Any) -> Any:
    wide = jnp.pad(x, ((0, 0), (1, 1)), constant_values=-np.inf)
    return jnp.stack([jax.nn.logsumexp(wide[:, k : k + 3], axis=1) for k in (0, 2)], 1)


def _max_pool_gradient(x: Any) -> Any:
    return jax.grad(lambda y: jnp.sum(_pooled("max")(y) ** 2))(x)


def _convolved(x: Any, k: Any, **options: Any) -> Any:
    return lax.conv_general_dilated(x, k, **options)


def _draws(key: Any) -> Any:
    one, two, three = jax.random.split(key, 3)
    folded = jax.random.fold_in(three, 7)
    return (
        jax.random.normal(one, (3,)),
        jax.random.bernoulli(two, 0.4, (5,)),
        jax.random.bits(folded, (4,), np.uint32),
        jax.random.uniform(folded, (2,), np.float32),
    )


def _more_draws(x: Any) -> Any:
    key = jax.random.key(11)
    whole = jax.random.randint(key, (4,), -3, 9)
    order = jax.random.permutation(key, 5)
    return jax.random.uniform(key, (4,)) * x, whole, order, jax.random.gumbel(key, (3,)) * x


def _gammas(key: Any, a: Any) -> Any:
    """Numbers of the gamma distribution and of what is made of it."""
    return (
        jax.random.gamma(key, a, (4, 3)),
        jax.random.loggamma(key, a),
        jax.random.beta(key, a[0], a[1]),
        jax.random.dirichlet(key, a * 0.1),
        jax.vmap(jax.random.gamma)(jax.random.split(key, 3), a),
    )


def _by_shape(x: Any) -> Any:
    """The derivative of gammainc, which JAX does not differentiate once more."""
    a, at = lax.stop_gradient((x[:, None], x))
    return jax.grad(lambda b: jnp.sum(jax.scipy.special.gammainc(b, at)))(a + jnp.zeros_like(at))


def _named(x: Any) -> Any:
    kept = jax.checkpoint_policies.save_only_these_names("sine")
    return jax.checkpoint(lambda y: checkpoint_name(jnp.sin(y), "sine") ** 2, policy=kept)(x)


def _powers(x: Any) -> Any:
    return [*jnp.frexp(x), jnp.ldexp(x, jnp.arange(x.size))]


def _in_parts(z: Any) -> Any:
    return z.real, z.imag


def _spd(a: Any) -> Any:
    return a @ a.T + jnp.eye(4)


PROGRAMS: Mapping[str, Program] = {
    **COMPLEX_PROGRAMS,
    **{f"{names[0]} to {names[-1]}": (_each(names), (X,)) for names in (_UNARY[:14], _UNARY[14:])},
    "acosh": (lax.acosh, (Y,)),
    "stop_gradient": (lambda x: lax.stop_gradient(x) * x, (X,)),
    "not": (lax.bitwise_not, (TRUTHS,)),
    "add to ge": (_each(_BINARY), (X, Y)),
    "integers": (_each(_ON_INTEGERS), (WHOLE, OTHER)),
    "uint32": (_each(_ON_INTEGERS), (WORDS, WORDS[::-1])),
    "uint8": (_each(_ON_INTEGERS), (SMALL, SMALL[::-1])),
    "int8": (_each(_ON_INTEGERS), (SIGNED, SIGNED[::-1])),
    "shifts": (_shifted, (WHOLE, WORDS)),
    "uint64": (lambda x: _of_uint64(x), (WORDS,)),
    "population_count": (lambda x, y, z: [lax.population_count(w) for w in (x, y, z)], (WHOLE, WORDS, SIGNED)),
    "clz": (lambda x, y, z: [lax.clz(w) for w in (x, y, z)], (WHOLE, WORDS, SMALL)),
    "and of truths": (lambda x: (x & x[::-1], x | x[::-1], x ^ x[::-1], ~x, jnp.maximum(x, x[::-1])), (TRUTHS,)),
    "division by zero": (lambda x, y: (lax.div(x, y), lax.rem(x, y)), (WHOLE, WHOLE * 0)),
    "integer_pow": (lambda x: x**3 + x**-2 + x**7 + x**4 + x**2, (V,)),
    "integer_pow of integers": (lambda x: x**3, (WHOLE,)),
    "igamma": (lambda x: jax.scipy.special.gammainc(Y, x), (X,)),
    "igamma_grad_a": (_by_shape, (SHAPES,)),
    "random_gamma": (_gammas, (np.array([5, 9], np.uint32), SHAPES[1:4])),
    "igammac": (lambda x: jax.scipy.special.gammaincc(Y, x), (X,)),
    "betainc": (lambda x: jax.scipy.special.betainc(Y, Y + 1, x), (X,)),
    "polygamma": (lambda x: jax.scipy.special.polygamma(2, x), (Y,)),
    "zeta": (lambda x: lax.zeta(2.5, x), (Y,)),
    "round": (lambda x: (lax.round(x * 10), lax.round(x * 4, lax.RoundingMethod.TO_NEAREST_EVEN)), (V,)),
    "select_n": (lambda x, y: lax.select_n(x > 0.5, x, y), (X, Y)),
    "select_n of three": (lambda x: lax.select_n(jnp.array([0, 1, 2, 1, 0]), x, x * 2, x * x), (V,)),
    "clamp": (lambda x: lax.clamp(-0.5, x, 0.5), (V,)),
    "convert_element_type": (lambda x: (x.astype(np.float32), x.astype(np.int32), x.astype(bool)), (V,)),
    "converted integers": (lambda x: (x.astype(np.uint8), x.astype(np.int8), x.astype(np.float64)), (WHOLE,)),
    "bitcast of uint32": (lambda x: lax.bitcast_convert_type(x, np.float32), (WORDS[[0, 1, 4]],)),
    "frexp": (_powers, (np.array([0.3, -7.0, 1e-300, 2.5e100, 1.0]),)),
    "frexp at the ends": (
        lambda x: jnp.frexp(lax.stop_gradient(x)),
        (np.array([0.0, np.inf, np.nan, 1.7e308, -3e-308, 2.0**-1022]),),
    ),
    "bits of float64": (_bits_of, (np.array([0.0, -0.0, 1.0, -1.5, 5e-324, -2.5e-310, 1.7e308, np.inf, 0.1]),)),
    "bits of float32": (_bits_of, (np.array([0.0, -0.0, 1.0, -1.5, 1e-45, -2e-39, 3.4e38, np.inf, 0.1], np.float32),)),
    "bitcast of int32": (lambda x: lax.bitcast_convert_type(x, np.uint32), (WHOLE,)),
    "reduce_precision": (lambda x: lax.reduce_precision(x, 8, 23), (V,)),
    "broadcast_in_dim": (lambda x: lax.broadcast_in_dim(x, (2, 5, 3), (1,)), (V,)),
    "reshape": (lambda x: lax.reshape(x, (2, 6)), (X,)),
    "squeeze and expand_dims": (lambda x: lax.squeeze(x[:, None, :1], (1, 2)), (X,)),
    "transpose": (lambda x: lax.transpose(x, (2, 0, 3, 1)), (IMAGE,)),
    "rev": (lambda x: lax.rev(x, (1, 0)), (X,)),
    "concatenate": (lambda x, y: lax.concatenate([x, y, x], 1), (X, Y)),
    "stack and unstack": (lambda x: jnp.stack(jnp.unstack(x, axis=1), 1) * x, (X,)),
    "tile": (lambda x: jnp.tile(x, (2, 3)), (X,)),
    "pad": (lambda x: lax.pad(x, 1.5, ((1, 2, 1), (0, -1, 2))), (X,)),
    "pad with less": (lambda x: lax.pad(x, x[0, 0], ((-1, 0, 0), (3, -2, 0))), (X,)),
    "pad of truths": (lambda x: lax.pad(x, True, ((1, 2, 1),)), (TRUTHS,)),
    "slice": (lambda x: lax.slice(x, (1, 0), (3, 4), (1, 2)), (X,)),
    "split": (lambda x: lax.split(x, (1, 3), 1), (X,)),
    "dynamic_slice": (lambda x, k: lax.dynamic_slice(x, (k, 3), (2, 2)), (X, np.int64(1))),
    "dynamic_update_slice": (lambda x, u, k: lax.dynamic_update_slice(x, u, (k, 3)), (X, Y[:2, :2], np.int64(5))),
    "iota": (lambda x: lax.broadcasted_iota(np.int32, (3, 4), 1) * x, (X,)),
    "gather clipped": (_gathered("clip"), (X,)),
    "gather filled": (_gathered("fill"), (X,)),
    "gather of rows": (lambda x: x[jnp.array([2, 0, -1])], (X,)),
    "gather of elements": (lambda x: x[jnp.array([[2, 0], [1, 1]]), jnp.array([3, 0])], (X,)),
    "gather in batches": (_taken_in_batches, (X,)),
    "gather of integers": (lambda x: jnp.asarray(x)[jnp.array([9, 0])], (WHOLE,)),
    "take_along_axis": (lambda x: jnp.take_along_axis(x, jnp.argsort(-x, axis=1), axis=1), (X,)),
    **{f"scatter-{name}": (lambda x, name=name: _scattered(x, name), (X,)) for name in ("add", "min", "max", "mul")},
    "scatter": (lambda x: _scattered(x, "set"), (X,)),
    "scatter clipped": (lambda x: _scattered(x, "set", "clip"), (X,)),
    "scatter-sub": (lambda x: jnp.asarray(x).at[1].subtract(x[0]), (X,)),
    "scatter of windows": (lambda x, u: jnp.asarray(x).at[:, 1:3].set(u), (X, Y[:, :2])),
    "scatter of truths": (lambda x: jnp.asarray(x).at[jnp.array([1, 1])].set(True), (TRUTHS,)),
    "scatter in batches": (lambda x: jax.vmap(lambda r, k: r.at[k].add(2 * r[0]))(x, jnp.array([0, 3, 3])), (X,)),
    **{f"reduce_{name}": (lambda x, name=name: getattr(jnp, name)(x, axis=1), (X,)) for name in ("sum", "prod")},
    "reductions of axes in any order": (
        lambda x: [f(x, axis=(-1, 1)) for f in (jnp.sum, jnp.prod, jnp.max, jnp.min, jnp.linalg.norm)],
        (IMAGE,),
    ),
    **{f"reduce_{name}": (lambda x, name=name: getattr(jnp, name)(x, axis=(0, 1)), (X,)) for name in ("max", "min")},
    "reduce_and": (lambda x: (jnp.all(x), jnp.any(x), lax.reduce_xor(x, (0,))), (TRUTHS,)),
    "reduce of integers": (
        lambda x, y: (x.sum(), x.prod(), x.max(), jnp.sum(y, dtype=np.uint32), y.max(), y.min()),
        (WHOLE, WORDS),
    ),
    "reduce": (lambda x: lax.reduce(x, 0.0, lambda a, b: a + b, (1,)), (X,)),
    "reduce by a function": (lambda x: lax.reduce(x, -np.inf, jnp.logaddexp, (1,)), (X,)),
    "reduce of pairs": (_largest, (X, Y)),
    "reduce_window by a function": (_smoothed, (X,)),
    "argmax": (lambda x: (jnp.argmax(x, 1), jnp.argmin(x, 0), lax.argmax(x, 1, np.int32)), (X,)),
    **{name: (lambda x, name=name: getattr(lax, name)(x, 1), (X,)) for name in ("cumsum", "cumprod", "cumlogsumexp")},
    **{name: (lambda x, name=name: getattr(lax, name)(x, 0, True), (X,)) for name in ("cummax", "cummin")},
    **{f"reduce_window by {name}": (_pooled(name), (IMAGE,)) for name in ("add", "max", "min", "mul")},
    "reduce_window of all before": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 4), (1, 1), ((0, 0), (3, 0))),
        (X,),
    ),
    "select_and_gather_add": (lambda x: jax.jvp(_pooled("max"), (x,), (x**2 - x,))[1], (IMAGE,)),
    "select_and_gather_add of least": (lambda x: jax.jvp(_pooled("min"), (x,), (x**2 - x,))[1], (IMAGE,)),
    "select_and_scatter_add": (_max_pool_gradient, (IMAGE,)),
    "dot_general": (lambda a, b: lax.dot_general(a, b, (((1,), (0,)), ((), ()))), (A, B)),
    "dot_general in batches": (lambda x: jnp.einsum("bchw,bdhw->hbcd", x, x), (IMAGE,)),
    "dot_general of integers": (lambda x: (x @ x, lax.dot(x, x, preferred_element_type=np.int64)), (WHOLE,)),
    "conv": (lambda x, k: _convolved(x, k, window_strides=(2, 1), padding=((1, 2), (0, -1))), (IMAGE, KERNEL)),
    "conv dilated": (
        lambda x, k: _convolved(
            x, k, window_strides=(1, 1), padding=((0, 0), (0, 0)), lhs_dilation=(2, 1), rhs_dilation=(1, 2)
        ),
        (IMAGE, KERNEL),
    ),
    "conv in groups": (
        lambda x, k: _convolved(x, k[:3, :1], window_strides=(1, 1), padding="SAME", feature_group_count=3),
        (IMAGE, KERNEL),
    ),
    "conv in batch groups": (
        lambda x, k: _convolved(x, k, window_strides=(1, 1), padding="SAME", batch_group_count=2),
        (IMAGE, KERNEL),
    ),
    "conv of other axes": (
        lambda x, k: _convolved(
            x, k, window_strides=(1, 1), padding="SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        (IMAGE.transpose(0, 2, 3, 1), KERNEL.transpose(2, 3, 1, 0)),
    ),
    "sort": (lambda x: lax.sort(x, dimension=1), (X,)),
    "sort of several": (
        lambda x, y: lax.sort((jnp.round(x * 3), y, x), dimension=1, num_keys=2),
        (X, Y),
    ),
    "top_k": (lambda x: lax.top_k(x, 2), (X,)),
    "approx_top_k": (lambda x: (lax.approx_max_k(x, 2), lax.approx_min_k(x, 3, reduction_dimension=1)), (X,)),
    "ragged_dot_general": (
        lambda x, b: lax.ragged_dot(x, jnp.stack([b, 2 * b, b**2]), jnp.array([1, 0, 2])),
        (X, B),
    ),
    "symmetric_product": (
        lambda a, c: lax.linalg.symmetric_product(a, c + c.T, alpha=0.7, beta=0.3, symmetrize_output=True),
        (A, A),
    ),
    "cholesky_update": (
        lambda a, w: lax.linalg.cholesky_update(jnp.linalg.cholesky(_spd(a)).T, w),
        (A, V[:4]),
    ),
    "cholesky": (lambda a: jnp.linalg.cholesky(_spd(a)), (A,)),
    "triangular_solve": (
        lambda a, b: (
            lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
            lax.linalg.triangular_solve(a, b.T, lower=False, transpose_a=True),
            lax.linalg.triangular_solve(a, b, left_side=True, lower=False, unit_diagonal=True),
        ),
        (A, B),
    ),
    "tridiagonal_solve": (
        lambda d, b: lax.linalg.tridiagonal_solve(d * 0 + 0.5, d + 3.0, d * 0.2, b),
        (V[:4], B),
    ),
    "eig": (lambda a: _in_parts(jnp.linalg.eigvals(a)), (A,)),
    "eig with vectors": (lambda a: [jnp.abs(x) for x in jnp.linalg.eig(lax.stop_gradient(a))], (A,)),
    "eigh": (lambda a: jnp.linalg.eigh(a + a.T)[0], (A,)),
    "svd": (lambda a: jnp.linalg.svd(a, compute_uv=False), (B,)),
    "svd with vectors": (lambda a: [jnp.abs(x) for x in jnp.linalg.svd(a, full_matrices=False)], (B,)),
    "qr": (jnp.linalg.qr, (B,)),
    "custom_linear_solve": (jnp.linalg.solve, (A, B)),
    "solve for a vector": (lambda a: jnp.linalg.solve(a, a[0]), (A,)),
    "solve in batches": (lambda a, b: jax.vmap(jnp.linalg.solve)(jnp.stack([a, a.T]), jnp.stack([b, b])), (A, B)),
    "inv": (jnp.linalg.inv, (A,)),
    "det": (lambda a: (jnp.linalg.det(a), jnp.linalg.slogdet(a), jnp.linalg.det(a[:3, :3])), (A,)),
    "conjugate gradients": (lambda a: jax.scipy.sparse.linalg.cg(lambda x: _spd(a) @ x + x, a[0], maxiter=50)[0], (A,)),
    "scan": (_looped, (X,)),
    "while that counts": (_counted, (V,)),
    "while with a bound": (_bounded, (0.7,)),
    "while side by side": (jax.vmap(_bounded), (X[0],)),
    "comparisons in total order": (
        lambda x: (jnp.searchsorted(jnp.sort(x), x), jnp.interp(x, jnp.linspace(-2.0, 2.0, 5), jnp.arange(5.0) ** 2)),
        (V,),
    ),
    "cond": (lambda x: lax.cond(x.sum() > 0, lambda y: y * y, jnp.sin, x), (V,)),
    "switch": (_switched, (0.45,)),
    "jit": (jax.jit(lambda x: jnp.sin(x) * x), (V,)),
    "name": (_named, (V,)),
    "remat": (jax.checkpoint(lambda x: jnp.sin(x) * x), (V,)),
    "custom_jvp": (lambda x: jax.nn.relu(x) + jax.nn.softplus(x) + jax.nn.silu(x) + jax.nn.gelu(x), (V,)),
    "custom_vjp": (_custom, (V,)),
    "associative_scan": (lambda x: lax.associative_scan(jnp.multiply, x), (V,)),
    "map": (lambda x: lax.map(lambda row: jnp.sin(row).sum() * row, x), (X,)),
    "debug": (lambda x: (jax.debug.print("{}", x), jnp.sin(x))[1], (V,)),
    "optimization_barrier": (lambda x: lax.optimization_barrier(jnp.sin(x)), (V,)),
    "keys": (lambda key: _draws(key), (np.array([3, 0xFFFF0001], np.uint32),)),
    "keys of constants": (_more_draws, (1.5,)),
    "scipy": (
        lambda x: (
            jax.scipy.special.logsumexp(x, axis=1),
            jax.scipy.special.xlogy(x, x),
            jax.scipy.special.xlog1py(x, x),
            jax.scipy.special.entr(x),
            jax.scipy.special.log_ndtr(x - 1),
            jax.scipy.special.ndtri(x),
            jax.scipy.special.expi(x),
            jax.scipy.special.betaln(x, x + 1),
            jax.scipy.special.i1(x),
            jax.scipy.special.logit(x),
            jax.scipy.stats.norm.logcdf(x),
        ),
        (X,),
    ),
}

STAND_INS: Mapping[str, Callable[..., Any]] = {
    "eig": lambda a: _in_parts(lax.linalg.eig(a, compute_left_eigenvectors=False, enable_eigvec_derivs=True)[0]),
    "symmetric_product": lambda a, c: 0.7 * a @ a.T + 0.3 * (c + c.T),
    "cholesky_update": lambda a, w: jnp.linalg.cholesky(_spd(a) + jnp.outer(w, w)).T,
    "custom_vjp": lambda x: x * x * x,
    "zeta": lambda x: sum((x + k) ** -2.5 for k in range(30)) + _tail_of_zeta(x + 30),
    "scatter-mul": lambda x: x.at[0, 1].multiply(1.25 * x[0, 0] ** 2).at[2, 3].multiply(1.5 * x[0, 0]),
    "reduce_window by mul": lambda x: _windows(x).prod(-1),
    "reduce of pairs": _largest_by_position,
    "reduce_window by a function": _smoothed_one_by_one,
    "while with a bound": lambda x: _unrolled(x),
    "while side by side": lambda x: _unrolled_side_by_side(x),
}
"""The same functions by other means, for programs of which JAX has no second derivative."""


def _tail_of_zeta(x: Any) -> Any:
    """Of the sum of (x + k)^-2.5 by Euler and Maclaurin."""
    return x**-1.5 / 1.5 + x**-2.5 / 2 + 2.5 / 12 * x**-3.5 - 2.5 * 3.5 * 4.5 / 720 * x**-5.5


def _windows(x: Any) -> Any:
    wide = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (0, 1)), constant_values=1.0)
    parts = [wide[:, :, k : k + 5 : 2, j : j + 5] for k in range(3) for j in range(2)]
    return jnp.stack([part[:, :, :3] for part in parts], -1)


def _unrolled(x: Any) -> Any:
    """The loop by Python, which takes the same six steps from 0.7."""
    for _ in range(6):
        x = x * 1.1
    return x


def _unrolled_side_by_side(x: Any) -> Any:
    """More steps than any of them takes, of which those that are over have none."""
    total = jnp.zeros_like(x)
    for _ in range(20):
        goes_on = total < 5.0
        x, total = jnp.where(goes_on, x * 1.1, x), jnp.where(goes_on, total + x, total)
    return x


def _of_uint64(words: Any) -> Any:
    long = words.astype(np.uint64) * np.uint64(0x123456789ABCDEF1) + np.uint64(0xFEDCBA9876543210)
    high = lax.shift_right_logical(long, np.uint64(40)).astype(np.uint32)
    order = jnp.argsort(long)
    largest, most = jnp.maximum(long, long[::-1]), jnp.max(long)
    quotient = (long // np.uint64(77), long % words[2].astype(np.uint64), long // (long[2] | np.uint64(1 << 63)))
    return (
        [x.astype(np.float64) for x in quotient],
        high,
        order,
        largest > long,
        (most >> np.uint64(1)).astype(np.int64),
        long.astype(np.float64),
    )
