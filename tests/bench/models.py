"""Ten losses of everyday modelling, small and large, each written once in plain NumPy for whichever library."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.bench import workloads
from tests.bench.workloads import Workload

Maker = Callable[[np.random.Generator, float], Workload]


def mixture(rng: np.random.Generator, scale: float, points: int, dimension: int, components: int) -> Workload:
    """A mixture of Gaussians with full covariances, by the inverse of their Cholesky factors."""
    points, lower = int(points * scale), np.tril(np.ones((dimension, dimension)), -1)
    X = rng.standard_normal((points, dimension))

    def loss(xp: Any, weights: Any, means: Any, logs: Any, factors: Any) -> Any:
        roots = factors * lower + xp.exp(logs)[:, :, None] * np.eye(dimension)
        apart = X[None, :, :] - means[:, None, :]
        scaled = xp.einsum("kij,knj->kni", roots, apart)
        terms = weights[:, None] + xp.sum(logs, axis=1)[:, None] - 0.5 * xp.sum(scaled * scaled, axis=2)
        top = xp.max(terms, axis=0)
        within = xp.log(xp.sum(xp.exp(terms - top), axis=0)) + top
        return points * _log_sum_exp(xp, weights) - xp.sum(within)

    parameters = {
        "weights": rng.standard_normal(components),
        "means": rng.standard_normal((components, dimension)),
        "logs": 0.1 * rng.standard_normal((components, dimension)),
        "factors": 0.1 * rng.standard_normal((components, dimension, dimension)),
    }
    title = f"mixture of {components} Gaussians, {points} points of {dimension}"
    return Workload(f"gmm_{dimension}", title, loss, parameters)


def _log_sum_exp(xp: Any, x: Any) -> Any:
    top = xp.max(x)
    return xp.log(xp.sum(xp.exp(x - top))) + top


def gaussian_process(rng: np.random.Generator, scale: float) -> Workload:
    """The marginal likelihood of a Gaussian process with a squared exponential kernel."""
    n = int(200 * scale)
    X, y = rng.standard_normal((n, 4)), rng.standard_normal(n)

    def loss(xp: Any, logs: Any, amplitude: Any, noise: Any) -> Any:
        Z = X * xp.exp(logs)
        s = xp.sum(Z * Z, axis=1)
        K = xp.exp(amplitude - 0.5 * (s[:, None] + s[None, :] - 2.0 * xp.dot(Z, Z.T))) + xp.exp(noise) * np.eye(n)
        return 0.5 * xp.dot(y, xp.linalg.solve(K, y)) + 0.5 * xp.linalg.slogdet(K)[1]

    parameters = {"logs": 0.1 * rng.standard_normal(4), "amplitude": np.array(0.3), "noise": np.array(-1.0)}
    return Workload("gp", f"Gaussian process, {n} points of 4", loss, parameters)


def lennard_jones(rng: np.random.Generator, scale: float) -> Workload:
    """The energy of a cluster of atoms near a lattice."""
    side = int(6 * scale)
    lattice = 1.1 * np.stack(np.meshgrid(*3 * [np.arange(side)], indexing="ij"), -1).reshape(-1, 3)
    atoms = lattice + 0.05 * rng.standard_normal(lattice.shape)
    n = len(atoms)
    apart = 1.0 - np.eye(n)

    def loss(xp: Any, x: Any) -> Any:
        d = x[:, None, :] - x[None, :, :]
        s = 1.0 / (xp.sum(d * d, axis=2) + np.eye(n))
        s6 = s * s * s
        return 2.0 * xp.sum(apart * (s6 * s6 - s6))

    return Workload("lennard_jones", f"Lennard-Jones energy of {n} atoms", loss, {"x": atoms})


def student_regression(rng: np.random.Generator, scale: float) -> Workload:
    """Robust regression: residuals by Student's t with 4 degrees of freedom."""
    n, m = int(10_000 * scale), 20
    X = rng.standard_normal((n, m))
    y = X @ rng.standard_normal(m) + rng.standard_t(4, n)

    def loss(xp: Any, w: Any, log_scale: Any) -> Any:
        r = (y - xp.dot(X, w)) * xp.exp(-log_scale)
        return 2.5 * xp.sum(xp.log1p(r * r / 4.0)) + n * log_scale

    parameters = {"w": 0.1 * rng.standard_normal(m), "log_scale": np.array(0.1)}
    return Workload("student", f"Student-t regression, {n} x {m}", loss, parameters)


def rosenbrock(rng: np.random.Generator, scale: float, n: int) -> Workload:
    """Rosenbrock's valley in n dimensions."""
    n = max(2, int(n * scale))

    def loss(xp: Any, x: Any) -> Any:
        return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    return Workload(f"rosenbrock_{n}", f"Rosenbrock of {n}", loss, {"x": rng.standard_normal(n)})


MAKERS: dict[str, Maker] = {
    "gmm_20": functools.partial(mixture, points=1000, dimension=20, components=10),
    "gmm_128": functools.partial(mixture, points=1000, dimension=128, components=5),
    "d_mds": workloads.scaling,
    "e_logreg": workloads.logistic_regression,
    "f_mlp": workloads.perceptron,
    "gp": gaussian_process,
    "lennard_jones": lennard_jones,
    "student": student_regression,
    "rosenbrock_10": functools.partial(rosenbrock, n=10),
    "rosenbrock_100000": functools.partial(rosenbrock, n=100_000),
}


def make(name: str) -> Workload:
    """The loss of that name, here or among the other workloads; the same numbers each time."""
    return {**workloads.MAKERS, **MAKERS}[name](np.random.default_rng(0), 1.0)


def directions(workload: Workload) -> list[Any]:
    """A direction for each parameter, the same each time."""
    rng = np.random.default_rng(1)
    return [rng.standard_normal(np.shape(parameter)) for parameter in workload.point]


def toy_points(count: int) -> list[Any]:
    """So many points of the toy."""
    rng = np.random.default_rng(1)
    return [1.5 + rng.random(count), 0.5 + rng.random(count)]
