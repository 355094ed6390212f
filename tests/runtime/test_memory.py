"""Freed memory is kept, but not all of it, in a process of its own since it is kept for good."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from gradserve.runtime.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    a, b = np.ones(1 << 20), np.ones(1 << 20)
    before = faults()
    for _ in range(10):
        del a, b
        a, b = np.ones(1 << 20), np.ones(1 << 20)
    return faults() - before

before = use()
assert keep_freed_memory()
use()
print(before, use())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_not_fetched_again():
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout.split()
    before, after = map(int, found)
    assert after < 100
    assert after <= before


SCATTERED = """
import time
from gradserve.runtime import memory

memory.LOOK_SECONDS = 0.5
assert memory.keep_freed_memory()
statm = open("/proc/self/statm", "rb", buffering=0)
before = memory._resident(statm)
pieces = [bytearray(5000) for _ in range(80000)]
kept = pieces[::100]
full = memory._resident(statm)
time.sleep({seconds})
del pieces
end = time.monotonic() + 20
while memory._resident(statm) > before + memory.MOST_FREE_BYTES and time.monotonic() < end:
    time.sleep(0.1)
print(before >> 20, full >> 20, memory._resident(statm) >> 20, sum(map(len, kept)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
@pytest.mark.parametrize("seconds", [0.0, 1.5], ids=["at-once", "after-it-was-seen-in-use"])
def test_what_lies_free_between_what_is_used_is_given_back(seconds):
    program = SCATTERED.format(seconds=seconds)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    before, full, left, _ = map(int, found.split())
    assert full > before + 350
    assert left < before + 64
