"""Programs written by hand, in ways that JAX does not write them, beside what XLA makes of the same text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gradserve.client.importers import from_jax, from_stablehlo
from gradserve.ir.errors import InvalidGraph, Untraceable
from tests.clients.importers.against_xla import results


@pytest.fixture(autouse=True)
def long_numbers() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


X = np.array([3.0, -1.0, 7.0, 7.0])


def program(body: str, result: str, *arguments: str) -> str:
    given = ", ".join(f"%x{k}: tensor<{each}>" for k, each in enumerate(arguments))
    returned = f"({result})" if "," in result else result
    return f"func.func public @main({given}) -> {returned} {{\n{body}\n}}"


def agree(embedded, text: str, *arguments: Any, tolerance: float = 1e-14) -> None:
    """Whether our values of a program are those of XLA."""
    made = embedded.load(from_stablehlo(text, most=50))(*arguments)
    ours = list(made.values()) if isinstance(made, dict) else [made]
    for found, wanted in zip(ours, results(text, *arguments), strict=True):
        assert np.shape(found) == wanted.shape
        held = wanted.astype(found.dtype) if wanted.dtype.kind in "iu" else wanted
        np.testing.assert_allclose(found, held, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("number", [-7, -1, 0, 1, 2, 9])
def test_a_known_number_of_no_branch_is_that_of_the_last(embedded, number):
    body = (
        f"%i = stablehlo.constant dense<{number}> : tensor<i32>\n"
        '%r = "stablehlo.case"(%i) ({ stablehlo.return %x0 : tensor<f64> }, '
        "{ %y = stablehlo.add %x0, %x0 : tensor<f64>\nstablehlo.return %y : tensor<f64> }, "
        "{ %y = stablehlo.negate %x0 : tensor<f64>\nstablehlo.return %y : tensor<f64> }) : (tensor<i32>) -> tensor<f64>"
        "\nreturn %r : tensor<f64>"
    )
    agree(embedded, program(body, "tensor<f64>", "f64"), np.array(3.0))


NUMBERS = [0.3, 1.7, -2.5, 300.0, 70000.0, 3e9, 2.0**63, 2.0**63 + 4096, 2.0**64, 1e30, -1e30, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"])
def test_reals_that_no_integer_is_become_the_nearest_one(embedded, real, name):
    x = np.array(NUMBERS, real)
    wanted = np.asarray(jnp.array(x).astype(name))
    found = embedded.load(from_jax(lambda y: y.astype(name), x))(x)
    np.testing.assert_array_equal(found.view(np.uint64) if name == "uint64" else found, wanted)


def test_of_complex_numbers_the_real_part_is_converted(embedded):
    x = np.array([1.0, 1j, 0.0, -2.5 + 3j])
    for name in ("bool", "int32", "float32"):
        convert = partial(lax.convert_element_type, new_dtype=name)
        with pytest.warns(match="discards the imaginary part"):
            np.testing.assert_array_equal(embedded.load(from_jax(convert, x))(x), convert(x))
    body = "%r = stablehlo.convert %x0 : (tensor<4xcomplex<f64>>) -> tensor<4xi1>\nreturn %r : tensor<4xi1>"
    agree(embedded, program(body, "tensor<4xi1>", "4xcomplex<f64>"), x)


def scattered(operation: str, operands: str) -> str:
    body = (
        "%i = stablehlo.constant dense<[[1], [2]]> : tensor<2x1xi64>\n"
        '%r = "stablehlo.scatter"(%x0, %i, %x1) ({\n^bb0(%a: tensor<f64>, %b: tensor<f64>):\n'
        f"%c = stablehlo.{operation} {operands} : tensor<f64>\nstablehlo.return %c : tensor<f64> }}) "
        "{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0], "
        "scatter_dims_to_operand_dims = [0], index_vector_dim = 1>} "
        ": (tensor<4xf64>, tensor<2x1xi64>, tensor<2xf64>) -> tensor<4xf64>\nreturn %r : tensor<4xf64>"
    )
    return program(body, "tensor<4xf64>", "4xf64", "2xf64")


def test_what_a_scatter_subtracts_from_what(embedded):
    updates = np.array([10.0, 20.0])
    agree(embedded, scattered("subtract", "%a, %b"), X, updates)
    agree(embedded, scattered("maximum", "%b, %a"), X, updates)
    with pytest.raises(Untraceable, match="writes by a function of its own"):
        from_stablehlo(scattered("subtract", "%b, %a"))


EXTREME = """%i0 = stablehlo.constant dense<FIRST> : tensor<f64>
%i1 = stablehlo.constant dense<PLACE> : tensor<i32>
%q = stablehlo.PLACES : tensor<4xi32>
%r:2 = stablehlo.reduce(%x0 init: %i0), (%q init: %i1) across dimensions = [0] : (tensor<4xf64>, tensor<4xi32>,
    tensor<f64>, tensor<i32>) -> (tensor<f64>, tensor<i32>)
 reducer(%a: tensor<f64>, %b: tensor<f64>) (%c: tensor<i32>, %d: tensor<i32>)  {
  %g = stablehlo.compare  GT, %a, %b,  FLOAT : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %n = stablehlo.compare  NE, %a, %a,  FLOAT : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %o = stablehlo.or %g, %n : tensor<i1>
  %e = stablehlo.compare  EQ, %a, %b,  FLOAT : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %l = stablehlo.compare  LT, %c, %d,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
  %m = stablehlo.and %e, %l : tensor<i1>
  %s = stablehlo.or %o, %m : tensor<i1>
  %v = stablehlo.select %o, %a, %b : tensor<i1>, tensor<f64>
  %w = stablehlo.select %s, %c, %d : tensor<i1>, tensor<i32>
  stablehlo.return %v, %w : tensor<f64>, tensor<i32>
 }
