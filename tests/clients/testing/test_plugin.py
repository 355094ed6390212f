"""The plugin of pytest in runs of its own: it passes right gradients, and fails wrong ones with the table."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from gradserve.testing import assert_gradient

REPOSITORY = Path(__file__).resolve().parents[3]
TESTS = """
import numpy as np

W = np.array([0.5, -1.0, 2.0])

def loss(w):
    return np.sum(np.tanh(w))

def test_right(assert_gradient):
    assert assert_gradient(loss, lambda w: 1 - np.tanh(w) ** 2, at=W).passed

def test_wrong(assert_gradient):
    assert_gradient(loss, (1 - np.tanh(W) ** 2) * [1, 1 + 1e-5, 1], at=W)
"""


def test_a_run(tmp_path):
    (tmp_path / "test_mine.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text("from gradserve.testing.plugin import assert_gradient\n")  # installed or not
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 1
    assert "1 failed, 1 passed" in ran.stdout
    assert "w[1]   disagrees" in ran.stdout
    assert "certify(function" not in ran.stdout  # the trace ends at the test's own line


def test_installing_registers_it():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    plugin = importlib.import_module(project["project"]["entry-points"]["pytest11"]["gradserve"])
    assert callable(plugin.assert_gradient)


def test_loading_the_plugin_loads_no_client():
    program = "import sys, gradserve.testing.plugin; sys.exit('grpc' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_the_function_alone():
    x = np.array([1.0, 2.0])
    assert assert_gradient(lambda x: float(x @ x), 2 * x, at=x).evaluations > 0
    with pytest.raises(AssertionError, match=r"x\[1\]"):
        assert_gradient(lambda x: float(x @ x), np.array([2.0, 4.001]), at=x)
