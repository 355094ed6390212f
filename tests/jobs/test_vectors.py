"""How vectors are cut into chunks: what they share is computed once in each."""

import pytest

from gradserve.autodiff import names
from gradserve.jobs.sweeps import cut, vectors
from gradserve.jobs.sweeps.programs import go_on
from gradserve.jobs.sweeps.vectors import OverVectors
from gradserve.questions.derivations import Hvp
from tests.jobs.support import arguments_of, call_of, layer

GRAPH = layer(width=40)
CALL = call_of(GRAPH, arguments_of(GRAPH))
WRT = ("W", "x", "b")


def over(most=64):
    return OverVectors(CALL, Hvp(WRT, product_only=True), frozenset(map(names.tangent, WRT)), 0, most)


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """A vector by itself takes longer than a chunk should."""
    monkeypatch.setattr(cut, "CHUNK_SECONDS", 1e-9)


def test_chunks_are_longer_where_vectors_share_much(context, monkeypatch):
    monkeypatch.setattr(vectors, "LONGER", 1e9)
    size = over().size(context, go_on)
    assert size > 1
    one, many = (over().sweep(k, 1).unlimited(context).seconds / k for k in (1, size))
    assert many < (1 - vectors.SAVED) * one
    more = over().sweep(2 * size, 1).unlimited(context).seconds / (2 * size)
    assert size == 64 or more > (1 - vectors.SAVED) * many


def test_chunks_are_no_longer_than_they_may_be_or_than_pays(context, monkeypatch):
    assert over().size(context, go_on) == 1
    monkeypatch.setattr(vectors, "LONGER", 1e9)
    monkeypatch.setattr(vectors, "SAVED", 0.9)
    assert over().size(context, go_on) == 1


@pytest.mark.parametrize(("start", "stop"), [(0, 64), (3, 64), (0, 1), (5, 5), (0, 1000)])
def test_pieces_are_all_vectors_in_order(context, start, stop):
    cutter = over(16)
    cutter._size = 16
    found = [
        (first + lap * sweep.at_once, sweep.at_once)
        for sweep, first in cutter.pieces(start, stop, context, go_on)
        for lap in range(sweep.laps)
    ]
    covered = [vector for first, size in found for vector in range(first, first + size)]
    assert covered == list(range(start, stop))
    assert all(size & (size - 1) == 0 for _, size in found)
