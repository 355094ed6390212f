"""Many estimates at once, by the rule of the intervals: matrices of many kinds, and how often intervals cover."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradserve.estimation.looks import Target, error_probability, first_look, looks
from gradserve.estimation.running import few, widening
from gradserve.jobs.estimates.probing import IN_ALL, WITH_SHARES

Rule = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""Of forms (runs, probes), shares (runs, probes, entries) and an error probability: half the intervals, (runs,)."""


def block(k: int, n: int) -> np.ndarray:
    matrix = np.zeros((n, n))
    matrix[:k, :k] = 1
    return matrix


def symmetric(rng: np.random.Generator, n: int) -> np.ndarray:
    a = rng.standard_normal((n, n))
    return (a + a.T) / 2


def family() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.standard_normal((30, 30)))
    w, noise = rng.standard_normal(30), 1e-3 * symmetric(rng, 20)
    pair = np.array([[0.0, 1.0], [1.0, 0.0]])
    geometric = 0.5 ** np.arange(15)
    dominated = np.diag(np.arange(1.0, 11.0))
    dominated[0, 1] = dominated[1, 0] = 5
    sparse = np.zeros((30, 30))
    for i, j, x in zip(rng.integers(0, 30, 8), rng.integers(0, 30, 8), rng.standard_normal(8), strict=True):
        sparse[i, j] = sparse[j, i] = x
    balanced = symmetric(rng, 30)
    return {
        "identity": np.eye(10),
        "diagonal": np.diag(rng.standard_normal(10)),
        "identity with a block": np.eye(10) + block(4, 10),
        "identity less a block": np.eye(10) - block(4, 10),
        **{f"ones {k}": block(k, k) for k in (2, 3, 4, 5, 8, 30)},
        "block in noise": block(3, 20) + noise,
        "block below noise": noise - block(3, 20),
        "rank one": np.outer(w, w),
        "rank one, negative": -np.outer(w, w),
        "rank one, geometric": np.outer(geometric, geometric),
        "one entry beside": np.eye(10) + 5 * np.pad(pair, (0, 8)),
        "dominated": dominated,
        "pair in noise": np.pad(pair, (0, 18)) + noise,
        "diagonal in noise": np.diag(np.arange(20.0)) + noise,
        "two pairs": np.kron(np.diag([1.0, 0.3]), pair),
        "sparse": sparse,
        "spiked": np.eye(30) + 20 * np.outer(q[:, 0], q[:, 0]),
        "two spikes": np.diag(np.arange(30.0)) + 20 * np.outer(q[:, 0], q[:, 0]) - 15 * np.outer(q[:, 1], q[:, 1]),
        "trace zero": balanced - np.trace(balanced) / 30 * np.eye(30),
        "flat": (q * np.linspace(1, 3, 30)) @ q.T,
        "decaying": (q * 0.8 ** np.arange(30)) @ q.T,
        "2 x 2": np.array([[1.0, 2.0], [2.0, 3.0]]),
        "3 x 3": np.array([[0.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -1.0, 0.0]]),
        "blocks": np.kron(np.eye(5), block(3, 3)),
        "blocks of all sizes": np.kron(np.diag([1, 0.1, 0.01]), block(3, 3)),
    }


def drawn(rng: np.random.Generator, matrix: np.ndarray, runs: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
    """Forms and their shares."""
    v = rng.choice([-1.0, 1.0], (runs, probes, len(matrix)))
    shares = v * (v @ matrix)
    return shares.sum(axis=-1), shares


def own(forms: np.ndarray, shares: np.ndarray, alpha: float) -> np.ndarray:
    """The rule of the trace's estimator, which is told the shares of some probes alone."""
    n = forms.shape[1]
    told = shares[:, np.arange(n) % IN_ALL < WITH_SHARES]
    squares = (told**2).mean(axis=1) if few(alpha, n) else told.var(axis=1, ddof=1)
    variance = 2 * squares.sum(axis=-1)
    spread = np.maximum(forms.std(axis=1, ddof=1), np.sqrt(variance))
    half = widening(alpha, n) * spread / np.sqrt(n)
    rounding = 4 * np.finfo(float).eps * np.abs(forms).max(axis=1)
    unproven = (n < first_look(Target(n))) & (spread <= rounding)
    return np.where(unproven, np.inf, half + rounding)


def own_diagonal(shares: np.ndarray, alpha: float) -> np.ndarray:
    """The rule of the diagonal's estimator, entry by entry."""
    n = shares.shape[1]
    error = shares.std(axis=1, ddof=1) / np.sqrt(n)
    if few(alpha, n):
        error = np.hypot(error, shares.mean(axis=1) / np.sqrt(n))
    rounding = 4 * np.finfo(float).eps * np.abs(shares).max(axis=1)
    unproven = (n < first_look(Target(n))) & (error * np.sqrt(n) <= rounding)
    return np.where(unproven, np.inf, widening(alpha, n) * error + rounding)


def covered(rule: Rule, matrix: np.ndarray, runs: int, probes: int, seed: int = 0) -> float:
    """The share of runs whose intervals cover the trace, at a fixed number of probes."""
    forms, shares = drawn(np.random.default_rng(seed), matrix, runs, probes)
    return float(np.mean(np.abs(forms.mean(axis=1) - np.trace(matrix)) <= rule(forms, shares, 0.05)))


def covered_at_the_end(rule: Rule, matrix: np.ndarray, runs: int, target: Target, seed: int = 0) -> float:
    """The share of runs whose last intervals cover the trace, where the tolerance decides which that is."""
    forms, shares = drawn(np.random.default_rng(seed), matrix, runs, target.max_probes)
    going, hits = np.ones(runs, bool), np.zeros(runs, bool)
    for look, probes in enumerate(looks(target), start=1):
        part = forms[:, :probes]
        half, mean = rule(part, shares[:, :probes], error_probability(target, look)), part.mean(axis=1)
        ends = going & ((half <= target.relative_tolerance * np.abs(mean)) | (probes == target.max_probes))
        hits[ends] = (np.abs(mean - np.trace(matrix)) <= half)[ends]
        going &= ~ends
    return float(hits.mean())
