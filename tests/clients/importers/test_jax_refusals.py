"""What of JAX is not imported is said by name, with its types, the author's line and a way round; and what changes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import InvalidRequest, NumericalFailure, Untraceable
from gradserve.client.importers import from_jax, from_stablehlo
from gradserve.client.importers.files import load_graph
from tests import compiled

jax.config.update("jax_enable_x64", True)
W = np.array([0.4, -0.7, 1.1])


def left_eigenvectors(w):
    return jnp.abs(jax.lax.linalg.eig(jnp.outer(w, w[::-1]), compute_left_eigenvectors=True)[1]).sum()


def factors(w):
    return jax.lax.linalg.hessenberg(jnp.outer(w, w) + jnp.eye(3))[0].sum()


def unbounded(w):
    return jax.lax.while_loop(lambda x: x < 3.0, lambda x: x * 1.5, w[0])


def eighths(w):
    return w.astype(jnp.float8_e4m3fn).sum().astype(jnp.float64)


def called_back(w):
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((3,), w.dtype), w).sum()


def other_keys(w):
    return w.sum() * jax.random.normal(jax.random.key(0, impl="rbg"))


def references(w):
    held = jax.new_ref(w)
    held[0] = 2 * w[1]
    return held[...].sum()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (references, r"new_ref of float64\[3\] cannot be imported.*keep arrays.*x\.at\[k\]"),
        (left_eigenvectors, r"eig of float64\[3,3\] cannot be imported.*the transposed matrix"),
        (factors, r"hessenberg of float64\[3,3\] cannot be imported.*jnp\.linalg\.solve"),
        (unbounded, r"while of float64\[\] cannot be imported: how often.*most=100"),
        (
            eighths,
            r"convert_element_type of float64\[3\] cannot be imported: no graph has elements of float8_e4m3fn.*float32",
        ),
        (called_back, r"pure_callback of float64\[3\] cannot be imported.*beforehand"),
        (other_keys, r"keys are of rbg.*threefry2x32"),
    ],
)
def test_a_refusal_names_primitive_types_line_and_a_way_round(function, said):
    first = function.__code__.co_firstlineno
    with pytest.raises(Untraceable, match=said) as refused:
        from_jax(function, W)
    assert f"test_jax_refusals.py:{first + 1}: " in str(refused.value)


def test_what_nothing_needs_is_not_refused(embedded):
    """A factorisation beside the loss, as JAX's own functions leave them."""
    f = embedded.load(from_jax(lambda w: (jax.lax.linalg.schur(jnp.outer(w, w)), (w * w).sum())[1], W))
    assert np.allclose(f.grad(W), 2 * W)


def test_a_loop_over_its_bound_is_refused_when_it_runs(embedded):
    f = embedded.load(from_jax(unbounded, W, most=3))
    assert f(np.array([2.5, 0.0, 0.0])) == 3.75
    with pytest.raises(NumericalFailure, match="most"):
        f(W)


def test_loops_of_jax_itself_need_no_bound(embedded):
    special = jax.scipy.special
    point = np.array([0.3, 1.7, 0.6])
    for loss in (
        lambda w: special.expn(2, w).sum(),
        lambda w: special.hyp1f1(0.5, 1.5, -w).sum(),
        lambda w: jnp.sum(jnp.sin(jax.scipy.linalg.polar(jnp.outer(w, w) + jnp.eye(3) * w)[1])),
    ):
        value, gradient = embedded.load(from_jax(loss, point)).value_and_grad(point)
        np.testing.assert_allclose(value, jax.jit(loss)(point), rtol=1e-12)
        np.testing.assert_allclose(gradient, compiled.jacfwd(loss)(point), rtol=1e-9)


def test_draws_that_jax_repeats_until_they_are_taken_need_no_bound(embedded):
    """Of binomial numbers the author's line has the loop itself; a loop of the author's own stays unbounded."""

    def drawn(w, key):
        return jnp.sum(jax.random.binomial(key, 9, 0.4, (3,)) * w) + jnp.sum(jax.random.poisson(key, 2.0, (3,)) * w**2)

    key = jax.random.key(5)
    value, gradient = embedded.load(from_jax(drawn, W, key)).value_and_grad(W, jax.random.key_data(key), wrt="w")
    np.testing.assert_allclose(value, jax.jit(drawn)(W, key), rtol=1e-13)
    np.testing.assert_allclose(gradient, compiled.grad(drawn)(W, key), rtol=1e-13)
    with pytest.raises(Untraceable, match="how often this loop runs is not known"):
        from_jax(lambda w: jax.lax.fori_loop(0, jnp.int32(w[0] * 9), lambda k, x: x * 0.5, w).sum(), W)


def test_derivatives_that_rules_of_jax_are_for(embedded):
    """At points where what these functions compute would give NaN, or 0, if it were differentiated as written."""
    zero = np.zeros(2)
    cases = {
        "relu": (lambda w: jax.nn.relu(w).sum(), [0.0, 0.0], [0.0, 0.0]),
        "softplus": (lambda w: jax.nn.softplus(w).sum(), [0.5, 0.5], [0.25, 0.25]),
        "sinc": (lambda w: jnp.sinc(w).sum(), [0.0, 0.0], [-(np.pi**2) / 3] * 2),
        "logsumexp": (lambda w: jax.nn.logsumexp(jnp.append(w, -jnp.inf)), [0.5, 0.5], [0.0, 0.0]),
        "where": (lambda w: jnp.where(w > 0, jnp.sqrt(w), w).sum(), [1.0, 1.0], [0.0, 0.0]),
        "xlogy": (lambda w: jax.scipy.special.xlogy(w, 2.0 + w).sum(), [np.log(2)] * 2, [1.0, 1.0]),
    }
    for loss, gradient, product in cases.values():
        f = embedded.load(from_jax(loss, zero))
        np.testing.assert_allclose(f.grad(zero), gradient, atol=1e-14)
        np.testing.assert_allclose(f.hvp(zero, tangent=np.ones(2)), product, atol=1e-14)


