"""What is told to whoever calls a method that is not there: a typed error with the name of the call, as of others."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from gradserve.ir.errors import UnknownMethod, shown
from gradserve.service.calls.status import abort
from gradserve.service.monitoring.served import name_of_call


class Unknown(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
    """Handles all methods; to be added behind those that are there."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """What turns the call away, without reading anything of it."""
        method = shown(details.method)

        def refuse(_requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            error = UnknownMethod(f"there is no method {method} here; a service that is newer may have it")
            abort(context, error, {}, method, name_of_call(context))

        # A stream, whatever the method would be: nobody asks for its requests.
        return grpc.stream_stream_rpc_method_handler(refuse)
