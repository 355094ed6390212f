"""The channel to one service: calls that end in a reply or in a typed error."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any

import grpc

from gradserve.client.transport.address import checked_address
from gradserve.client.transport.deadline import Deadline
from gradserve.client.transport.ended import Closed, Unreachable
from gradserve.client.transport.errors import typed_error
from gradserve.client.transport.identity import Identity
from gradserve.client.transport.tracing import trace_headers
from gradserve.ir.errors import InvalidReply

MAX_MESSAGE_BYTES = 64 << 20

# Of a name that stands for several replicas, one at random: it alone knows what this client has sent.
_SERVICE = {"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": True}}]}
_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.service_config", json.dumps(_SERVICE)),
    # A connection of its own, not one for all clients of this process: then those of a crowd spread over a service's
    # processes and replicas.
    ("grpc.use_local_subchannel_pool", 1),
    # The session repeats calls itself: with gRPC's retries a stream that its server cuts off may wait for ever, past
    # its deadline, and they end long before a service has restarted.
    ("grpc.enable_retries", 0),
    # A machine that vanished is noticed while an answer is awaited.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A service that comes back is found again within seconds, not within gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class Connection:
    """A connection that is made on first use and made again when it is lost. Safe for threads."""

    def __init__(self, address: str, identity: Identity) -> None:
        """`identity` says whom to trust, and what to show with every call.

        Raises:
            InvalidRequest: it is no address.
        """
        self.address = checked_address(address)
        self._closed = False
        self._identity = identity
        credentials, server_name = identity.credentials, identity.server_name
        if credentials is None:
            self.channel = grpc.insecure_channel(address, _OPTIONS)
        else:
            named = (("grpc.ssl_target_name_override", server_name),) if server_name else ()
            self.channel = grpc.secure_channel(address, credentials, (*_OPTIONS, *named))

    def call(self, method: Callable[..., Any], request: Any, deadline: Deadline) -> Any:
        """The one reply of a method to a request, or to a stream of them.

        Raises:
            GradserveError: the typed error that the status stands for.
        """
        try:
            found = deadline.reply(method, request, timeout=deadline.left(), metadata=self._metadata())
        except grpc.RpcError as error:
            raise self._typed(error) from None
        except grpc.FutureCancelledError:
            raise Unreachable("the call was cancelled") from None
        except ValueError as error:
            raise self._unless_closed(error) from None
        if found is None:
            raise InvalidReply(f"what is at {self.address} says that all is well, and has not answered")
        return found

    def stream(self, method: Callable[..., Any], request: Any, deadline: Deadline) -> Generator[Any]:
        """The replies of a method one by one, with errors as in `call`. Leaving early cancels the call."""
        try:
            replies = method(request, timeout=deadline.left(), metadata=self._metadata())
        except ValueError as error:
            raise self._unless_closed(error) from None
        try:
            yield from replies
        except grpc.RpcError as error:
            raise self._typed(error) from None
        finally:
            replies.cancel()

    def close(self) -> None:
        """Ends calls under way and takes no more."""
        self._closed = True
        self.channel.close()

    def _metadata(self) -> tuple[tuple[str, str], ...] | None:
        """Who calls, and the span that it is part of."""
        token, trace = self._identity.metadata(), trace_headers()
        return token if trace is None else (*(token or ()), *trace)

    def _typed(self, error: grpc.RpcError) -> Exception:
        return Closed() if self._closed else typed_error(error, self.address)

    def _unless_closed(self, error: ValueError) -> Exception:
        """The error itself, unless it is gRPC's word for a channel that we have closed."""
        return Closed() if self._closed else error
