"""Turns strangers away before anything of their request is read.

A call whose handler waits for a request holds a thread and memory: whoever need not show first who he is could hold all
of them. What passes here is asked again where the call begins, which is also where its caller comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from gradserve.ir.errors import GradserveError, Unavailable
from gradserve.service.calls.status import abort, code_of
from gradserve.service.identity.authenticator import Authenticator
from gradserve.service.monitoring.metrics import Metrics
from gradserve.service.monitoring.served import name_of_call


class StrangerInterceptor(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Lets through who may be known."""

    def __init__(self, authenticator: Authenticator, services: Sequence[ServiceDescriptor], metrics: Metrics) -> None:
        """Stands before the methods of these services."""
        self._authenticator = authenticator
        methods = [method for service in services for method in service.methods]
        self._refusals = {
            f"/{method.containing_service.full_name}/{method.name}": self._refusal(
                f"{method.containing_service.name}/{method.name}", metrics
            )
            for method in methods
        }

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """The handler of the method, or one that turns the call away."""
        refusal = self._refusals.get(details.method)
        if refusal is None or self._authenticator.may_know(details.invocation_metadata):
            return continuation(details)
        return refusal

    def _refusal(self, name: str, metrics: Metrics) -> grpc.RpcMethodHandler[bytes, bytes]:
        counts = metrics.method(name)

        def refuse(_requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            request_id = name_of_call(context)
            try:
                self._authenticator.identify(context, lambda: request_id)
            except GradserveError as error:
                counts.ended(code_of(error), (), 0, 0, None, "")
                abort(context, error, {}, name, request_id)
            # Known a moment later, as when the file of tokens has changed in between.
            abort(context, Unavailable("who calls was not known yet; try again"), {}, name, request_id)

        # A stream, whatever the method is: its requests are read by whoever asks for them, and nobody does.
        return grpc.stream_stream_rpc_method_handler(refuse)
