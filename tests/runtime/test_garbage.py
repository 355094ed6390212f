"""What is kept is passed over by collections and still freed, in a process of its own since it is so for good."""

import subprocess
import sys

PROGRAM = """
import gc, weakref
from gradserve.runtime.garbage import pass_over_what_is_kept, uncollected

class Held:
    pass

def made(count):
    with uncollected():
        assert not gc.isenabled()
        return [Held() for _ in range(count)]

def gone_through():
    return sum(type(each) is Held for each in gc.get_objects())

before = made(1000)
seen = gone_through()
{own}
kept, few = made(5000), made(10)
passed = 6010 - gone_through()
alive = [weakref.ref(each) for each in kept]
del kept
assert gc.isenabled()
print(seen, passed, sum(each() is not None for each in alive))
"""


def told(own):
    command = [sys.executable, "-c", PROGRAM.format(own=own)]
    return [int(n) for n in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]


def test_a_process_of_ours_passes_over_what_is_kept():
    assert told("pass_over_what_is_kept()") == [1000, 6000, 0]


def test_elsewhere_everything_is_gone_through():
    assert told("") == [1000, 0, 0]
