"""As many workers as there are processors to run on, not as many as the machine has."""

import os
import subprocess
import sys

from gradserve.runtime.processors import processors

HELD = """
import os
from gradserve.pools.local.pool import LocalPool
from gradserve.runtime.processors import processors
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(processors(), LocalPool().size)
"""


def test_a_process_that_is_held_to_one_processor_has_one_worker():
    said = subprocess.run([sys.executable, "-c", HELD], check=True, capture_output=True, text=True).stdout
    assert said.split() == ["1", "1"]


def test_others_have_all_that_they_may_use():
    assert processors() == len(os.sched_getaffinity(0))
