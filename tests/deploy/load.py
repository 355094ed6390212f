"""What users do: values, gradients, batches, products, estimates, verifications; and now and then a mistake."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np

from gradserve.client import Client
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import Stubs, call_of

_RNG = np.random.default_rng(0)
X, Y = _RNG.standard_normal((1000, 100)), _RNG.integers(0, 2, 1000)


def regression(w: Any) -> Any:
    """A logistic regression; its data are sent once, as blobs."""
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - Y * z)


def chain(w: Any) -> Any:
    """A long chain of cheap steps: each point is a chunk of a fraction of a second."""
    y = w
    for _ in range(300):
        y = np.sin(y * 1.1 + 0.1) * w - 0.2
    return np.sum(y)


class Users:
    """A few of them, each on a thread, until left. Errors that they did not ask for are kept."""

    def __init__(self, address: str, *jobs: str, pause: float = 0.05, timeout: float = 60.0) -> None:
        """`jobs` are names of methods of this class: one thread each. A call may take `timeout` seconds."""
        self.address = address
        self.errors: list[Exception] = []
        self._pause, self._timeout = pause, timeout
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=(job,), daemon=True) for job in jobs]

    def all_sorts(self, client: Client) -> Iterator[None]:
        """Every main job, one after the other."""
        f = client.function(regression, w=np.zeros(100))
        direction = np.ones(100)
        while True:
            w = 0.1 * np.random.default_rng().standard_normal(100)
            f(w)
            f.value_and_grad(w)
            f.hvp(w, tangent=direction)
            f.jvp(w, tangent=direction)
            f.explain(w)
            yield
            f.hessian_trace(w, max_probes=64)
            f.verify(w, directions=2)
            yield

    def batches(self, client: Client) -> Iterator[None]:
        """Batches of many sizes, computed by the cluster."""
        f = client.function(regression, w=np.zeros(100))
        f.placement = "cluster"
        while True:
            for points in (1, 16, 64):
                f.value_and_grad(np.zeros((points, 100)), batch=True)
                yield

    def chunks(self, client: Client) -> Iterator[None]:
        """Calls of a dozen chunks that keep the cluster's workers busy for seconds."""
        f = client.function(chain, w=np.ones(40_000))
        f.placement = "cluster"
        while True:
            f.value_and_grad(np.ones((12, 40_000)), batch=True)
            yield

    def long_calls(self, client: Client) -> Iterator[None]:
        """Calls that keep a front end busy for a second or more."""
        f = client.function(chain, w=np.ones(40_000))
        f.placement = "front-end"
        while True:
            f.value_and_grad(np.ones((6, 40_000)), batch=True)
            yield

    def mistakes(self, _: Client) -> Iterator[None]:
        """Calls that are refused, each for a reason of the user's own."""
        with grpc.insecure_channel(self.address) as channel:
            stubs = Stubs(channel)
            while True:
                for wrong in (call_of(arguments={}), call_of("0" * 64)):
                    try:
                        stubs.derivatives.Gradient(pb.GradientRequest(call=wrong), timeout=10)
                    except grpc.RpcError as error:
                        if error.code() not in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
                            raise
                yield
                self._over.wait(1.0)

    def _repeat(self, job: str) -> None:
        with Client(self.address, timeout=self._timeout) as client:
            steps = getattr(self, job)(client)
            while not self._over.wait(self._pause):
                try:
                    next(steps)
                except Exception as error:
                    self.errors.append(error)
                    steps = getattr(self, job)(client)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
