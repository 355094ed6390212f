"""Freed memory is kept, in a process of its own since it is kept for good."""

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
