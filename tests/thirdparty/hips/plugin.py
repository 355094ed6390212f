"""Loaded by pytest before the suite: installs the package, and writes down how each test went."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gradserve.ops.elementwise.trigonometry import Sin
from gradserve.ops.family import only
from gradserve.ops.movement.shapes import BroadcastTo
from gradserve.ops.reduction.ordered import Cumsum
from tests.thirdparty.hips import modules, tracing

FAULTS: Mapping[str, tuple[Callable[[], None], str, str, int]] = {
    "sine": (
        lambda: setattr(Sin, "differential", lambda self, g, dx, x, y: g.mul(g.mul(g.cos(x), 1.01), dx)),
        "test_graphs.py",
        "fanout or hess_vector or third_derivative or singleton_array_output",
        8,
    ),
    "broadcast": (
        lambda: setattr(BroadcastTo, "pullback", _averaged),
        "test_binary_ops.py",
        "mul or add or sub or div or mod or hypot",
        6,
    ),
    "cumsum": (
        lambda: setattr(Cumsum, "transpose", lambda self, g, ct, operands: (g.cumsum(only(ct), axis=self.axis),)),
        "test_numpy.py",
        "cumsum",
        4,
    ),
}
"""Rules with a fault, a file of the suite and the tests in it that may show it, and in how many it does at least."""
_SUMMED = BroadcastTo.pullback
_outcomes: dict[str, dict[str, Any]] = {}


def _averaged(self: BroadcastTo, g: Any, cotangent: Any, operand: Any) -> Any:
    return g.div(_SUMMED(self, g, cotangent, operand), max(1.0, cotangent.type.size / max(1, operand.size)))


def pytest_configure() -> None:
    """Makes `import autograd` find the adapter, and plants the fault that HIPS_FAULT names."""
    modules.install()
    if os.environ.get("HIPS_FAULT"):
        FAULTS[os.environ["HIPS_FAULT"]][0]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Notes what the test called, so that an empty one does not count as passed."""
    tracing.calls = 0
    _outcomes[item.nodeid] = {"outcome": "passed", "message": ""}
    result = yield
    _outcomes[item.nodeid] |= {"calls": tracing.calls}
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Notes the outcome of a test that did not pass."""
    if not report.passed:
        message = getattr(getattr(report.longrepr, "reprcrash", None), "message", str(report.longrepr))
        _outcomes[report.nodeid] |= {"outcome": report.outcome, "message": message}


def pytest_sessionfinish() -> None:
    """Writes the file that HIPS_OUTCOMES names."""
    Path(os.environ["HIPS_OUTCOMES"]).write_text(json.dumps(_outcomes))
