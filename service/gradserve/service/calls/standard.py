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

from gradserve.ir.errors import GradserveError, InvalidRequest, UnknownService, shown
from gradserve.runtime.caches import Lru
from gradserve.service.calls.status import abort
from gradserve.service.identity.authenticator import Identify, anonymous
from gradserve.service.monitoring.served import name_of_call
from gradserve.service.threads.lanes import Lanes

REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
"""The newer name of a service whose messages are the same."""
CLUSTER = "cluster"
"""The name under which health tells of the Ray cluster, for services that have one."""
_LANES, _THREADS = 2, 16
"""Of each of the two."""
_QUESTION_BYTES = 4096
"""Of a question of reflection, which comes back with its answer."""
_ANSWERS = 256
"""How many answers are kept: of some 20 KiB, where there is any."""


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
        self._tells_of_cluster = False
        self._set(HealthCheckResponse.NOT_SERVING)
        self._health_threads, self._reflection_threads = _Threads(), _Threads()
        asks = anonymous if open_health else identify
        add_methods(server, health.SERVICE_NAME, self._health_methods(asks))
        names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME, REFLECTION_V1)
        methods = _reflection_methods(names, self._reflection_threads, identify)
        add_methods(server, reflection.SERVICE_NAME, methods)
        add_methods(server, REFLECTION_V1, methods)

    def serving(self) -> None:
        """Says from now on that every service takes calls."""
        self._set(HealthCheckResponse.SERVING)

    def cluster(self, is_there: bool) -> None:
        """Says whether the service has its Ray cluster: without it calls are answered too, more slowly."""
        self._tells_of_cluster = True
        self._health.set(CLUSTER, HealthCheckResponse.SERVING if is_there else HealthCheckResponse.NOT_SERVING)

    def draining(self) -> None:
        """Says from now on that none does."""
        self._health.enter_graceful_shutdown()

    def close(self) -> None:
        """Ends the threads."""
        self._health_threads.shutdown(wait=False)
        self._reflection_threads.shutdown(wait=False)

    def _health_methods(self, asks: Identify) -> dict[str, Any]:
        on = functools.partial(_on, self._health_threads, asks, HealthCheckRequest)
        check, watch, encode = on(self._check), on(self._health.Watch), HealthCheckResponse.SerializeToString
        return {
            "Check": grpc.unary_unary_rpc_method_handler(check, None, encode),
            "Watch": grpc.unary_stream_rpc_method_handler(watch, None, encode),
        }

    def _check(self, request: Any, context: grpc.ServicerContext) -> Any:
        known = [*self._services, *([CLUSTER] if self._tells_of_cluster else [])]
        if request.service not in known:
            text = f"health knows of no service {shown(request.service)}; there are {', '.join(known[1:])}"
            error = UnknownService(f"{text}, and without a name the whole")
            abort(context, error, {}, f"{health.SERVICE_NAME}/Check", name_of_call(context))
        return self._health.Check(request, context)

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


def _reflection_methods(names: Sequence[str], pool: _Threads, identify: Identify) -> dict[str, Any]:
    behavior = _on(pool, identify, ServerReflectionRequest, Reflection(names).answers)
    return {"ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(behavior)}


class Reflection:
    """Answers to questions of reflection, each found out once: descriptions of all files below one take long."""

    def __init__(self, names: Sequence[str]) -> None:
        """Of the services with these full names."""
        self._servicer: Any = reflection.ReflectionServicer(names)
        self._known: Lru[bytes, bytes] = Lru(_ANSWERS)

    def answers(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[bytes]:
        """The answers, one by one."""
        for request in requests:
            if request.ByteSize() > _QUESTION_BYTES:
                error = InvalidRequest(
                    f"a question of reflection has {request.ByteSize()} bytes; at most {_QUESTION_BYTES}"
                )
                abort(context, error, {}, reflection.SERVICE_NAME, name_of_call(context))
            # The bytes of a message are those of its parts, one after the other: what was asked goes behind.
            yield self._answer(request) + ServerReflectionResponse(original_request=request).SerializeToString()

    def _answer(self, request: Any) -> bytes:
        """The answer without what was asked."""
        about = ServerReflectionRequest()
        about.CopyFrom(request)
        about.ClearField("host")
        key = about.SerializeToString()
        found = self._known.get(key)
        if found is None:
            (answer,) = self._servicer.ServerReflectionInfo(iter([about]), None)
            answer.ClearField("original_request")
            found = answer.SerializeToString()
            self._known.put(key, found)
        return found


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
