"""ONNX models as graphs: networks beside PyTorch's answers, options, and refusals that name the node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gradserve.client import Client
from gradserve.client.cli import main
from gradserve.client.importers import from_onnx
from gradserve.client.importers.onnx.documentation import documentation
from gradserve.client.importers.onnx.refused import WAYS_ROUND
from gradserve.client.importers.onnx.table import TRANSLATORS
from gradserve.client.tracing.trees import flatten
from gradserve.ir.errors import InvalidRequest, NumericalFailure, Untraceable
from tests.clients.importers.onnx_models import BOOL, FLOAT, INT64, LINEAR, model, node

NETWORKS = Path(__file__).parent / "networks"
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client() as made:
        yield made


@pytest.mark.parametrize("name", ["perceptron", "convolutional", "encoder", "recurrent", "masked", "warped"])
def test_gradients_of_exported_networks_are_those_of_pytorch(client, name):
    made = from_onnx(NETWORKS / f"{name}.onnx", "cross_entropy", dtype="float64")
    with np.load(NETWORKS / f"{name}.npz") as file:
        expected = dict(file)
    value, tree = client.load(made).value_and_grad(expected["x"], expected["labels"], wrt="initialisers")
    found = dict(flatten(tree)[0])
    wanted = {key.removeprefix("gradient:"): array for key, array in expected.items() if key.startswith("gradient:")}
    np.testing.assert_allclose(value, expected["loss"], rtol=1e-8)
    assert set(wanted) <= set(found)
    assert all(key.endswith(("running_mean", "running_var")) for key in set(found) - set(wanted))
    for key, gradient in wanted.items():
        np.testing.assert_allclose(found[key], gradient, rtol=1e-6, atol=1e-8, err_msg=key)


def test_initialisers_are_a_tree_with_the_models_values_as_their_default(client):
    made = from_onnx(LINEAR, "mse", lengths={"batch": 4})
    function = client.load(made)
    x, targets = np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32)
    assert function.parameters == ("x", "targets", "initialisers")
    assert function(x, targets) == 9.0
    halves = {"layer": {"weight": np.full((2, 3), 0.5, np.float32), "bias": np.zeros(2, np.float32)}}
    assert function(x, targets, halves) == 2.25
    gradient = function.grad(x, targets, wrt="initialisers")
    np.testing.assert_allclose(gradient["layer"]["weight"], np.full((2, 3), 3.0))
    np.testing.assert_allclose(gradient["layer"]["bias"], [3.0, 3.0])
    np.testing.assert_array_equal(made.arrays["initialisers.layer.bias"], np.zeros(2))


def test_wrt_leaves_other_initialisers_constant():
    made = from_onnx(LINEAR, wrt=["layer.bias"], lengths={"batch": 4})
    assert list(made.graph.input_types) == ["x", "initialisers.layer.bias"]
    with pytest.raises(InvalidRequest, match=r"no initialiser 'layer.other'; it has layer.weight, layer.bias"):
        from_onnx(LINEAR, wrt=["layer.other"], lengths={"batch": 4})


def test_a_loss_may_be_an_output_of_the_model(client):
    made = model([node("ReduceSum", ["x"], keepdims=0)], [("x", [3])])
    np.testing.assert_array_equal(client.load(from_onnx(made, "y")).grad(np.ones(3, np.float32)), np.ones(3))
    with pytest.raises(InvalidRequest, match="there is no loss 'hinge'; give cross_entropy, mse or an output: y"):
        from_onnx(made, "hinge")
    whole = model([node("Tanh", ["x"])], [("x", [3])])
    with pytest.raises(InvalidRequest, match=r"output y is float32\[3\], and a loss is one real number"):
        from_onnx(whole, "y")


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_refused(client, label):
    function = client.load(from_onnx(LINEAR, "cross_entropy", lengths={"batch": 1}))
    with pytest.raises(NumericalFailure, match="an index lies outside the axis"):
        function(np.ones((1, 3), np.float32), np.array([label]))


@pytest.mark.parametrize("last", ["Softmax", "Sigmoid", "Identity", "LogSoftmax"])
def test_a_cross_entropy_of_probabilities_is_noted(last):
    nodes = [node("MatMul", ["x", "w"], ["s"]), node(last, ["s"], ["p"]), node("Identity", ["p"])]
    made = model(nodes, [("x", [2, 3])], initialisers={"w": np.ones((3, 4), np.float32)})
    notes = from_onnx(made, "cross_entropy").notes
    assert any(f"{last} makes probabilities of output y: leave it out" in each for each in notes) == (last[0] == "S")
    assert from_onnx(made, "mse").notes == ()


def test_shapes_are_computed_while_importing():
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["rows"]),
        node("Concat", ["rows", "rest"], ["shape"], axis=0),
        node("Reshape", ["x", "shape"]),
    ]
    held = {"zero": np.array([0]), "rest": np.array([-1])}
    made = from_onnx(model(nodes, [("x", [2, 3, 4])], initialisers=held))
    assert [node.op.name for node in made.graph.nodes] == ["reshape"]
    assert made.graph.output_types["result"].shape == (2, 12)


OLDER = {
    "softmax of all axes from one on": (
        model([node("Softmax", ["x"])], [("x", [2, 2, 2])], opset=12),
        np.exp(np.arange(8.0)).reshape(2, 4) / np.exp(np.arange(8.0)).reshape(2, 4).sum(1, keepdims=True),
    ),
    "bounds as attributes": (
        model([node("Clip", ["x"], min=1.0, max=5.0)], [("x", [2, 2, 2])], opset=10),
        np.clip(np.arange(8.0), 1, 5),
    ),
    "padding as attributes": (
        model([node("Pad", ["x"], pads=[0, 0, 1, 0, 0, 0], value=3.0)], [("x", [2, 2, 2])], opset=10),
        np.pad(np.arange(8.0).reshape(2, 2, 2), ((0, 0), (0, 0), (1, 0)), constant_values=3),
    ),
    "the largest by an attribute": (
        model([node("TopK", ["x"], ["y", "i"], k=1)], [("x", [2, 2, 2])], opset=9),
        np.arange(1.0, 8, 2),
    ),
    "a part by attributes": (
        model([node("Slice", ["x"], starts=[1], ends=[2], axes=[2])], [("x", [2, 2, 2])], opset=9),
        np.arange(1.0, 8, 2),
    ),
    "scales as an attribute": (
        model([node("Upsample", ["x"], scales=[1.0, 1.0, 2.0])], [("x", [2, 2, 2])], opset=8),
        np.arange(8.0).repeat(2),
    ),
    "scales as the second operand": (
        model(
            [node("Resize", ["x", "s"])],
            [("x", [2, 2, 2])],
            opset=10,
            initialisers={"s": np.array([1, 1, 2], np.float32)},
        ),
        np.arange(8.0).repeat(2),
    ),
}


@pytest.mark.parametrize("case", OLDER)
def test_older_operator_sets_mean_what_they_did(client, case):
    source, wanted = OLDER[case]
    found = client.load(from_onnx(source))(np.arange(8, dtype=np.float32).reshape(2, 2, 2))
    first = next(iter(found.values())) if isinstance(found, dict) else found
    np.testing.assert_allclose(np.ravel(first), np.ravel(wanted), rtol=1e-6)


MOVED = {
    "DeformConv": (
        model(
            [node("DeformConv", ["x", "w", "o", "b", "m"], pads=[1, 0, 0, 1], group=2, offset_group=2)],
            [("x", [2, 4, 5, 4]), ("w", [4, 2, 2, 2]), ("o", [2, 16, 5, 4]), ("b", [4]), ("m", [2, 8, 5, 4])],
        ),
        {},
    ),
    "RoiAlign": (
        model(
            [node("RoiAlign", ["x", "r", "i"], output_height=2, output_width=3, sampling_ratio=2, spatial_scale=0.5)],
            [("x", [2, 3, 6, 7]), ("r", [3, 4]), ("i", [3], INT64)],
        ),
        {"r": np.array([[1.3, 2.1, 9.6, 8.3], [0.2, 0.4, 7.9, 9.1], [3.1, 1.7, 12.3, 6.9]]), "i": np.array([0, 1, 1])},
    ),
    "AffineGrid": (
        model(
            [node("AffineGrid", ["t", "s"], ["g"], "n0"), node("GridSample", ["x", "g"])],
            [("x", [1, 2, 4, 3]), ("t", [1, 2, 3])],
            initialisers={"s": np.array([1, 2, 5, 4])},
        ),
        {"t": np.array([[[0.71, 0.12, 0.05], [-0.23, 0.61, 0.13]]])},
    ),
    "GridSample": (
        model(
            [node("GridSample", ["x", "g"], padding_mode="reflection")],
            [("x", [2, 3, 4, 3, 2]), ("g", [2, 2, 3, 2, 3])],
        ),
        {},
    ),
}


@pytest.mark.parametrize("name", MOVED)
def test_derivatives_by_moved_places_are_those_of_differences(client, name):
    source, given = MOVED[name]
    rng, function = np.random.default_rng(4), client.load(from_onnx(source, dtype="float64"))
    function.executor = "numpy"
    types = function.graph.input_types
    point = {key: given.get(key, 0.7 * rng.normal(size=type_.shape)) for key, type_ in types.items()}
    real = [key for key, type_ in types.items() if type_.is_float]
    away = {key: rng.normal(size=types[key].shape) for key in real}
    weights = rng.normal(size=function(*point.values()).shape)

    def along(step: float) -> float:
        moved = {key: array + step * away[key] if key in away else array for key, array in point.items()}
        return float(np.vdot(weights, function(*moved.values())))

    _, gradient = function.vjp(*point.values(), cotangent=weights, wrt=real)
    found = sum(np.vdot(gradient[key], away[key]) for key in real)
    np.testing.assert_allclose(found, (along(1e-6) - along(-1e-6)) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("align", [0, 1])
def test_a_single_image_has_a_grid(client, align):
    size = np.array([1, 1, 2, 3])
    made = model([node("AffineGrid", ["t", "s"], align_corners=align)], [("t", [1, 2, 3])], initialisers={"s": size})
    t = np.array([[[0.7, 0.1, 0.05], [-0.2, 0.6, 0.1]]], np.float32)
    x, y = ([-1, 0, 1], [-1, 1]) if align else ([-2 / 3, 0, 2 / 3], [-0.5, 0.5])
    expected = [[t[0] @ [across, down, 1] for across in x] for down in y]
    np.testing.assert_allclose(client.load(from_onnx(made))(t)[0], expected, rtol=1e-6, atol=1e-7)


def test_a_loop_needs_no_condition(client):
    body = helper.make_graph(
        [helper.make_node("Mul", ["c", "w"], ["next"]), helper.make_node("Identity", ["on"], ["still"])],
        "body",
        [helper.make_tensor_value_info(*each) for each in (("k", INT64, []), ("on", BOOL, []), ("c", FLOAT, [2]))],
        [helper.make_tensor_value_info("still", BOOL, []), helper.make_tensor_value_info("next", FLOAT, [2])],
    )
    times = {"n": np.array(3)}
    made = model([node("Loop", ["n", "", "x"], body=body)], [("x", [2]), ("w", [2])], initialisers=times)
    x, w = np.array([2.0, 3.0], np.float32), np.array([0.5, 2.0], np.float32)
    np.testing.assert_allclose(client.load(from_onnx(made))(x, w), x * w**3, rtol=1e-6)


def test_none_of_many_operands_may_be_left_out():
    with pytest.raises(Untraceable, match="one of its data_0 is left out"):
        from_onnx(model([node("Max", ["x", "", "x"])], [("x", [2])]))


def test_functions_of_the_model_are_expanded(client):
    body = helper.make_function(
        "mine",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Mul", ["a", "two"], ["b"]), helper.make_node("Constant", [], ["two"], value_float=2.0)][
            ::-1
        ],
        [helper.make_opsetid("", 20)],
    )
    made = model([node("Twice", ["x"], domain="mine")], [("x", [2])], functions=[body], domains=["mine"])
    np.testing.assert_array_equal(client.load(from_onnx(made))(np.ones(2, np.float32)), [2, 2])


def test_reals_of_16_bits_are_noted():
    made = from_onnx(model([node("Abs", ["x"])], [("x", [2], TensorProto.FLOAT16)]))
    assert made.notes == ("float16 is computed as float32: less is rounded",)


def test_integers_of_8_bits_wrap_round(client):
    made = from_onnx(model([node("Add", ["x", "x"])], [("x", [1], TensorProto.UINT8)]))
    np.testing.assert_array_equal(client.load(made)(np.array([200], np.uint8)), [144])


def test_the_command_line_makes_a_graph_file(client, tmp_path, capsys):
    path, out, start = (tmp_path / name for name in ("linear.onnx", "loss.pb", "start.npz"))
    path.write_bytes(LINEAR.SerializeToString())
    told = [str(path), "--loss", "cross_entropy", "--length", "batch=2"]
    assert main(["import", *told, "-o", str(out), "--initialisers", str(start)]) == 0
    assert "initialisers.layer.weight: f32[2,3]" in capsys.readouterr().out
    with np.load(start) as arrays:
        value = client.load(out)(np.ones((2, 3), np.float32), np.array([0, 1]), *arrays.values())
    np.testing.assert_allclose(value, np.log(2), rtol=1e-6)
    assert main(["import", str(path), "-o", str(out)]) == 2
    assert "give lengths={'batch': ...} (--length batch=N)" in capsys.readouterr().err
    assert main(["import", str(path), "--length", "Batch=2", "-o", str(out)]) == 2
    assert "no input has an open length 'Batch'; there are batch" in capsys.readouterr().err


def test_the_command_line_takes_what_is_known(tmp_path, capsys):
    nodes = [node("Reshape", ["x", "s"], ["r"]), node("Mul", ["r", "k"])]
    made = model(nodes, [("x", [2, 3]), ("s", [1], INT64), ("k", [], FLOAT)])
    path, out = tmp_path / "shaped.onnx", tmp_path / "shaped.graph"
    path.write_bytes(made.SerializeToString())
    assert main(["import", str(path), "--known", "s=-1,", "--known", "k=3", "-o", str(out)]) == 0
    assert "graph (x: f32[2,3]) -> (result: f32[6])" in capsys.readouterr().out
    assert main(["import", str(path), "-o", str(out)]) == 2
    assert "give it in from_onnx(..., known={name: array}), --known NAME=N" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net.pth", "it holds arrays or a pickled module, and no program; write one by torch.export.save"),
        ("net.keras", "write the model as ONNX, such as by tf2onnx"),
        ("pipeline.joblib", "write the pipeline as ONNX by skl2onnx.to_onnx"),
        ("loss.mlirbc", "take the text of the program, as exported.mlir_module"),
        ("net.zip", "give a file that ends in .onnx, .pt2, .mlir, .stablehlo"),
    ],
)
def test_files_of_other_kinds_are_told_what_to_become(tmp_path, capsys, name, said):
    assert main(["import", str(tmp_path / name), "-o", str(tmp_path / "out.pb")]) == 2
    assert f"{name} is of no kind that is known; {said}" in capsys.readouterr().err


def test_the_light_client_knows_no_onnx():
    code = "import sys, gradserve.client, gradserve.client.importers; print('onnx' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_the_documentation_is_that_of_the_table():
    written = (REPOSITORY / "docs" / "ONNX.md").read_text(encoding="utf-8")
    assert written == documentation(), "run: python -m gradserve.client.importers.onnx > docs/ONNX.md"


def test_nothing_that_is_translated_is_said_to_be_refused():
    assert set(WAYS_ROUND).isdisjoint(TRANSLATORS)
    known = {each.name for each in onnx.defs.get_all_schemas_with_history()}
    assert known.issuperset(WAYS_ROUND)
    assert known.issuperset(TRANSLATORS)
