"""The command line on real files, in this process and against a service."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from gradserve.client.cli import main
from gradserve.client.files import load_arrays, load_graph
from gradserve.ir.text import parse
from gradserve.ops import OP_SET
from tests.clients.bits import same_bits
from tests.clients.test_files import SYMBOLIC

RNG = np.random.default_rng(2)
X, Y = RNG.standard_normal((40, 3)), RNG.integers(0, 2, 40)
W, B = np.array([0.5, -1.0, 2.0]), np.float64(0.25)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def loss(w, b):
    z = X @ w + b
    return np.mean(np.logaddexp(0.0, z) - Y * z)


@pytest.fixture
def folder(tmp_path, monkeypatch, embedded):
    """A folder with graphs and points, which is the current one."""
    monkeypatch.chdir(tmp_path)
    f = embedded.function(loss, W, B)
    f.save("loss.pb")
    f.save("loss.txt")
    np.savez("point.npz", w=W, b=B)
    np.savez("points.npz", w=RNG.standard_normal((5, 3)), b=RNG.standard_normal(5))
    return tmp_path


@pytest.fixture(params=["here", "there"])
def place(request):
    """The arguments that say where a command computes."""
    return [] if request.param == "here" else ["--address", request.getfixturevalue("address")]


@pytest.fixture
def run(capsys):
    """Runs a command; answers its status, output and errors. Neither holds control codes."""

    def command(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert not CONTROL.search(out + err)
        return status, out, err

    return command


def exits(run, *arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    return caught.value.code


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
    assert out.startswith("agrees  8 directions, ")
    assert out.splitlines()[0].endswith("seed 3")


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


def test_trace(folder, run, place):
    arguments = ["trace", "loss.pb", "point.npz", "--rel-tol", 0.05, "--confidence", 0.9, "--seed", 5]
    status, out, err = run(*arguments, *place)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("trace of the Hessian  ")
    assert lines[1].startswith("90% interval ")
    assert lines[2].endswith("seed 5")
    assert lines[3].split() == ["stopped", "by", "tolerance"]
    status, out, _ = run("trace", "loss.pb", "point.npz", "--rel-tol", 0, "--max-probes", 8, *place)
    assert "from 8 probes" in out
    assert out.endswith("max probes\n")


def test_both_places_print_the_same(folder, run, address):
    for command in (["verify", "loss.pb", "point.npz"], ["trace", "loss.pb", "point.npz", "--rel-tol", "0.2"]):
        assert run(*command) == run(*command, "--address", address)


def test_inputs_may_be_named_like_options(folder, run, place, embedded):
    embedded.function(lambda seed, wrt: np.sum(seed * wrt**2), W, W).save("odd.pb")
    np.savez("odd.npz", wrt=W, seed=W)
    for command in ("gradient", "verify", "trace", "describe"):
        assert run(command, "odd.pb", *(["odd.npz"] if command != "describe" else []), *place)[0] == 0


# ---- help


def test_help_of_the_whole(run, capsys):
    assert exits(run, "--help") == 0
    out = capsys.readouterr().out
    for word in ("serve", "demo", "describe", "gradient", "verify", "trace", "exit status", "np.savez", "--version"):
        assert word in out


@pytest.mark.parametrize("command", ["describe", "gradient", "verify", "trace"])
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


# ---- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("gradient none.pb point.npz", "none.pb: No such file or directory"),
        ("gradient loss.pb none.npz", "none.npz: No such file or directory"),
        ("gradient . point.npz", ".: Is a directory"),
        ("gradient point.npz point.npz", "point.npz: this is no graph; Function.save writes one"),
        ("gradient loss.pb loss.pb", "loss.pb holds no arrays by name, as np.savez writes them"),
        ("gradient loss.pb lack.npz", "lack.npz lacks b: f64[]; the graph takes w, b"),
        ("gradient loss.pb more.npz", "more.npz lacks b: f64[] and has c; the graph takes w, b"),
        (
            "gradient loss.pb wrong.npz",
            'the arguments do not fit the graph: arguments["w"]: R4: f64[4] is given where f64[3] is expected',
        ),
        ("gradient loss.pb point.npz --wrt c", "wrt names 'c'; given are w, b"),
        (
            "gradient loss.pb point.npz --batch",
            "b carries the batch and has the shape (); the first axis is for points",
        ),
        (
            "gradient loss.pb point.npz --reduction sum",
            "reduction='sum' is over the points of a batch, and there is none",
        ),
        ("gradient loss.pb point.npz --out none/x.npz", "none/x.npz: there is no such folder to write into"),
        ("gradient loss.pb point.npz --timeout 0", "a timeout of 0.0 s leaves no time for an answer"),
        ("verify loss.pb point.npz --claimed lack.npz", "lack.npz lacks b; name the arrays NAME or gradient:NAME"),
        ("trace loss.pb point.npz --confidence 2", "confidence"),
        ("describe loss.pb --wrt c", "wrt names 'c'"),
        ("gradient loss.pb point.npz --address localhost", "'localhost' is not the address of a service"),
        ("gradient loss.pb point.npz --address localhost:1", "no gradserve service answers at localhost:1"),
    ],
)
def test_errors_are_one_clear_line(folder, run, arguments, message):
    np.savez("lack.npz", w=W)
    np.savez("more.npz", w=W, c=B)
    np.savez("wrong.npz", w=np.ones(4), b=B)
    status, out, err = run(*arguments.split())
    assert (status, out) == (2, "")
    assert err.startswith("gradserve: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_errors_of_a_service_read_the_same(folder, run, address):
    np.savez("wrong.npz", w=np.ones(4), b=B)
    here = run("gradient", "loss.pb", "wrong.npz")
    assert here == run("gradient", "loss.pb", "wrong.npz", "--address", address)
    np.savez("worse.npz", w=np.ones(4), b=np.ones(2))
    status, _, err = run("gradient", "loss.pb", "worse.npz", "--address", address)
    assert status == 2
    first, *rest = err.splitlines()
    assert first == "gradserve: the arguments do not fit the graph"
    assert sorted(line.partition(":")[0] for line in rest) == ['  arguments["b"]', '  arguments["w"]']


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("bogus", "invalid choice: 'bogus'"),
        ("gradient loss.pb", "the following arguments are required: POINT.npz"),
        ("trace loss.pb point.npz --seed -1", "argument --seed: -1 is less than 0"),
        ("trace loss.pb point.npz --max-probes many", "argument --max-probes: invalid count value: 'many'"),
        ("describe loss.pb --length n", "argument --length: 'n' is no NAME=N, such as n=100"),
        ("gradient loss.pb point.npz --reduction max", "invalid choice: 'max'"),
    ],
)
def test_wrong_arguments_exit_with_2(folder, run, capsys, arguments, message):
    assert exits(run, *arguments.split()) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "usage: gradserve" in err


def test_a_late_answer(folder, run, place):
    status, out, err = run(
        *["trace", "loss.pb", "point.npz", "--rel-tol", 0, "--max-probes", 1_000_000, "--timeout", 0.3], *place
    )
    assert (status, out) == (2, "")
    assert err.startswith("gradserve: no answer within 0.3 s; ")


# ---- processes


MAIN = "import sys; from gradserve.client.cli import main; sys.exit(main())"
TOLD = """
from gradserve.client.cli import show
real = show.progress
def progress(unit):
    bar = real(unit)
    bar.update = lambda *_, **__: print("begun", flush=True)
    return bar
