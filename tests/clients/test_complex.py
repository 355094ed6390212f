"""Complex parameters and values through the client, in process and by a service; JAX tells what is right."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from scipy import special

from gradserve.client import InvalidRequest, NotDifferentiable, Untraceable, functions
from gradserve.client.functions import grad, hessian, jacobian, jvp, scan, vjp
from gradserve.ir.errors import InvalidGraph
from tests import compiled
from tests.clients.complex_losses import ANGLES, HAMILTONIAN, LOSSES, STATE, circuit, draw, infidelity

TOLERANCE = 1e-10
Z = draw(4)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def loss_of(name):
    """The loss for NumPy and for JAX, and its point."""
    make, point = LOSSES[name]
    return make(np), make(jnp), point


def like(tree, seed):
    """Random numbers in the structure of a tree."""
    rng = np.random.default_rng(seed)

    def drawn(x):
        x = np.asarray(x)
        real = rng.standard_normal(x.shape)
        return real + 1j * rng.standard_normal(x.shape) if np.iscomplexobj(x) else real

    return jax.tree.map(drawn, tree)


def close(found, expected):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype
        scale = max(1.0, float(np.max(np.abs(other), initial=0.0)))
        np.testing.assert_allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE * scale)


@functools.cache
def answers_of_jax(name):
    """Value and gradient, and those of the value and of the gradient along a direction."""
    _, theirs, point = loss_of(name)
    v = like(point, 1)
    (value, gradient), (dot, product) = compiled.jvp(jax.value_and_grad(theirs), (point,), (v,))
    return (value, gradient), (value, dot), product


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_are_those_of_jax(client, name):
    own, _, point = loss_of(name)
    f, v = client.function(own), like(point, 1)
    both, along, product = answers_of_jax(name)
    close(f.value_and_grad(point), both)
    close(f.jvp(point, tangent=v), along)
    close(f.vjp(point, cotangent=2.5)[1], jax.tree.map(lambda x: 2.5 * x, both[1]))
    close(f.hvp(point, tangent=v), product)


@pytest.mark.parametrize("name", ["phase_retrieval", "infidelity"])
def test_a_batch_is_its_points(client, name):
    own, theirs, point = loss_of(name)
    f, points = client.function(own), np.stack([point, 2.0 * point, 1j * point])
    values, gradients = f.value_and_grad(points, batch=True)
    close([values, gradients], [jnp.stack(x) for x in zip(*map(compiled.value_and_grad(theirs), points), strict=True)])
    close(f.grad(points, batch=True, reduction="sum"), gradients.sum(axis=0))
    close([g for _, g in f.stream_gradient(points)], list(gradients))


@pytest.mark.parametrize("executor", ["numpy", "fused", "xla"])
@pytest.mark.parametrize("name", ["phase_retrieval", "circuit", "density"])
def test_every_executor_agrees(embedded, executor, name):
    own, _, point = loss_of(name)
    f = embedded.function(own)
    f.executor = executor
    close(f.value_and_grad(point), answers_of_jax(name)[0])


@pytest.mark.parametrize("name", LOSSES)
def test_a_descent_along_the_conjugate_of_the_gradient_goes_down(embedded, name):
    """What the convention means: df = Re <g, dz>, so that -conj(g) is the way down."""
    own, _, point = loss_of(name)
    value, gradient = embedded.function(own).value_and_grad(point)
    size = sum(float(np.sum(np.abs(g) ** 2)) for g in jax.tree.leaves(gradient))
    step = 1e-6 / np.sqrt(size)
    moved = jax.tree.map(lambda x, g: x - step * np.conj(g), point, gradient)
    np.testing.assert_allclose((value - own(moved)) / step, size, rtol=1e-3)


@pytest.mark.parametrize("name", ["phase_retrieval", "infidelity", "spectral_fitting"])
def test_gradients_are_verified_in_parts(client, name):
    own, _, point = loss_of(name)
    f = client.function(own)
    gradient = f.grad(point)
    report = f.verify(point, order=2)
    assert report.passed
    assert {row.name.rpartition(".")[2].split(",")[0] for row in report.inputs} == {"real", "imag"}
    assert f.verify(point, claimed=gradient).passed
    conjugated = jax.tree.map(np.conj, gradient)
    assert not f.verify(point, claimed=conjugated).passed
    assert f.verify_symmetry(point, count=2).passed


@functools.cache
def hessian_of_jax():
    return compiled.hessian(circuit(jnp))(ANGLES)


def test_second_derivatives_in_real_parameters_go_through_complex_values(client):
    f, exact = client.function(circuit(np)), hessian_of_jax()
    close(f.hessian(ANGLES), exact)
    trace = f.hessian_trace(ANGLES, estimator="exact")
    np.testing.assert_allclose(trace.value, np.trace(exact.reshape(6, 6)), rtol=1e-9)


def test_jacobians_of_either_half(client):
    table = draw(3, 4)
    rows = client.function(lambda z: np.abs(table @ z) ** 2)
    close(rows.jacobian(Z), compiled.jacrev(lambda z: jnp.abs(table @ z) ** 2)(Z))
    columns = client.function(lambda x: np.fft.fft(x**2))
    x = Z.real.copy()
    close(columns.jacobian(x), compiled.jacfwd(lambda x: jnp.fft.fft(x**2))(x))
    for f, point, mode in ((rows, Z, "forward"), (columns, x, "reverse")):
        with pytest.raises(InvalidRequest, match="columns say all about real inputs"):
            f.jacobian(point, mode=mode)


def test_complex_derivatives_of_holomorphic_functions(client):
    table = draw(4, 4)
    f = client.function(lambda z: np.exp(table @ z) * np.fft.ifft(z) / np.sqrt(z))
    expected = compiled.jacfwd(lambda z: jnp.exp(table @ z) * jnp.fft.ifft(z) / jnp.sqrt(z), holomorphic=True)(Z)
    for mode in ("auto", "forward", "reverse"):
        close(f.jacobian(Z, holomorphic=True, mode=mode), expected)
    g = client.function(lambda z: np.linalg.det(table * z) + np.prod(z**3))
    expected = compiled.grad(lambda z: jnp.linalg.det(table * z) + jnp.prod(z**3), holomorphic=True)(Z)
    close(g.grad(Z, holomorphic=True), expected)


def test_what_has_no_complex_derivative_is_refused_as_such(client):
    with pytest.raises(NotDifferentiable, match="say holomorphic=True"):
        client.function(lambda z: np.prod(z)).grad(Z)
    with pytest.raises(NotDifferentiable, match=r"conj has no complex derivative.*test_complex\.py"):
        client.function(lambda z: np.vdot(z, z)).grad(Z, holomorphic=True)
    with pytest.raises(NotDifferentiable, match="real has no complex derivative"):
        client.function(lambda z: z * z.real).jacobian(Z, holomorphic=True)
    with pytest.raises(NotDifferentiable, match="is not complex"):
        client.function(lambda z: np.sum(z * 1j)).grad(Z.real, holomorphic=True)
    with pytest.raises(NotDifferentiable, match="say holomorphic=True, or take real and imaginary parts"):
        client.function(lambda z: z * z).jacobian(Z)


REAL_ALONE = {
    "hessian": lambda f, z: f.hessian(z),
    "trace": lambda f, z: f.hessian_trace(z),
    "diagonal": lambda f, z: f.hessian_diagonal(z),
    "spectrum": lambda f, z: f.hessian_spectrum(z),
    "eigenpairs": lambda f, z: f.hessian_eigenpairs(z),
    "solve": lambda f, z: f.hessian_solve(z, right=z),
    "gauss-newton": lambda f, z: f.gauss_newton_product(z, tangent=z),
    "zero order": lambda f, z: f.zero_order_gradient(z),
    "taylor": lambda f, z: f.taylor_along(z, direction=z),
}


@pytest.mark.parametrize("ask", REAL_ALONE.values(), ids=REAL_ALONE)
def test_questions_about_real_vectors_are_refused_in_complex_ones(client, ask):
    f = client.function(infidelity(np))
    with pytest.raises(
        InvalidRequest, match=r"c128\[8\] is complex, and this is asked of real inputs alone; take the real"
    ):
        ask(f, STATE)


def test_they_are_answered_in_parts(embedded):
    loss = infidelity(np)
    f = embedded.function(lambda x, y: loss(x + 1j * y))
    theirs = infidelity(jnp)
    exact = compiled.hessian(lambda x, y: theirs(x + 1j * y), argnums=(0, 1))(STATE.real, STATE.imag)
    found = f.hessian(STATE.real, STATE.imag)
    close([found["x"]["x"], found["x"]["y"], found["y"]["y"]], [exact[0][0], exact[0][1], exact[1][1]])


def test_kinks_of_magnitudes_count(client):
    f = client.function(lambda z: np.sum(np.abs(z)))
    point = np.array([1.0 + 1j, 0.0, 2j])
    close(f.grad(point), np.array([np.sqrt(0.5) * (1 - 1j), 0.0, -1j]))
    assert f.last_report.kinks.nodes == 1
    f.kinks = "refuse"
    with pytest.raises(NotDifferentiable, match="on a kink"):
        f.grad(point)
    f.kinks = "resolve"
    with pytest.raises(InvalidRequest, match="limits are of real numbers"):
        f.grad(point)


def test_a_square_of_a_magnitude_has_no_kink_where_it_is_written_so(embedded):
    f = embedded.function(lambda z: np.sum(z.real**2 + z.imag**2) + np.linalg.norm(z) ** 2)
    close(f.grad(np.zeros(3, complex)), np.zeros(3, complex))
    assert f.last_report.kinks.nodes == 0


def test_phases_of_eigenvectors_are_no_function_of_the_matrix(embedded):
    f = embedded.function(lambda h: np.sum(np.real(np.linalg.eigh(h)[1])))
    with pytest.raises(NotDifferentiable, match="depends on the phase of eigenvector"):
        f.grad(HAMILTONIAN)
    twice = embedded.function(lambda h: np.sum(np.abs(np.linalg.eigh(h)[1]) ** 4))
    with pytest.raises(NotDifferentiable, match="lies in a cluster"):
        twice.grad(np.eye(3) + 0j)


def test_single_precision_stays_single(client):
    small = LOSSES["phase_retrieval"][1].astype(np.complex64)
    f = client.function(lambda z: np.sum(np.abs(np.fft.fft2(z)) ** 2 * np.float32(0.5)))
    value, gradient = f.value_and_grad(small)
    assert (value.dtype, gradient.dtype) == (np.float32, np.complex64)
    np.testing.assert_allclose(gradient, 24 * np.conj(small), rtol=1e-4)
    assert f.verify(small).passed


def test_loops_carry_complex_numbers(client):
    turns = np.exp(1j * np.arange(5.0))

    def own(z):
        last, rows = scan(lambda h, turn: (h * turn + z, np.abs(h)), z, turns)
        return np.abs(last) ** 2 + np.sum(rows)

    def theirs(z):
        last, rows = jax.lax.scan(lambda h, turn: (h * turn + z, jnp.abs(h)), z, turns)
        return jnp.abs(last) ** 2 + jnp.sum(rows)

    for executor in ("numpy", "fused"):
        f = client.function(own)
        f.executor = executor
        close(f.value_and_grad(1.5 - 0.5j), compiled.value_and_grad(theirs)(1.5 - 0.5j))


def real_loss(np_, w):
    return np_.sum(np_.abs(w) ** 4 * np_.arange(1.0, 5.0)) + np_.real(w[0] * w[1] ** 2)


def complex_result(np_, w):
    return np_.exp(w / 3) * np_.conj(w) + w[0]


WITHIN = {
    "grad": (lambda z: grad(lambda w: real_loss(np, w))(z), lambda z: compiled.grad(lambda w: real_loss(jnp, w))(z)),
    "grad in several": (
        lambda z: grad(lambda x, t: real_loss(np, t["w"][0] * x), (1, 0))(z.real, {"w": [z]})[0]["w"][0],
        lambda z: compiled.grad(lambda x, t: real_loss(jnp, t["w"][0] * x), (1, 0))(z.real, {"w": [z]})[0]["w"][0],
    ),
    "grad in two modes": (
        lambda z: grad(lambda w: real_loss(np, w), mode="forward")(z),
        lambda z: compiled.grad(lambda w: real_loss(jnp, w))(z),
    ),
    "jvp": (
        lambda z: jvp(lambda w: complex_result(np, w), (z,), (z * 1j,))[1],
        lambda z: compiled.jvp(lambda w: complex_result(jnp, w), (z,), (z * 1j,))[1],
    ),
    "vjp": (
        lambda z: vjp(lambda w: complex_result(np, w), z)[1](z**2)[0],
        lambda z: compiled.vjp(lambda w: complex_result(jnp, w), z)[1](z**2)[0],
    ),
    "nested": (
        lambda z: grad(lambda w: np.sum(np.abs(grad(lambda v: real_loss(np, v))(w)) ** 2))(z / 2),
        lambda z: compiled.grad(lambda w: jnp.sum(jnp.abs(compiled.grad(lambda v: real_loss(jnp, v))(w)) ** 2))(z / 2),
    ),
}


@pytest.mark.parametrize("name", WITHIN)
def test_derivatives_within_are_those_of_jax(embedded, name):
    """Values, and gradients of losses of them: of real ones df/dx - i df/dy."""
    ours, theirs = WITHIN[name]
    weights = draw(4)
    close(embedded.function(ours)(Z), theirs(Z))
    found = embedded.function(lambda z: np.sum(np.real(weights * ours(z)) ** 2)).grad(Z)
    close(found, compiled.grad(lambda z: jnp.sum(jnp.real(weights * theirs(z)) ** 2))(Z))


def hermitian(np_, a):
    return a + np_.conj(a.T)


MATRICES = {
    "pinv": (lambda a: np.linalg.pinv(a[:, :2]), lambda a: jnp.linalg.pinv(a[:, :2])),
    "pinv of rows": (lambda a: np.linalg.pinv(a[:2]), lambda a: jnp.linalg.pinv(a[:2])),
    "lstsq": (
        lambda a: np.linalg.lstsq(a[:, :2], a[:, 2], rcond=None)[0],
        lambda a: jnp.linalg.lstsq(a[:, :2], a[:, 2], rcond=None)[0],
    ),
    "residuals": (
        lambda a: np.linalg.lstsq(a[:, :2], a[:, 1:], rcond=None)[1] * 1j,
        lambda a: jnp.sum(jnp.abs(a[:, 1:] - a[:, :2] @ (jnp.linalg.pinv(a[:, :2]) @ a[:, 1:])) ** 2, axis=0) * 1j,
    ),
    "expm": (lambda a: functions.expm(a / 3), lambda a: jax.scipy.linalg.expm(a / 3)),
    "a propagator": (
        lambda a: scipy.linalg.expm(-0.2j * hermitian(np, a)),
        lambda a: jax.scipy.linalg.expm(-0.2j * hermitian(jnp, a)),
    ),
    "sqrtm": (lambda a: functions.sqrtm(a @ a.conj().T), lambda a: of_hermitian(jnp.sqrt, a @ a.conj().T)),
    "logm": (lambda a: functions.logm(a @ a.conj().T), lambda a: of_hermitian(jnp.log, a @ a.conj().T)),
    "funm_sym": (
        lambda a: functions.funm_sym(hermitian(np, a), "tanh"),
        lambda a: of_hermitian(jnp.tanh, hermitian(jnp, a)),
    ),
    "polar": (
        lambda a: np.stack(functions.polar(a)),
        lambda a: jnp.stack([a @ jnp.linalg.inv(root(a.conj().T @ a)), root(a.conj().T @ a)]),
    ),
    "sylvester": (
        lambda a: scipy.linalg.solve_sylvester(a, a.T + 2, a @ a),
        lambda a: jnp.linalg.solve(sums(a, a + 2), (a @ a).ravel()).reshape(3, 3),
    ),
}


def of_hermitian(function, a):
    values, vectors = jnp.linalg.eigh(a)
    return (vectors * function(values)) @ vectors.conj().T


def root(a):
    return of_hermitian(jnp.sqrt, a)


def sums(a, b):
    """The system of Sylvester's equation a x + x b^T, row by row."""
    return jnp.kron(a, jnp.eye(3)) + jnp.kron(jnp.eye(3), b)


