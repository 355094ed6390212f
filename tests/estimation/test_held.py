"""Vectors that do not fit into memory are held in a file: the same numbers, no memory, no trace of it afterwards."""

from __future__ import annotations

import errno
import os
import tempfile
import tracemalloc
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client, LimitExceeded
from gradserve.estimation import held
from tests.clients.bits import same_bits

SIZE, STEPS = 100_000, 24
ROWS = np.random.default_rng(2).standard_normal((4, SIZE)) / 300
POINT = np.random.default_rng(3).standard_normal(SIZE)
VECTORS = 8 * SIZE * STEPS


def loss(w):
    return np.sum(np.tanh(ROWS @ w) ** 2) + np.sum(np.cos(w))


def spectrum() -> tuple[Any, int]:
    """Nodes and weights of one probe, and the bytes allocated at most on the way."""
    with Client(threads=1) as client:
        f = client.function(loss, POINT)
        f.hessian_spectrum(POINT, probes=1, steps=2)
        tracemalloc.start()
        try:
            found = f.hessian_spectrum(POINT, probes=1, steps=STEPS)
            return (found.nodes, found.weights, found.report.peak_bytes), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_a_file_has_the_same_bits_and_takes_no_memory(monkeypatch, tmp_path):
    (*expected, most), peak = spectrum()
    assert peak > VECTORS
    assert most > VECTORS
    monkeypatch.setattr(held, "IN_MEMORY", VECTORS - 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (*found, predicted), there = spectrum()
    assert same_bits(found, expected)
    assert max(there, predicted) < 0.6 * VECTORS
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told(monkeypatch):
    """Before anything is written: a write into a file that has no room would end the process."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(held, "IN_MEMORY", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        LimitExceeded, match=r"no room for .* GiB of vectors in .*: No space left on device; ask for fewer"
    ):
        spectrum()


def test_what_no_file_may_hold_is_refused_first(monkeypatch):
    monkeypatch.setattr(held, "MOST_BYTES", VECTORS - 1)
    with pytest.raises(LimitExceeded, match=r"24 vectors of 100000 numbers take .* GiB and the limit is 0 GiB"):
        spectrum()
