"""This process's connection to Ray: to a running cluster, or to one started here."""

from __future__ import annotations

import atexit
import ctypes
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import wait
from contextlib import contextmanager
from typing import Any, TypeVar

import ray
from ray import _raylet
from ray._private import auto_init_hook, ray_constants, services

from gradserve.ir.errors import Unavailable
from gradserve.pools.ray.local_head import LocalHead
from gradserve.pools.ray.watch import ANSWER_SECONDS, Watch, own_node, require_node
from gradserve.runtime.aside import aside

T = TypeVar("T")

_LOOK_SECONDS = 0.1
"""How often one who waits for Ray looks whether the cluster is lost."""
_untyped: Any = ray
"""Ray, for the functions of it that carry no annotations."""
_core: Any = _raylet
"""Its part in C++, which carries none at all."""
_logger = logging.getLogger(__name__)
_lock = threading.Lock()
_users = 0
_ours = False
_head: LocalHead | None = None
_watches: list[Watch] = []
"""Those of a cluster that others run: of our node in it, and of its head."""
_TOKEN_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_before: dict[str, str | None] = {}
"""What those variables were before they told of our own cluster."""
_lost = threading.Event()
_listeners: list[Callable[[str], None]] = []
_crews: list[Callable[[], int]] = []
"""What tells how many workers each pool has."""


def connect(address: str | None, cpus: int, object_store_bytes: int | None = None) -> None:
    """Connects to the cluster at `address`, or starts one on this machine with `cpus` CPUs.

    A process has one connection. If it has one already, that is shared; each `connect` needs its `disconnect`.
    """
    global _users, _ours  # as Ray's connection is
    with _lock:
        if not ray.is_initialized():
            _open(address, cpus, object_store_bytes)
            _ours = True
        _users += 1


def disconnect() -> None:
    """Ends the connection when its last user leaves, and the cluster with it if it was started here."""
    global _users, _ours
    with _lock:
        _users -= 1
        if not _users and _ours:
            _ours = False
            _close()


def on_lost(listener: Callable[[str], None]) -> None:
    """Calls `listener` with the reason whenever the cluster is lost, from a thread of its own."""
    _listeners.append(listener)


def forget(listener: Callable[[str], None]) -> None:
    """Calls it no more."""
    _listeners.remove(listener)


def employ(crew: Callable[[], int]) -> Callable[[], None]:
    """Has it count what workers a pool has: `crew` tells how many. Returns what ends that."""
    _crews.append(crew)
    return lambda: _crews.remove(crew)


def require() -> None:
    """Returns if the cluster has not been lost: Ray ends a process that hands it an array then.

    Raises:
        Unavailable: it has.
    """
    head = _head
    if _lost.is_set() or (head is not None and not head.is_whole()):
        raise Unavailable("the Ray cluster of this service is lost and started again")


def lose(reason: str) -> None:
    """Takes down that the cluster is lost, or the node by which this process is in it, and tells who listens."""
    _lost.set()
    for listener in tuple(_listeners):
        listener(reason)


def asked(ask: Callable[[], T], seconds: float = math.inf) -> T:
    """What Ray says to it, on a thread that nobody need wait for: what stands still answers when it goes on.

    Raises:
        Unavailable: the cluster is lost, before or meanwhile, or says nothing for so many seconds.
    """
    require()
    answer = aside(ask, "gradserve-ask")
    until = time.monotonic() + seconds
    while not wait([answer], _LOOK_SECONDS).done:
        require()
        if time.monotonic() > until:
            raise Unavailable(f"the head of the Ray cluster has not answered for {seconds:g} s")
    return answer.result()


def resources() -> dict[str, float]:
    """What the whole cluster has: `CPU`, `memory` in bytes, and more."""
    found: dict[str, float] = asked(_untyped.cluster_resources, ANSWER_SECONDS)
    return found