def test_types_are_those_of_jax(embedded):
    with jax.enable_x64(False):
        narrow = from_jax(lambda w: jnp.sum(w * 2), W.astype(np.float32))
    assert str(narrow.graph.input_types["w"]) == "f32[3]"
    assert str(from_jax(lambda w: jnp.sum(w * 2), W).graph.input_types["w"]) == "f64[3]"
    with pytest.raises(InvalidRequest, match="uint64"):
        from_jax(lambda n: n + 1, np.array([1, 2], np.uint64))
    with pytest.raises(InvalidRequest, match=r"w: no graph has elements of float8_e4m3fn"):
        from_jax(lambda w: w + 1, jnp.ones(1, jnp.float8_e4m3fn))


def in_halves(w):
    rows = jax.nn.softmax(jnp.arange(6.0).reshape(2, 3).astype(w.dtype) * w)
    carried, _ = jax.lax.scan(lambda c, row: (jnp.tanh(c + row), None), jnp.zeros(3, w.dtype), rows)
    return jnp.sum(carried.astype(jnp.float32) ** 2)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("through_text", [False, True])
def test_reals_of_16_bits_are_computed_in_32(embedded, name, through_text):
    half = jnp.asarray([0.5, -1.25, 2.0], name)
    made = from_stablehlo(jax.jit(in_halves).lower(half).as_text()) if through_text else from_jax(in_halves, half)
    assert made.notes == (f"{name} is computed as float32: less is rounded",)
    ours, wide = embedded.load(made), half.astype(jnp.float32)
    value, gradient = compiled.value_and_grad(in_halves)(wide)
    np.testing.assert_allclose(ours(half), value, rtol=1e-6)
    np.testing.assert_allclose(ours.grad(half), gradient, rtol=1e-5, atol=1e-6)
    assert abs(float(jax.jit(in_halves)(half)) - float(value)) > 1e-5  # what is computed in 16 bits is another number


@pytest.mark.parametrize("other", [jnp.uint16, jnp.bfloat16])
def test_bits_of_reals_of_16_bits_are_refused(other):
    def bits(w):
        return jax.lax.bitcast_convert_type(w.astype(jnp.float16), other).astype(jnp.float32)

    for importer in (lambda: from_jax(bits, W), lambda: from_stablehlo(jax.jit(bits).lower(W).as_text())):
        with pytest.raises(Untraceable, match=r"has other bits|are no arithmetic"):
            importer()


def test_trees_and_names_are_those_of_the_function(embedded):
    def loss(model, *, scale=2.0, shift):
        return {"loss": scale * jnp.sum(model["w"] ** 2) + shift, "parts": (model["b"], shift * 2)}

    given = {"w": W, "b": np.array(1.0)}
    f = embedded.load(from_jax(loss, given, shift=0.5))
    assert f.parameters == ("model", "shift")
    assert list(f.graph.input_types) == ["model.w", "model.b", "shift"]
    found = f(given, shift=0.5)
    assert found == {"loss": 2 * np.sum(W**2) + 0.5, "parts": (1.0, 1.0)}
    only = embedded.load(from_jax(lambda model: jnp.sum(model["w"] ** 2) * model["b"], given))
    rows = {"w": np.stack([W, 2 * W]), "b": np.ones(2)}
    assert np.array_equal(only.grad(rows, batch=True)["w"], [2 * W, 4 * W])
    assert only.verify(given).passed
    with pytest.raises(InvalidRequest, match="model lacks b"):
        only({"w": W})
    with pytest.raises(InvalidRequest, match=r"argument key: .*key_data"):
        embedded.load(from_jax(lambda key: jax.random.normal(key), jax.random.key(0)))(jax.random.key(0))


def test_a_function_of_jax_that_is_traced_by_mistake_is_told(embedded):
    def loss(w):
        return jnp.sum(jnp.sin(w))

    for function in (loss, jax.jit(loss), jax.grad(loss), lambda w: jnp.where(w > 0, w, 0).sum()):
        with pytest.raises(Untraceable, match=r"from_jax\(function, \*examples\)"):
            embedded.function(function, W)
    with pytest.raises(Untraceable, match=rf"test_jax_refusals.py:{loss.__code__.co_firstlineno + 1}: "):
        embedded.function(loss, W)


def test_import_on_the_command_line(embedded, tmp_path, run):
    program, graph = tmp_path / "loss.mlir", tmp_path / "loss.pb"
    program.write_text(jax.jit(lambda w: jnp.sum(w**3)).lower(W).as_text())
    status, out, err = run("import", program, "-o", graph, "--name", "w")
    assert (status, err) == (0, "")
    assert out.startswith("loss.mlir: main: graph (w: f64[3]) -> (result: f64[])")
    assert load_graph(graph) == from_stablehlo(program, names=("w",)).graph
    assert np.allclose(embedded.load(graph).grad(W), 3 * W**2)
    status, _, err = run("import", tmp_path / "loss.pb", "-o", graph)
    assert (status, "of no kind that is known" in err) == (2, True)
    program.write_text(jax.jit(left_eigenvectors).lower(W).as_text())
    status, _, err = run("import", program, "-o", graph)
    assert status == 2
    assert "loss.mlir:" in err
    assert "cannot be imported" in err
