"""The client: where functions are made, and what they ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from gradserve.client.backend import Backend
from gradserve.client.files import load_graph
from gradserve.client.function import Function
from gradserve.client.remote import RemoteBackend
from gradserve.client.signature import LoadedGraph, Traces
from gradserve.ir.graph import Graph

DEFAULT_TIMEOUT = 60.0


class Client:
    """A gradserve service, or the same jobs in this process. Safe for threads.

    With an address every call goes to the service there; without one (`pip install 'gradserve[service]'`) it is
    computed here, by the same code, to the same bits; BLAS then runs on one thread in this process until the client is
    closed, because the number of its threads can change the last bits.

    Example:
        >>> import numpy as np
        >>> with Client() as client:
        ...     f = client.function(lambda w: np.sum(w**2), w=np.zeros(3))
        ...     value, grad = f.value_and_grad(np.array([1.0, 2.0, 3.0]))
        >>> grad
        array([2., 4., 6.])
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        credentials: grpc.ChannelCredentials | None = None,
        threads: int | None = None,
    ) -> None:
        """`address` is `host:port`; `timeout` in seconds bounds every call; `threads` is for the in-process mode."""
        self.address = address
        self._timeout = timeout
        self._backend: Backend = _embedded(threads) if address is None else RemoteBackend(address, credentials)

    def function(self, function: Callable[..., Any], *examples: Any, **named: Any) -> Function:
        """`function`, plain NumPy code of its parameters, made ready to be asked for derivatives.

        With examples of its parameters (arrays or nested dicts, lists, tuples and dataclasses of them) it is traced at
        once, otherwise at the first call; arguments of other shapes trace it anew. Arrays that it captures become data
        of the graph, sent once.

        Raises:
            Untraceable: the code does something that no graph can say; names the line and what to write instead.
        """
        traces = Traces(function)
        if examples or named:
            traces.trace(examples, named)
        return Function(self._backend, traces, self._timeout)

    def load(self, source: Graph | str | Path) -> Function:
        """The function of a graph, or of a graph file that `Function.save` wrote."""
        graph = source if isinstance(source, Graph) else load_graph(Path(source))
        return Function(self._backend, LoadedGraph(graph), self._timeout)

    def close(self) -> None:
        """Closes the connection, or ends the threads."""
        self._backend.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _embedded(threads: int | None) -> Backend:
    try:
        from gradserve.client.embedded import EmbeddedBackend
    except ImportError as error:
        raise ImportError(
            f"Client() without an address computes in this process and needs {error.name!r}: "
            "pip install 'gradserve[service]', or give the address of a service"
        ) from error
    return EmbeddedBackend(threads)
