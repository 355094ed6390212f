"""The command line on real files, in this process and against a service."""

from __future__ import annotations

import re

import numpy as np
import pytest

from gradserve.client.importers.files import load_arrays
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from tests.clients.bits import same_bits
from tests.clients.command_line import POINTS, B, W, exits, loss
from tests.clients.examples import SYMBOLIC

# ---- commands


@pytest.mark.parametrize("graph", ["loss.pb", "loss.txt"])
def test_describe(folder, run, place, graph):
    status, out, err = run("describe", graph, *place)
    assert (status, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["inputs"] == "w: f64[3], b: f64[]"
    assert lines["outputs"] == "value:result: f64[], gradient:w: f64[3], gradient:b: f64[]"
    assert set(lines) == {"inputs", "outputs", "cost", "loss", "memory", "chunks", "placement"}


def test_the_text_that_describe_prints_is_a_graph(folder, run, place):
    status, out, _ = run("describe", "loss.pb", "--text", "--derivation", "hvp", "--wrt", "w", *place)
    assert status == 0
    graph = parse(out.partition("\n\n")[2], OP_SET)
    assert list(graph.input_types) == ["w", "b", "tangent:w"]
    assert "product:w" in graph.output_types


def test_describe_for_points_and_open_lengths(folder, run, place):
    assert "of 400 point(s)" in run("describe", "loss.pb", "--points", 400, *place)[1]
    assert "w: f64[3], b: f64[]" in run("describe", "loss.pb", "--points", 400, "--wrt", "b", *place)[1]
    (folder / "open.txt").write_text(SYMBOLIC)
    status, out, _ = run("describe", "open.txt", "--derivation", "evaluate", "--length", "n=7", *place)
    assert (status, out.splitlines()[0]) == (0, "inputs     x: f64[7], y: f64[7]")
    status, out, _ = run("describe", "open.txt", "--text", "--derivation", "evaluate", "--length", "n=7", *place)
    assert "f64[7] = mul" in out
    assert run("describe", "open.txt", *place) == (
        2,
        "",
        "gradserve: x: f64[n] has an open length; give --length n=N\n",
    )


def test_gradient(folder, run, place, embedded):
    status, out, err = run("gradient", "loss.pb", "point.npz", "--out", "out.npz", *place)
    assert (status, err) == (0, "")
    value, gradient = embedded.function(loss).value_and_grad(W, B)
    assert out.splitlines()[0] == f"loss  {value:.12g}"
    assert out.splitlines()[-1] == "written to out.npz"
    assert [line.split()[0] for line in out.splitlines()[2:4]] == ["w", "b"]
    found = load_arrays(folder / "out.npz")
    expected = {"value": np.asarray(value), "gradient:w": gradient["w"], "gradient:b": np.asarray(gradient["b"])}
    assert same_bits(found, expected)


def test_gradients_of_a_batch(folder, run, place, embedded):
    points = load_arrays(folder / "points.npz")
    status, out, _ = run("gradient", "loss.txt", "points.npz", "--batch", "--out", "all", *place)
    assert status == 0
    assert out.startswith("loss  5 values, mean ")
    assert load_arrays(folder / "all")["gradient:w"].shape == (5, 3)
    arguments = ["gradient", "loss.txt", "points.npz", "--batch", "--reduction", "mean", "--wrt", "w", "--wrt", "b"]
    assert run(*arguments, "--out", "mean.npz", *place)[0] == 0
    _, expected = embedded.function(loss).value_and_grad(**points, batch=True, reduction="mean")
    assert same_bits(load_arrays(folder / "mean.npz")["gradient:w"], expected["w"])


def test_one_input_alone(folder, run, place):
    assert run("gradient", "loss.pb", "point.npz", "--wrt", "b", "--out", "b.npz", *place)[0] == 0
    assert list(load_arrays(folder / "b.npz")) == ["value", "gradient:b"]
    assert run("verify", "loss.pb", "point.npz", "--wrt", "b", "--claimed", "b.npz", *place)[0] == 0


def test_verify(folder, run, place):
    status, out, err = run("verify", "loss.pb", "point.npz", "--seed", 3, *place)
    assert (status, err) == (0, "")
    assert out.startswith("agrees  2 directions, ")
    assert out.splitlines()[0].endswith("seed 3")


def test_verify_by_other_means_as_well(folder, run, place):
    status, out, err = run("verify", "loss.pb", "point.npz", "--thorough", *place)
    assert (status, err) == (0, "")
    for check in ("determinism", "executors", "jvp and vjp", "second remainder"):
        assert f"{check}: agrees" in out


def test_verify_a_claimed_gradient(folder, run, place):
    run("gradient", "loss.pb", "point.npz", "--out", "mine.npz")
    assert run("verify", "loss.pb", "point.npz", "--claimed", "mine.npz", *place)[0] == 0
    claimed = load_arrays(folder / "mine.npz")
    claimed["gradient:w"][1] += 0.125
    np.savez("wrong.npz", w=claimed["gradient:w"], b=claimed["gradient:b"])
    status, out, err = run("verify", "loss.pb", "point.npz", "--claimed", "wrong.npz", "--directions", 4, *place)
    assert (status, err) == (1, "")
    assert out.startswith("disagrees  4 directions, ")
    assert [line.split()[:2] for line in out.splitlines() if "w[1]" in line] == [["w[1]", "disagrees"]]


SIGNS = ("--estimator", "hutchinson")


def test_trace(folder, run, place):
    arguments = ["trace", "loss.pb", "point.npz", "--rel-tol", 0.05, "--confidence", 0.9, "--seed", 5, *SIGNS]
    status, out, err = run(*arguments, *place)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("trace of the Hessian  ")
    assert lines[1].startswith("90% interval ")
    assert lines[2].endswith("seed 5")
    assert lines[3].split() == ["estimated", "by", "hutchinson"]
    assert lines[4].split() == ["stopped", "by", "tolerance"]
    status, out, _ = run("trace", "loss.pb", "point.npz", "--rel-tol", 0, "--max-probes", 8, *SIGNS, *place)
    assert "from 8 probes" in out
    assert out.endswith("max probes\n")
    assert "every column of the matrix: no more products" in run("trace", "loss.pb", "point.npz", *place)[1]


def test_a_trace_with_its_gradient(folder, run, place):
    arguments = ["trace", "loss.pb", "point.npz", "--max-probes", 8, "--gradient", "--out", "trace.npz"]
    status, out, err = run(*arguments, *place)
    assert (status, err) == (0, "")
    assert "gradient:w" in out
    with np.load("trace.npz") as arrays:
        assert arrays["gradient:w"].shape == arrays["gradient_half_widths:w"].shape == W.shape


def test_both_places_print_the_same(folder, run, address):
    for command in (["verify", "loss.pb", "point.npz"], ["trace", "loss.pb", "point.npz", "--rel-tol", "0.2"]):
        assert run(*command) == run(*command, "--address", address)


def test_inputs_may_be_named_like_options(folder, run, place, embedded):
    embedded.function(lambda seed, wrt: np.sum(seed * wrt**2), W, W).save("odd.pb")
    np.savez("odd.npz", wrt=W, seed=W)
    for command in ("gradient", "verify", "symmetry", "trace", "describe"):
        assert run(command, "odd.pb", *(["odd.npz"] if command != "describe" else []), *place)[0] == 0


# ---- help


def test_help_of_the_whole(run, capsys):
    assert exits(run, "--help") == 0
    out = capsys.readouterr().out
    for word in (
        "serve",
        "demo",
        "describe",
        "gradient",
        "verify",
        "symmetry",
        "trace",
        "exit status",
        "np.savez",
        "--version",
    ):
        assert word in out


@pytest.mark.parametrize("command", ["describe", "gradient", "verify", "symmetry", "trace"])
def test_help_of_each_command_has_an_example(run, capsys, command):
    assert exits(run, command, "--help") == 0
    out = capsys.readouterr().out
    assert f"gradserve {command} loss.pb" in out
    for word in ("GRAPH", "--address", "--wrt", "--timeout", "default"):
        assert word in out


def test_help_of_the_demo(run, capsys):
    assert exits(run, "demo", "--help") == 0
    assert "--workers" in capsys.readouterr().out


def test_no_command_is_helped(run):
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "gradserve gradient loss.pb point.npz" in err


def test_version(run, capsys):
    assert exits(run, "--version") == 0
    assert re.fullmatch(r"gradserve \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_stream_answers_each_row(run, folder, place):
    status, _, _ = run("gradient", "loss.pb", "points.npz", "--stream", "--out", "streamed.npz", *place)
    assert status == 0
    streamed = np.load("streamed.npz")
    for row in range(len(streamed["value"])):
        np.savez("row.npz", w=POINTS["w"][row], b=POINTS["b"][row])
        assert run("gradient", "loss.pb", "row.npz", "--out", "alone.npz", *place)[0] == 0
        alone = np.load("alone.npz")
        assert all(streamed[name][row].tobytes() == alone[name].tobytes() for name in alone.files)


def test_a_stream_of_nothing_to_stream_is_refused(run, folder):
    for more in (["point.npz"], ["points.npz", "--batch"]):
        status, _, errors = run("gradient", "loss.pb", *more, "--stream")
        assert status == 2
        assert "row" in errors


def test_verify_a_claimed_product(folder, run, place, embedded):
    np.savez("v.npz", w=np.ones(3), b=np.float64(1.0))
    right = embedded.function(loss).hvp(**load_arrays(folder / "point.npz"), tangent={"w": np.ones(3), "b": 1.0})
    arguments = ["verify", "loss.pb", "point.npz", "--of", "hvp", "--tangents", "v.npz", "--claimed", "hv.npz", *place]
    np.savez("hv.npz", **{f"product:{name}": array for name, array in right.items()})
    assert run(*arguments)[0] == 0
    np.savez("hv.npz", w=right["w"] * 1.001, b=right["b"])
    assert run(*arguments)[0] == 1
