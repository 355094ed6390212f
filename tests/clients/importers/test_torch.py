"""Programs of torch.export as graphs: modules and operators beside torch's numbers, and refusals that name the node."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.cli import main
from gradserve.client.importers import from_torch
from gradserve.client.importers.aten.documentation import documentation
from gradserve.client.importers.aten.refused import WAYS_ROUND
from gradserve.client.importers.aten.table import TRANSLATORS
from gradserve.client.tracing.trees import flatten, unflatten
from gradserve.ir.errors import InvalidRequest, Untraceable
from tests.clients.importers.torch_archives import (
    COMPLEX,
    FLOAT,
    HALF,
    LEAF,
    MODEL,
    PROGRAMS,
    archive,
    node,
    of,
    one,
    program,
    rewritten,
    spec,
    tensor,
)

REPOSITORY = Path(__file__).resolve().parents[3]
MODULES = (
    "convolutional",
    "encoder",
    "recurrent",
    "unet",
    "mixer",
    "quantised",
    "penalised",
    "stepped",
    "written",
    "aligned",
)


@pytest.mark.parametrize("name", MODULES)
def test_gradients_of_exported_modules_are_those_of_torch(client: Client, name: str):
    with np.load(PROGRAMS / f"{name}.npz") as file:
        expected = dict(file)
    function = client.load(from_torch(PROGRAMS / f"{name}.pt2"))
    assert function.parameters == ("x", "labels", "parameters")
    value, tree = function.value_and_grad(expected["x"], expected["labels"], wrt="parameters")
    found = dict(flatten(tree)[0])
    np.testing.assert_allclose(value, expected["loss"], rtol=1e-12)
    wanted = {key.removeprefix("gradient:"): array for key, array in expected.items() if key.startswith("gradient:")}
    assert set(found) == set(wanted)
    for key, gradient in wanted.items():
        np.testing.assert_allclose(found[key], gradient, rtol=1e-9, atol=1e-13, err_msg=key)


def test_what_is_detached_is_told_by_the_call_that_made_it():
    """Without what torch keeps of the calls, `detach` and `x[...]` are the same operator: the gradient is another."""

    def forgotten(data: bytes) -> bytes:
        return data.replace(b".detach", b".other").replace(b"wrap_with_set_grad_enabled;", b"other;")

    with np.load(PROGRAMS / "quantised.npz") as file:
        given, wanted = (file["x"], file["labels"]), file["gradient:network.first.weight"]
    made = from_torch(rewritten(MODEL, forgotten, "quantised"))
    found = dict(flatten(Client().load(made).grad(*given, wrt="parameters"))[0])
    assert not np.allclose(found["network.first.weight"], wanted, rtol=0.1)


def test_parameters_of_two_names_are_one(embedded: Client):
    one, other = (f"network.layers.{k}.channels.0.weight" for k in (0, 1))

    def tied(data: bytes) -> bytes:
        config = json.loads(data)
        config["config"][other]["path_name"] = config["config"][one]["path_name"]
        return json.dumps(config).encode()

    made = from_torch(rewritten("archive/data/weights/model_weights_config.json", tied))
    assert made.notes == (f"{other} is {one}: one parameter, by that name",)
    assert f"parameters.{other}" not in made.graph.input_types
    with np.load(PROGRAMS / "mixer.npz") as file:
        given = file["x"], file["labels"]
    both = from_torch(PROGRAMS / "mixer.pt2")
    arrays = dict(flatten(both.defaults["parameters"])[0])
    arrays[other] = arrays[one]
    loaded = embedded.load(both)
    tree = unflatten(both.traced.inputs["parameters"], list(arrays.values()))
    apart = dict(flatten(loaded.grad(*given, tree, wrt="parameters"))[0])
    together = dict(flatten(embedded.load(made).grad(*given, wrt="parameters"))[0])
    assert np.abs(apart[other]).max() > 1e-4  # which one of two parameters would not have
    np.testing.assert_allclose(together[one], apart[one] + apart[other], rtol=1e-12)


def test_reals_of_16_bits_are_computed_in_32(embedded: Client):
    made = from_torch(one("aten._to_copy.default", {"self": of("x")}, tensor((2, 3), HALF), x=tensor((2, 3), FLOAT)))
    assert made.notes == ("float16 is computed as float32: less is rounded",)
    x = np.full((2, 3), np.float32(1 / 3))
    assert np.array_equal(embedded.load(made)(x), x)
    with pytest.raises(Untraceable, match="float16 is computed as float32, which has other bits"):
        from_torch(one("aten.view.dtype", {"self": of("x")}, tensor((2, 3), HALF), x=tensor((2, 3), 13)))


def test_a_module_given_to_be_traced_is_told(embedded: Client):
    module = type("Network", (), {"__module__": "torch.nn.modules.module", "__call__": lambda self, x: x})
    with pytest.raises(Untraceable, match=r"Network is torch's, .*client\.load\(from_torch\(function, \*examples\)\)"):
        embedded.function(module())


def operators() -> dict[str, tuple[bytes, dict[str, np.ndarray]]]:
    """Programs of single operators with torch's numbers beside them."""
    found = {}
    with zipfile.ZipFile(PROGRAMS / "operators.zip") as file:
        for name in file.namelist():
            if name.endswith(".json"):
                stem = name.removesuffix(".json")
                with np.load(io.BytesIO(file.read(f"{stem}.npz"))) as numbers:
                    found[stem] = archive(json.loads(file.read(name))), dict(numbers)
    return found


