"""The mixed load: calls of every kind, with what each must come to, which is told in process and to the bit."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import numpy as np

from gradserve.client import Client
from gradserve.ir.errors import GradserveError, InvalidGraph, InvalidRequest, LimitExceeded

Call: TypeAlias = Callable[[], object]
"""Asks the service, and comes to what can be compared."""

LARGE = 17 << 17
"""Numbers of which some travel as a blob where they do not lie in shared memory."""
_POINTS = 48
_RNG = np.random.default_rng(5)
_DATA, _TARGETS = _RNG.standard_normal((2000, 30)), _RNG.standard_normal(2000)
_STARTS = _RNG.standard_normal((_POINTS, 30))
_POINT = _STARTS[0]


@dataclass(frozen=True)
class Kind:
    """One kind of call, and how often it is chosen beside the others."""

    weight: float
    call: Call


def _loss(w: Any) -> Any:
    return np.mean(np.log1p((_TARGETS - np.tanh(_DATA @ w)) ** 2))


def _small(w: Any) -> Any:
    return np.sum((w - 1.0) ** 2 * np.exp(-w))


def _deep(w: Any) -> Any:
    for _ in range(60):
        w = np.sin(w) + 0.1 * w
    return np.sum(w)


def kinds(client: Client, executor: str) -> Mapping[str, Kind]:
    """Calls of every kind by name, of one client."""

    def asked(loss: Callable[..., Any], **point: Any) -> Any:
        f = client.function(loss, **point)
        f.executor = executor
        return f

    small, loss, deep = asked(_small, w=_POINT[:4]), asked(_loss, w=_POINT), asked(_deep, w=_POINT)
    large = np.linspace(0.0, 1.0, LARGE)
    wide = asked(lambda w: w * w, w=large)
    numbers = itertools.count()
    return {
        "small call": Kind(40, lambda: _bits(small.value_and_grad(_POINT[:4]))),
        "gradient": Kind(20, lambda: _bits(loss.value_and_grad(_POINT))),
        "batch": Kind(8, lambda: _bits(loss.value_and_grad(_STARTS, batch=True))),
        "stream": Kind(2, lambda: _bits(list(loss.stream_gradient(_STARTS[:8])))),
        "product": Kind(8, lambda: _bits(loss.hvp(_POINT, tangent=_STARTS[1]))),
        "Hessian": Kind(4, lambda: _bits(loss.hessian(_POINT))),
        "graph": Kind(4, lambda: _bits(deep.grad(_POINT))),
        "trace": Kind(3, lambda: _estimate(loss.hessian_trace(_POINT, estimator="hutchinson", max_probes=96, seed=1))),
        "sketch": Kind(2, lambda: _estimate(loss.hessian_trace(_POINT, estimator="xtrace", max_probes=24, seed=2))),
        "spectrum": Kind(1, lambda: _bits(loss.hessian_spectrum(_POINT, probes=2, steps=12, seed=3).density)),
        "verification": Kind(2, lambda: _verdict(loss.verify(_POINT, seed=4))),
        "large array": Kind(1, lambda: _bits(wide(large)[-3:])),
        "new array": Kind(0.5, lambda: _bits(wide(_marked(large, next(numbers)))[-3:])),
        "new graph": Kind(2, lambda: _bits(_new_graph(client, executor))),
        "wrong shape": Kind(2, lambda: _refused(lambda: loss.grad(np.zeros(7)))),
        "too large": Kind(1, lambda: _refused(lambda: _huge(client))),
    }


def _marked(array: np.ndarray, number: int) -> np.ndarray:
    """The array with a number in the first place: nobody has been sent it before."""
    marked = array.copy()
    marked[0] = number
    return marked


def _new_graph(client: Client, executor: str) -> Any:
    """A gradient of a graph that the service may have forgotten, or never have seen."""
    f = client.function(lambda w: np.sum(np.cos(w) * _POINT), w=_POINT)
    f.executor = executor
    return f.grad(_POINT)


def _huge(client: Client) -> Any:
    return client.function(lambda w: np.sum(np.outer(w, w)), w=np.zeros(400_000)).grad(np.zeros(400_000))


def _refused(call: Callable[[], Any]) -> str:
    """The error that bad input ends in."""
    try:
        call()
    except (InvalidGraph, InvalidRequest, LimitExceeded) as refused:
        return type(refused).__name__
    return "not refused"


def _estimate(found: Any) -> object:
    return np.array([found.value, *found.interval, found.standard_error]).tobytes()


def _verdict(report: Any) -> object:
    return report.verdict, report.evaluations, [_bits((d.claimed, d.measured)) for d in report.directions]


def _bits(found: Any) -> object:
    """The bytes of all arrays and numbers in what a call came to."""
    if isinstance(found, Mapping):
        return {name: _bits(each) for name, each in found.items()}
    if isinstance(found, tuple | list):
        return [_bits(each) for each in found]
    return np.asarray(found).tobytes()


def impatient(address: str, token: str) -> str:
    """A call that its client gives up, by a deadline that is too short or by leaving amid it."""
    with Client(address, token=token) as client:
        f = client.function(_loss, w=_POINT)
        many = np.repeat(_STARTS, 20, axis=0)
        if time.monotonic_ns() % 2:
            f.timeout = 0.05
        else:
            threading.Timer(0.05, client.close).start()
        try:
            f.value_and_grad(many, batch=True)
        except GradserveError as error:
            return type(error).__name__
    return "answered"


GARBAGE = (b"", b"\xff" * 64, b"\x0a\x05hello", b"\x08\x96\x01" * 100, bytes(range(256)) * 16)
_METHODS = tuple(
    f"/gradserve.v1.{method}"
    for method in ("DerivativeService/Gradient", "GraphService/RegisterGraph", "EstimateService/EstimateTrace")
)
_TYPED = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
_UNKNOWN = {grpc.StatusCode.UNAUTHENTICATED}
_AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}


def garbage(address: str, number: int, token: str) -> str:
    """What bytes that are no request end in: empty for a typed refusal, or while the service is away.

    Every other time a stranger sends them, who is told nothing but that he is one.
    """
    method, data = _METHODS[number % len(_METHODS)], GARBAGE[number % len(GARBAGE)]
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_stream(method, None, None)
        is_known = number % 2
        metadata = (("authorization", f"Bearer {token}"),) if is_known else ()
        try:
            for _ in call(data, timeout=30.0, metadata=metadata):
                return "garbage was answered"
        except grpc.RpcError as error:
            return (
                ""
                if error.code() in (_TYPED if is_known else _UNKNOWN) | _AWAY
                else f"garbage ended in {error.code().name}"
            )
    return "garbage was answered with nothing"
