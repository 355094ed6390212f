"""A cluster that does not come up at once."""

import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import ray

from gradserve.ir.errors import Unavailable
from gradserve.pools.ray import cluster as local_cluster
from gradserve.pools.ray import local_head

pytestmark = pytest.mark.ray

FAULT = "RAY_GCS_SERVER_GDB"
"""Has Ray start its control process under a debugger, which it refuses without a terminal."""


@pytest.fixture(autouse=True)
def disconnected():
    """Whatever fails here: nothing of it is left for the tests of other files."""
    yield
    if ray.is_initialized():
        local_cluster.disconnect()


class Mend(logging.Handler):
    """Mends the fault when the first failure is logged."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def emit(self, record):
        self.seen.append(record.getMessage())
        os.environ.pop(FAULT, None)


def test_a_cluster_stands_back_behind_the_service():
    local_cluster.connect(None, cpus=1, object_store_bytes=100 << 20)
    (head,) = [p for p in psutil.Process().children() if local_head.__name__ in p.cmdline()]
    sharing = Path(f"/proc/{head.pid}/autogroup")
    assert not sharing.exists() or sharing.read_text().endswith("nice 10\n")


def comes_to(process, states):
    end = time.monotonic() + 10
    while process.status() not in states and time.monotonic() < end:
        time.sleep(0.005)
    return process.status() in states


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_what_a_signal_has_stopped_of_a_cluster_is_made_to_go_on(name):
    head = local_cluster.started(1, 100 << 20)
    (part,) = [p for p in psutil.Process().children(recursive=True) if p.name() == name]
    part.suspend()
    assert comes_to(part, {psutil.STATUS_STOPPED})
    assert comes_to(part, {psutil.STATUS_SLEEPING, psutil.STATUS_RUNNING})
    assert head.is_whole()
    head.close()


def test_a_cluster_that_did_not_start_is_started_again(monkeypatch):
    monkeypatch.setenv(FAULT, "1")
    mend = Mend()
    logger = logging.getLogger(local_cluster.__name__)
    logger.addHandler(mend)
    try:
        local_cluster.connect(None, cpus=1, object_store_bytes=100 << 20)
        assert local_cluster.resources()["CPU"] == 1
        require_from_many_threads()
        local_cluster.disconnect()
    finally:
        logger.removeHandler(mend)
    assert len(mend.seen) == 1
    assert not ray.is_initialized()


def require_from_many_threads():
    """As calls do that hand arrays to the cluster at the same moment."""
    with ThreadPoolExecutor(8) as threads:
        for asked in [threads.submit(local_cluster.require) for _ in range(20_000)]:
            asked.result()


def test_a_cluster_that_never_starts_says_why(monkeypatch):
    monkeypatch.setenv(FAULT, "1")
    with pytest.raises(Unavailable, match="gdb"):
        local_cluster.connect(None, cpus=1, object_store_bytes=100 << 20)
    assert not ray.is_initialized()


def test_a_disk_without_room_is_told_at_once(monkeypatch):
    monkeypatch.setattr(local_head, "_LEAST_DISK_BYTES", 1 << 60)
    with pytest.raises(OSError, match=r"no Ray cluster can be started: .* name another folder by TMPDIR"):
        local_cluster.connect(None, cpus=1)
    assert not ray.is_initialized()


OWNER = """
import os, signal, sys
from gradserve.pools.ray import cluster as local_cluster
from gradserve.pools.ray import local_head
local_cluster.connect(None, cpus=1, object_store_bytes=100 << 20)
print(local_cluster._head._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_cluster_ends_with_the_process_that_started_it():
    done = subprocess.run([sys.executable, "-c", OWNER], capture_output=True, text=True, timeout=120, check=False)
    head = psutil.Process(int(done.stdout)) if psutil.pid_exists(int(done.stdout)) else None
    assert done.returncode == -signal.SIGKILL
    if head is not None:
        psutil.wait_procs([head, *head.children(recursive=True)], timeout=60)
    assert not psutil.pid_exists(int(done.stdout))
