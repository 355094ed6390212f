"""Options of wrong kinds and of words that there are not: refused where they are said, with what to write instead."""

import inspect

import numpy as np
import pytest

from gradserve.client import Client, InvalidRequest
from gradserve.client.cli.arguments import parser
from gradserve.execution.executors import executor
from gradserve.questions.call import EXECUTORS
from gradserve.questions.estimates import EstimateTrace
from gradserve.questions.options import options_of
from gradserve.questions.symmetry import VerifySymmetry
from gradserve.questions.verification import VerifyGradient

W = np.array([0.5, -1.0, 2.0])
A = np.arange(15.0).reshape(5, 3)


@pytest.fixture
def f(client):
    return client.function(lambda w: np.sum(w**3), w=W)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("placement", "gpu", "there is no placement 'gpu'; there are auto, front-end, cluster"),
        ("placement", None, "there is no placement None; there are"),
        ("executor", "cuda", "there is no executor 'cuda'; there are auto, fused, numpy, xla"),
        ("executor", 3, "there is no executor 3"),
        ("timeout", "5", "timeout is '5'; write a number of seconds, such as 60.0, or None"),
        ("timeout", -1, "a timeout of -1 s leaves no time"),
        ("timeout", True, "timeout is True; write a number of seconds"),
        ("count_kinks", "no", "count_kinks is 'no'; write True or False"),
        ("watch", "no", "watch is 'no'; write True, False or 'whole'"),
    ],
)
def test_a_wrong_setting_is_refused_at_once_and_changes_nothing(f, name, value, message):
    before = getattr(f, name)
    with pytest.raises(InvalidRequest, match=message):
        setattr(f, name, value)
    assert getattr(f, name) == before
    np.testing.assert_array_equal(f.grad(W), 3 * W**2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", np.float32(30)), ("timeout", 7), ("timeout", float("inf")), ("executor", "auto"), ("watch", "whole")],
)
def test_settings_of_the_right_kind(f, name, value):
    setattr(f, name, value)
    np.testing.assert_array_equal(f.grad(W), 3 * W**2)


def test_a_setting_that_there_is_not(f):
    with pytest.raises(AttributeError, match="plcement"):
        f.plcement = "cluster"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((50051,), {}, "50051 is not the address of a service; write host:port, such as localhost:50051"),
        ((b"h:1",), {}, "b'h:1' is not the address"),
        (("h:1",), {"timeout": "5"}, "timeout is '5'"),
        (("h:1",), {"timeout": 0}, "a timeout of 0 s"),
        (("h:1",), {"credentials": "cert.pem"}, r"credentials are a str; write grpc.ssl_channel_credentials\(\)"),
        ((), {"threads": "2"}, "threads is '2'; write a whole number from 1"),
        ((), {"threads": 0}, "threads is 0; write"),
        ((), {"watch": 1.5}, "watch is 1.5"),
    ],
)
def test_a_client_that_cannot_be(arguments, options, message):
    with pytest.raises(InvalidRequest, match=message):
        Client(*arguments, **options)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.hessian_trace(W, rel_tol="1"), "rel_tol is '1'; it must be a number"),
        (lambda f: f.hessian_trace(W, confidence=True), "confidence is True; it must be a number"),
        (lambda f: f.hessian_diagonal(W, max_probes=2.5), "max_probes is 2.5; it must be a whole number"),
        (lambda f: f.hessian_trace(W, progress=3), "progress is 3; write a function"),
        (lambda f: f.verify(W, seed="x"), "seed is 'x'; it must be a whole number"),
        (lambda f: f.verify(W, rel_tol=None), "rel_tol is None; it must be a number"),
        (lambda f: f.verify(W, progress="yes"), "progress is 'yes'; write a function"),
        (lambda f: f.verify_symmetry(W, count="x"), "count is 'x'; it must be a whole number"),
        (lambda f: f.verify_symmetry(W, pairs=3), "pairs is 3; write a list of pairs"),
        (lambda f: f.verify_symmetry(W, pairs=[(0, 1)]), r"\(0, 1\) is no pair of entries"),
        (lambda f: f.taylor_along(W, direction=W, order=2.5), "order is 2.5; it must be a whole number"),
        (lambda f: f.jacobian(W, mode=None), "there is no mode None; there are auto, forward, reverse"),
    ],
)
def test_options_of_questions(f, ask, message):
    with pytest.raises(InvalidRequest, match=message):
        ask(f)


