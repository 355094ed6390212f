"""The client: where functions are made, and what they ask."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gradserve.client.backend import Backend
from gradserve.client.certifying import Certificate, certify
from gradserve.client.function import Function
from gradserve.client.settings import (
    checked_credentials,
    checked_hedge,
    checked_switch,
    checked_threads,
    checked_timeout,
    checked_watch,
)
from gradserve.client.tracing.graphs import Traces
from gradserve.client.tracing.watching import Watch
from gradserve.client.transport.address import checked_address
from gradserve.client.transport.hedge import Hedge
from gradserve.client.transport.identity import Identity, Tls, Token
from gradserve.ir.graph import Graph
from gradserve.questions.verification import VerificationProgress

if TYPE_CHECKING:
    import grpc

    from gradserve.client.importers.imported import Imported

DEFAULT_TIMEOUT = 60.0


class Client:
    """A gradserve service, or the same jobs in this process. Safe for threads; close it, or use it in a `with`.

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
        timeout: float | None = DEFAULT_TIMEOUT,
        tls: bool | str | Path | Tls | None = None,
        token: Token | None = None,
        allow_plain_token: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str = "",
        threads: int | None = None,
        watch: Watch = True,
        share_memory: bool = True,
        hedge: bool | float | Hedge = False,
    ) -> None:
        """Connects on first use.

        Args:
            address: `host:port` of a service, or `unix:/path` of one on this machine; None computes in this process.
            timeout: seconds within which every call must be answered; None for as long as the service allows.
            tls: True trusts the authorities that this machine trusts, a file in PEM those in it; `Tls` says all, your
                own certificate too. None is as GRADSERVE_CLIENT_TLS, _CA, _CERTIFICATE and _KEY say; without them the
                connection is plain.
            token: who asks, where the service wants to know: a text, the Path of a file or a function, which are asked
                for every call. None is as GRADSERVE_CLIENT_TOKEN or GRADSERVE_CLIENT_TOKEN_FILE say.
            allow_plain_token: whether the token may travel unencrypted to another machine.
            credentials: for TLS in ways of gRPC's own, in place of `tls`.
            server_name: the name in the service's certificate, where that is not the host of the address.
            threads: of the in-process mode; by default as many as there are processors.
            share_memory: whether large arrays lie in memory that this process shares with a service of the same user on
                the same machine (Linux), instead of being sent; nobody else can open it.
            hedge: whether a call whose answer is late is asked a second time, by a connection of its own; the first
                answer counts and the other call is cancelled. True means later than 95 of 100 of its kind, a number
                that many seconds, and `Hedge` says all, another front end's address too. At most one call of ten is
                asked twice in the long run; answers that come one by one never are.
            watch: whether functions look at each call if what they captured has changed; see `Function.watch`.

        Raises:
            InvalidRequest: it is no address, or an option has no such value.
            OSError: a certificate cannot be read.
            ImportError: the in-process mode is not installed.
        """
        self.address = address
        self._timeout = checked_timeout(timeout)
        self._watch = checked_watch(watch)
        trusted, threads = checked_credentials(credentials), checked_threads(threads)
        share = checked_switch(share_memory, "share_memory")
        if address is None:
            self._backend: Backend = _embedded(threads)
            return
        from gradserve.client.transport.remote import RemoteBackend  # with this gRPC and protobuf come

        identity = Identity(checked_address(address), tls, token, allow_plain_token, trusted, server_name)
        self._backend = RemoteBackend(address, identity, share)
        hedging = checked_hedge(hedge)
        if hedging is not None:
            from gradserve.client.transport.hedging import HedgedBackend

            other = checked_address(hedging.address or address)
            identity = Identity(other, tls, token, allow_plain_token, trusted, server_name)
            self._backend = HedgedBackend(self._backend, RemoteBackend(other, identity, share), hedging)

    def function(self, function: Callable[..., Any], /, *examples: Any, **named: Any) -> Function:
        """`function`, plain NumPy code of its parameters, made ready to be asked for derivatives.

        With examples of its parameters (arrays or nested dicts, lists, tuples and dataclasses of them) it is traced at
        once, otherwise at the first call; arguments of other shapes trace it anew. A type in the place of an example,
        such as `array("n", 3)`, is a promise: arguments that do not fit it are refused, and so are two lengths of one
        name that differ. Within the function lengths are numbers: it is traced once for each that calls tell.

        Arrays that it captures become data of the graph, and are sent once. If what it captures is replaced or changed
        in place, the next call traces it anew (see `Function.watch`); what changes from call to call is better a
        parameter.

        Raises:
            Untraceable: the code does something that no graph can say; names the line and what to write instead.
            InvalidRequest: an example is not a tree of arrays and numbers.
            TypeError: the examples do not fit the function's signature.
        """
        import gradserve.client.entered  # noqa: F401  # with this all ops come, here as in `load`
        from gradserve.client.importers.imported import Imported
        from gradserve.client.tracing.foreign import require_traceable

        if isinstance(function, Imported):
            raise TypeError("this function is imported, and has its graph: client.load(...) takes it")
        require_traceable(function)
        traces = Traces(function, self._watch)
        if examples or named:
            traces.expect(examples, named)
        return Function(self._backend, traces, self._timeout)

    def load(self, source: Graph | Imported | str | Path, /) -> Function:
        """The function of a graph, of what an importer made, or of a graph file that `Function.save` wrote.

        Its parameters are the inputs; those of what is imported are the parameters of the function there.

        Raises:
            OSError: the file cannot be read.
            InvalidGraph: it holds no correct graph; names all violations.
        """
        # With these come all ops: half of all code, which nobody is to wait for who asks for the client alone.
        from gradserve.client.importers.files import load_graph
        from gradserve.client.importers.imported import Imported, of_arrays
        from gradserve.client.importers.loaded import LoadedGraph

        if isinstance(source, Imported):
            return Function(self._backend, LoadedGraph(source.traced, source.source, source.parameters), self._timeout)
        graph = source if isinstance(source, Graph) else load_graph(Path(source))
        return Function(self._backend, LoadedGraph(of_arrays(graph)), self._timeout)

    def certify(
        self,
        function: Callable[..., Any] | Function | Graph | str | Path,
        claimed: Any,
        *,
        at: Any,
        of: str = "gradient",
        tangent: Any = None,
        directions: int = 0,
        seed: int = 0,
        rel_tol: float = 0.0,
        progress: Callable[[VerificationProgress], object] | None = None,
    ) -> Certificate:
        """The certificate of a derivative from anywhere, as `gradserve.client.certify` gives it.

        A Python function runs in this process, never on the service. A `Function`, a graph, or a graph file is
        evaluated where this client evaluates.
        """
        known = self.load(function) if isinstance(function, Graph | str | Path) else function
        chosen: dict[str, Any] = {"directions": directions, "seed": seed, "rel_tol": rel_tol}
        return certify(known, claimed, at=at, of=of, tangent=tangent, progress=progress, **chosen)

    def close(self) -> None:
        """Closes the connection, or ends the threads. Functions of this client cannot be asked any more."""
        self._backend.close()

    def __repr__(self) -> str:
        return f"Client({self.address!r})" if self.address else "Client()"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _embedded(threads: int | None) -> Backend:
    try:
        from gradserve.client.embedded import EmbeddedBackend

        if importlib.util.find_spec("scipy") is None:  # which is imported where it is needed, amid calls
            raise ModuleNotFoundError(name="scipy")
    except ImportError as error:
        raise ImportError(
            f"Client() without an address computes in this process and needs {error.name!r}: "
            "pip install 'gradserve[service]', or give the address of a service"
        ) from error
    return EmbeddedBackend(threads)
