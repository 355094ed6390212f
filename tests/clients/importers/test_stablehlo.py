"""StableHLO programs, read from their text alone: JAX's answers; hostile and damaged text is refused by type."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from gradserve.client.importers import from_stablehlo
from gradserve.ir.errors import GradserveError, InvalidGraph, LimitExceeded, Untraceable
from tests.clients.importers.against_jax import TOLERANCE, is_moved, recorded, tangents_of
from tests.clients.importers.jax_models import MODELS
from tests.clients.importers.jax_programs import PROGRAMS, A

MOST = 600
COMPARED = ["CNN", "transformer block", "LSTM", "Gaussian process", "HMM", "MLP with dropout", "neural field"]
COMPARED += ["phase retrieval", "quantum circuit", "split steps", "beamformer", "Gaussian process by solve"]
COMPARED += [
    "decoder of layers",
    "selective states",
    "spline flow",
    "graph attention",
    "U-shaped",
    "experts of few places",
]


@pytest.fixture(scope="module")
def primitives():
    return recorded("primitives")


def text_of(function, given):
    return jax.jit(function, keep_unused=True).lower(*given).as_text()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_imported(embedded, primitives, name):
    function, given = PROGRAMS[name]
    ours = embedded.load(from_stablehlo(text_of(function, given), most=MOST))
    found = ours(*jax.tree.leaves(given))
    results = list(found.values()) if isinstance(found, dict) else [found]
    for mine, other in zip(results, primitives[name].values, strict=True):
        tolerance = TOLERANCE if other.dtype in (np.float64, np.complex128) else 2e-6
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", COMPARED)
def test_derivatives_of_a_model_are_those_of_jax(embedded, name):
    loss, given = MODELS[name]
    leaves, expected = jax.tree.leaves(given), recorded("models")[name]
    ours = embedded.load(from_stablehlo(text_of(loss, given)))
    names = [n for n, type_ in ours.graph.input_types.items() if type_.is_float]
    tangents = dict(zip(names, tangents_of([x for x in leaves if is_moved(x)]), strict=True))
    gradient = ours.grad(*leaves)
    product = ours.hvp(*leaves, tangent=tangents if len(names) > 1 else tangents[names[0]])
    for found, wanted in ((gradient, expected.gradient), (product, expected.product)):
        for mine, other in zip(found.values() if len(names) > 1 else [found], wanted, strict=True):
            np.testing.assert_allclose(mine, other, rtol=TOLERANCE, atol=TOLERANCE * max(1.0, np.abs(other).max()))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda a: jax.scipy.linalg.schur(a)[0],
            r"custom_call @lapack_dgees_ffi of float64\[4,4\] cannot be imported.*jnp\.linalg\.eig,",
        ),
        (lambda a: jnp.linalg.qr(a, mode="raw")[0], r"geqrf leaves below R"),
        (lambda a: jnp.linalg.svd(a[:, :2])[0], "full_matrices=False"),
    ],
)
def test_what_is_not_imported_is_named(function, said):
    with pytest.raises(Untraceable, match=said):
        from_stablehlo(text_of(function, (A,)))


def test_where_parts_of_an_array_lie_is_left_away(embedded):
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    text = text_of(lambda x: jax.lax.with_sharding_constraint(2 * x, device) ** 2, (np.ones(3),))
    assert "sdy.sharding_constraint" in text
    assert np.array_equal(embedded.load(from_stablehlo(text))(np.arange(3.0)), [0.0, 4.0, 16.0])
    for cut in (text.replace("[{}]> :", "[{} :"), text.replace("<@empty_mesh, [{}]>", "")):
        with pytest.raises(InvalidGraph):
            from_stablehlo(cut)


def test_an_artefact_of_jax_export(embedded, tmp_path):
    exported = export.export(jax.jit(lambda w: (w**2).sum()))(np.ones(3))
    path = tmp_path / "f.mlir"
    path.write_text(exported.mlir_module())
    lowered = jax.jit(lambda w: (w**2).sum()).lower(np.ones(3))
    for source in (exported, path, exported.mlir_module(), lowered):
        ours = embedded.load(from_stablehlo(source, names=("w",)))
        assert np.array_equal(ours.grad(w=np.array([1.0, 2.0, 3.0])), [2.0, 4.0, 6.0])
    path.write_bytes(b"ML\xefR\x0d")
    for source in (path, path.read_bytes()):
        with pytest.raises(InvalidGraph, match="mlir_module"):
            from_stablehlo(source)


def test_neither_jax_nor_mlir_is_imported(tmp_path):
    path = tmp_path / "f.mlir"
    path.write_text(text_of(*PROGRAMS["scan"]))
    code = (
        "import sys, pathlib; from gradserve.client.importers import from_stablehlo; "
        f"from_stablehlo(pathlib.Path({str(path)!r})); print([m for m in sys.modules if m.startswith('jax')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


MAIN = "module @m {{\n  func.func public @main(%arg0: tensor<2xf64>) -> tensor<2xf64> {{\n{}\n  }}\n}}"
RETURN = "    return %0 : tensor<2xf64>"


def program(*lines):
    return MAIN.format("\n".join([*lines, RETURN]))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no function"),
        ("module @m { func.func public @main(", "value is expected"),
        (program("    %0 = stablehlo.sine %arg1 : tensor<2xf64>"), "line 3 .*%arg1 is not known"),
        (program("    %0 = stablehlo.sine %arg0 : tensor<3xf64>"), r"gives float64\[2\], not tensor<3xf64>"),
        (program("    %0 = stablehlo.constant dense<[1.0, 2.0, 3.0]> : tensor<2xf64>"), "3 elements are given"),
        (program("    %0 = stablehlo.constant dense<[1.0, x]> : tensor<2xf64>"), "no elements"),
        (program("    %0:2 = stablehlo.sine %arg0 : tensor<2xf64>"), "1 values and 2 are named"),
        (program("    %0 = call @other(%arg0) : (tensor<2xf64>) -> tensor<2xf64>"), "no function other"),
        (program("    %0 = call @main(%arg0) : (tensor<2xf64>) -> tensor<2xf64>"), "more than 48 calls and regions"),
        (program("    %0 = stablehlo.sine %arg0 : tensor<*xf64>"), "no type of arrays"),
        (program("    %0 = stablehlo.sine %arg0 : tensor<2xf64>\n" * 2), "line 4 .*%0 is defined a second time"),
        (program("    %arg0 = stablehlo.sine %arg0 : tensor<2xf64>"), "%arg0 is defined a second time"),
        (program("    %0 = stablehlo.sine %arg0 {a = " + "[" * 5000 + "} : tensor<2xf64>"), "more than 64 levels"),
        (program("    %0 = stablehlo.sine %arg0 \x00 : tensor<2xf64>"), "line 3 .*no StableHLO"),
    ],
)
def test_bad_text_is_refused(text, problem):
    with pytest.raises(InvalidGraph, match=problem):
        from_stablehlo(text)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("%0 = stablehlo.uniform_quantize %arg0 : tensor<2xf64>", "uniform_quantize of float64.2. cannot be imported"),
        ("%0 = stablehlo.convert %arg0 : (tensor<2xf64>) -> tensor<2xf8E5M2>", "no graph has elements of f8E5M2"),
        (
            "%1 = stablehlo.constant dense<9.0e8> : tensor<2xf64>\n"
            "%0 = chlo.polygamma %1, %arg0 : tensor<2xf64>, tensor<2xf64> -> tensor<2xf64>",
            "order of polygamma .* stay within 128",
        ),
        ('%0 = stablehlo.custom_call @mine(%arg0) {a = "b"} : (tensor<2xf64>) -> tensor<2xf64>', "custom_call @mine"),
    ],
)
def test_what_no_graph_says_is_refused(line, problem):
    with pytest.raises(Untraceable, match=problem):
        from_stablehlo(program(f"    {line}"))


def test_sizes_are_refused_before_anything_is_allocated():
    for shape in ("99999999999x99999999999", "9" * 5000, "x".join(["9"] * 100)):
        with pytest.raises(LimitExceeded):
            from_stablehlo(program(f"    %0 = stablehlo.constant dense<0.0> : tensor<{shape}xf64>"))
    large = program(
        "    %1 = stablehlo.constant dense<0.5> : tensor<1000000x1000000xf64>",
        "    %2 = stablehlo.slice %1 [0:1, 0:2] : (tensor<1000000x1000000xf64>) -> tensor<1x2xf64>",
        "    %0 = stablehlo.reshape %2 : (tensor<1x2xf64>) -> tensor<2xf64>",
    )
    assert from_stablehlo(large).graph.constants[0].type.size == 1


def test_regions_and_calls_are_not_too_deep_together():
    pair = "tensor<2xf64>"

    def nested(inner, count):
        for _ in range(count):
            region = f"{{ %0 = {inner}\n stablehlo.return %0 : {pair} }}"
            inner = f'"stablehlo.case"(%c) ({region}) : (tensor<i32>) -> {pair}'
        return inner

    def function(name, inner):
        constant = "%c = stablehlo.constant dense<0> : tensor<i32>"
        return f"func.func {name}(%arg0: {pair}) -> {pair} {{ {constant}\n %0 = {inner}\n return %0 : {pair} }}"

    sine = "stablehlo.sine %arg0 : tensor<2xf64>"
    assert len(from_stablehlo(function("public @main", nested(sine, 40))).graph.nodes) == 1
    calls = [f"call @f{k + 1}(%arg0) : (tensor<2xf64>) -> tensor<2xf64>" for k in range(40)] + [sine]
    deep = "\n".join(function(f"private @f{k}" if k else "public @main", nested(c, 50)) for k, c in enumerate(calls))
    with pytest.raises(InvalidGraph, match="more than 48 calls and regions"):
        from_stablehlo(deep)
    with pytest.raises(InvalidGraph, match="more than 64 levels"):
        from_stablehlo(function("public @main", nested(sine, 5000)))


def test_calls_that_double_each_time_are_refused_in_time():
    functions = [
        f"  func.func private @f{k}(%arg0: tensor<2xf64>) -> tensor<2xf64> {{\n"
        f"    %1 = call @f{k + 1}(%arg0) : (tensor<2xf64>) -> tensor<2xf64>\n"
        f"    %0 = call @f{k + 1}(%1) : (tensor<2xf64>) -> tensor<2xf64>\n{RETURN}\n  }}"
        for k in range(40)
    ]
    last = "  func.func private @f40(%arg0: tensor<2xf64>) -> tensor<2xf64> {\n    return %arg0 : tensor<2xf64>\n  }"
    text = program("    %0 = call @f0(%arg0) : (tensor<2xf64>) -> tensor<2xf64>")[:-1] + "\n".join([*functions, last])
    with pytest.raises(LimitExceeded, match="operations"):
        from_stablehlo(text + "}")


def test_functions_of_elements_that_double_are_refused_in_time():
    functions = "\n".join(
        f"func.func private @f{k}(%a: tensor<f64>) -> tensor<f64> {{\n"
        f"  %0 = call @f{k + 1}(%a) : (tensor<f64>) -> tensor<f64>\n"
        f"  %1 = call @f{k + 1}(%0) : (tensor<f64>) -> tensor<f64>\n  return %1 : tensor<f64>\n}}"
        for k in range(40)
    )
    last = "func.func private @f40(%a: tensor<f64>) -> tensor<f64> {\n  return %a : tensor<f64>\n}"
    main = (
        "func.func public @main(%x: tensor<8xf64>) -> tensor<f64> {\n"
        "  %c = stablehlo.constant dense<0.0> : tensor<f64>\n"
        "  %0 = stablehlo.reduce(%x init: %c) across dimensions = [0] : (tensor<8xf64>, tensor<f64>) -> tensor<f64>\n"
        "   reducer(%a: tensor<f64>, %b: tensor<f64>) {\n"
        "    %1 = func.call @f0(%a) : (tensor<f64>) -> tensor<f64>\n"
        "    stablehlo.return %1 : tensor<f64>\n  }\n  return %0 : tensor<f64>\n}"
    )
    with pytest.raises(LimitExceeded, match="operations, with calls"):
        from_stablehlo("\n".join([main, functions, last]))


def test_bits_of_halves_and_of_long_integers(embedded):
    lines = [
        '%0 = stablehlo.constant dense<"0x003C00C0"> : tensor<2xf16>',
        "%1 = stablehlo.constant dense<[0x3FC0, -2.5]> : tensor<2xbf16>",
        "%2 = stablehlo.constant dense<18446744073709551615> : tensor<ui64>",
        "return %0, %1, %2 : tensor<2xf16>, tensor<2xbf16>, tensor<ui64>",
    ]
    made = from_stablehlo("func.func public @main() -> tensor<2xf16> {\n" + "\n".join(lines) + "\n}")
    first, second, third = embedded.load(made)().values()
    assert first.tolist() == [1.0, -2.0]
    assert second.tolist() == [1.5, -2.5]
    assert np.asarray(third).view(np.uint64) == 2**64 - 1
    assert [note.split()[0] for note in made.notes] == ["float16", "bfloat16", "a"]


def test_damaged_text_is_refused_by_type():
    """Pieces left out, doubled and exchanged: what is not imported is refused by an error of ours."""
    rng, refused = random.Random(7), 0
    texts = [text_of(*PROGRAMS[name]) for name in ("scan", "gather filled", "scatter-add", "conv", "sort of several")]
    texts += [text_of(*PROGRAMS[name]) for name in ("reduce_window by max", "argmax", "switch", "cholesky")]
    begun = time.process_time()
    for k in range(400):
        text = texts[k % len(texts)]
        for _ in range(rng.randrange(1, 4)):
            i, length = rng.randrange(len(text)), rng.randrange(1, 12)
            piece = rng.choice(["", text[i : i + length] * 2, rng.choice("<>{}()[]%:=,-10x"), text[-i : length - i]])
            text = text[:i] + piece + text[i + length :]
        try:
            from_stablehlo(text, most=50)
        except GradserveError:
            refused += 1
    assert refused > 200
    assert time.process_time() - begun < 60
