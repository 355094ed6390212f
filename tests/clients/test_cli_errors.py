"""The command line when something is wrong, and as a process among others."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from gradserve.client.cli import main
from gradserve.client.importers.files import load_graph
from tests.clients.command_line import CONTROL, B, W, exits

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
        *["trace", "loss.pb", "point.npz", "--estimator", "hutchinson", "--rel-tol", 0],
        *["--max-probes", 1_000_000, "--timeout", 0.3],
        *place,
    )
    assert (status, out) == (2, "")
    assert err.startswith("gradserve: no answer within 0.3 s; ")


# ---- processes


MAIN = "import sys; from gradserve.client.cli import main; sys.exit(main())"
TOLD = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from gradserve.client.cli import show
real = show.progress
def progress(unit):
    bar = real(unit)
    bar.update = lambda *_, **__: os.write(1, b"begun\\n")
    return bar
show.progress = progress
"""
"""Lets a command write a line whenever there is progress: in one piece, whatever interrupts it. Who starts the tests in
the background may have them ignore interrupts."""


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
    arguments = ["trace", "loss.pb", "point.npz", "--estimator", "hutchinson", "--rel-tol", 0]
    arguments += ["--max-probes", 1_000_000, *place]
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
