"""Vectors that do not fit into memory are held in a file: the same numbers, no memory, no trace of it afterwards."""

from __future__ import annotations

import errno
import os
import pickle
import tempfile
import tracemalloc
from typing import Any

import numpy as np
import pytest

from gradserve.client import LimitExceeded
from gradserve.jobs.answering import answers
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Call
from gradserve.questions.spectrum import EstimateSpectrum
from gradserve.runtime.control import Control
from tests.clients.bits import same_bits
from tests.jobs.support import product, real, total

SIZE, STEPS = 100_000, 24
ROWS = np.random.default_rng(2).standard_normal((4, SIZE)) / 300
POINT = np.random.default_rng(3).standard_normal(SIZE)
VECTORS = 8 * SIZE * STEPS
IN_FILE = Limits(held_memory_bytes=VECTORS - 1)


def call() -> Call:
    g = builder()
    w = g.input("w", real(SIZE))
    h = g.tanh(product(g, g.constant(ROWS), w))
    return Call(g.build({"loss": total(g, h * h) + total(g, g.cos(w))}), {"w": POINT})


def spectrum(limits: Limits) -> tuple[Any, int]:
    """Nodes and weights of one probe, and the bytes allocated at most on the way."""
    pool, asked = LocalPool(1), call()
    context = Context(pool, limits=limits)
    try:
        *_, found = answers(context, EstimateSpectrum(asked, probes=1, steps=2), Control())
        tracemalloc.start()
        try:
            *_, found = answers(context, EstimateSpectrum(asked, probes=1, steps=STEPS), Control())
            return (found.nodes, found.weights, found.report.peak_bytes), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    finally:
        pool.close()


def test_a_file_has_the_same_bits_and_takes_no_memory(monkeypatch, tmp_path):
    (*expected, most), peak = spectrum(Limits())
    assert peak > VECTORS
    assert most > VECTORS
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (*found, predicted), there = spectrum(IN_FILE)
    assert same_bits(found, expected)
    assert max(there, predicted) < 0.6 * VECTORS
    assert not list(tmp_path.iterdir())


WHAT_TO_DO = "ask for fewer steps, or have TMPDIR, where it is computed, name a folder on a disk with room"


def test_a_full_disk_is_told(monkeypatch):
    """Before anything is written: a write into a file that has no room would end the process."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        LimitExceeded, match=rf"no room for .* GiB of vectors in .*: No space left on device; {WHAT_TO_DO}"
    ):
        spectrum(IN_FILE)


def test_a_folder_that_takes_no_file_is_told(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(LimitExceeded, match=rf"no room for .* GiB of vectors in /proc: .*; {WHAT_TO_DO}"):
        spectrum(IN_FILE)


def test_where_no_folder_takes_files_that_is_told(monkeypatch):
    """As in a container whose root can only be read; and the error comes home from a worker."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc"])
    with pytest.raises(LimitExceeded, match=rf"vectors in any folder: No usable .*; {WHAT_TO_DO}") as told:
        spectrum(IN_FILE)
    assert pickle.loads(pickle.dumps(told.value)).limit == "held_bytes"


def test_what_no_file_may_hold_is_refused_first():
    with pytest.raises(LimitExceeded, match=r"24 vectors of 100000 numbers take 18.3 MiB and the limit held_bytes is"):
        spectrum(Limits(held_bytes=VECTORS - 1))
