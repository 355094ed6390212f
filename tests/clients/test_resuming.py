"""Streams that go on: by themselves where a service is lost, and by their tokens on another one."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client, InvalidRequest
from gradserve.client.transport import session as sessions
from tests.clients.bits import same_bits
from tests.clients.examples import DATA

X = DATA.ravel()[:400].reshape(20, 20)
POINT = np.linspace(-1.0, 1.0, 20)


def loss(w):
    return np.sum(np.tanh(X @ w) ** 2) + 0.05 * np.sum(w**4)


METHODS = {
    "trace": lambda f, **more: f.hessian_trace(POINT, max_probes=300, estimator="hutchinson", seed=1, **more),
    "auto": lambda f, **more: f.hessian_trace(POINT, max_probes=19, estimator="auto", diagonal=True, **more),
    "diagonal": lambda f, **more: f.hessian_diagonal(POINT, max_probes=100, seed=1, **more),
    "spectrum": lambda f, **more: f.hessian_spectrum(POINT, probes=6, steps=5, **more),
    "eigenpairs": lambda f, **more: f.hessian_eigenpairs(POINT, count=2, basis=4, tol=1e-10, **more),
    "verify": lambda f, **more: f.verify(POINT, seed=3, **more),
    "symmetry": lambda f, **more: f.verify_symmetry(POINT, count=4, seed=3, **more),
}


class Left(Exception):
    """Whoever asks has gone."""


def left_after(count, call, f):
    """The answer at which a caller has left, who had seen so many."""
    seen = []

    def progress(answer):
        seen.append(answer)
        if len(seen) == count:
            raise Left

    with pytest.raises(Left):
        call(f, progress=progress)
    return seen[-1]


def told(answer):
    """What is the same in equal answers; `looks` tells what was said to whoever asked, from where it went on."""
    apart = ("report", "token", "execution", "looks")
    return {name: value for name, value in fields_of(answer).items() if name not in apart}


def fields_of(answer):
    return {name: getattr(answer, name) for name in answer.__dataclass_fields__}


@pytest.mark.parametrize("method", METHODS)
def test_a_stream_goes_on_with_another_service(method, remote, embedded, start):
    """One that has never heard of the graph; and in process, where there is no service at all."""
    call, f = METHODS[method], remote.function(loss, POINT)
    expected = call(f)
    stood = left_after(2, call, f)
    with Client(f"127.0.0.1:{start().port}", timeout=30) as other:
        seen: list[Any] = []
        found = call(other.function(loss, POINT), resume=stood, progress=seen.append)
    assert same_bits(told(found), told(expected))
    assert same_bits(told(seen[0]), told(stood)), "it begins with the answer that the token came with"
    assert same_bits(told(call(embedded.function(loss, POINT), resume=stood.token)), told(expected))


def interrupted(start, probes, at, before=lambda: None):
    """An estimate whose service is lost at an answer: the estimate, what was seen, and the service that came back."""
    services, seen = [start()], []
    address = f"127.0.0.1:{services[0].port}"

    def progress(estimate):
        seen.append(estimate.probes)
        if estimate.probes == at:
            services[0].stop(0)
            before()
            services.append(start(address=address))

    with Client(address, timeout=60) as client:
        found = client.function(loss, POINT).hessian_trace(
            POINT, max_probes=probes, estimator="hutchinson", seed=2, progress=progress
        )
    return found, seen, services[1]


PROBES = 1 << 15
"""So many that the service is not ahead of its client by all of them."""
SEEN = [1 << k for k in range(4, 16)]


def test_a_lost_service_costs_the_last_block_alone(start, remote):
    """The one that comes back runs what no answer had told, and nothing again."""
    expected = remote.function(loss, POINT).hessian_trace(POINT, max_probes=PROBES, estimator="hutchinson", seed=2)
    found, seen, second = interrupted(start, PROBES, at=64)
    assert same_bits(told(found), told(expected))
    assert seen == SEEN
    assert PROBES - counted(second) in SEEN[2:]


def test_without_tokens_it_begins_anew(start, monkeypatch):
    """A planted fault: of a client that forgets tokens all probes are run again."""
    saw = sessions._Progress.saw
    forgetful = lambda self, position, answer: saw(self, position, dataclasses.replace(answer, token=b""))  # noqa: E731
    monkeypatch.setattr(sessions._Progress, "saw", forgetful)
    _, seen, second = interrupted(start, PROBES, at=64)
    assert seen == SEEN
    assert counted(second) == PROBES


def test_a_token_that_a_service_refuses_is_not_insisted_on(start, monkeypatch):
    """As of one of another release: the stream begins again, and what was seen is left out."""
    release = functools.partial(monkeypatch.setattr, "gradserve.wire.stream_tokens.VERSION", 2)
    _, seen, second = interrupted(start, PROBES, at=64, before=release)
    assert seen == SEEN
    assert counted(second) == PROBES


def counted(service):
    """The probes that a service has counted."""
    return service.metrics.registry.get_sample_value("gradserve_probes_total")


@pytest.mark.parametrize("resume", [b"", "text", 3, object()])
def test_what_is_no_token_is_refused_at_once(resume, embedded):
    with pytest.raises(InvalidRequest, match=r"resume is .*write an answer on the way or its \.token"):
        embedded.function(loss, POINT).hessian_trace(POINT, resume=resume)


def test_a_token_of_another_point_is_refused(client):
    f = client.function(loss, POINT)
    stood = f.hessian_trace(POINT, max_probes=16, estimator="hutchinson")
    with pytest.raises(InvalidRequest, match="it is one of another question") as refused:
        f.hessian_trace(POINT + 1, max_probes=16, estimator="hutchinson", resume=stood)
    assert [violation.field for violation in refused.value.violations] == ["resume"]


@pytest.mark.parametrize(
    "command",
    [
        ("trace", "--max-probes", "64"),
        ("hessian-diagonal", "--max-probes", "64"),
        ("spectrum", "--probes", "4", "--steps", "3"),
        ("eigenpairs", "--count", "2"),
        ("solve", "--damping", "1"),
        ("verify",),
        ("symmetry",),
    ],
)
def test_a_command_that_was_interrupted_is_run_again(command, folder, run):
    name, *options = command
    arguments = [name, "loss.pb", "point.npz", *options]
    expected = run(*arguments)
    assert run(*arguments, "--resume", "where.token") == expected
    assert (folder / "where.token").stat().st_size
    assert run(*arguments, "--resume", "where.token") == expected
    assert run(*arguments, "--seed", "5", "--resume", "where.token")[0] == 2
    assert [path.name for path in folder.glob("where*")] == ["where.token"]
