"""Every primitive of JAX that is imported: values, gradients and products with Hessians are JAX's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax.extend.core import Primitive
from jax.interpreters import ad

from gradserve.client import Untraceable
from gradserve.client.importers import from_jax
from gradserve.client.importers.jaxprs.primitives import ARRAYS
from gradserve.client.importers.jaxprs.reading import RULES
from tests.clients.importers.against_jax import TOLERANCE, is_moved, recorded, tangents_of, weighted
from tests.clients.importers.jax_programs import PROGRAMS

MOST = 60


@pytest.fixture(scope="module")
def theirs():
    return recorded("primitives")


def _agree(found, wanted):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    if wanted.dtype.kind in "biu":
        assert np.array_equal(found, wanted)
    else:
        tolerance = TOLERANCE if wanted.dtype in (np.float64, np.complex128) else 2e-6
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_primitive_is_imported(embedded, theirs, name):
    function, given = PROGRAMS[name]
    found = jax.tree.leaves(embedded.load(from_jax(function, *given, most=MOST))(*given))
    for mine, other in zip(found, theirs[name].values, strict=True):
        _agree(mine, other)


def _is_differentiated(name):
    return any(is_moved(leaf) for leaf in jax.tree.leaves(PROGRAMS[name][1]))


@pytest.mark.parametrize("name", [name for name in PROGRAMS if _is_differentiated(name)])
def test_derivatives_of_a_primitive_are_those_of_jax(embedded, theirs, name):
    function, given = PROGRAMS[name]

    def loss(*arguments):
        return weighted(jax.numpy, [jax.numpy.asarray(x) for x in jax.tree.leaves(function(*arguments))])

    ours = embedded.load(from_jax(loss, *given, most=MOST))
    moved = iter(tangents_of(x for x in given if is_moved(x)))
    tangent = tuple(next(moved) if is_moved(x) else None for x in given)
    gradient, product = ours.grad(*given), ours.hvp(*given, tangent=tangent)
    for each, wanted in ((gradient, theirs[name].gradient), (product, theirs[name].product)):
        for mine, other in zip(jax.tree.leaves(each), wanted, strict=True):
            _agree(mine, other)


FAULTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "cumsum": ("cumprod", {}),
    "scatter-add": ("scatter", {}),
    "concatenate": ("concatenate", {"dimension": 0}),
    "triangular_solve": ("triangular_solve", {"unit_diagonal": False}),
}
"""Primitives that are taken for others, or with other parameters."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_seen(embedded, theirs, monkeypatch, name):
    other, changed = FAULTS[name]
    compute = ARRAYS[other]
    monkeypatch.setitem(ARRAYS, name, lambda g, p, x, outs: compute(g, {**p, **changed}, x, outs))
    with pytest.raises((AssertionError, Untraceable)):
        test_a_primitive_is_imported(embedded, theirs, name)


def test_primitives_of_others_are_what_they_compute(embedded):
    """Whatever they are called: this one is called as one of JAX's is."""
    cube = Primitive("sin")
    cube.def_abstract_eval(lambda x, power: x)
    cube.def_impl(lambda x, power: jax.numpy.sum(x) * x**power)
    point, total = np.array([0.5, 2.0, -1.0]), 1.5
    made = from_jax(lambda w: cube.bind(w, power=2).sum(), point)
    assert made.notes == ()
    np.testing.assert_allclose(embedded.load(made).grad(point), np.sum(point**2) + total * 2 * point, rtol=1e-14)
    ad.primitive_jvps[cube] = lambda primals, tangents, power: (cube.bind(*primals, power=power), tangents[0])
    made = from_jax(lambda w: cube.bind(w, power=2).sum(), point)
    np.testing.assert_array_equal(embedded.load(made).grad(point), np.ones(3))


def test_a_primitive_of_others_that_jax_cannot_trace_is_refused():
    opaque = Primitive("opaque")
    opaque.def_abstract_eval(lambda x: x)
    opaque.def_impl(np.sin)
    with pytest.raises(
        Untraceable, match=r"opaque of float64\[1\] cannot be imported: JAX cannot trace what it computes"
    ):
        from_jax(lambda w: opaque.bind(w).sum(), np.ones(1))


