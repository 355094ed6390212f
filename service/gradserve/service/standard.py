"""The standard services beside our own: health and reflection.

They have threads of their own, so that a service whose threads are all taken still tells that it lives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from gradserve.ir.errors import GradserveError, InvalidRequest
from gradserve.service.identity.authenticator import Identify, anonymous
from gradserve.service.lanes import Lanes
from gradserve.service.served import name_of_call
from gradserve.service.status import abort

REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
"""The newer name of a service whose messages are the same."""
CLUSTER = "cluster"
"""The name under which health tells of the Ray cluster, for services that have one."""
_LANES, _THREADS = 2, 16
"""Of each of the two."""


class Standard:
    """Health and reflection of one server."""

    def __init__(
        self, server: grpc.Server, services: Sequence[str], identify: Identify = anonymous, open_health: bool = True
    ) -> None:
        """Adds both to a server not yet started; `services` are the full names of its own.

        Reflection answers whom `identify` knows, and so does health unless it is open.
        """
        self._health = health.HealthServicer()
        self._services = [health.OVERALL_HEALTH, *services]
        self._set(HealthCheckResponse.NOT_SERVING)
        self._health_threads, self._reflection_threads = _Threads(), _Threads()
        asks = anonymous if open_health else identify
        add_methods(server, health.SERVICE_NAME, _health_methods(self._health, self._health_threads, asks))
        names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME, REFLECTION_V1)
        methods = _reflection_methods(reflection.ReflectionServicer(names), self._reflection_threads, identify)
        add_methods(server, reflection.SERVICE_NAME, methods)
        add_methods(server, REFLECTION_V1, methods)

    def serving(self) -> None:
        """Says from now on that every service takes calls."""
        self._set(HealthCheckResponse.SERVING)

    def cluster(self, is_there: bool) -> None:
        """Says whether the service has its Ray cluster: without it calls are answered too, more slowly."""
        self._health.set(CLUSTER, HealthCheckResponse.SERVING if is_there else HealthCheckResponse.NOT_SERVING)

    def draining(self) -> None:
        """Says from now on that none does."""
        self._health.enter_graceful_shutdown()

    def close(self) -> None:
        """Ends the threads."""
        self._health_threads.shutdown(wait=False)
        self._reflection_threads.shutdown(wait=False)

    def _set(self, status: int) -> None:
        for service in self._services:
            self._health.set(service, status)


class _Threads(ThreadPoolExecutor):
    """Lanes as gRPC takes them for single methods: it looks at the class. No thread of its own is ever started."""

    def __init__(self) -> None:
        super().__init__(1)
        self.lanes = Lanes(_LANES, _THREADS)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls a function as soon as there is a lane."""
        return self.lanes.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls."""
        self.lanes.shutdown(wait)


def add_methods(server: grpc.Server, service: str, methods: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
    """Adds the methods of a service, as generated code does."""
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    server.add_registered_method_handlers(service, methods)  # type: ignore[attr-defined]  # newer than the stubs


def _health_methods(servicer: health.HealthServicer, pool: _Threads, identify: Identify) -> dict[str, Any]:
    on = functools.partial(_on, pool, identify, HealthCheckRequest)
    return {
        "Check": grpc.unary_unary_rpc_method_handler(on(servicer.Check), None, HealthCheckResponse.SerializeToString),
        "Watch": grpc.unary_stream_rpc_method_handler(on(servicer.Watch), None, HealthCheckResponse.SerializeToString),
    }


def _reflection_methods(servicer: reflection.ReflectionServicer, pool: _Threads, identify: Identify) -> dict[str, Any]:
    behavior = _on(pool, identify, ServerReflectionRequest, servicer.ServerReflectionInfo)
    encode = ServerReflectionResponse.SerializeToString
    return {"ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(behavior, None, encode)}


def _on(pool: _Threads, identify: Identify, kind: Any, behavior: Callable[..., Any]) -> Callable[..., Any]:
    """The behavior, for callers who are known, on threads of its own; it is given bytes, which gRPC would end INTERNAL.

    A gRPC that does not know the wish runs it among all others.
    """

    @functools.wraps(behavior)
    def run(request: Any, context: grpc.ServicerContext, *more: Any) -> Any:
        pool.lanes.heard()
        read = functools.partial(_read, kind, context, behavior.__qualname__)
        request_id = name_of_call(context)
        try:
            identify(context, lambda: request_id)
        except GradserveError as error:
            abort(context, error, {}, behavior.__qualname__, request_id)
        given = map(read, pool.lanes.hearing(request)) if isinstance(request, Iterator) else read(request)
        return behavior(given, context, *more)

    run.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return run


def _read(kind: Any, context: grpc.ServicerContext, method: str, data: bytes) -> Any:
    """The message in these bytes; the call ends INVALID_ARGUMENT if there is none."""
    try:
        return kind.FromString(data)
    except DecodeError:
        error = InvalidRequest(f"the bytes are no {kind.DESCRIPTOR.full_name}")
        abort(context, error, {}, method, name_of_call(context))
