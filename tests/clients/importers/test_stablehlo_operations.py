"""What JAX's programs do not write so: functions within operations, both forms of text, packed constants, roundings."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from gradserve.client.importers import from_stablehlo
from gradserve.client.importers.stablehlo import folds, regions
from gradserve.ir.canonical import digest
from gradserve.ir.errors import InvalidGraph, NumericalFailure, Untraceable
from tests.clients.importers.jax_models import MODELS
from tests.clients.importers.jax_programs import PROGRAMS

FORMS = ["conv", "conv of other axes", "switch", "sort of several", "gather clipped", "reduce_window by add", "scan"]
FORMS += ["custom_linear_solve", "qr", "fft", "complex moved", "argmax", "reduce_precision", "select_and_scatter_add"]


def lowered(name):
    function, given = {**PROGRAMS, **MODELS}[name]
    return jax.jit(function, keep_unused=True).lower(*given)


@pytest.mark.parametrize("name", [*FORMS, "quantum circuit", "transformer block"])
def test_the_generic_form_is_the_same_program(name):
    shorter = lowered(name)
    generic = shorter.compiler_ir("stablehlo").operation.get_asm(print_generic_op_form=True)
    assert generic.startswith('"builtin.module"')
    assert digest(from_stablehlo(generic, most=60).graph) == digest(from_stablehlo(shorter.as_text(), most=60).graph)


def program(body, result, *arguments):
    given = ", ".join(f"%x{k}: {each}" for k, each in enumerate(arguments))
    return f"func.func @main({given}) -> {result} {{\n{body}\n}}"


VECTOR = "tensor<6xf64>"
NUMBERS = np.array([3.0, -1.0, 2.0, -5.0, 2.0, 0.5])


def sorted_by(*lines, count=1):
    """A sort of vectors by a function of pairs of their elements."""
    names = ", ".join(f"%a{k}: tensor<f64>, %b{k}: tensor<f64>" for k in range(count))
    operands = ", ".join(f"%x{k}" for k in range(count))
    types = ", ".join([VECTOR] * count)
    body = (
        f'%r:{count} = "stablehlo.sort"({operands}) ({{\n^bb0({names}):\n'
        + "\n".join([*lines, "stablehlo.return %c : tensor<i1>"])
        + f"\n}}) {{dimension = 0 : i64}} : ({types}) -> ({types})\n"
        + "return "
        + ", ".join(f"%r#{k}" for k in range(count))
        + f" : {types}"
    )
    return program(body, f"({types})", *[VECTOR] * count)


def compared(name, direction, x, y):
    return f"%{name} = stablehlo.compare {direction}, %{x}, %{y}, FLOAT : (tensor<f64>, tensor<f64>) -> tensor<i1>"


def logic(name, op, x, y):
    return f"%{name} = stablehlo.{op} %{x}, %{y} : tensor<i1>"


def by_two_keys(first, second):
    return (
        compared("l", "LT", f"a{first}", f"b{first}"),
        compared("e", "EQ", f"a{first}", f"b{first}"),
        compared("m", "LT", f"a{second}", f"b{second}"),
        logic("f", "and", "e", "m"),
        logic("c", "or", "l", "f"),
    )


def test_sorts_by_their_functions(embedded):
    other = np.arange(6.0)[::-1]
    assert np.array_equal(
        embedded.load(from_stablehlo(sorted_by(compared("c", "LT", "a0", "b0"))))(NUMBERS), np.sort(NUMBERS)
    )
    down = embedded.load(from_stablehlo(sorted_by(compared("c", "GT", "a0", "b0"), count=2)))(NUMBERS, other)
    order = np.argsort(-NUMBERS, kind="stable")
    assert np.array_equal(down["result.0"], NUMBERS[order])
    assert np.array_equal(down["result.1"], other[order])
    both = embedded.load(from_stablehlo(sorted_by(*by_two_keys(0, 1), count=2)))(NUMBERS, other)
    assert np.array_equal(both["result.1"], other[np.lexsort((other, NUMBERS))])


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ((compared("c", "LT", "a1", "b1"),), 2),  # by the second operand alone
        (
            (
                "%s = stablehlo.abs %a0 : tensor<f64>",
                "%t = stablehlo.abs %b0 : tensor<f64>",
                compared("c", "LT", "s", "t"),
            ),
            1,
        ),
        ((compared("c", "LE", "a0", "b0"),), 1),  # no order without equals
        (by_two_keys(1, 0), 2),  # the second operand before the first
        ((compared("c", "NE", "a0", "b0"),), 1),
    ],
)
def test_sorts_by_other_functions_are_refused(lines, count):
    with pytest.raises(Untraceable, match="sorts by a function of its own"):
        from_stablehlo(sorted_by(*lines, count=count))


def test_a_planted_fault_in_the_order_is_seen(embedded, monkeypatch):
    monkeypatch.setattr(folds, "order_of", lambda *given: (1, not regions.order_of(*given)[1]))
    with pytest.raises(AssertionError):
        test_sorts_by_their_functions(embedded)


AROUND = (
    "%z = stablehlo.constant dense<2.0> : tensor<f64>\n"
    '%r = "stablehlo.reduce"(%x0, %z) ({\n^bb0(%a: tensor<f64>, %b: tensor<f64>):\n'
    "%s = stablehlo.multiply %a, %b : tensor<f64>\n%t = stablehlo.divide %s, READ : tensor<f64>\n"
    "stablehlo.return %t : tensor<f64>\n}) {dimensions = array<i64: 0>} "
    f": ({VECTOR}, tensor<f64>) -> tensor<f64>\n"
    "return %r : tensor<f64>"
)


def test_a_function_reads_numbers_around_itself(embedded):
    ours = embedded.load(from_stablehlo(program(AROUND.replace("READ", "%z"), "tensor<f64>", VECTOR)))
    assert np.isclose(ours(NUMBERS), 2.0 * np.prod(NUMBERS / 2.0), rtol=1e-15)
    assert np.allclose(ours.grad(NUMBERS), 2.0 * np.prod(NUMBERS / 2.0) / NUMBERS, rtol=1e-14)
    with pytest.raises(Untraceable, match="reads %x0, which is an array"):
        from_stablehlo(program(AROUND.replace("READ", "%x0"), "tensor<f64>", VECTOR))


def test_sorts_of_exported_programs(embedded):
    """JAX's exports take constants out of the functions that compare."""
    x = np.stack([NUMBERS, -NUMBERS])
    exported = export.export(jax.jit(lambda y: lax.sort((y, y * y), dimension=1, num_keys=2)))(x)
    found = embedded.load(from_stablehlo(exported))(x)
    assert np.array_equal(found["result.0"], np.sort(x))
    assert np.array_equal(found["result.1"], np.sort(x) ** 2)


