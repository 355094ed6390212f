"""What gRPC takes by itself: a server that answers a request with its bytes, `python -m tests.bench.bare`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

METHOD = "/bare.Echo/Say"


def main() -> None:
    """Serves until standard input ends."""
    server = grpc.server(ThreadPoolExecutor(2))
    service, name = METHOD[1:].split("/")
    handler = grpc.unary_unary_rpc_method_handler(lambda data, _context: data)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None).wait()


if __name__ == "__main__":
    main()
