"""Explaining over gRPC: what a live service explains is what it runs, or what it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gradserve.client.transport.deadline import Deadline
from gradserve.client.transport.remote import RemoteBackend
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.types import type_of
from gradserve.jobs.sweeps import cut
from gradserve.jobs.sweeps.limits import Limits
from gradserve.questions.call import Placement
from gradserve.questions.derivations import DERIVATIONS
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.explanation import Explain
from gradserve.questions.report import Report
from gradserve.service.configuration.settings import Settings
from gradserve.service.server import Server
from tests.jobs.questions import SMALLEST, cases

pytestmark = pytest.mark.slow

SEEDS = range(30)
SOON = 30.0


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """A few points or rows fill a chunk."""
    monkeypatch.setattr(cut, "CHUNK_SECONDS", 2e-5)


class Services:
    """A service for each set of limits, all in this process, and a client of each."""

    def __init__(self) -> None:
        self._running: dict[Limits, tuple[Server, RemoteBackend]] = {}

    def under(self, limits: Limits) -> RemoteBackend:
        if limits not in self._running:
            settings = Settings(address="127.0.0.1:0", metrics_port=None, workers=1, limits=limits)
            server = Server(settings).start()
            self._running[limits] = server, RemoteBackend(f"127.0.0.1:{server.port}")
        return self._running[limits][1]

    def close(self) -> None:
        for server, backend in self._running.values():
            backend.close()
            server.stop(0)


@pytest.fixture
def services() -> Iterator[Services]:
    started = Services()
    yield started
    started.close()


def without_arrays(question: Differentiate) -> Differentiate:
    call = question.call
    types = {name: type_of(array) for name, array in call.arguments.items()}  # type: ignore[arg-type]
    vectors = {name: type_of(array) for name, array in question.vectors.items()}  # type: ignore[arg-type]
    return replace(question, call=replace(call, arguments=types), vectors=vectors)


def report_or_refusal(backend: RemoteBackend, question: Differentiate) -> Report | LimitExceeded:
    answer: Derivatives
    try:
        answer = backend.ask(question, Deadline(SOON))
    except LimitExceeded as error:
        return error
    return answer.report


def outcome_of(backend: RemoteBackend, question: Differentiate) -> str:
    """Sees that the service explains what it then does; answers a limit that it names, or how many chunks there are."""
    told = backend.ask(Explain(without_arrays(question)), Deadline(SOON))
    report = report_or_refusal(backend, question)
    if isinstance(report, LimitExceeded):
        assert told.refusal is not None, f"running refuses {report}"
        assert (told.refusal.limit, told.refusal.message) == (report.limit, report.message)
        assert (told.placement, tuple(told.chunks)) == ("refused", ())
        return report.limit
    assert told.refusal is None
    assert (len(told.chunks), told.executor, told.placement) == (report.chunks, report.executor, report.placement)
    assert told.peak_bytes == report.peak_bytes
    assert told.flops == pytest.approx(report.flops)
    return "chunks" if report.chunks > 1 else "one chunk"


def asked(services: Services) -> Iterator[tuple[Differentiate, str]]:
    """Every question, and what came of it."""
    for seed in SEEDS:
        for case in cases(seed):
            call = case.question.call
            here = replace(case.question, call=replace(call, options=replace(call.options, placement=Placement.AUTO)))
            yield here, outcome_of(services.under(case.limits), here)


def test_what_a_service_explains_is_what_it_runs(services):
    outcomes, derivations = Counter[str](), set()
    for question, outcome in asked(services):
        outcomes[outcome] += 1
        derivations.add(question.derivation.called())
    assert derivations == set(DERIVATIONS)
    assert set(outcomes) == {*SMALLEST, "chunks", "one chunk"}


def test_the_planted_fault_of_chunks_that_change_after_explaining_is_found(services, monkeypatch):
    ask = RemoteBackend.ask

    def changing(self, question, deadline):
        monkeypatch.setattr(cut, "CHUNK_SECONDS", 2e-5 if isinstance(question, Explain) else 1e-2)
        return ask(self, question, deadline)

    monkeypatch.setattr(RemoteBackend, "ask", changing)
    with pytest.raises(AssertionError):
        list(asked(services))