OPERATORS = operators()


def numbered(numbers: dict[str, np.ndarray], kind: str) -> dict[int, np.ndarray]:
    return {int(key.partition(":")[2]): array for key, array in numbers.items() if key.startswith(f"{kind}:")}


def failure(client: Client, name: str) -> str:
    """Why an operator's program has other values or gradients than torch; empty if it has not."""
    data, numbers = OPERATORS[name]
    function = client.load(from_torch(data))
    function.executor = "numpy"
    arguments = [*numbered(numbers, "argument").values()]
    weights, gradients = numbered(numbers, "weights"), numbered(numbers, "gradient")
    leaves, structure = flatten(function(*arguments), "result")
    try:
        for (_, ours), theirs in zip(leaves, numbered(numbers, "output").values(), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)
        nothing = [np.zeros(np.shape(x)) if np.asarray(x).dtype.kind == "f" else None for _, x in leaves]
        cotangent = unflatten(structure, [weights.get(k, zero) for k, zero in enumerate(nothing)])
        names = [function.parameters[k] for k in gradients]
        pulled = function.vjp(*arguments, cotangent=cotangent, wrt=names)[1]
        found = [pulled] if len(names) == 1 else [pulled[name] for name in names]
        for ours, theirs in zip(found, gradients.values(), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)
    except AssertionError as error:
        return " ".join(str(error).split())[:200]
    return ""


def test_operators_have_the_values_and_gradients_of_torch(embedded: Client):
    assert {name: why for name in OPERATORS if (why := failure(embedded, name))} == {}
    assert len(OPERATORS) >= 100


