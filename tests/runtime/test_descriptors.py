"""How many files and connections a process may have open."""

import resource
import subprocess
import sys

import pytest

from gradserve.runtime.descriptors import MOST

SAYS = """
import resource, sys
from gradserve.runtime.descriptors import limit, raise_limit
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(limit(), raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@pytest.mark.parametrize(("soft", "hard"), [(100, 200), (200, 200), (100, HARD)])
def test_as_many_as_the_process_may_say_itself(soft, hard):
    words = [sys.executable, "-c", SAYS, str(soft), str(hard)]
    found = [int(word) for word in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()]
    wanted = MOST if hard < 0 else min(hard, MOST)
    assert found == [soft, wanted, wanted, hard]