def _primitives(jaxpr):
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            body = getattr(value, "jaxpr", value)
            if hasattr(body, "eqns"):
                yield from _primitives(body)


OLDER = {
    "eq_to",
    "expand_dims",
    "add_any",
    "call",
    "checkpoint",
    "closed_call",
    "composite",
    "copy_p",
    "core_call",
    "custom_vjp_call_jaxpr",
    "pjit",
    "random_gamma_grad",
}
"""Names of other versions of JAX, and of what stands in derivatives that JAX makes."""
WITHIN = {"iota_2x32_shape", "threefry2x32"}
"""What keys are drawn by, which JAX shows as one primitive."""
ELSEWHERE = {
    "custom_vmap_call",
    "debug_callback",
    "debug_print",
    "device_put",
    "layout_constraint",
    "pvary",
    "random_clone",
    "reshard",
    "sharding_constraint",
}
"""What leaves its operands as they are."""


def test_every_primitive_has_a_program():
    met = set()
    for function, given in PROGRAMS.values():
        met |= set(_primitives(jax.make_jaxpr(function)(*given).jaxpr))
    assert (ARRAYS.keys() | RULES.keys()) - met - OLDER - WITHIN - ELSEWHERE == set()


def test_second_derivatives_in_a_shape_are_those_of_mpmath(embedded):
    """JAX has none of them."""
    a, x = np.array([0.4, 2.5, 7.0]), np.array([0.9, 1.5, 9.0])
    ours = embedded.load(from_jax(lambda a: jax.scipy.special.gammainc(a, x).sum(), a))
    twice = [
        mpmath.diff(lambda s, t=t: mpmath.gammainc(s, 0, t, regularized=True), s, 2) for s, t in zip(a, x, strict=True)
    ]
    np.testing.assert_allclose(np.diag(ours.hessian(a)), np.array(twice, float), rtol=1e-9)
    slopes = embedded.load(from_jax(jax.grad(lambda a: jax.scipy.special.gammainc(a, x).sum()), a))
    np.testing.assert_allclose(np.diag(slopes.jacobian(a)), np.array(twice, float), rtol=1e-9)


def test_least_numbers_of_the_gamma_distribution_move_as_their_probability_says(embedded):
    """Where x underflows JAX has NaN or another derivative; here that of log x is the limit of the implicit one."""
    a, key = np.array([1e-3, 2e-3, 0.01]), np.array([1, 4], np.uint32)
    ours = embedded.load(from_jax(lambda key, a: jax.random.loggamma(key, a), key, a))
    drawn, slopes = ours(key, a), np.diag(ours.jacobian(key, a, wrt="a"))
    assert drawn.min() < -745.0 < drawn.max()
    with mpmath.workdps(40):
        for shape, log_x, slope in zip(a, drawn, slopes, strict=True):
            x = mpmath.exp(log_x)
            by_shape = mpmath.diff(lambda s, x=x: mpmath.gammainc(s, 0, x, regularized=True), shape)
            density = mpmath.exp((shape - 1) * log_x - x) / mpmath.gamma(shape)
            assert float(-by_shape / density / x) == pytest.approx(slope, rel=1e-10)


def test_the_least_numbers_have_powers_of_two(embedded):
    """As NumPy has them: JAX takes them for zero."""
    least = np.array([5e-324, -1e-310, 2.2e-308, -0.0])
    found = embedded.load(from_jax(lambda x: jnp.frexp(x), least))(least)
    for ours, wanted in zip(found, np.frexp(least), strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_a_service_takes_what_is_drawn_of_gamma(embedded, remote):
    """With all derivatives: no op of a graph that is sent is one that only derivatives may have."""
    a, key = np.array([0.3, 2.0, 9.0]), np.array([7, 1], np.uint32)

    def loss(key, a):
        drawn = jax.random.gamma(key, a) + jax.random.loggamma(key, a)
        return jnp.sum(drawn**2 + jax.grad(lambda b: jax.scipy.special.gammainc(b, a + 1.0).sum())(a))

    made = from_jax(loss, key, a)
    for name in ("grad", "hessian"):
        here, there = (getattr(each.load(made), name)(key, a, wrt="a") for each in (embedded, remote))
        np.testing.assert_array_equal(here, there)