def test_a_wrong_value_is_found(embedded: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(TRANSLATORS, "cos", TRANSLATORS["exp"])
    assert "Not equal" in failure(embedded, "cos")


def test_a_wrong_gradient_is_found(embedded: Client, monkeypatch: pytest.MonkeyPatch):
    # The value stays, and the derivative is lost.
    monkeypatch.setitem(TRANSLATORS, "cos", lambda n, x: n.g.stop_gradient(n.g.cos(x.value)))
    assert "Not equal" in failure(embedded, "cos")


def test_wrt_chooses_parameters_and_buffers():
    path = PROGRAMS / "convolutional.pt2"
    made = from_torch(path, wrt=["network.9.bias", "network.1.running_mean"])
    held = [name for name in made.graph.input_types if name.startswith("parameters")]
    assert held == ["parameters.network.9.bias", "parameters.network.1.running_mean"]
    assert set(made.arrays) == set(held)
    with pytest.raises(InvalidRequest, match=r"'network.1.num_batches_tracked' is none of the module's real arrays"):
        from_torch(path, wrt=["network.1.num_batches_tracked"])


def test_numbers_among_the_examples_are_noted(embedded: Client):
    read = program(
        [node("aten.neg.default", {"self": of("x")}, ["y"])], {"x": tensor((2,)), "y": tensor((2,))}, ["x"], ["y"]
    )
    module = read["graph_module"]
    module["signature"]["input_specs"].append({"constant_input": {"name": "eps", "value": {"as_float": 0.5}}})
    call = module["module_call_graph"][0]["signature"]
    named = spec("builtins.dict", [LEAF], '["eps"]')
    call["in_spec"] = json.dumps([1, spec("builtins.tuple", [spec("builtins.tuple", [LEAF]), named])])
    call["forward_arg_names"] = ["x", "eps"]
    made = from_torch(archive(read))
    assert made.notes == ("eps is 0.5, as it was when it was exported",)
    np.testing.assert_array_equal(embedded.load(made)(np.ones(2)), [-1, -1])


def test_trees_keep_their_shape(embedded: Client):
    values = {name: tensor((2,)) for name in ("a", "b", "y")}
    read = program(
        [node("aten.mul.Tensor", {"self": of("a"), "other": of("b")}, ["y"])], values, ["a", "b"], ["y", "a"]
    )
    call = read["graph_module"]["module_call_graph"][0]["signature"]
    tree = spec("builtins.dict", [LEAF, spec("builtins.list", [LEAF])], '["first", "rest"]')
    nothing = spec("builtins.dict", [], "[]")
    call["in_spec"] = json.dumps([1, spec("builtins.tuple", [spec("builtins.tuple", [tree]), nothing])])
    call["out_spec"] = json.dumps([1, spec("builtins.dict", [LEAF, LEAF], '["product", "same"]')])
    call["forward_arg_names"] = ["p"]
    function = embedded.load(from_torch(archive(read)))
    found = function({"first": np.array([2.0, 3.0]), "rest": [np.array([5.0, 7.0])]})
    assert list(found) == ["product", "same"]
    np.testing.assert_array_equal(found["product"], [10, 21])


def test_places_are_those_of_the_layout_that_the_program_tells(embedded: Client):
    turned = tensor((2, 3)) | {"strides": [{"as_int": 1}, {"as_int": 2}], "storage_offset": {"as_int": 0}}
    told = {"self": of("x"), "size": {"as_ints": [6]}, "stride": {"as_ints": [1]}}
    x = np.arange(6.0).reshape(2, 3)
    for given, expected in ((turned, x.T.ravel()), (tensor((2, 3)), x.ravel())):
        made = from_torch(one("aten.as_strided.default", told, tensor((6,)), x=given))
        np.testing.assert_array_equal(embedded.load(made)(x), expected)


@pytest.mark.parametrize("training", [False, True])
def test_random_slopes_are_their_middle_but_in_training(embedded: Client, training: bool):
    told = {"lower": {"as_float": 0.1}, "upper": {"as_float": 0.4}, "training": {"as_bool": training}}
    call = node("aten.rrelu_with_noise_functional.default", {"self": of("x"), "noise": of("z"), **told}, ["y", "left"])
    values = dict.fromkeys(("x", "z", "y", "left"), tensor((2, 3)))
    data = archive(program([call], values, ["x", "z"], ["y"]))
    x = np.array([[1.0, -2, 3], [-4, 5, -6]])
    if training:
        with pytest.raises(Untraceable, match="it draws random numbers; give the random numbers as an argument"):
            from_torch(data)
    else:
        np.testing.assert_allclose(embedded.load(from_torch(data))(x, 0 * x), np.where(x > 0, x, 0.25 * x))


def test_complex_numbers_do_not_become_real_by_themselves():
    with pytest.raises(
        Untraceable, match=r"exp.default 'y' of complex128\[2\].*call it for the real and the imaginary"
    ):
        from_torch(one("aten.exp.default", {"self": of("z")}, tensor((2,)), z=tensor((2,), COMPLEX)))


def test_the_command_line_makes_a_graph_file(embedded: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, start = tmp_path / "loss.pb", tmp_path / "start.npz"
    told = ["import", str(PROGRAMS / "mixer.pt2"), "-o", str(out)]
    assert main([*told, "--initialisers", str(start)]) == 0
    assert "parameters.network.head.bias: f64[3]" in capsys.readouterr().out
    with np.load(start) as arrays, np.load(PROGRAMS / "mixer.npz") as expected:
        value = embedded.load(out)(expected["x"], expected["labels"], *arrays.values())
        np.testing.assert_allclose(value, expected["loss"], rtol=1e-12)
    assert main([*told, "--loss", "mse"]) == 2
    assert "--loss is not for files that end in .pt2" in capsys.readouterr().err


def test_a_function_of_torch_given_to_be_traced_is_told_of_from_torch(
    embedded: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))

    def relu(w: Any) -> Any:
        raise TypeError(f"relu(): argument 'input' (position 1) must be Tensor, not {w.__class__.__name__}")

    with pytest.raises(Untraceable, match=r"gives a traced array to torch.*client.load\(from_torch\(function"):
        embedded.function(relu, np.ones(3))


def test_reading_a_file_needs_no_torch():
    code = "import sys; from gradserve.client.importers import from_torch; from_torch(sys.argv[1])"
    code += "; print('torch' in sys.modules)"
    asked = [sys.executable, "-c", code, str(PROGRAMS / "mixer.pt2")]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_documentation_is_that_of_the_table():
    written = (REPOSITORY / "docs" / "TORCH.md").read_text(encoding="utf-8")
    assert written == documentation(), "run: python -m gradserve.client.importers.aten > docs/TORCH.md"


def test_nothing_that_is_translated_is_said_to_be_refused():
    assert set(WAYS_ROUND).isdisjoint(TRANSLATORS)
