"""The day's-work server, and the limit: `python -m tests.bench.servers bare LOSS` or `echo` prints its port and serves.

Both pass bytes through synchronous gRPC without any message format.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
import numpy as np

from tests.bench.asked import LOSSES

METHOD = "/bench.Gradient/Call"
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Bytes(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """One unary method from bytes to bytes."""

    def __init__(self, function: Callable[[bytes], bytes]) -> None:
        self._handler = grpc.unary_unary_rpc_method_handler(lambda request, context: function(request))

    def service(self, handler_call_details: Any) -> Any:
        return self._handler if handler_call_details.method == METHOD else None


def echo() -> Callable[[bytes], bytes]:
    """The bytes themselves."""
    return lambda request: request


def bare(name: str) -> Callable[[bytes], bytes]:
    """The value and the gradient of a loss by JAX."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")

    function = jax.jit(jax.value_and_grad(functools.partial(LOSSES[name], jnp)))

    def answer(request: bytes) -> bytes:
        value, gradient = function(np.frombuffer(request))
        return np.asarray(value).tobytes() + np.asarray(gradient).tobytes()

    return answer


def main() -> None:
    """Serves until it is ended."""
    kinds: dict[str, Callable[..., Callable[[bytes], bytes]]] = {"echo": echo, "bare": bare}
    function = kinds[sys.argv[1]](*sys.argv[2:])
    server = grpc.server(futures.ThreadPoolExecutor(8), options=OPTIONS)
    server.add_generic_rpc_handlers((Bytes(function),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
