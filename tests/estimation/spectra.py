"""Matrices whose spectra are known, and recurrences run on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradserve.estimation.lanczos import Lanczos
from gradserve.estimation.recurrence import Product, Space
from gradserve.ir.types import ElementType, TensorType

EPSILON = float(np.finfo(np.float64).eps)


def space(n: int) -> Space:
    return Space((("x", TensorType(ElementType.FLOAT64, (n,))),))


def product_with(matrix: np.ndarray) -> Product:
    return lambda rows: rows @ matrix


def eigenvalues(n: int) -> dict[str, np.ndarray]:
    """Flat, with a tail, exponential, and as Hessians of networks: some far out and a bulk around 0."""
    outliers = 10 * 0.8 ** np.arange(10)
    return {
        "flat": np.linspace(1, 3, n),
        "tail": np.arange(1, n + 1.0) ** -2,
        "exponential": 0.9 ** np.arange(n),
        "hessian": np.concatenate([outliers, np.linspace(-0.05, 0.1, n - 10)]),
    }


def with_eigenvalues(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """A matrix with these eigenvalues, and eigenvectors in all directions."""
    n = len(values)
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    matrix: np.ndarray = (q * values) @ q.T
    symmetric: np.ndarray = (matrix + matrix.T) / 2
    return symmetric


def signs(n: int, seed: int) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).choice([-1.0, 1.0], n))


def tridiagonal(matrix: np.ndarray, start: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """What the recurrence gives."""
    return Lanczos(space(len(matrix)), steps, EPSILON)(product_with(matrix), {"x": start[None]})


def forgetful(matrix: np.ndarray, start: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """A planted fault: the recurrence of three terms, without making new vectors orthogonal to all before."""
    diagonal, off = np.zeros(steps), np.zeros(steps)
    before, vector = np.zeros(len(start)), start / np.linalg.norm(start)
    for k in range(steps):
        image = matrix @ vector - (off[k - 1] * before if k else 0)
        diagonal[k] = vector @ image
        image -= diagonal[k] * vector
        off[k] = np.linalg.norm(image)
        before, vector = vector, image / off[k]
    return {"diagonal": diagonal, "off_diagonal": off}


Tridiagonal = Callable[[np.ndarray, np.ndarray, int], dict[str, np.ndarray]]
