"""What is done beside: its outcome, its failure whatever it is, and a process that ends before it."""

import subprocess
import sys
import threading

import pytest

from gradserve.runtime.aside import aside


def test_it_comes_to_what_the_act_does_on_a_thread_of_that_name():
    assert aside(lambda: threading.current_thread().name, "beside").result(10) == "beside"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_it_fails_as_the_act_does(error):
    def act():
        raise error

    assert aside(act, "beside").exception(10) is error


def test_nobody_waits_for_what_does_not_end():
    text = (
        "import threading; from gradserve.runtime.aside import aside; print(aside(threading.Event().wait, 'x').done())"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