def test_numbers_of_numpy_are_numbers(f):
    seed, probes, tolerance = np.int64(3), np.int32(8), np.float32(0.5)
    found = f.hessian_trace(W, seed=seed, max_probes=probes, rel_tol=tolerance)
    assert found.value == f.hessian_trace(W, seed=3, max_probes=8, rel_tol=0.5).value
    assert f.verify(W, seed=seed, directions=probes).passed


def test_every_executor_has_its_name():
    assert [executor(name).name for name in EXECUTORS] == list(EXECUTORS)


@pytest.mark.parametrize(
    ("question", "method", "command"),
    [
        (EstimateTrace, "hessian_trace", "trace"),
        (VerifyGradient, "verify", "verify"),
        (VerifySymmetry, "verify_symmetry", "symmetry"),
    ],
)
def test_defaults_are_the_same_in_python_and_on_the_command_line(f, question, method, command):
    in_python = inspect.signature(getattr(f, method)).parameters
    on_command_line = vars(parser().parse_args([command, "loss.pb", "point.npz"]))
    for option in options_of(question):
        assert in_python[option.keyword].default == option.default == on_command_line[option.keyword], option.keyword


# ---- vectors


@pytest.mark.parametrize("kind", ["?", "b", "B", "i2", "i8", "u8", "f2", "f4", "f8", "g", ">i4"])
@pytest.mark.parametrize("of", ["f4", "f8"])
def test_vectors_are_promoted_as_numpy_promotes_them(client, kind, of):
    w, ones = W.astype(of), np.array([1, 0, 1]).astype(kind)
    loss = client.function(lambda w: np.sum(w**3), w=w)
    cubes = client.function(lambda w: w**3, w=w)
    product = loss.hvp(w, tangent=ones)
    assert product.dtype == np.dtype(of)
    np.testing.assert_allclose(product, 6 * w * [1, 0, 1], rtol=1e-6)
    np.testing.assert_allclose(cubes.jvp(w, tangent=ones)[1], 3 * w**2 * [1, 0, 1], rtol=1e-6)
    np.testing.assert_allclose(cubes.vjp(w, cotangent=ones)[1], 3 * w**2 * [1, 0, 1], rtol=1e-6)
    assert loss.taylor_along(w, direction=ones).order


@pytest.mark.parametrize("tangent", [np.ones(3, object), np.array(["1", "2", "3"]), 1j * W, np.ma.masked_array(W)])
def test_vectors_of_other_things_are_refused(f, tangent):
    with pytest.raises(InvalidRequest, match="tangent of w"):
        f.hvp(W, tangent=tangent)


def test_solvers_that_give_whole_numbers(f):
    optimize, sparse = pytest.importorskip("scipy.optimize"), pytest.importorskip("scipy.sparse.linalg")
    found = optimize.minimize(
        lambda w: f(w) / 3 - np.sum(w),  # whose minimum is at ones
        np.full(3, 2.0),
        jac=lambda w: f.grad(w) / 3 - 1,
        hessp=lambda w, v: f.hvp(w, tangent=v) / 3,
        method="trust-constr",
    )
    np.testing.assert_allclose(found.x, 1.0, atol=1e-4)
    operator = sparse.LinearOperator((3, 3), matvec=lambda v: f.hvp(W, tangent=v), dtype=np.float64)
    np.testing.assert_allclose(operator @ np.ones(3, np.int8), 6 * W)
    np.testing.assert_allclose(sparse.eigsh(operator, 1, return_eigenvectors=False), [12.0])


# ---- a batch without its axis


def test_a_forgotten_axis_of_points_is_named(client):
    f = client.function(lambda w: np.sum((A @ w) ** 2))
    with pytest.raises(InvalidRequest, match="batch takes the first axis for points"):
        f.grad(W, batch=True)
    f.grad(W)
    with pytest.raises(InvalidRequest, match=r"batch wants a leading axis .* w\[None\] for one"):
        f.grad(W, batch=True)
    np.testing.assert_allclose(f.grad(W[None], batch=True)[0], f.grad(W))


def test_numbers_of_a_function_of_arrays_may_be_points(client):
    f = client.function(lambda x: np.sin(x), x=W)
    np.testing.assert_array_equal(f.grad(W, batch=True), np.cos(W))
