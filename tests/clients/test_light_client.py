"""The client alone: grpcio, protobuf, NumPy and grpcio-status are enough."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gradserve.client import Client

_BLOCK = """
import sys
BLOCKED = {"ray", "scipy", "prometheus_client", "threadpoolctl", "rich", "jax", "grpc_health", "matplotlib"}
BLOCKED |= {"grpc_reflection", "pandas", "sklearn"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""
_TRACE = """
import numpy as np
from gradserve.client import Client, Untraceable
from gradserve import wire

X = np.ones((300, 3))
client = Client(sys.argv[1])

def loss(w):
    return np.mean(np.logaddexp(0.0, X @ w)) + np.linalg.slogdet(np.outer(w, w) + np.eye(3))[1]

f = client.function(loss, np.ones(3))
data = wire.encode_graph(f.graph).SerializeToString()
assert len(data) > 1000
f.save(sys.argv[2])
assert client.load(sys.argv[2]).graph.digest == f.graph.digest
trace = f.hessian_trace(np.ones(3), max_probes=8, estimator='hutchinson')
print(f.grad(np.ones(3)).sum(), f.verify(np.ones(3)).passed, trace.probes)
heavy = {name.partition(".")[0] for name in sys.modules} & BLOCKED
assert not heavy, heavy
floors = {"autodiff", "optimize", "execution", "estimation", "verification", "workers", "jobs", "service"}
above = floors & {name.split(".")[1] for name in sys.modules if name.startswith("gradserve.")}
assert not above, above
"""


def run(code, *arguments):
    environment = {**os.environ, "PYTHONWARNINGS": "error::ImportWarning"}
    command = [sys.executable, "-c", _BLOCK + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


def test_it_traces_encodes_and_asks(address, tmp_path):
    found = run(_TRACE, address, tmp_path / "loss.pb")
    assert found.returncode == 0, found.stderr
    total, passed, probes = found.stdout.split()
    assert float(total) == pytest.approx(3 * (1 / (1 + 2.718281828459045**-3)) + 2 * 3 / 4)
    assert (passed, probes) == ("True", "8")


def test_its_import_waits_for_no_connection():
    """gRPC and protobuf come with the first address: NumPy and Python's own are what an import takes."""
    seen = "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'google', 'grpc', 'numpy'}))"
    assert run(f"import gradserve.client\n{seen}").stdout.split() == ["numpy"]
    assert run(f"from gradserve.client import Client\nClient('localhost:1')\n{seen}").stdout.split() == [
        "google",
        "grpc",
        "numpy",
    ]


def test_computing_here_needs_more_and_says_so():
    found = run("from gradserve.client import Client\nClient()")
    assert found.returncode == 1
    last = found.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "ImportError: Client() without an address computes in this process and needs 'threadpoolctl'"
    )
    assert "pip install 'gradserve[service]', or give the address of a service" in last


def test_computing_here_without_scipy_says_so_at_once():
    code = 'BLOCKED.remove("threadpoolctl")\nfrom gradserve.client import Client\nClient()'
    last = run(code).stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: Client() without an address computes in this process and needs 'scipy': pip")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve"], "serve needs grpc_health, grpc_reflection, prometheus_client, scipy, threadpoolctl: pip install "),
        (["demo"], "demo needs rich, ray, sklearn: pip install 'gradserve[demo]'"),
        (["trace", "x.pb", "x.npz"], "trace needs rich: pip install 'gradserve[cli]'"),
    ],
)
def test_the_command_line_says_what_it_needs(arguments, message):
    found = run("from gradserve.client.cli import main\nsys.exit(main(sys.argv[1:]))", *arguments)
    assert found.returncode == 2
    assert found.stderr.startswith(f"gradserve: {message}")
    assert len(found.stderr.splitlines()) == 1


def test_help_needs_nothing():
    found = run("from gradserve.client.cli import main\nsys.exit(main(['trace', '--help']))")
    assert found.returncode == 0
    assert "--rel-tol" in found.stdout


def test_the_block_can_fail():
    """A planted fault: something that is blocked."""
    assert "No module named 'scipy'" in run("import scipy").stderr
    with Client(threads=1):
        assert "threadpoolctl" in sys.modules