@pytest.mark.parametrize("direction", ["EQ", "NE", "LT", "LE", "GT", "GE"])
def test_comparisons_in_total_order_know_nan(embedded, direction):
    x, y = np.array([1.0, np.nan, 2.0, np.nan, 3.0, -1.0]), np.array([np.nan, 1.0, 2.0, np.nan, -3.0, 1.0])
    body = f"%r = stablehlo.compare {direction}, %x0, %x1, TOTALORDER : ({VECTOR}, {VECTOR}) -> tensor<6xi1>\n"
    text = program(body + "return %r : tensor<6xi1>", "tensor<6xi1>", VECTOR, VECTOR)
    behind = [np.where(np.isnan(z), np.inf, z) for z in (x, y)]
    compare = {"EQ": np.equal, "NE": np.not_equal, "LT": np.less, "LE": np.less_equal, "GT": np.greater}
    assert np.array_equal(embedded.load(from_stablehlo(text))(x, y), compare.get(direction, np.greater_equal)(*behind))


def test_calls_of_older_exports(embedded):
    body = (
        f"%s = stablehlo.custom_call @mhlo.erf(%x0) {{mhlo.attributes = {{}}, mhlo.version = 1 : i64}} : "
        f"({VECTOR}) -> {VECTOR}\n%t = stablehlo.custom_call @Sharding(%s) : ({VECTOR}) -> {VECTOR}\n"
        f"%r:2 = stablehlo.custom_call @mhlo.topk(%t) {{mhlo.attributes = {{k = 2 : i64, largest = LARGEST}}}} : "
        f"({VECTOR}) -> (tensor<2xf64>, tensor<2xi32>)\nreturn %r#0, %r#1 : tensor<2xf64>, tensor<2xi32>"
    )
    text = program(body, "(tensor<2xf64>, tensor<2xi32>)", VECTOR)
    found = embedded.load(from_stablehlo(text.replace("LARGEST", "true")))(NUMBERS)
    assert np.allclose(found["result.0"], [math.erf(3.0), math.erf(2.0)], rtol=1e-15)
    assert found["result.1"].tolist() == [0, 2]
    with pytest.raises(Untraceable, match="takes the largest"):
        from_stablehlo(text.replace("LARGEST", "false"))


def test_adjoint_triangular_systems(embedded):
    a = np.array([[2.0, 0.0], [1.0 + 1j, 3.0 - 2j]])
    pair = "tensor<2x2xcomplex<f64>>"
    body = (
        '%r = "stablehlo.triangular_solve"(%x0, %x1) <{left_side = true, lower = true, unit_diagonal = false, '
        f"transpose_a = #stablehlo<transpose ADJOINT>}}> : ({pair}, {pair}) -> {pair}\nreturn %r : {pair}"
    )
    found = embedded.load(from_stablehlo(program(body, pair, pair, pair)))(a, np.eye(2) + 0j)
    assert np.allclose(a.conj().T @ found, np.eye(2), atol=1e-15)


