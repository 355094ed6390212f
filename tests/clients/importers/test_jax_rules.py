"""Functions of JAX with derivatives of their authors': JAX's derivatives, and not those of what they compute."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad

from gradserve.client.importers import from_jax
from tests import compiled

jax.config.update("jax_enable_x64", True)
W = np.array([0.3, 1.7, -0.6])
T = np.array([0.2, -0.5, 0.9])


@jax.custom_jvp
def straight_through(x):
    return jnp.round(x)


straight_through.defjvps(lambda dx, _, x: dx)


@jax.custom_jvp
def doubled(x, n):
    """A sigmoid, and twice its derivative."""
    return 1 / (1 + jnp.exp(-x)) + 0 * n


@doubled.defjvp
def _(primals, tangents):
    y = doubled(*primals)
    return y, 2 * y * (1 - y) * tangents[0]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def tree(scale, given):
    return {"product": scale * given["x"] * given["n"], "count": jnp.int64(3)}


@tree.defjvp
def _(scale, primals, tangents):
    (given,), (moved,) = primals, tangents
    float0 = np.zeros((), jax.dtypes.float0)
    return tree(scale, given), {"product": 7 * moved["x"] * given["x"], "count": float0}


@jax.custom_vjp
def two_results(x, y):
    return x * y, jnp.sum(x)


two_results.defvjp(
    lambda x, y: (two_results(x, y), (x, y)), lambda kept, ct: (5 * ct[0] * kept[1] + ct[1], ct[0] * kept[0] ** 2)
)


@jax.custom_vjp
def fixed_point(a):
    return jax.lax.fori_loop(0, 60, lambda _, x: jnp.cos(a * x), jnp.ones_like(a))


def _implicit(kept, ct):
    a, x = kept
    slope = -jnp.sin(a * x)
    return (ct * slope * x / (1 - slope * a),)


fixed_point.defvjp(lambda a: ((x := fixed_point(a)), (a, x)), _implicit)


@jax.custom_vjp
def reversed_gradient(x):
    return x


reversed_gradient.defvjp(lambda x: (reversed_gradient(x), None), lambda _, ct: (-2 * ct,))


@jax.custom_vjp
def clipped(x):
    return x


clipped.defvjp(lambda x: (x, None), lambda _, ct: (jnp.clip(ct, -1, 1),))


def looped(w):
    """As many steps as there are rows; second derivatives of JAX's own loops leave the rule out."""
    carry, steps = 0.3, []
    for x in w:
        carry = doubled(carry * x, 1) + carry
        steps.append(two_results(carry, x)[0])
    return sum(steps) + carry


LOSSES = {
    "straight through": lambda w: jnp.sum(straight_through(w) * w),
    "its own value": lambda w: jnp.sum(doubled(w * w, 2) * w),
    "trees": lambda w: jnp.sum(tree(2.0, {"x": w**2, "n": 2})["product"] * w),
    "two results": lambda w: (lambda a, b: jnp.sum(jnp.sin(a)) * b)(*two_results(w, w**2)),
    "one argument twice": lambda w: sum(map(jnp.sum, two_results(w, w))),
    "one that stands still": lambda w: sum(map(jnp.sum, two_results(2 * jnp.ones(3), w))),
    "implicit": lambda w: jnp.sum(fixed_point(0.5 + 0.1 * w) * w),
    "reversed": lambda w: jnp.sum(reversed_gradient(w) ** 3),
    "batched": lambda w: jnp.sum(jax.vmap(lambda x: fixed_point(x) * two_results(x, x)[0])(0.3 * w)),
    "chosen": lambda w: jax.lax.cond(w[0] > 0, lambda w: doubled(w, 1).sum(), lambda w: w.sum(), w),
    "within a gradient": lambda w: jnp.sum(jax.grad(lambda v: jnp.sum(doubled(v, 1) * v))(w) ** 2),
    "in steps": looped,
}


def _second(loss):
    """A Hessian times T, by the mode that the rules allow."""
    try:
        return compiled.jacfwd(jax.jacfwd(loss))(W) @ T
    except TypeError:  # custom_vjp has no forward mode
        return compiled.jacrev(jax.jacrev(loss))(W) @ T


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_rules_of_authors_are_kept(embedded, loss):
    f = embedded.load(from_jax(loss, W))
    value, gradient = f.value_and_grad(W)
    expected, slope = compiled.value_and_grad(loss)(W)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient, slope, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(f.jvp(W, tangent=T)[1], gradient @ T, rtol=1e-12)
    np.testing.assert_allclose(f.hvp(W, tangent=T), _second(loss), rtol=1e-11, atol=1e-12)


def test_a_loop_has_the_rules_of_its_steps(embedded):
    def loss(w):
        def step(carry, x):
            carry = doubled(carry * x, 1) + carry
            return carry, two_results(carry, x)[0]

        carry, steps = jax.lax.scan(step, 0.3, w)
        return jnp.sum(steps) + carry

    loop, steps = (embedded.load(from_jax(each, W)) for each in (loss, looped))
    np.testing.assert_allclose(loop.grad(W), compiled.grad(loss)(W), rtol=1e-12)
    np.testing.assert_allclose(loop.hvp(W, tangent=T), steps.hvp(W, tangent=T), rtol=1e-12)