@pytest.mark.parametrize("name", MATRICES)
def test_functions_of_matrices(embedded, name):
    ours, theirs = MATRICES[name]
    a = draw(3, 3) + 2 * np.eye(3)
    shape = jax.eval_shape(theirs, a).shape
    weights = draw(*shape)
    found = embedded.function(lambda a: np.sum(np.real(weights * ours(a)) ** 3)).value_and_grad(a)
    expected = compiled.value_and_grad(lambda a: jnp.sum(jnp.real(weights * theirs(a)) ** 3))(a)
    close(found, expected)


REFUSED = {
    "order": (lambda z: np.max(z), InvalidGraph, "reduce_max does not take c128"),
    "comparison": (lambda z: z < 1, InvalidGraph, "lt does not take c128"),
    "sorting": (lambda z: np.sort(z), InvalidGraph, "needs an order"),
    "lost part": (lambda z: z.astype(float), InvalidGraph, "would lose its imaginary part; write real, imag or abs"),
    "whole part": (lambda z: np.floor(z), Untraceable, "not supported for the input types"),
    "real transform": (lambda z: np.fft.rfft(z), InvalidGraph, "write np.fft.fft"),
    "special function": (lambda z: special.hyp0f1(2.0, z), InvalidGraph, "hyp0f1 does not take c128"),
    "upper": (lambda z: np.linalg.eigh(np.outer(z, z), UPLO="U"), Untraceable, r"write eigh\(a.conj\(\).T\)"),
    "within": (lambda z: jacobian(lambda w: w * w)(z), Untraceable, "write that of np.real and that of np.imag"),
    "Hessian within": (
        lambda z: hessian(lambda w: np.sum(np.abs(w)))(z),
        Untraceable,
        r"write functions.hessian\(lambda x, y: f\(x \+ 1j \* y\), \(0, 1\)\)\(z.real, z.imag\)",
    ),
    "holomorphic within": (
        lambda z: grad(lambda w: np.sum(w**2))(z),
        Untraceable,
        "the result of the function is c128",
    ),
}


@pytest.mark.parametrize(("function", "kind", "text"), REFUSED.values(), ids=REFUSED)
def test_what_complex_numbers_have_not_is_refused(embedded, function, kind, text):
    with pytest.raises(kind, match=text):
        embedded.function(function)(Z)


def test_a_real_parameter_takes_no_complex_tangent(client):
    f = client.function(lambda x: np.sum(x * x))
    with pytest.raises(InvalidRequest, match="complex128"):
        f.jvp(Z.real, tangent=Z)
