"""Programs whose lengths are open, as JAX exports symbolic ones, beside JAX; and shapes that are computed."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from gradserve.client.cli import main
from gradserve.client.importers import from_stablehlo
from gradserve.ir.errors import InvalidGraph, InvalidRequest, Untraceable
from tests.clients.importers.against_xla import results

RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def long_numbers() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def classified(x, w):
    return jnp.mean((x @ w) ** 2) + jnp.sum(jax.nn.softmax(x, -1)[:, 0]) / x.shape[0]


def looped(x, w):
    last = lax.fori_loop(0, x.shape[0], lambda k, c: c + jnp.sum(x[k] ** 2) * k, 0.0)
    _, rows = lax.scan(lambda c, row: (c * 0.5 + row, (c @ w) ** 2), jnp.zeros(3), x)
    return last + rows.sum()


def moved(x, w):
    joined = jnp.concatenate([x, x[::-1] * 2.0], 0).reshape(-1, 6) @ jnp.concatenate([w, w])
    padded = jnp.pad(x, ((1, 2), (0, 0)), constant_values=0.5) ** 2
    return joined @ joined + padded.sum() + ((x[1:] - x[:-1]) ** 2).sum() + jnp.arange(x.shape[0]) @ x @ w


def ordered(x, w):
    return (jnp.sort(x, 0)[0] * w).sum() + (x * jnp.cumsum(x, 0)).sum() + lax.top_k(x, 2)[0].sum() + jnp.argmax(x, 0)[0]


def windows(x, w):
    pooled = lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), "SAME")
    kernel = jnp.stack([w, w**2])[None, None]
    filtered = lax.conv_general_dilated((x**2)[None, None], kernel, (1, 1), "SAME")
    return jnp.sum(pooled**2) + jnp.sum(filtered * x)


def solved(x, w):
    inner = x.T @ x + 9 * jnp.eye(3)
    each = jnp.einsum("bi,bj->bij", x, x) + jnp.eye(3)
    return jnp.linalg.solve(inner, w).sum() + jnp.log(jnp.linalg.cholesky(each)[:, 2, 2]).sum()


@pytest.mark.parametrize("function", [classified, looped, moved, ordered, windows, solved])
def test_a_program_of_symbolic_lengths_is_that_of_the_lengths_told(embedded, function):
    (rows,) = export.symbolic_shape("rows", constraints=["rows >= 2"])
    types = jax.ShapeDtypeStruct((rows, 3), jnp.float64), jax.ShapeDtypeStruct((3,), jnp.float64)
    exported = export.export(jax.jit(function))(*types)
    for count in (4, 7):
        x, w = RNG.normal(size=(count, 3)), RNG.normal(size=3)
        made = from_stablehlo(exported, names=("x", "w"), shapes={"x": (count, 3)}, most=20)
        value, gradient = embedded.load(made).value_and_grad(x, w, wrt=("x", "w"))
        wanted, expected = jax.value_and_grad(function, (0, 1))(jnp.array(x), jnp.array(w))
        np.testing.assert_allclose(value, wanted, rtol=1e-12)
        np.testing.assert_allclose(gradient["x"], expected[0], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(gradient["w"], expected[1], rtol=1e-10, atol=1e-12)


def exported_of_rows() -> str:
    (rows,) = export.symbolic_shape("rows", constraints=["rows >= 2"])
    return str(export.export(jax.jit(jnp.sum))(jax.ShapeDtypeStruct((rows, 3), jnp.float64)).mlir_module())


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({}, InvalidRequest, r"parameter arg0 is tensor<\?x3xf64>, whose lengths are open; give shapes=\{'arg0': "),
        ({"shapes": {"arg0": (4, 2)}}, InvalidRequest, r"cannot have the shape \(4, 2\)"),
        ({"shapes": {"arg0": (4, 3, 1)}}, InvalidRequest, "cannot have the shape"),
        ({"shapes": {"arg0": (-1, 3)}}, InvalidRequest, "cannot have the shape"),
        ({"shapes": {"x": (4, 3)}}, InvalidRequest, "has no parameter 'x'; it has arg0"),
        ({"shapes": {"arg0": (1, 3)}}, InvalidGraph, "Expected 'rows - 2' to be greater or equal to 0"),
        ({"known": {"arg0": np.ones((2, 4))}}, InvalidRequest, r"cannot be float64\[2, 4\]"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(options, error, said):
    with pytest.raises(error, match=said):
        from_stablehlo(exported_of_rows(), **options)


def test_the_command_line_takes_lengths(tmp_path, capsys):
    (tmp_path / "sum.mlir").write_text(exported_of_rows())
    assert main(["import", str(tmp_path / "sum.mlir"), "--shape", "arg0=4,3", "-o", str(tmp_path / "sum.pb")]) == 0
    assert "(arg0: f64[4,3]) -> (result: f64[])" in capsys.readouterr().out


LENGTHS = """func.func public @main(%n: tensor<i64>, %x: tensor<?xf64>) -> tensor<2x?xf64> {
  %two = stablehlo.constant dense<2> : tensor<1xi64>
  %m = stablehlo.reshape %n : (tensor<i64>) -> tensor<1xi64>
  %s = stablehlo.concatenate %two, %m, dim = 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %r = stablehlo.dynamic_broadcast_in_dim %x, %s, dims = [1] : (tensor<?xf64>, tensor<2xi64>) -> tensor<2x?xf64>
  return %r : tensor<2x?xf64>
}"""


def test_a_parameter_may_be_known(embedded):
    ours = embedded.load(from_stablehlo(LENGTHS, shapes={"x": (3,)}, known={"n": 3}))
    np.testing.assert_array_equal(ours(np.arange(3.0)), [np.arange(3.0)] * 2)
    with pytest.raises(Untraceable, match="the lengths of its result are computed from arguments; export it for known"):
        from_stablehlo(LENGTHS, shapes={"x": (3,)})


X = RNG.normal(size=(2, 4))
COMPUTED = {
    "dynamic_reshape %x, %s : (tensor<2x4xf64>, tensor<2xi32>) -> tensor<4x2xf64>": "4, 2",
    "dynamic_broadcast_in_dim %x, %s, dims = [1, 2] : (tensor<2x4xf64>, tensor<3xi32>) -> tensor<3x2x4xf64>": "3, 2, 4",
    "dynamic_iota %s, dim = 1 : (tensor<2xi32>) -> tensor<2x3xf64>": "2, 3",
    "dynamic_pad %x, %z, %s, %s, %s : (tensor<2x4xf64>, tensor<f64>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) "
    "-> tensor<5x14xf64>": "1, 2",
    "real_dynamic_slice %x, %s, %s, %s : (tensor<2x4xf64>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) "
    "-> tensor<0x0xf64>": "1, 2",
}


@pytest.mark.parametrize("operation", COMPUTED)
def test_shapes_that_are_computed_of_constants(embedded, operation):
    numbers, result = COMPUTED[operation], operation.rpartition("-> ")[2]
    count = len(numbers.split(","))
    text = (
        f"func.func public @main(%x: tensor<2x4xf64>) -> {result} {{\n"
        f"%c = stablehlo.constant dense<[{numbers}]> : tensor<{count}xi32>\n"
        f"%o = stablehlo.constant dense<1> : tensor<{count}xi32>\n%z = stablehlo.constant dense<0.5> : tensor<f64>\n"
        f"%s = stablehlo.multiply %c, %o : tensor<{count}xi32>\n%r = stablehlo.{operation}\nreturn %r : {result}\n}}"
    )
    found = embedded.load(from_stablehlo(text))(X)
    static = text.replace("%s = stablehlo.multiply %c, %o", "%unread = stablehlo.multiply %c, %o").replace("%s", "%c")
    np.testing.assert_array_equal(found, results(static, X)[0])


def factorised(x):
    return jnp.linalg.solve(x @ x.T + 4 * jnp.eye(3), jnp.sum(x, 1)) @ jnp.linalg.cholesky(x.T @ x)[:, 0]


@pytest.mark.parametrize("platforms", [("cuda", "cpu"), ("cpu", "tpu", "cuda"), ("cpu",)])
def test_a_program_for_several_platforms_is_that_for_processors(embedded, platforms):
    x = RNG.normal(size=(3, 3))
    exported = export.export(jax.jit(factorised), platforms=platforms)(x)
    ours = embedded.load(from_stablehlo(exported, names=("x",), most=50))
    assert ours.parameters == ("x",)
    value, gradient = ours.value_and_grad(x)
    wanted, expected = jax.value_and_grad(factorised)(jnp.array(x))
    np.testing.assert_allclose(value, wanted, rtol=1e-9)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7)
    if len(platforms) > 1:  # which the text alone does not say
        known = {"arg0": platforms.index("cpu")}
        told = embedded.load(from_stablehlo(exported.mlir_module(), known=known, most=50))
        np.testing.assert_allclose(told(x), wanted, rtol=1e-9)


@pytest.mark.parametrize(("platform", "called"), [("cuda", "cusolver_getrf_ffi"), ("tpu", "LuDecomposition")])
def test_a_program_for_another_platform_says_what_to_do(platform, called):
    exported = export.export(jax.jit(factorised), platforms=(platform,))(np.eye(3))
    with pytest.raises(Untraceable, match=rf"@{called} of .*; export it for processors, as by jax.export.export"):
        from_stablehlo(exported, most=50)