def solver():
    """A primitive as libraries of solvers have: of factors that stand still, with a status beside the solution."""
    solve = Primitive("solve")
    solve.multiple_results = True
    solve.def_abstract_eval(lambda kept, a, b: [b, ShapedArray((), jnp.int32)])

    def impl(kept, a, b):
        x = jnp.linalg.solve(kept, b)
        return [x, jnp.where(jnp.all(jnp.isfinite(x)), 0, 1).astype(jnp.int32)]

    def jvp(primals, tangents):
        (kept, a, b), (_, da, db) = primals, map(ad.instantiate_zeros, tangents)
        assert type(tangents[0]) is ad.Zero
        x, status = solve.bind(kept, a, b)
        dx, _ = solve.bind(kept, a, db - da @ x)
        return [x, status], [dx, ad.Zero(ShapedArray((), jax.dtypes.float0))]

    solve.def_impl(impl)
    ad.primitive_jvps[solve] = jvp
    return lambda a, b: solve.bind(jax.lax.stop_gradient(a), a, b)[0]


def test_a_solver_of_others_moves_as_its_rule_says(embedded):
    """Its solution is that of a matrix that stands still: without the rule, nothing would move with it."""
    own = solver()
    f = embedded.load(from_jax(lambda w: _solved(w, own), W))
    gradient, product = compiled.jvp(jax.grad(lambda w: _solved(w, jnp.linalg.solve)), (W,), (T,))
    np.testing.assert_allclose(f.grad(W), gradient, rtol=1e-12)
    np.testing.assert_allclose(f.hvp(W, tangent=T), product, rtol=1e-11)


def searching(transposed):
    """A solver in steps that look for it, as libraries of Krylov's methods have: no step is linear in the vector."""
    solve = Primitive("search")
    solve.multiple_results = True
    solve.def_abstract_eval(lambda kept, a, b: [b, ShapedArray((), jnp.int32)])

    def impl(kept, a, b):
        def step(state, _):
            x, left, way = state
            ahead = kept @ way
            square = left @ left
            share = square / jnp.where(square > 0, way @ ahead, 1)
            after = left - share * ahead
            return (x + share * way, after, after + after @ after / jnp.where(square > 0, square, 1) * way), None

        (x, _, _), _ = jax.lax.scan(step, (0 * b, b, b), None, length=len(b))
        return [x, jnp.int32(len(b))]

    def jvp(primals, tangents):
        (kept, a, b), (_, da, db) = primals, map(ad.instantiate_zeros, tangents)
        x, steps = solve.bind(kept, a, b)
        dx, _ = solve.bind(kept, a, db - da @ x)
        return [x, steps], [dx, ad.Zero(ShapedArray((), jax.dtypes.float0))]

    def transpose(cotangents, kept, a, b):
        return [None, None, solve.bind(kept.T, a.T, ad.instantiate_zeros(cotangents[0]))[0]]

    solve.def_impl(impl)
    ad.primitive_jvps[solve] = jvp
    if transposed:
        ad.primitive_transposes[solve] = transpose
    return lambda a, b: solve.bind(jax.lax.stop_gradient(a), a, b)[0]


def _solved(w, solve):
    return jnp.sum(solve(jnp.outer(w, w) + 2 * jnp.eye(3), jnp.sin(w)) ** 2)


def test_a_solver_in_steps_moves_as_its_rule_says(embedded):
    """Its transpose says that it is linear, whatever its steps are."""
    own = searching(True)
    found = from_jax(lambda w: _solved(w, own), W)
    theirs = jax.grad(lambda w: _solved(w, jnp.linalg.solve))
    f = embedded.load(found)
    np.testing.assert_allclose(f.grad(W), theirs(W), rtol=1e-11)
    np.testing.assert_allclose(f.jvp(W, tangent=T)[1], theirs(W) @ T, rtol=1e-11)
    np.testing.assert_allclose(f.hvp(W, tangent=T), jax.jvp(theirs, (W,), (T,))[1], rtol=1e-10)
    assert found.notes == ("derivatives of search above order 3 are those of what it computes",)


def test_other_rules_give_other_derivatives(embedded):
    """What the functions compute has none of these derivatives: a rule that is lost would show."""
    plain = {"straight through": np.round(W), "reversed": 3 * W**2, "its own value": None}
    for name, lost in plain.items():
        found = embedded.load(from_jax(LOSSES[name], W))
        own = lost if lost is not None else _numeric(found)
        assert not np.allclose(found.grad(W), own, rtol=1e-2)


def _numeric(f):
    steps = 1e-6 * np.eye(3)
    return np.array([(f(W + step) - f(W - step)) / 2e-6 for step in steps])


def test_what_is_no_derivative_is_noted_and_left_away(embedded):
    found = from_jax(lambda w: jnp.sum(5 * clipped(w) * w), W)
    (note,) = found.notes
    assert note == "clipped is imported as what it computes: no graph can say the derivative of its own"
    np.testing.assert_allclose(embedded.load(found).grad(W), 10 * W)


def test_the_order_up_to_which_rules_go_is_noted():
    (note,) = from_jax(LOSSES["its own value"], W).notes
    assert note == "derivatives of doubled above order 3 are those of what it computes"
    assert from_jax(lambda w: jax.nn.softplus(w).sum(), W).notes == ()