return %r#0, %r#1 : tensor<f64>, tensor<i32>"""


@pytest.mark.parametrize("places", ["iota dim = 0", "add %x1, %x1"])
@pytest.mark.parametrize(
    ("first", "place"), [("0xFFF0000000000000", "0"), ("100.0", "-5"), ("0xFFF0000000000000", "7")]
)
def test_the_largest_number_with_any_number_beside_it(embedded, places, first, place):
    body = EXTREME.replace("FIRST", first).replace("PLACES", places).replace("PLACE", place)
    text = program(body, "tensor<f64>, tensor<i32>", "4xf64", "4xi32")
    agree(embedded, text, X, np.array([5, 9, 3, 7], np.int32))


@pytest.mark.parametrize("direction", ["GE", "LE"])
@pytest.mark.parametrize("operands", ["%a, %b", "%b, %a"])
def test_which_element_of_a_window_is_chosen(embedded, direction, operands):
    body = (
        "%z = stablehlo.constant dense<0.5> : tensor<f64>\n"
        '%r = "stablehlo.select_and_scatter"(%x0, %x1, %z) <{window_dimensions = array<i64: 2>, '
        "window_strides = array<i64: 2>}> ({\n^bb0(%a: tensor<f64>, %b: tensor<f64>):\n"
        f"%c = stablehlo.compare {direction}, {operands}, FLOAT : (tensor<f64>, tensor<f64>) -> tensor<i1>\n"
        "stablehlo.return %c : tensor<i1> }, {\n^bb0(%a: tensor<f64>, %b: tensor<f64>):\n"
        "%c = stablehlo.add %a, %b : tensor<f64>\nstablehlo.return %c : tensor<f64> }) "
        ": (tensor<4xf64>, tensor<2xf64>, tensor<f64>) -> tensor<4xf64>\nreturn %r : tensor<4xf64>"
    )
    agree(embedded, program(body, "tensor<4xf64>", "4xf64", "2xf64"), np.array([3.0, -1, 7, 8]), np.array([10.0, 20]))


RNG = np.random.default_rng(0)
A, B, FEATURES = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2)), RNG.normal(size=(4, 4))
HALF_ALGORITHM = """lhs_precision_type = f64, rhs_precision_type = f64, accumulation_type = f64,
    lhs_component_count = 1, rhs_component_count = 1, num_primitive_operations = 1,
    allow_imprecise_accumulation = false"""
MAPPED = """%r = "stablehlo.map"(%x0, %x0) <{dimensions = array<i64: 0, 1>}> ({
^bb0(%a: tensor<f64>, %b: tensor<f64>):
  %c = stablehlo.multiply %a, %b : tensor<f64>
  %d = stablehlo.sine %c : tensor<f64>
  stablehlo.return %d : tensor<f64>
}) : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x4xf64>"""
CONVOLVED = """%r = stablehlo.convolution(%x0, %x1) dim_numbers = [b, f, 0]x[o, i, 0]->[b, f, 0],
    window = {stride = [2], pad = [[1, 1]], lhs_dilate = [1], rhs_dilate = [1], reverse = [true]}
    {batch_group_count = 1 : i64, feature_group_count = 1 : i64}
    : (tensor<1x2x6xf64>, tensor<3x2x3xf64>) -> tensor<1x3x3xf64>"""
