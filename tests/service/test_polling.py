"""The thread of gRPC's that polls also reads and writes, where nothing else was said and nobody has loaded gRPC yet."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.service.listening.polling import VARIABLE

_COMMAND = (
    *(sys.executable, "-m", "gradserve.service", "--no-ray", "--workers", "1"),
    *("--address", "127.0.0.1:0", "--metrics-port", "-1"),
)
_CALLS = 4000


@contextmanager
def running(**variables):
    """A service of its own process: its process and address."""
    others = {name: value for name, value in os.environ.items() if name != VARIABLE}
    with subprocess.Popen(_COMMAND, stderr=subprocess.PIPE, text=True, env=others | variables) as process:
        try:
            assert process.stderr
            line = next(line for line in process.stderr if "serving on" in line)
            yield process.pid, f"127.0.0.1:{line.split('port ')[1].split(',')[0]}"
        finally:
            process.terminate()
            process.communicate()


def seconds_of_own_threads(process):
    """What gRPC's own threads have had of processors."""
    ticks = 0
    for task in Path(f"/proc/{process}/task").iterdir():
        name, _, rest = (task / "stat").read_text().rpartition(")")
        if name.endswith("(event_engine"):
            ticks += sum(map(int, rest.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def own_threads_meanwhile(**variables):
    """What they have had after so many small calls."""
    with running(**variables) as (process, address), Client(address) as client:
        square = client.function(lambda w: np.sum(w**2), np.ones(3))
        for _ in range(_CALLS):
            square(np.ones(3))
        return seconds_of_own_threads(process)


def test_no_thread_hands_small_calls_on_to_the_one_that_polls():
    assert 4 * own_threads_meanwhile() < own_threads_meanwhile(**{VARIABLE: ""})


@pytest.mark.parametrize("variable", [None, "", "-tcp_frame_size_tuning"])
def test_the_variable_stays_as_it_was(variable):
    """Also for Ray, which brings a gRPC of its own into the process and into others."""
    code = f"import gradserve.service, os; print(repr(os.environ.get({VARIABLE!r})))"
    given = {} if variable is None else {VARIABLE: variable}
    others = {name: value for name, value in os.environ.items() if name != VARIABLE}
    told = subprocess.run(
        [sys.executable, "-c", code], env=others | given, capture_output=True, text=True, check=True
    ).stdout
    assert told.strip() == repr(variable)
