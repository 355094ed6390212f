"""ONNX models that cannot be imported: refusals that name the node, and files that are damaged or lie."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gradserve.client.importers import from_onnx
from gradserve.ir.errors import InvalidGraph, InvalidRequest, LimitExceeded, Untraceable
from tests.clients.importers.onnx_models import FLOAT, INT64, LINEAR, model, node

REFUSED = {
    "an operator that is unknown": (
        model([node("Unique", ["x"])], [("x", [3])]),
        Untraceable,
        r"small:1: Unique 'n1' of float32\[3\] cannot be imported: there is no translation of Unique; compute",
    ),
    "an operator of others": (
        model([node("Fancy", ["x"], domain="com.acme")], [("x", [3])], domains=["com.acme"]),
        Untraceable,
        "there is no translation of Fancy of com.acme",
    ),
    "a domain that is not imported": (
        model([node("Fancy", ["x"], domain="com.acme")], [("x", [3])]),
        Untraceable,
        "node Fancy 'n1': the model imports no operator set 'com.acme'",
    ),
    "operands that do not fit": (
        model([node("MatMul", ["x", "x"])], [("x", [2, 3])]),
        Untraceable,
        r"small:1: MatMul 'n1' of float32\[2,3\], float32\[2,3\] cannot be imported",
    ),
    "a shape that is computed": (
        model([node("Reshape", ["x", "s"])], [("x", [4]), ("s", [2], INT64)]),
        Untraceable,
        r"Reshape 'n1' of .*operand 1 \('s'\) must be known beforehand.*known=\{name: array\}",
    ),
    "a cycle": (
        model([node("Add", ["x", "b"], ["a"]), node("Add", ["a", "x"], ["b"])], [("x", [2])], ["b"]),
        InvalidGraph,
        "Add 'n1': there is no value 'b' before it; nodes must stand in the order",
    ),
    "a name that is made twice": (
        model([node("Abs", ["x"]), node("Neg", ["x"])], [("x", [2])]),
        InvalidGraph,
        "node Neg 'n1': 'y' is made twice",
    ),
    "an output that nothing makes": (model([], [("x", [2])]), InvalidGraph, "nothing makes its output 'y'"),
    "an old operator set": (
        model([node("Abs", ["x"])], [("x", [2])], opset=6),
        InvalidGraph,
        "small is of operator set 6; convert it by onnx.version_converter to 7 or later",
    ),
    "elements of strings": (
        model([node("Identity", ["x"])], [("x", [2], TensorProto.STRING)]),
        InvalidGraph,
        "input 'x': no graph has elements of string; convert the model to float32 and int64",
    ),
    "an open length": (LINEAR, InvalidRequest, r"input 'x' has an open length batch; give lengths=\{'batch': ...\}"),
    "an axis that is made twice": (
        model([node("Unsqueeze", ["x", "a"])], [("x", [2])], initialisers={"a": np.array([0, 0])}),
        Untraceable,
        r"Unsqueeze 'n1' of float32\[2\], int64\[2\] cannot be imported: axes \(0, 0\) name one of 3 twice",
    ),
    "more rows than operands": (
        model(
            [node("Scan", ["x"], num_scan_inputs=1 << 40, body=helper.make_graph([], "step", [], []))], [("x", [2, 3])]
        ),
        Untraceable,
        "1099511627776 of its 1 operands cannot be scanned",
    ),
    "an axis that is long to repeat": (
        model([node("Pad", ["x", "p"], mode="reflect")], [("x", [1 << 40])], initialisers={"p": np.array([1, 1])}),
        LimitExceeded,
        "an axis of 1099511627778 elements that are repeated",
    ),
    "a huge range": (
        model(
            [node("Range", ["a", "b", "c"])], [], initialisers=dict(zip("abc", np.array([0, 1 << 50, 1]), strict=True))
        ),
        LimitExceeded,
        "a range of 1125899906842624 numbers is larger than",
    ),
    "dropout in training": (
        model(
            [node("Dropout", ["x", "r", "t"])],
            [("x", [3])],
            initialisers={"r": np.float32(0.5), "t": np.array(True)},
        ),
        Untraceable,
        "dropout in training mode makes random numbers; export the model in evaluation mode",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_imported_is_refused_by_name(case):
    source, error, said = REFUSED[case]
    with pytest.raises(error, match=said):
        from_onnx(source)


def test_what_is_large_is_not_made():
    # 2^50 numbers would be made if any of it were computed while importing.
    nodes = [node("ConstantOfShape", ["s"], ["c"]), node("ReduceSum", ["c"], keepdims=0)]
    made = from_onnx(model(nodes, [], initialisers={"s": np.array([1 << 25, 1 << 25])}))
    assert made.graph.output_types["result"].shape == ()


def test_a_tensor_that_declares_more_than_it_holds_is_refused():
    tensor = TensorProto(data_type=FLOAT, dims=[1 << 20, 1 << 8], name="w", raw_data=b"\0" * 8)
    source = model([node("Abs", ["w"])], [])
    source.graph.initializer.append(tensor)
    with pytest.raises(InvalidGraph, match="tensor 'w' holds another number of elements"):
        from_onnx(source)
    source.graph.initializer[0].dims[:] = [1 << 40]
    with pytest.raises(LimitExceeded, match="declare"):
        from_onnx(source)
    source.graph.initializer[0].dims[:] = [-4]
    with pytest.raises(InvalidGraph, match="negative length"):
        from_onnx(source)


def external(location: str, **more: str) -> onnx.ModelProto:
    tensor = TensorProto(data_type=FLOAT, dims=[2], name="w", data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    source = model([node("Abs", ["w"])], [])
    source.graph.initializer.append(tensor)
    return source


def test_external_data_lies_in_the_models_folder(client, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for place in (folder, tmp_path):
        np.array([0, -1, -2], np.float32).tofile(place / "weights.bin")
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    path = folder / "model.onnx"

    def written(*given: str, **more: str):
        path.write_bytes(external(*given, **more).SerializeToString())
        return path

    np.testing.assert_array_equal(client.load(from_onnx(written("weights.bin", offset="4")))(), [1, 2])
    for outside in ("../weights.bin", str(tmp_path / "weights.bin"), "link.bin", "", "none.bin", "a\0b", "a" * 5000):
        with pytest.raises(InvalidGraph, match="is no file in the folder of the model"):
            from_onnx(written(outside))
    for wrong in ({"offset": "8"}, {"length": "12"}):
        with pytest.raises(InvalidGraph, match="has not 8 bytes"):
            from_onnx(written("weights.bin", **wrong))
    with pytest.raises(InvalidGraph, match="'-4' is no number of bytes"):
        from_onnx(written("weights.bin", offset="-4"))
    with pytest.raises(InvalidGraph, match="give the path of the model"):
        from_onnx(external("weights.bin"))


@pytest.mark.parametrize("data", [b"", b"\x08", b"not a model", bytes(range(256))])
def test_bytes_that_are_no_model_are_refused(data):
    with pytest.raises(InvalidGraph, match="is no ONNX model"):
        from_onnx(data)


def test_functions_that_double_each_other_are_refused_before_they_are_expanded(monkeypatch):
    monkeypatch.setattr("gradserve.client.importers.onnx.graphs.MOST_NODES", 1 << 62)  # those that are expanded
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    bodies = [[helper.make_node("Neg", ["a"], ["b"])]]
    for k in range(30):
        chain = (("a", "c"), ("c", "b"))
        bodies.append([helper.make_node(f"f{k}", [x], [y], domain="own") for x, y in chain])
    functions = [helper.make_function("own", f"f{k}", ["a"], ["b"], body, opsets) for k, body in enumerate(bodies)]
    made = model([node("f30", ["x"], domain="own")], [("x", [2])], functions=functions, domains=["own"])
    with pytest.raises(LimitExceeded, match="more than 50000 nodes, those of functions included"):
        from_onnx(made)


def test_wide_edges_are_refused_before_they_are_made():
    made = model([node("Pad", ["x", "p"], mode="reflect")], [("x", [3])], initialisers={"p": np.array([1 << 40, 0])})
    with pytest.raises(LimitExceeded, match="an axis of 1099511627779 elements that are repeated"):
        from_onnx(made)


def test_functions_that_call_themselves_are_refused():
    body = helper.make_function(
        "mine",
        "Again",
        ["a"],
        ["b"],
        [helper.make_node("Again", ["a"], ["b"], domain="mine")],
        [helper.make_opsetid("mine", 1)],
    )
    source = model([node("Again", ["x"], domain="mine")], [("x", [2])], functions=[body], domains=["mine"])
    with pytest.raises(LimitExceeded, match="functions call functions"):
        from_onnx(source)