RAW = """%r = "stablehlo.convolution"(%x0, %x1) {dimension_numbers = #stablehlo.conv<raw
      input_batch_dimension = 0, input_feature_dimension = 2, input_spatial_dimensions = [1],
      kernel_output_feature_dimension = 2, kernel_input_feature_dimension = 1, kernel_spatial_dimensions = [0],
      output_batch_dimension = 2, output_feature_dimension = 0, output_spatial_dimensions = [1]>,
    batch_group_count = 1 : i64, feature_group_count = 1 : i64}
    : (tensor<1x6x2xf64>, tensor<3x2x3xf64>) -> tensor<3x4x1xf64>"""
NORMALISED = '%r = "stablehlo.batch_norm_inference"(%x0, %x1, %x1, %x1, %x2) <{epsilon = 1.0E-3 : f32, '
NORMALISED += "feature_index = 1 : i64}> : (tensor<3x4xf64>, tensor<4xf64>, tensor<4xf64>, tensor<4xf64>, "
NORMALISED += "tensor<4xf64>) -> tensor<3x4xf64>"
IMAGES, KERNELS = RNG.normal(size=(1, 2, 6)), RNG.normal(size=(3, 2, 3))
OPERATIONS: dict[str, tuple[Any, ...]] = {
    "dot of matrices": (
        "%r = stablehlo.dot %x0, %x1, precision = [HIGHEST, DEFAULT] "
        ": (tensor<3x4xf64>, tensor<4x2xf64>) -> tensor<3x2xf64>",
        *("3x2xf64", "3x4xf64", "4x2xf64", A, B),
    ),
    "dot of vectors": (
        '%r = "stablehlo.dot"(%x0, %x0) : (tensor<4xf64>, tensor<4xf64>) -> tensor<f64>',
        *("f64", "4xf64", A[0]),
    ),
    "dot with an algorithm": (
        "%r = stablehlo.dot_general %x0, %x1, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT], "
        f"algorithm = <{HALF_ALGORITHM}> : (tensor<3x4xf64>, tensor<4x2xf64>) -> tensor<3x2xf64>",
        *("3x2xf64", "3x4xf64", "4x2xf64", A, B),
    ),
    "einsum": (
        '%r = stablehlo.einsum %x0, %x1, config = "ij,jk->ik" : (tensor<3x4xf64>, tensor<4x2xf64>) -> tensor<3x2xf64>',
        *("3x2xf64", "3x4xf64", "4x2xf64", A, B),
    ),
    "broadcast": (
        "%r = stablehlo.broadcast %x0, sizes = [2, 3] : (tensor<4xf64>) -> tensor<2x3x4xf64>",
        *("2x3x4xf64", "4xf64", A[0]),
    ),
    "map": (MAPPED, "3x4xf64", "3x4xf64", A),
    "convolution with kernels turned round": (*(CONVOLVED, "1x3x3xf64", "1x2x6xf64", "3x2x3xf64", IMAGES, KERNELS),),
    "convolution with raw axes": (*(RAW, "3x4x1xf64", "1x6x2xf64", "3x2x3xf64", IMAGES.reshape(1, 6, 2), KERNELS),),
    "batch_norm_inference": (*(NORMALISED, "3x4xf64", "3x4xf64", "4xf64", "4xf64", A, FEATURES[0], FEATURES[1] ** 2),),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_that_jax_does_not_write(embedded, name):
    body, result, *rest = OPERATIONS[name]
    types = [each for each in rest if isinstance(each, str)]
    text = program(f"{body}\nreturn %r : tensor<{result}>", f"tensor<{result}>", *types)
    agree(embedded, text, *rest[len(types) :], tolerance=1e-12)


def test_batches_are_normalised_by_themselves(embedded):
    of_features = ", ".join(["tensor<4xf64>"] * 2)
    given, made = f"tensor<3x4xf64>, {of_features}", f"tensor<3x4xf64>, {of_features}"
    options = "<{epsilon = 1.0E-3 : f32, feature_index = 1 : i64}>"
    body = f'%r:3 = "stablehlo.batch_norm_training"(%x0, %x1, %x2) {options} : ({given}) -> ({made})\n'
    text = program(body + f"return %r#0, %r#1, %r#2 : {made}", made, "3x4xf64", "4xf64", "4xf64")
    agree(embedded, text, A, FEATURES[0], FEATURES[1], tolerance=1e-12)
    body = f'%r:3 = "stablehlo.batch_norm_grad"(%x0, %x1, %x2, %x3, %x4) {options} : (tensor<3x4xf64>, {of_features}, '
    body += f"tensor<4xf64>, tensor<3x4xf64>) -> ({made})\nreturn %r#0, %r#1, %r#2 : {made}"
    back = program(body, made, "3x4xf64", "4xf64", "4xf64", "4xf64", "3x4xf64")
    mean, variance = A.mean(0), A.var(0)
    agree(embedded, back, A, FEATURES[0], mean, variance, A**2, tolerance=1e-11)
    # What XLA writes for the gradient is ours of the forward program.
    cotangent = {"result.0": A**2, "result.1": np.zeros(4), "result.2": np.zeros(4)}
    _, found = embedded.load(from_stablehlo(text)).vjp(A, FEATURES[0], FEATURES[1], cotangent=cotangent, wrt="x0")
    np.testing.assert_allclose(found, results(back, A, FEATURES[0], mean, variance, A**2)[0], rtol=1e-9, atol=1e-11)


def test_a_scatter_writes_into_several_arrays(embedded):
    body = (
        '%r:2 = "stablehlo.scatter"(%x0, %x0, %x1, %x2, %x2) <{scatter_dimension_numbers = #stablehlo.scatter<'
        "inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({\n"
        "^bb0(%a: tensor<f64>, %c: tensor<f64>, %b: tensor<f64>, %d: tensor<f64>):\n"
        "%e = stablehlo.add %b, %a : tensor<f64>\n%f = stablehlo.multiply %c, %d : tensor<f64>\n"
        "stablehlo.return %e, %f : tensor<f64>, tensor<f64> })"
        ": (tensor<4xf64>, tensor<4xf64>, tensor<2x1xi32>, tensor<2xf64>, tensor<2xf64>) "
        "-> (tensor<4xf64>, tensor<4xf64>)\nreturn %r#0, %r#1 : tensor<4xf64>, tensor<4xf64>"
    )
    text = program(body, "tensor<4xf64>, tensor<4xf64>", "4xf64", "2x1xi32", "2xf64")
    agree(embedded, text, X, np.array([[0], [2]], np.int32), np.array([3.0, 4.0]))
    crossed = text.replace("%e = stablehlo.add %b, %a", "%e = stablehlo.add %d, %a")
    with pytest.raises(Untraceable, match="writes by a function of its own"):
        from_stablehlo(crossed)


def test_operations_of_chlo_broadcast(embedded):
    body = "%r = chlo.broadcast_OPERATION : (tensor<3x4xf64>, tensor<GIVENxf64>) -> tensor<3x4xf64>\n"
    text = program(body + "return %r : tensor<3x4xf64>", "tensor<3x4xf64>", "3x4xf64", "GIVENxf64")
    told = text.replace("OPERATION", "subtract %x0, %x1 {broadcast_dimensions = array<i64: 0>}").replace("GIVEN", "3")
    np.testing.assert_array_equal(embedded.load(from_stablehlo(told))(A, B[:3, 0]), A - B[:3, :1])
    trailing = text.replace("OPERATION", "maximum %x0, %x1").replace("GIVEN", "4")
    np.testing.assert_array_equal(embedded.load(from_stablehlo(trailing))(A, B[:, 0]), np.maximum(A, B[:, 0]))


def test_what_is_no_text_of_a_program_is_told_apart():
    lowered = jax.jit(jnp.sum).lower(X)
    with pytest.raises(InvalidGraph, match="it is XLA's own HLO; take StableHLO"):
        from_stablehlo(lowered.compile())
    with pytest.raises(TypeError, match=r"not a PjitFunction; give f.lower\(x\)"):
        from_stablehlo(jax.jit(jnp.sum))
    with pytest.raises(TypeError, match=r"'loss.mlir' is no text of a program; give Path\('loss.mlir'\) for a file"):
        from_stablehlo("loss.mlir")
