"""A command that ends with who started it, and all that it has started with it."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from gradserve.pools.ray import tied

GRANDCHILD = "import time; print(__import__('os').getpid(), flush=True); time.sleep(60)"
DEAF = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
left = subprocess.Popen([sys.executable, "-c", {GRANDCHILD!r}], start_new_session=True)
time.sleep(60)
"""
CARELESS = f"""
import subprocess, sys
left = subprocess.Popen([sys.executable, "-c", {GRANDCHILD!r}], start_new_session=True, stdout=subprocess.PIPE)
print(left.stdout.readline().decode(), end="", flush=True)
raise SystemExit(7)
"""


@pytest.fixture
def begun():
    started = []

    def begin(program, *patch):
        code = f"import runpy, sys; tied = runpy.run_path({tied.__file__!r}); {''.join(patch)}"
        code += "sys.exit(tied['main'](sys.argv[1:]))"
        command = [sys.executable, "-I", "-S", "-c", code, sys.executable, "-c", program]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout
        return process, int(process.stdout.readline())

    yield begin
    for process in started:
        process.kill()
        process.wait()


def gone(pid, seconds=10):
    end = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not psutil.pid_exists(pid)


def test_what_a_signal_has_stopped_of_it_is_made_to_go_on(begun):
    _, grandchild = begun(DEAF)
    stopped = psutil.Process(grandchild)
    stopped.suspend()
    for state in (psutil.STATUS_STOPPED, psutil.STATUS_SLEEPING):
        end = time.monotonic() + 10
        while stopped.status() != state and time.monotonic() < end:
            time.sleep(0.005)
        assert stopped.status() == state


def test_it_ends_with_our_end_of_its_input(begun):
    process, grandchild = begun(DEAF, "tied['main'].__globals__['_END_SECONDS'] = 0.2; ")
    process.stdin.close()
    assert process.wait(10) == 128 + signal.SIGKILL
    assert gone(grandchild)


def test_a_signal_ends_it_as_well(begun):
    process, grandchild = begun(GRANDCHILD)
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM
    assert gone(grandchild)


def test_what_a_command_leaves_behind_ends_with_it(begun):
    process, grandchild = begun(CARELESS)
    assert process.wait(10) == 7
    assert gone(grandchild)


def test_it_is_a_program_of_its_own():
    command = [sys.executable, "-I", "-S", tied.__file__, sys.executable, "-c", "print(1); raise SystemExit(3)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert (process.stdout.read(), process.wait(10)) == (b"1\n", 3)
