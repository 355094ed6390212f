"""Calls as they arrive: threads are given to those whose request is there, and nobody needs one to be turned away.

gRPC hands a call to a thread when it begins: that asks for the request, waits until the thread that polls has it, and
is woken again. Where calls wait, or hold many threads, the thread that polls asks here, and hands over what has come.
Who is known to be turned away is told so by it at once, for about half of what a call costs that does nothing. Else
gRPC's way is the better one: much of what the thread that polls would do is done by others then, beside it.

gRPC has no public name for any of this. One that is built in another way serves as it would without.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple, TypeAlias

from grpc import _server as inside
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the stubs know nothing of it

from gradserve.service.threads.lanes import Lanes
from gradserve.service.threads.silent import SILENT_SECONDS, of_most

_NAMES = ("_RECEIVE_MESSAGE_TOKEN", "_OPEN", "_CLOSED", "_abort", "_is_rpc_state_active", "_possibly_finish_call")
_CAN = all(hasattr(inside, name) for name in _NAMES) and hasattr(cygrpc, "ReceiveMessageOperation")
_NO_FLAGS = 0
_CLOSED = "no calls are taken any more"
_NOTHING = "a call of this method has one request message, and this one has none"

_BEGUN = Future[Any]()
"""One for all calls: gRPC only wants to know how many have begun and not ended, and that only if there is a limit."""
_BEGUN.set_result(None)

_logger = logging.getLogger(__name__)


class Ending(NamedTuple):
    """How a call ends that is turned away."""

    code: int
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
Turns: TypeAlias = Callable[[bytes, Metadata, Callable[[], str]], Ending | None]
"""How a call ends by its request, its metadata and what tells its connection; None if it is to be worked on.

It is asked by the thread that all calls come by: so it never waits.
"""


class Arrivals(Executor):
    """What gRPC hands calls to: those go on to lanes when their requests are there."""

    def __init__(self, lanes: Lanes, most: int, crowded: Callable[[], bool]) -> None:
        """At most so many calls hold requests that no thread has taken yet; threads ask for those of others.

        As they do for all while it is not `crowded`.
        """
        self._lanes, self._most, self._crowded = lanes, most, crowded
        self._lock = threading.Lock()
        self._silent: dict[Any, float] = {}
        """Calls whose requests have not come, and since when; the oldest first."""
        self._held = 0
        """Calls that are silent, or have a request and no thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls a function of gRPC's, as soon as there is a request if its method has just one, and a lane."""
        if not self._crowded() or not self._asks(fn, args):
            self._lanes.begin(fn, *args)
        return _BEGUN

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls."""
        self._lanes.shutdown(wait)

    def _asks(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        """Whether the call is of a method that has one request, for which there is a place; then that is asked for."""
        turns = getattr(args[3], "turns", None) if _CAN and len(args) > 4 else None
        if turns is None or not self._holds(args[1]):
            return False
        _ask(args[1], args[2], self._received(fn, args, turns))
        return True

    def _holds(self, event: Any) -> bool:
        """Whether there is a place for a request; that of a call that is silent, if need be, which ends."""
        now = time.monotonic()
        with self._lock:
            leaves = None
            if self._held >= self._most:
                leaves = self._of_most(now - SILENT_SECONDS)
                if leaves is None:
                    return False
                del self._silent[leaves]
                self._held -= 1
            self._silent[event.call] = now
            self._held += 1
        if leaves is not None:
            leaves.cancel()
        return True

    def _of_most(self, before: float) -> Any:
        """A call that has been silent since some moment, of the connection that has most of them; None if none has."""
        if not self._silent or next(iter(self._silent.values())) >= before:
            return None
        found = of_most([(since, call.peer().decode(), call) for call, since in self._silent.items()], before, 1)
        return found[0] if found else None

    def _received(self, fn: Callable[..., Any], args: tuple[Any, ...], turns: Turns) -> Callable[[Any], Any]:
        run, event, state, behavior, _, *codecs = args
        data: bytes | None = None

        def begin() -> bytes | None:
            self._let_go()
            with state.condition:
                return data if inside._is_rpc_state_active(state) else None

        def received(found: Any) -> Any:
            nonlocal data
            data = found.batch_operations[0].message()
            with self._lock:
                was_silent = self._silent.pop(event.call, None) is not None
                self._held += not was_silent  # its place was another's: it holds its request all the same
            ending = (
                Ending(cygrpc.StatusCode.unimplemented, _NOTHING, ()) if data is None else _asked(turns, data, event)
            )
            if ending is None:
                try:
                    self._lanes.begin(fn, run, event, state, behavior, begin, *codecs)
                except RuntimeError:
                    ending = Ending(cygrpc.StatusCode.unavailable, _CLOSED, ())
            if ending is not None:
                self._let_go()
            return _took(event, state, data is not None, ending)

        return received

    def _let_go(self) -> None:
        with self._lock:
            self._held -= 1


def _asked(turns: Turns, data: bytes, event: Any) -> Ending | None:
    try:
        return turns(data, event.invocation_metadata, lambda: event.call.peer().decode())
    except Exception:  # the thread must go on: without it there are no calls
        _logger.exception("what has come cannot be judged where it came")
        return None


def _ask(event: Any, state: Any, received: Callable[[Any], Any]) -> None:
    """Has gRPC call `received` when the request of a call is there, or there will be none."""
    with state.condition:
        event.call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), received)
        state.due.add(inside._RECEIVE_MESSAGE_TOKEN)


def _took(event: Any, state: Any, has_come: bool, ending: Ending | None) -> Any:
    """What gRPC wants to be told of a request that it has called for; the call ends if it is to."""
    with state.condition:
        if not has_come and state.client is inside._OPEN:
            state.client = inside._CLOSED
        if ending is not None and inside._is_rpc_state_active(state):
            state.trailing_metadata = ending.metadata
            inside._abort(state, event.call, ending.code, ending.message.encode())
        return inside._possibly_finish_call(state, inside._RECEIVE_MESSAGE_TOKEN)