show.progress = progress
"""
"""Lets a command print a line whenever there is progress."""


def program(*arguments, before=""):
    return [sys.executable, "-c", f"{before}\n{MAIN}", *map(str, arguments)]


def test_serve_hands_over_to_the_service():
    found = subprocess.run(program("serve", "--help"), capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0
    assert found.stdout.startswith("usage: gradserve serve")
    assert "--metrics-port" in found.stdout


@pytest.mark.parametrize("remotely", [False, True])
def test_an_interrupt_is_quiet(folder, address, remotely):
    place = ["--address", address] if remotely else []
    arguments = ["trace", "loss.pb", "point.npz", "--rel-tol", 0, "--max-probes", 1_000_000, *place]
    running = program(*arguments, before=TOLD)
    with subprocess.Popen(running, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")
    assert set(out.splitlines()) <= {"begun"}


def test_a_terminal_sees_progress_and_a_pipe_only_results(folder):
    """Bars go to the terminal behind the errors; what is piped on is the result alone."""
    running = program("trace", "loss.pb", "point.npz", "--rel-tol", "0.001", "--max-probes", "20000")
    main_end, terminal = pty.openpty()
    try:
        environment = {**os.environ, "TERM": "xterm"}
        found = subprocess.run(
            running, stdout=subprocess.PIPE, stderr=terminal, timeout=60, env=environment, check=True
        )
        os.set_blocking(main_end, False)
        shown = os.read(main_end, 1 << 20).decode()
    finally:
        os.close(main_end)
        os.close(terminal)
    assert "probes" in shown
    assert "\x1b[" in shown
    assert found.stdout.decode().startswith("trace of the Hessian  ")
    assert not CONTROL.search(found.stdout.decode())


def test_a_reader_that_leaves_is_no_error(folder):
    shell = f"{shlex.join(program('describe', 'loss.pb', '--text'))} | head -1"
    found = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert found.stdout.startswith("inputs")
    assert "Traceback" not in found.stderr


def test_what_the_help_says_works(folder, monkeypatch):
    """The line of Python in the help, as it stands there."""
    names: dict[str, Any] = {"np": np, "w": np.zeros(200), "loss": lambda w: np.sum(w**2)}
    exec("from gradserve.client import Client", names)
    exec('f = Client().function(loss, w=np.zeros(200)); f.save("loss.pb")\nnp.savez("point.npz", w=w)', names)
    assert load_graph(folder / "loss.pb").input_types["w"].lengths == (200,)
    names["f"]._backend.close()
    assert main(["gradient", "loss.pb", "point.npz"]) == 0
