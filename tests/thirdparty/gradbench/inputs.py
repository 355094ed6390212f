"""Inputs as the evaluations make them, or read them from the benchmark's data files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SEED = 31337
"""With which the evaluations begin, each its own."""


def gmm(d: int, k: int, n: int = 1000) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    return {
        **{"d": d, "k": k, "n": n, "m": 0, "gamma": 1.0},
        "x": rng.normal(size=(n, d)).tolist(),
        "alpha": rng.normal(size=k).tolist(),
        "mu": rng.uniform(size=(k, d)).tolist(),
        "q": rng.normal(size=(k, d)).tolist(),
        "l": rng.normal(size=(k, d * (d - 1) // 2)).tolist(),
    }


def det(ell: int) -> dict[str, Any]:
    return {"A": np.random.RandomState(SEED).rand(ell * ell).tolist(), "ell": ell}


def kmeans(k: int, n: int, d: int) -> dict[str, Any]:
    """The last points are the centroids, so that none is without points."""
    points = np.random.RandomState(SEED).rand(n, d).tolist()
    return {"points": points, "centroids": points[-k:]}


def llsq(n: int, m: int = 128) -> dict[str, Any]:
    return {"x": np.random.RandomState(SEED).rand(m).tolist(), "n": n}


def lse(n: int) -> dict[str, Any]:
    return {"x": np.random.RandomState(SEED).rand(n).tolist()}


def ode(n: int, steps: int) -> dict[str, Any]:
    return {"x": np.random.RandomState(SEED).rand(n).tolist(), "s": steps}


def lstm(layers: int, length: int, bits: int = 14) -> dict[str, Any]:
    """Of random bits; the evaluation takes those of a text's letters."""
    rng = np.random.RandomState(SEED)
    return {
        "state": rng.rand(2 * layers, bits).tolist(),
        "main_params": rng.rand(2 * layers, 4 * bits).tolist(),
        "extra_params": rng.rand(3, bits).tolist(),
        "sequence": rng.randint(0, 2, (length, bits)).astype(float).tolist(),
    }


def ba(cameras: int, points: int, observations: int) -> dict[str, Any]:
    """Of a camera and a point made up; the evaluation reads them from files."""
    rng = np.random.RandomState(SEED)
    cam = [*rng.normal(size=6), 400.0, *rng.normal(size=2), 0.1, 0.01]
    x = (10.0 * rng.normal(size=3)).tolist()
    return {"n": cameras, "m": points, "p": observations, "cam": cam, "x": x, "w": 0.4, "feat": [200.0, 300.0]}


def ht(vertices: int, points: int, triangles: int = 1084, bones: int = 22) -> dict[str, Any]:
    """A hand made up: five fingers of four bones at a wrist, each bone a step from the one before it.

    The evaluation reads hands and measurements from files.
    """
    rng = np.random.RandomState(SEED)
    relatives = np.tile(np.eye(4), (bones, 1, 1))
    relatives[:, :3, 3] = 0.1 * rng.normal(size=(bones, 3))
    parents = [-1, *(0 if k % 4 == 0 else k for k in range(bones - 1))]
    absolutes: list[Any] = []
    for relative, parent in zip(relatives, parents, strict=True):
        absolutes.append(relative if parent < 0 else absolutes[parent] @ relative)
    weights = rng.rand(vertices, bones) * (rng.rand(vertices, bones) < 0.2)
    model = {
        "parents": parents,
        "base_relatives": relatives.tolist(),
        "inverse_base_absolutes": np.linalg.inv(absolutes).tolist(),
        "base_positions": np.hstack([rng.normal(size=(vertices, 3)), np.ones((vertices, 1))]).tolist(),
        "weights": weights.tolist(),
        "triangles": rng.randint(0, vertices, (triangles, 3)).tolist(),
        "is_mirrored": False,
    }
    data = {"correspondences": rng.randint(0, triangles, points).tolist(), "points": rng.rand(points, 3).tolist()}
    return {"theta": rng.rand(26).tolist(), "us": rng.rand(points, 2).tolist(), "data": {"model": model, **data}}


def read_lstm(path: Path) -> dict[str, Any]:
    """An instance of ADBench: layers, length and bits, then all matrices by rows."""
    rows = [[float(x) for x in line.split()] for line in path.read_text().splitlines() if line.strip()]
    layers = int(rows[0][0])
    ends = np.cumsum([1, 2 * layers, 3, 2 * layers])
    main, extra, state, sequence = np.split(np.array(rows, object), ends)[1:]
    names = ("main_params", "extra_params", "state", "sequence")
    return {name: list(each) for name, each in zip(names, (main, extra, state, sequence), strict=True)}


def read_ba(path: Path) -> dict[str, Any]:
    sizes, cam, x, w, feat = ([float(x) for x in line.split()] for line in path.read_text().splitlines()[:5])
    n, m, p = map(int, sizes)
    return {"n": n, "m": m, "p": p, "cam": cam, "x": x, "w": w[0], "feat": feat}


def read_ht(model: Path, path: Path) -> dict[str, Any]:
    """A model in a folder, and measurements: with places in triangles, if the file has lines for them."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    points, angles = int(lines[0][0]), int(lines[0][1])
    measured, others, theta = lines[1 : 1 + points], lines[1 + points : -angles], lines[-angles:]
    return {
        "theta": [float(x) for (x,) in theta],
        "us": [[float(x) for x in line] for line in others],
        "data": {
            "model": _read_model(model),
            "correspondences": [int(line[0]) for line in measured],
            "points": [[float(x) for x in line[1:]] for line in measured],
        },
    }


def _read_model(folder: Path) -> dict[str, Any]:
    bones = _table(folder / "bones.txt")
    vertices = _table(folder / "vertices.txt")
    weights = np.zeros((len(vertices), len(bones)))
    for row, vertex in zip(weights, vertices, strict=True):
        pairs = vertex[9 : 9 + 2 * int(vertex[8])]
        row[[int(bone) for bone in pairs[::2]]] = [float(weight) for weight in pairs[1::2]]
    numbers = np.array([bone[2:34] for bone in bones], float)
    return {
        "bone_count": len(bones),
        "bone_names": [bone[0] for bone in bones],
        "parents": [int(bone[1]) for bone in bones],
        "base_relatives": numbers[:, :16].reshape(-1, 4, 4).tolist(),
        "inverse_base_absolutes": numbers[:, 16:].reshape(-1, 4, 4).tolist(),
        "base_positions": [[*map(float, vertex[:3]), 1.0] for vertex in vertices],
        "weights": weights.tolist(),
        "triangles": [[int(corner) for corner in triangle] for triangle in _table(folder / "triangles.txt")],
        "is_mirrored": False,
    }


def _table(path: Path) -> list[list[str]]:
    return [line.split(":") for line in path.read_text().splitlines() if line.strip()]
