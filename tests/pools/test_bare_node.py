"""What stands in for Ray's agents: only they are replaced, and it ends with the node that started it."""

import shlex
import subprocess
import sys
import time

import psutil
import pytest

from gradserve.pools.ray import bare_node

NODE = """
import subprocess, sys
print(subprocess.Popen(sys.argv[1:]).pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def started(monkeypatch):
    """Starts a process of Ray's; answers its command."""
    monkeypatch.setattr(bare_node, "_start_process", lambda command, *_, **__: command)
    return bare_node._start_with_idle_agents


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE  # nobody may be there to ask how it ended
    except psutil.NoSuchProcess:
        return False


def test_only_agents_are_replaced(started):
    raylet = ["raylet", "--gcs-address=a:1", "--dashboard_agent_command=python agent.py --x=1", "--head"]
    found = started([*raylet, "--runtime_env_agent_command=python main.py"], "raylet")
    assert [word for word in found if "command" not in word] == ["raylet", "--gcs-address=a:1", "--head"]
    commands = [shlex.split(word.partition("=")[2]) for word in found if "command" in word]
    assert [command[-1].rpartition("/")[2] for command in commands] == ["idle.py"] * 2
    assert started(["gcs_server", "--log_dir=x"], "gcs_server") == ["gcs_server", "--log_dir=x"]


def test_what_stands_in_ends_with_its_node(started):
    (word,) = started(["--dashboard_agent_command=x"], "raylet")
    command = [sys.executable, "-c", NODE, *shlex.split(word.partition("=")[2]), "--as=ray", "--adds=words"]
    node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert node.stdout
    pid = int(node.stdout.readline())
    time.sleep(0.1)
    assert runs(pid)
    node.kill()
    node.communicate()
    end = time.monotonic() + 20
    while runs(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not runs(pid)
