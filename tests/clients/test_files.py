"""Graphs and arrays in files, and functions that were loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradserve.client import Client, InvalidGraph, InvalidRequest, LimitExceeded
from gradserve.client.importers import files
from gradserve.client.importers.files import load_arrays, load_graph, save_arrays, save_graph
from gradserve.ir.graph import BlobRef, Graph, Literal, Output
from gradserve.ir.limits import GraphLimits
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from tests.clients.bits import same_bits
from tests.clients.examples import SYMBOLIC

RNG = np.random.default_rng(8)
DATA, W = RNG.standard_normal((300, 3)), RNG.standard_normal(3)
FORMATS = ["loss.pb", "loss.bin", "loss.txt", "loss.graph"]


def loss(w):
    flags = np.arange(300) % 3 == 0
    return np.mean(np.where(flags, np.tanh(DATA @ w), np.float32(0.25) * DATA[:, 0])) + np.sum(np.zeros((0, 3)) @ w)


@pytest.fixture
def saved(tmp_path, embedded):
    """Writes the loss to a file of that name."""

    def save(name):
        embedded.function(loss, W).save(tmp_path / name)
        return tmp_path / name

    return save


# ---- graphs


@pytest.mark.parametrize("name", FORMATS)
def test_a_saved_graph_loads_and_runs(saved, agree, name):
    path = saved(name)
    graph = load_graph(path)
    expected = agree(lambda c: c.function(loss).value_and_grad(W))
    assert same_bits(agree(lambda c: c.load(path).value_and_grad(W)), expected)
    assert same_bits(agree(lambda c: c.load(str(path)).value_and_grad(w=W)), expected)
    assert same_bits(agree(lambda c: c.load(graph).value_and_grad(W)), expected)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_loaded_is_what_was_saved(saved, embedded, name):
    """Constants of every element type to the bit, origins, and the digest."""
    graph = embedded.function(loss, W).graph
    found = load_graph(saved(name))
    assert found.digest == graph.digest
    assert all(isinstance(constant, Literal) for constant in found.constants)
    assert found.constants == graph.constants
    assert [node.origin for node in found.nodes] == [node.origin for node in graph.nodes]
    assert to_text(found) == to_text(graph)


@pytest.mark.parametrize("name", FORMATS)
def test_saving_again_writes_the_same_bytes(saved, name):
    path = saved(name)
    before = path.read_bytes()
    save_graph(load_graph(path), path)
    assert path.read_bytes() == before


def test_the_text_is_for_people_first(saved):
    lines = saved("loss.txt").read_text().splitlines()
    assert lines[0].startswith('graph (%0 "w": f64[3]) {')
    assert lines.index("}") < 40
    assert all(line.startswith("blob ") for line in lines[lines.index("}") + 1 :])
    assert any("# test_files.py:" in line for line in lines)


def test_text_without_what_its_constants_hold_is_refused(tmp_path, embedded):
    (tmp_path / "printed.txt").write_text(to_text(embedded.function(loss, W).graph))
    with pytest.raises(
        InvalidGraph, match=r"printed\.txt: what \d of its constants hold is not in the file.*Function\.save"
    ):
        embedded.load(tmp_path / "printed.txt")


def test_text_of_small_constants_may_be_written_by_hand(tmp_path, agree):
    path = tmp_path / "mine.txt"
    path.write_text(
        'graph (%0 "x": f64[]) {\n  %1: f64[] = constant 2.0\n  %2: f64[] = mul %0, %1  # by hand\n  return "y" %2\n}\n'
    )
    assert agree(lambda c: c.load(path).value_and_grad(3.0)) == (6.0, 2.0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pb", b"", "x.pb: this is no graph; Function.save writes one"),
        ("x.pb", b"\xff\xff\xff", "x.pb: this is no graph"),
        ("x.pb", b"\x08\x01", "x.pb: the graph is not correct\n  outputs: G4"),
        ("x.txt", b"\xff\xfe\x00", "x.txt is not text; a graph in protobuf has another suffix"),
        ("x.txt", b"hello", "x.txt: the text is not a correct graph\n  line 1: T1"),
        ("x.txt", b"", "x.txt: the text is not a correct graph"),
        ("x.graph", b'graph (%0 "x": f64[]) {\n  %1: f64[] = nonsense %0\n  return "y" %1\n}', "line 2: G12"),
    ],
)
def test_files_that_hold_no_graph(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidGraph) as caught:
        load_graph(tmp_path / name)
    assert message in str(caught.value)


def test_files_that_are_not_there(tmp_path, client):
    with pytest.raises(FileNotFoundError):
        client.load(tmp_path / "none.pb")
    with pytest.raises(OSError, match="none"):
        client.function(loss, W).save(tmp_path / "none" / "loss.pb")


def test_damage_is_noticed(saved):
    path = saved("loss.txt")
    text = path.read_text()
    last = text.rindex(" = ") + 10
    for damaged in (text[:last] + "/AAA" + text[last + 4 :], text[:last] + "~" + text[last + 1 :]):
        path.write_text(damaged)
        with pytest.raises(InvalidGraph, match=r"the bytes of blob [0-9a-f]{64} are damaged"):
            load_graph(path)


def test_elements_that_are_not_here_cannot_be_saved(tmp_path, embedded):
    constant = BlobRef(TensorType(ElementType.FLOAT64, (3,)), "0" * 64)
    f = embedded.load(Graph(inputs=(), constants=(constant,), nodes=(), outputs=(Output("x", 0),)))
    with pytest.raises(InvalidGraph, match="known by their digest only, such as 0000"):
        f.save(tmp_path / "x.pb")
    assert not (tmp_path / "x.pb").exists()


def test_what_protobuf_cannot_hold_is_refused_before(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_PROTOBUF_BYTES", 1000)
    graph = Graph(inputs=(), constants=(Literal(np.zeros(200)),), nodes=(), outputs=(Output("x", 0),))
    with pytest.raises(LimitExceeded, match=r"save the graph as \.graph"):
        save_graph(graph, tmp_path / "x.pb")
    save_graph(graph, tmp_path / "x.graph")
    assert load_graph(tmp_path / "x.graph").digest == graph.digest


def test_constants_over_the_limits_for_strangers_load(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "DEFAULT_LIMITS", GraphLimits(inline_bytes=1000))
    graph = Graph(inputs=(), constants=(Literal(np.zeros(1 << 20)),), nodes=(), outputs=(Output("x", 0),))
    save_graph(graph, tmp_path / "x.pb")
    assert load_graph(tmp_path / "x.pb").digest == graph.digest


# ---- functions of loaded graphs


def test_trees_and_names_of_inputs_are_both_taken(tmp_path, agree, embedded):
    model = {"layers": [{"weight": DATA, "bias": 1.0}], "scale": 2.0}

    def network(model, w):
        layer = model["layers"][0]
        return np.sum(np.tanh(layer["weight"] @ w + layer["bias"])) * model["scale"]

    embedded.function(network, model, W).save(tmp_path / "network.pb")
    inputs = {"model.layers.0.weight": DATA, "model.layers.0.bias": 1.0, "model.scale": 2.0, "w": W}
    by_name = agree(lambda c: c.load(tmp_path / "network.pb").grad(**inputs))
    assert list(by_name) == list(inputs)
    assert same_bits(agree(lambda c: c.load(tmp_path / "network.pb").grad(model=model, w=W)), by_name)
    assert same_bits(agree(lambda c: c.load(tmp_path / "network.pb").grad(*inputs.values())), by_name)
    tree = agree(lambda c: c.function(network).grad(model, W))
    assert same_bits(by_name["model.layers.0.weight"], tree["model"]["layers"][0]["weight"])


FOUR = TensorType(ElementType.FLOAT64, (4,))


def test_symbols_are_bound_by_each_call(agree, client):
    graph = parse(SYMBOLIC, OP_SET)
    for n in (2, 5):
        x = np.arange(float(n))
        value = agree(lambda c, x=x: c.load(graph)(x, x + 1))
        assert value["loss"] == x @ (x + 1)
        assert same_bits(value["products"], x * (x + 1))
    assert client.load(graph).explain(np.ones(4), np.ones(4), derivation="evaluate").inputs["x"] == FOUR
    points = client.load(graph).explain(np.ones((9, 4)), np.ones(4), derivation="jvp", batch=["x"])
    assert (sum(points.chunks), points.inputs["x"]) == (9, FOUR)
    _, tangents = agree(lambda c: c.load(graph).jvp([1.0, 2.0], [3.0, 4.0], tangent=[1, 0], wrt=["x"]))
    assert same_bits(tangents, {"loss": np.float64(3.0), "products": np.array([3.0, 0.0])})


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ((), {}, r"lack x: f64\[n\], y: f64\[n\]; the graph takes x, y"),
        ((W,), {"z": W}, r"lack y: f64\[n\] and have z too much"),
        ((W, W, W), {}, "3 arguments are given and the graph takes 2"),
        ((W,), {"x": W}, "x is given twice"),
        ((W, 1j), {}, "y is complex128 and the function takes float64; convert it yourself"),
        ((W, W), {"wrt": ["z"]}, "wrt names 'z'"),
        ((W, W), {"batch": ["z"]}, "batch names 'z'"),
    ],
)
def test_arguments_that_do_not_fit(client, arguments, named, message):
    with pytest.raises(InvalidRequest, match=message):
        client.load(parse(SYMBOLIC, OP_SET)).grad(*arguments, **named)


def test_a_loaded_function_prints_its_signature(client):
    assert repr(client.load(parse(SYMBOLIC, OP_SET))) == "<Function loaded(x: f64[n], y: f64[n]) -> f64[], f64[n]>"


def test_nothing_traced_nothing_saved(tmp_path):
    with Client(threads=1) as client, pytest.raises(RuntimeError, match="nothing is traced yet"):
        client.function(loss).save(tmp_path / "x.pb")


# ---- arrays


def test_arrays_by_name(tmp_path):
    arrays: dict[str, Any] = {"w": W, "layers.0.bias": np.asarray(np.float32(2.0)), "gradient:w": np.arange(3)}
    save_arrays(tmp_path / "exactly.this", arrays)
    assert same_bits(load_arrays(tmp_path / "exactly.this"), arrays)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04rest", "array", "objects"])
def test_files_that_hold_no_arrays(tmp_path, content):
    path = tmp_path / "x.npz"
    if content == "array":
        with path.open("wb") as file:
            np.save(file, W)
    elif content == "objects":
        np.savez(path, x=np.array([{}], dtype=object))
    else:
        path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"x\.npz holds no arrays by name, as np\.savez writes them"):
        load_arrays(path)
