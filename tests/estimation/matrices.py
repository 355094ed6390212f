"""Spectra of many kinds, and estimators asked directly about a matrix."""

from __future__ import annotations

import numpy as np

from gradserve.estimation.asking import Columns, Known, Operator, Probes, Whole
from gradserve.estimation.looks import Target
from gradserve.estimation.methods import WAYS
from gradserve.estimation.samplers import normals, signs
from gradserve.ir.types import ElementType
from gradserve.questions.estimates import Estimator, Sampler


def spectra(n: int) -> dict[str, np.ndarray]:
    """Flat, polynomial and exponential decay, outliers beside a bulk of both signs, and an identity with a block."""
    rng, index = np.random.default_rng(0), np.arange(n)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    outliers = np.linspace(-0.05, 0.1, n)
    outliers[:20] = 10 * 0.8 ** np.arange(20)
    block = np.eye(n)
    block[:4, :4] += 1
    values = {"flat": np.linspace(1, 3, n), "poly": (index + 1.0) ** -2, "exp": 0.9**index, "hess": outliers}
    return {**{name: (q * each) @ q.T for name, each in values.items()}, "block": block}


def asked(matrix: np.ndarray, estimator: Estimator, target: Target, seed: int, diagonal: bool = False) -> Known:
    """The last answer of an estimator."""
    size, reply = len(matrix), None
    operator = Operator(size, {}, float(np.finfo(float).eps), diagonal)
    dialogue = WAYS[estimator].method(Sampler.AUTO)(operator, target)
    last = None
    while True:
        try:
            said = dialogue.send(reply)
        except StopIteration:
            assert last is not None
            return last
        reply = None
        if isinstance(said, Known):
            last = said
        elif isinstance(said, Columns):
            reply = said.rows @ matrix
        elif isinstance(said, Whole):
            reply = float(np.trace(matrix))
        elif isinstance(said, Probes):
            if said.sampler is Sampler.SPHERE:
                rows = normals(seed, "probe:w", said.start, said.stop, (size,))
                rows *= np.sqrt(size) / np.linalg.norm(rows, axis=1, keepdims=True)
            else:
                rows = signs(seed, "probe:w", said.start, said.stop, (size,), ElementType.FLOAT64)
            reply = (rows, rows @ matrix)
        else:
            reply = matrix[said.start : said.stop]