def machine_memory() -> dict[str, int]:
    """Bytes of memory that may be reserved on each machine, by node id."""
    nodes = asked(_untyped.nodes, ANSWER_SECONDS)
    return {node["NodeID"]: int(node["Resources"].get("memory", 0)) for node in nodes if node["Alive"]}


def _open(address: str | None, cpus: int, object_store_bytes: int | None) -> None:
    global _head
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    auto_init_hook.enable_auto_connect = False  # who comes late would start a cluster that nobody ends
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the coming default; silences a warning
    _lost.clear()
    try:
        if address is None:
            _head = started(cpus, object_store_bytes, lost=lose)
            _show(_head.environment)
            with _KeptSignals(), _at_loopback():
                _connect(_head.address)
        else:
            with _KeptSignals():
                _use(address)
    except BaseException:
        _close()
        raise


def _use(address: str) -> None:
    """Connects to a cluster that others run, and looks whether our node in it goes on to answer.

    Ray would wait with the interpreter's lock in hand for one that does not.
    """
    try:
        head = services.canonicalize_bootstrap_address_or_die(address)
        require_node(head)
        _connect(head)
    except (ConnectionError, RuntimeError) as error:
        raise Unavailable(f"no Ray cluster can be used at {address}: {error}") from error
    _watches.append(Watch(asked(own_node, ANSWER_SECONDS), _without_node))
    _watches.append(Watch(head, _without_head))


def _without_node(reason: str) -> None:
    lose(f"its node on this machine {reason}")


def _without_head(reason: str) -> None:
    """Workers go on without a head. But nobody starts others, so that nothing can be awaited where there are none."""
    if not any(crew() for crew in tuple(_crews)):
        lose(f"it has no workers, and its head {reason}")


def _connect(address: str) -> None:
    atexit.unregister(ray.shutdown)  # it would wait for a node that stands still, and this process with it
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR)


def _show(environment: Mapping[str, str]) -> None:
    """Has this process show the token that the cluster asks for: Ray keeps the one that it read first."""
    global _before
    _before = {name: os.environ.pop(name, None) for name in _TOKEN_VARIABLES}
    os.environ.update(environment)
    _read_token_again()


def _forget_token() -> None:
    global _before
    for name, value in _before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    _before = {}
    _read_token_again()


def _read_token_again() -> None:
    _core.Config.initialize("")
    _core.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _at_loopback() -> Iterator[None]:
    """A context in which Ray takes the loopback address for this machine's own, as `LocalHead` does."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _close() -> None:
    global _head
    while _watches:
        _watches.pop().close()
    with _KeptSignals():  # which ending resets as well
        ray.shutdown()
    if _head is not None:
        _forget_token()
        _head.close()
        _head = None


def started(
    cpus: int,
    object_store_bytes: int | None = None,
    attempts: int = 3,
    *,
    lost: Callable[[str], None] = lambda _: None,
) -> LocalHead:
    """A cluster on this machine; `lost` is called with the reason if it ends before it is closed.

    A busy machine may not start it in Ray's time, which cannot be changed; then again.
    """
    for _ in range(1, attempts):
        try:
            return LocalHead(cpus, object_store_bytes, lost)
        except Unavailable as error:
            _logger.warning("%s; trying again", error)
    return LocalHead(cpus, object_store_bytes, lost)


class _KeptSignals:
    """A context after which SIGTERM is handled as before: Ray puts its own handler there, in whatever thread it starts.

    Python's own `signal` would restore it in the main thread only.
    """

    def __enter__(self) -> None:
        self._before = signal.getsignal(signal.SIGTERM)
        self._action = ctypes.create_string_buffer(_ACTION_BYTES)
        _sigaction(signal.SIGTERM, None, self._action)

    def __exit__(self, *_: object) -> None:
        handler: signal.Handlers | signal._HANDLER | None = self._before
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)
        _sigaction(signal.SIGTERM, self._action, None)


_sigaction = ctypes.CDLL(None).sigaction
_ACTION_BYTES = 1 << 9
"""More than any C library's `struct sigaction`."""
