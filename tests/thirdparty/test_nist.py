"""NIST's certified standard deviations of nonlinear regressions (StRD), from Jacobians at the certified parameters.

The data are in the public domain: https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from gradserve.client import Client
from gradserve.ir.types import Array

pytestmark = pytest.mark.data

DIGITS = 9.0
"""The digits that every certified deviation has in common with ours; eleven are given of it, and of the parameters."""


def gauss(b: Any, x: Array) -> Any:
    peaks = b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2) + b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    return b[0] * np.exp(-b[1] * x) + peaks


def cubic(b: Any, x: Array) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def lanczos(b: Any, x: Array) -> Any:
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def chwirut(b: Any, x: Array) -> Any:
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def enso(b: Any, x: Array) -> Any:
    def wave(cosine: Any, sine: Any, period: Any) -> Any:
        return cosine * np.cos(2 * np.pi * x / period) + sine * np.sin(2 * np.pi * x / period)

    return b[0] + wave(b[1], b[2], 12) + wave(b[4], b[5], b[3]) + wave(b[7], b[8], b[6])


MODELS: dict[str, Callable[[Any, Array], Any]] = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": lambda b, x: b[0] * (1 - np.exp(-b[1] * x)),
    "Chwirut1": chwirut,
    "Chwirut2": chwirut,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": enso,
    "Eckerle4": lambda b, x: b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Gauss1": gauss,
    "Gauss2": gauss,
    "Gauss3": gauss,
    "Hahn1": cubic,
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": lanczos,
    "Lanczos2": lanczos,
    "Lanczos3": lanczos,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    "Misra1a": lambda b, x: b[0] * (1 - np.exp(-b[1] * x)),
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x * (1 + b[1] * x) ** -1,
    "Nelson": lambda b, x: b[0] - b[1] * x[:, 0] * np.exp(-b[2] * x[:, 1]),
    "Rat42": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
    "Thurber": cubic,
}


@dataclass(frozen=True)
class Certified:
    """A problem's predictors, and what NIST certifies: parameters, their deviations, that of the residuals."""

    x: Array
    parameters: Array
    deviations: Array
    residual: float


def read(path: Path) -> Certified:
    text = path.read_text()
    rows = re.findall(r"^\s*b\d+\s*=\s*(.+)$", text, re.MULTILINE)
    certified = np.array([row.split()[-2:] for row in rows], float)
    (residual,) = re.findall(r"Residual Standard Deviation:\s*(\S+)", text)
    body = re.split(r"^Data:\s+y.*$", text, flags=re.MULTILINE)[-1]
    table = np.array([line.split() for line in body.splitlines() if line.strip()], float)
    return Certified(np.squeeze(table[:, 1:]), certified[:, 0], certified[:, 1], float(residual))


def digits(found: Array, certified: Array) -> float:
    return float(np.min(-np.log10(np.maximum(abs(found / certified - 1), 1e-16))))


def deviations(jacobian: Array, residual: float) -> Array:
    """The residuals' deviation times the root of the diagonal of (J^T J)^-1, by the factors of J with equal columns."""
    scale = np.linalg.norm(jacobian, axis=0)
    r = np.linalg.qr(jacobian / scale, mode="r")
    return np.asarray(residual * np.linalg.norm(scipy.linalg.solve_triangular(r, np.eye(len(r))), axis=1) / scale)


@pytest.fixture(scope="module")
def client():
    with Client() as embedded:
        yield embedded


def jacobian_of(client: Client, name: str, problem: Certified) -> Array:
    def model(b: Any) -> Any:
        return MODELS[name](b, problem.x)

    return np.asarray(client.function(model, b=problem.parameters).jacobian(problem.parameters))


@pytest.mark.parametrize("name", MODELS)
def test_certified_deviations(client, data_folder, name):
    problem = read(data_folder / "nist" / f"{name}.dat")
    found = deviations(jacobian_of(client, name, problem), problem.residual)
    assert digits(found, problem.deviations) >= DIGITS


def test_a_jacobian_that_is_off_by_a_millionth_is_found(client, data_folder):
    problem = read(data_folder / "nist" / "Thurber.dat")
    wrong = jacobian_of(client, "Thurber", problem) * (1 + 1e-6 * np.eye(7)[3])
    assert digits(deviations(wrong, problem.residual), problem.deviations) < 7
