"""Graphs as clients trace them: solvers, integrals, differential equations, of many parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client import functions
from gradserve.client.scipy.integrate import solve_ivp
from gradserve.client.tracing.trace import trace
from gradserve.ir.graph import Graph


def _falls(t: Any, y: Any) -> Any:
    """What a ball does."""
    del t
    return [y[1], -9.81]


def _hits(t: Any, y: Any) -> Any:
    """The ground."""
    del t
    return y[0]


_hits.terminal = True  # type: ignore[attr-defined]


def _rows(step: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """Several of them, each of what the one before has made."""

    def repeated(x: Any, count: int) -> Any:
        for k in range(count):
            x = step(x, k)
        return x

    return repeated


def _switched(x: Any, k: int) -> Any:
    """A differential equation whose rate is another on each side of a number."""
    found = functions.odeint(lambda y, t: np.where(y > 0.5 + k, -y, -2.0 * y * x), 1.0 + x * x, np.linspace(0, 1, 3))
    return found.y[-1]


def _least(x: Any, k: int) -> Any:
    """Where a function of two numbers is least."""
    return np.sum(functions.minimize(lambda z: np.sum((z - x) ** 4 + z * z * (1 + k)), np.ones(2)).x)


def _area(x: Any, k: int) -> Any:
    """An integral up to a limit that moves."""
    return functions.quad(lambda z: np.exp(-z * z * (1 + k)) * np.sin(x * z), 0.0, 1.0 + x * x).value


def _halved(x: Any, k: int) -> Any:
    """A loop until a number is small."""
    return functions.while_loop(lambda z: z > 1.0 + k, lambda z: z * 0.5 + x * 0.01, x + 9.0, most=20)[0]


def _contracted(x: Any, k: int) -> Any:
    """Arrays of five and of three axes."""
    arrays = [np.ones((2,) * n) * x / (1 + k) for n in (5, 5, 3)]
    return np.einsum("abcde,cdefg,gfa->b", *arrays)[0] / 256


LOSSES: dict[str, Callable[[Any, int], Any]] = {
    "roots": _rows(lambda x, k: functions.root(lambda z: z**3 + z - x - k, 0.5).x),
    "fixed points": _rows(lambda x, k: functions.fixed_point(lambda z: np.cos(z * (1 + k / 64)) * 0.5 + x, 0.5).x),
    "minima": _rows(_least),
    "equations": _rows(lambda x, k: functions.odeint(lambda y, t: -y * (x + k), 1.0 + x, np.linspace(0, 1, 3)).y[-1]),
    "regimes": _rows(_switched),
    "events": _rows(lambda x, k: solve_ivp(_falls, (0.0, 9.0), [x * x + k + 1, 0.0], events=[_hits]).t[-1]),
    "integrals": _rows(_area),
    "loops until": _rows(_halved),
    "einsum": _rows(_contracted),
    "spectra": _rows(lambda x, k: np.sum(np.abs(np.fft.rfft(np.arange(8.0) * x + k)) ** 2) / 64),
    "matrices": _rows(lambda x, k: np.linalg.slogdet(np.eye(3) * (2 + x * x) + np.ones((3, 3)) * x / (1 + k))[1]),
    "eigenvalues": _rows(lambda x, k: np.linalg.eigvalsh(np.diag([1.0, 2.0 + k]) + x * np.ones((2, 2)))[-1] / 8),
}  # fmt: skip
"""By name."""


def traced(loss: Callable[[Any, int], Any], count: int) -> Graph:
    """The graph of a loss of so many parts."""
    return trace(lambda x0: loss(x0, count), 0.75).graph
