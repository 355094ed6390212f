"""Forward and reverse mode agree on random programs with masks, choices and numbers that are not finite."""

import os

import numpy as np

from gradserve.client import Client
from gradserve.ir.types import Array
from tests.clients.masked_programs import program

COUNT = int(os.environ.get("GRADSERVE_PROGRAMS", "12"))
"""2000 take ten minutes."""


def differences(seeds) -> list[str]:
    """Where a result that is a number has a derivative in one mode that it has not in the other."""
    found = []
    with Client(threads=1) as client:
        for seed in seeds:
            function, point = program(seed)
            f = client.function(function, w=point)
            forward, reverse = (f.jacobian(point, mode=mode) for mode in ("forward", "reverse"))
            if not agree(forward, reverse, np.isfinite(f(point))):
                found.append(f"program {seed} at {point}: {forward} and {reverse}")
    return found


def agree(forward: Array, reverse: Array, numbers: Array) -> bool:
    derivatives = (np.isfinite(forward) | np.isfinite(reverse)) & numbers[:, None]
    scale = np.max(np.abs(forward[np.isfinite(forward)]), initial=1.0)
    same = np.isclose(forward, reverse, rtol=1e-8, atol=1e-12 * min(scale, 1e3))
    return bool(np.all(same | ~derivatives))


def test_both_modes_agree():
    assert differences(range(COUNT)) == []


def test_a_zero_that_does_not_absorb_is_seen(monkeypatch):
    monkeypatch.setattr("gradserve.jobs.sweeps.careful.has_nan", lambda outputs, among: False)
    assert differences(range(6))
