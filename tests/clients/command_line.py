"""What the tests of the command line share."""

from __future__ import annotations

import re

import numpy as np
import pytest

_RNG = np.random.default_rng(2)
_X, _Y = _RNG.standard_normal((40, 3)), _RNG.integers(0, 2, 40)
W, B = np.array([0.5, -1.0, 2.0]), np.float64(0.25)
POINTS = {"w": _RNG.standard_normal((5, 3)), "b": _RNG.standard_normal(5)}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def loss(w, b):
    z = _X @ w + b
    return np.mean(np.logaddexp(0.0, z) - _Y * z)


def exits(run, *arguments):
    """The status of a command that ends by itself, as argparse does."""
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    return caught.value.code