def test_a_composite_is_what_it_is_made_of(embedded):
    text = (
        f"func.func public @main(%x: {VECTOR}) -> {VECTOR} {{\n"
        f'%r = stablehlo.composite "mine.cube" %x {{composite_attributes = {{n = 3 : i64}}, decomposition = @cube}} : '
        f"({VECTOR}) -> {VECTOR}\nreturn %r : {VECTOR}\n}}\n"
        f"func.func private @cube(%x: {VECTOR}) -> {VECTOR} {{\n%s = stablehlo.multiply %x, %x : {VECTOR}\n"
        f"%r = stablehlo.multiply %s, %x : {VECTOR}\nreturn %r : {VECTOR}\n}}"
    )
    assert np.array_equal(embedded.load(from_stablehlo(text))(NUMBERS), NUMBERS**3)


TRUTHS = np.array([1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1], bool)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (TRUTHS.astype(np.uint8).tobytes(), TRUTHS),  # a byte each, as MLIR writes them now
        (np.packbits(TRUTHS, bitorder="little").tobytes(), TRUTHS),  # or a bit each, as it did
        (b"\xff", np.ones(12, bool)),
    ],
)
def test_packed_truth_values(embedded, written, expected):
    body = f'%r = stablehlo.constant dense<"0x{written.hex()}"> : tensor<12xi1>\nreturn %r : tensor<12xi1>'
    assert np.array_equal(embedded.load(from_stablehlo(program(body, "tensor<12xi1>")))(), expected)


def test_packed_truth_values_of_another_length_are_refused():
    body = '%r = stablehlo.constant dense<"0x000100"> : tensor<12xi1>\nreturn %r : tensor<12xi1>'
    with pytest.raises(InvalidGraph, match="3 bytes are given"):
        from_stablehlo(program(body, "tensor<12xi1>"))


def test_complex_constants(embedded):
    pair = "tensor<2xcomplex<f64>>"
    body = f"%r = stablehlo.constant dense<[(1.0,-2.5), (0x7FF0000000000000,-0.0)]> : {pair}\nreturn %r : {pair}"
    found = embedded.load(from_stablehlo(program(body, pair)))()
    assert np.array_equal(found.view(float), [1.0, -2.5, np.inf, -0.0])
    assert np.signbit(found[1].imag)
    with pytest.raises(InvalidGraph, match="no elements of"):
        from_stablehlo(program(body.replace(",-0.0)", ")"), pair))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("exponent", "fraction"), [(5, 10), (8, 7), (4, 3), (8, 23), (11, 52), (3, 1)])
def test_roundings_to_fewer_bits_are_those_of_xla(embedded, dtype, exponent, fraction):
    edges = [0.0, 1.0, 1.0009765625, 65504.0, 65519.9, 65520.0, 2.0**-14, 2.0**-15, 240.0, 250.0, 1e-40, 1e39, np.inf]
    rng = np.random.default_rng(3)
    x = np.concatenate([edges, rng.standard_normal(200), 2.0 ** rng.uniform(-30, 30, 200)])
    with np.errstate(over="ignore"):
        x = np.concatenate([x, -x[1:], [np.nan]]).astype(dtype)

    def rounded(y):
        return lax.reduce_precision(y, exponent, fraction)

    ours = embedded.load(from_stablehlo(jax.jit(rounded).lower(x).as_text()))
    assert np.array_equal(ours(x), jax.jit(rounded)(x), equal_nan=True)
    ours.executor = "numpy"
    between = np.isfinite(ours(x)) & (ours(x) != 0)
    _, slopes = ours.vjp(x, cotangent=np.ones_like(x))
    assert np.array_equal(slopes[between], np.ones(np.sum(between)))


def test_a_convolution_with_no_windows_is_empty(embedded):
    x, kernel = np.ones((1, 2, 3, 8)), np.ones((4, 2, 5, 2))
    text = jax.jit(lambda a, k: lax.conv(a, k, (1, 1), "VALID")).lower(x, kernel).as_text()
    assert embedded.load(from_stablehlo(text))(x, kernel).shape == (1, 4, 0, 7)


def test_derivatives_of_factors_with_a_zero_pivot_are_refused(embedded):
    singular = np.array([[2.0, 1.0, 0.0, 1.0], [0.0, 3.0, 1.0, 1.0], [4.0, 2.0, 0.0, 2.0], [0.0, 0.0, 1.0, 5.0]])
    ours = embedded.load(from_stablehlo(jax.jit(jnp.linalg.det).lower(singular).as_text()))
    assert ours(singular) == 0.0
    with pytest.raises(NumericalFailure, match=r"[Ss]ingular"):
        ours.grad(singular)
    regular = singular + np.eye(4)
    assert np.allclose(ours.grad(regular), np.linalg.det(regular) * np.linalg.inv(regular).T, rtol=1e-13)
