"""Few threads for small calls: where many want the interpreter at once, most of the time goes into taking turns.

Eight callers of a call of ten microseconds are answered by a few threads in two thirds of the processor time that eight
threads take: who has ended a call goes on with the next one that waits, without asking for the interpreter again. Calls
that wait for others or take long give up their lane and go on beside it.

Where more calls come than there are lanes for, connections take turns, by the time that their calls have had: who sends
a thousand at once waits for them, and others do not.

Whoever sends the beginning of a call and then nothing holds a thread: see `silent`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, TypeVar

from gradserve.service.admission.fair import FairQueue
from gradserve.service.threads.silent import SILENT_SECONDS, connection_of, end, of_most
from gradserve.service.threads.task import Task

STUCK_SECONDS = 0.1
"""After so long a call loses its lane if others wait for one, whatever it does: perhaps its client sends slowly."""
HEARING_SECONDS = 5e-3
"""And after so long if it waits for its client: most requests come with the beginning of their call."""
_TICK_SECONDS = 10e-3

_USUAL_SECONDS = 1e-4
"""What a call is taken to have a lane for, until it has been seen."""
_T = TypeVar("_T")
_logger = logging.getLogger(__name__)

_NEXT = object()
"""In the queue of tasks, in the place of one whose turn is found when it comes."""


def unheard(_some: bool) -> None:
    """For whom it makes no difference whether there are long calls."""


class _Worker:
    """A thread, and what it is at."""

    __slots__ = ("began", "has_lane", "silent", "task", "wake")

    def __init__(self) -> None:
        self.has_lane = True
        self.began: float | None = None
        """When it began its call; None between calls."""
        self.task: Task | None = None
        self.silent: float | None = None
        """Since when its call has been waiting for its client; None if it is not."""
        self.wake = threading.Event()


class Lanes(Executor):
    """Threads that hold calls, of which a few at a time have a lane: only those take calls from the queue."""

    def __init__(self, lanes: int, threads: int, some_are_long: Callable[[bool], None] = unheard) -> None:
        """At most `lanes` calls run beside those that have given up their lane, on at most `threads` threads in all.

        `some_are_long` hears whether there are any of those, whenever that changes.
        """
        self._free, self._most = lanes, threads
        self._queue: SimpleQueue[Any] = SimpleQueue()
        """Tasks, `_NEXT` for one of those in turn, None at the end."""
        self._turns: FairQueue[Task] = FairQueue()
        self._turning = threading.Lock()
        self._lock = threading.Lock()
        self._on_lanes: set[_Worker] = set()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._threads = 0
        self._some_are_long, self._long = some_are_long, 0
        self._closed = False
        self._current = threading.local()
        self._busy = threading.Event()
        with self._lock:
            while self._free and self._threads < threads:
                self._fill()
        threading.Thread(target=self._watch, name="rpc-watch", daemon=True).start()

    @property
    def held(self) -> int:
        """Threads that hold a call or have a lane."""
        return self._threads - len(self._idle)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls a function with positional arguments as soon as there is a lane."""
        future = Future[Any]()
        self._take(Task(fn, args, future))
        return future

    def begin(self, function: Callable[..., Any], *arguments: Any) -> None:
        """The same, where nobody waits for the end: a future takes 5 us."""
        self._take(Task(function, arguments))

    def _take(self, task: Task) -> None:
        if self._closed:
            raise RuntimeError("no calls are taken any more")
        if self._queue.empty():
            self._queue.put(task)
        else:
            self._line_up(task)
        if self._free:  # who gave it up has seen an empty queue, or gives it to another
            with self._lock:
                self._fill_if_wanted()
        if not self._busy.is_set():
            self._busy.set()

    def _line_up(self, task: Task) -> None:
        task.flow = connection_of(task.arguments)
        with self._turning:
            self._turns.push(task.flow, task, _USUAL_SECONDS)
        self._queue.put(_NEXT)

    def _in_turn(self) -> Task:
        with self._turning:
            return self._turns.pop().item

    def _charge(self, task: Task, seconds: float) -> None:
        """Takes down how long a call has had its lane, if others wait for one."""
        if task.flow and self._turns:
            with self._turning:
                self._turns.charge(task.flow, seconds - _USUAL_SECONDS)

    def give_up(self) -> None:
        """Says that the calling thread is about to wait, or to take long: others may have its lane."""
        worker: _Worker | None = getattr(self._current, "worker", None)
        if worker is not None and worker.has_lane:
            self._take_from(worker)

    def hears(self) -> None:
        """Says that the call of the calling thread waits for its client, as each does in the beginning."""
        worker: _Worker | None = getattr(self._current, "worker", None)
        if worker is not None:
            worker.silent = time.monotonic()

    def heard(self) -> None:
        """Says that it waits no more."""
        worker: _Worker | None = getattr(self._current, "worker", None)
        if worker is not None:
            worker.silent = None

    def hearing(self, stream: Iterator[_T]) -> Iterator[_T]:
        """What comes in a stream from the client."""
        while True:
            self.hears()
            try:
                item = next(stream)
            except StopIteration:
                return
            finally:
                self.heard()
            yield item

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls. Those that run go on, those that have not begun are cancelled; nobody waits for them."""
        with self._lock:
            self._closed = True
            for worker in self._idle:
                worker.wake.set()
            for _ in self._on_lanes:
                self._queue.put(None)
            self._busy.set()

    def _take_from(self, worker: _Worker) -> None:
        with self._lock:
            if worker.has_lane:
                worker.has_lane = False
                self._count_long(1)
                self._on_lanes.discard(worker)
                self._free += 1
                self._fill_if_wanted()

    def _count_long(self, more: int) -> None:
        """Notes that a call goes on beside the lanes, or has ended there; with the lock held."""
        before, self._long = self._long, self._long + more
        if not before or not self._long:
            self._some_are_long(self._long > 0)

    def _fill_if_wanted(self) -> None:
        """Has a free lane filled if there is a call for it; with the lock held.

        Else whoever gave it up may have it back: to wake another thread for it would cost what a small call does.
        """
        if self._free and not self._queue.empty():
            self._fill()

    def _fill(self) -> None:
        """Gives a free lane to a thread, if there is or may be one without; with the lock held."""
        if self._idle:
            worker = self._idle.pop()
            self._give(worker)
            worker.wake.set()
        elif self._threads < self._most:
            worker = _Worker()
            self._give(worker)
            self._threads += 1
            self._workers.append(worker)
            threading.Thread(target=self._work, args=(worker,), name=f"rpc-{self._threads}", daemon=True).start()

    def _give(self, worker: _Worker) -> None:
        self._free -= 1
        worker.has_lane = True
        self._on_lanes.add(worker)

    def _work(self, worker: _Worker) -> None:
        self._current.worker = worker
        while (worker.has_lane or self._has_lane(worker)) and (found := self._queue.get()) is not None:
            task: Task = self._in_turn() if found is _NEXT else found
            del found
            if self._closed:
                task.cancel()
                continue
            worker.task, worker.began = task, (began := time.monotonic())
            worker.silent = began
            task.run()
            worker.began = worker.silent = worker.task = None
            if worker.has_lane:
                self._charge(task, time.monotonic() - began)
            del task  # it may hold a large request

    def _has_lane(self, worker: _Worker) -> bool:
        """Returns once a thread that has given up its lane has one again; False at the end."""
        with self._lock:
            self._count_long(-1)
            if self._closed:
                return False
            if self._free:
                self._give(worker)
                return True
            worker.wake.clear()
            self._idle.append(worker)
        worker.wake.wait()
        return not self._closed

    def _watch(self) -> None:
        """Takes lanes away from calls that are long without saying so, as long as there are calls at all."""
        while not self._closed:
            now = time.monotonic()
            stuck, unheard = now - STUCK_SECONDS, now - HEARING_SECONDS
            began = [(worker, worker.began) for worker in tuple(self._on_lanes)]
            if self._queue.empty():
                if all(since is None for _, since in began):
                    self._busy.clear()
                    if not self._queue.empty():
                        self._busy.set()
            else:
                for worker, since in began:
                    silent = worker.silent
                    if (since is not None and since < stuck) or (silent is not None and silent < unheard):
                        self._take_from(worker)
                self._end_silent()
            self._busy.wait()
            time.sleep(_TICK_SECONDS)

    def _end_silent(self) -> None:
        """Ends calls that wait for their clients, as many as wait for a thread, if there is none for those."""
        with self._lock:
            if self._idle or self._threads < self._most:
                return
            workers = tuple(self._workers)
        silent = []
        for worker in workers:
            task, since = worker.task, worker.silent
            if task is not None and since is not None:
                silent.append((since, connection_of(task.arguments), task))
        ended = of_most(silent, time.monotonic() - SILENT_SECONDS, self._queue.qsize())
        for task in ended:
            end(task.arguments)
        if ended:
            _logger.warning("ended %d calls whose clients were silent while others waited for a thread", len(ended))
