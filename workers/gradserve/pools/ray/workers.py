"""The actors of a pool: started, replaced when they die, watched while they work."""

from __future__ import annotations

import functools
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import field
from pathlib import Path
from typing import Any

import ray

from gradserve.ir.records import dataclass
from gradserve.pools.ray.actor import WorkerActor
from gradserve.pools.ray.lane import Door, Lane
from gradserve.pools.ray.messages import Hello

SILENT_SECONDS = 5.0
"""A worker that answers nothing for so long counts as dead. Ray took 68 s to notice a partition."""
DOUBT_SECONDS = 2.0
"""One that answers nothing for so long gets no more chunks, and another is started beside it: that takes seconds."""
STEPS_WORTH = 3.0
"""So many times the longest step is waited beyond that: some routines keep the interpreter to themselves."""
_AVOIDED_SECONDS = 90.0
"""How long another node is preferred to one of a silent worker: Ray would start others there until it notices."""
_PING_SECONDS = 2.0
"""How often a worker is asked whether it lives, at most: an answer costs as much as a chunk that is sent by Ray."""
_USER_TICKS = 11
"""Where the ticks of a process are behind its name in /proc/PID/stat, and one further those of the kernel for it."""
_NODE_LABEL = "ray.io/node-id"
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0

log = logging.getLogger("gradserve.pools")


@functools.cache
def _actor_class() -> Any:
    remote: Any = ray.remote  # its annotations leave out concurrency groups
    return remote(concurrency_groups={"control": 1, "life": 1})(WorkerActor)


@dataclass(eq=False)
class Worker:
    """A worker, as its pool sees it."""

    name: str
    memory: int
    """Bytes that are reserved for it."""
    owner: object
    """The job that it works for alone; None if it works for all."""
    handle: Any
    hello: Hello | None = None
    door: Door | None = None
    """Where it fetches its end of a lane while it starts."""
    lane: Lane | None = None
    """The way for small chunks, if it is on this machine."""
    tasks: list[Any] = field(default_factory=list)
    """Chunks that it has been sent, oldest first; one runs, the oldest but for a race between lane and Ray."""
    doubted: bool = False
    """Whether it has not answered for a while."""
    relieved: bool = False
    """Whether another has been asked for in its place."""
    lost: bool = False
    ping: tuple[float, Future[Hello]] | None = None

    def processor_seconds(self) -> float:
        """What its process has used; infinite where nobody here can see that, as on another machine."""
        if self.lane is None or self.hello is None:
            return math.inf
        try:
            fields = Path(f"/proc/{self.hello.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return math.inf
        return (int(fields[_USER_TICKS]) + int(fields[_USER_TICKS + 1])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Ends its process."""
        if self.door is not None:
            self.door.close()
        if self.lane is not None:
            self.lane.close()
        ray.kill(self.handle)


def _door() -> Door | None:
    try:
        return Door()
    except OSError as error:
        log.warning("no lanes, chunks go by Ray alone: %s", error)
        return None


def _elsewhere(nodes: Sequence[str]) -> dict[str, Any]:
    """The options of an actor that shall be on none of these nodes, unless no other has room."""
    if not nodes:
        return {}
    these = f"in({','.join(nodes)})"
    return {
        "label_selector": {_NODE_LABEL: f"!{these}"},
        "fallback_strategy": [{"label_selector": {_NODE_LABEL: these}}],
    }


@dataclass(eq=False)
class _Opening:
    memory: int
    owner: object
    due: float
    failures: int = 0


class Workers:
    """Workers by owner. Safe for threads; calls into Ray that may block are made by `tend` only."""

    def __init__(self, cpus: float, changed: Callable[[], None], silent_seconds: float = SILENT_SECONDS) -> None:
        """`cpus` is what a worker for all reserves; `changed` is called when a worker is ready or must be replaced."""
        self._cpus = cpus
        self._changed = changed
        self.silent_seconds = silent_seconds
        self._lock = threading.Lock()
        self._ready: dict[object, list[Worker]] = {}
        self._starting: set[Worker] = set()
        self._openings: list[_Opening] = []
        self._leaving: list[Worker] = []
        self._names = 0
        self._avoided: dict[str, float] = {}
        """Nodes of which a worker has fallen silent, and until when they are avoided."""
        self._node = ray.get_runtime_context().get_node_id()
        self.lost = 0
        """Workers that were given up as dead."""

    def ready(self, owner: object) -> list[Worker]:
        """The workers that can take chunks of this owner."""
        return self._ready.get(owner, [])

    def all_ready(self) -> list[Worker]:
        """All workers that are ready."""
        with self._lock:
            return [worker for workers in self._ready.values() for worker in workers]

    def start(self, count: int, memory: int, owner: object) -> None:
        """Asks for more workers, each with `memory` bytes; `tend` starts them."""
        with self._lock:
            self._openings += [_Opening(memory, owner, due=0.0) for _ in range(count)]
        self._changed()

    def resize(self, count: int, memory: int) -> None:
        """Makes the workers that work for all `count`: asks for more, or lets idle ones go.

        Those to come count, and those that are doubted do not.
        """
        with self._lock:
            asked = [v for v in self._openings if v.owner is None]
            starting = [m for m in self._starting if m.owner is None]
            ready = [m for m in self._ready.get(None, []) if not m.doubted]
            surplus = len(asked) + len(starting) + len(ready) - count
            if not surplus:
                return
            self._openings += [_Opening(memory, None, due=0.0) for _ in range(-surplus)]
            if surplus > 0:
                gone: list[object] = [*asked, *starting, *(m for m in ready if not m.tasks)][:surplus]
                self._openings = [v for v in self._openings if v not in gone]
                self._starting.difference_update(m for m in starting if m in gone)
                self._ready[None] = [m for m in self._ready.get(None, []) if m not in gone]
                self._leaving += [m for m in (*starting, *ready) if m in gone]
        self._changed()

    def end_all_of(self, owner: object) -> None:
        """Ends the workers of an owner."""
        with self._lock:
            leaving = self._ready.pop(owner, []) + [m for m in self._starting if m.owner is owner]
            self._starting.difference_update(leaving)
            self._openings = [v for v in self._openings if v.owner is not owner]
            self._leaving += leaving
        if leaving:
            self._changed()

    def replace(self, worker: Worker) -> None:
        """Gives a worker up as dead and asks for another one in its place."""
        with self._lock:
            if worker.lost:
                return
            worker.lost = True
            self.lost += 1
            workers = self._ready.get(worker.owner, [])
            if worker in workers:
                # Copied, as `ready` hands the list out.
                self._ready[worker.owner] = [m for m in workers if m is not worker]
                self._relieve(worker)
            self._leaving.append(worker)
        self._changed()

    def tend(self) -> list[Worker]:
        """Starts and ends actors as asked, and returns workers that do not answer."""
        with self._lock:
            due = [v for v in self._openings if v.due <= time.monotonic()]
            self._openings = [v for v in self._openings if v not in due]
            leaving, self._leaving = self._leaving, []
        for worker in leaving:
            worker.end()
        for opening in due:
            self._start(opening)
        silence = {worker: self._silence(worker) for worker in self.all_ready()}
        self._doubt(silence)
        return [worker for worker, seconds in silence.items() if seconds > self.silent_seconds]

    def close(self) -> None:
        """Ends all workers."""
        with self._lock:
            leaving = [m for workers in self._ready.values() for m in workers]
            leaving += [*self._starting, *self._leaving]
            self._ready, self._starting, self._openings, self._leaving = {}, set(), [], []
        for worker in leaving:
            worker.end()

    def _start(self, opening: _Opening) -> None:
        self._names += 1
        # A worker of one job runs beside the others: it reserves memory, and no CPU that they already hold.
        cpus = self._cpus if opening.owner is None else 0
        options = {"num_cpus": cpus, "memory": opening.memory, **_elsewhere(self._silent_nodes())}
        handle = _actor_class().options(max_concurrency=1, max_restarts=0, max_task_retries=0, **options).remote()
        worker = Worker(f"worker-{self._names}", opening.memory, opening.owner, handle, door=_door())
        with self._lock:
            self._starting.add(worker)
        started = handle.start.remote(self._node, worker.door.path if worker.door else None).future()
        started.add_done_callback(functools.partial(self._ready_or_not, worker, opening))

    def _silent_nodes(self) -> list[str]:
        now = time.monotonic()
        self._avoided = {node: until for node, until in self._avoided.items() if until > now}
        return list(self._avoided)

    def _ready_or_not(self, worker: Worker, opening: _Opening, hello: Future[Hello]) -> None:
        error = hello.exception()
        if worker.door is not None:
            worker.lane = None if error else worker.door.admit(f"gradserve-lane-{worker.name}")
            worker.door.close()
        with self._lock:
            if worker not in self._starting:  # ended meanwhile, and its lane with it
                return
            self._starting.remove(worker)
            if error is None:
                worker.hello = hello.result()
                self._ready[worker.owner] = [*self._ready.get(worker.owner, []), worker]
            else:
                delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**opening.failures)
                again = _Opening(opening.memory, opening.owner, time.monotonic() + delay, opening.failures + 1)
                self._openings.append(again)
        if error is not None:
            log.warning("a worker could not start and is tried again: %s", error)
        self._changed()

    def _silence(self, worker: Worker) -> float:
        """For how many seconds it has not answered, beyond what its longest step excuses."""
        now = time.monotonic()
        if worker.ping is None or (worker.ping[1].done() and worker.ping[1].exception() is None):
            if worker.ping is None or now - worker.ping[0] > min(_PING_SECONDS, self.silent_seconds / 4):
                worker.ping = (now, worker.handle.hello.remote().future())
            return 0.0
        if worker.ping[1].done():
            return math.inf
        step = max((task.longest_step_seconds for task in tuple(worker.tasks)), default=0.0)
        return now - worker.ping[0] - STEPS_WORTH * step

    def _doubt(self, silence: dict[Worker, float]) -> None:
        """Has others start in the place of workers that have been silent for a while, and trusts who has answered."""
        now = time.monotonic()
        with self._lock:
            for worker, seconds in silence.items():
                worker.doubted = seconds > DOUBT_SECONDS
                if worker.doubted and worker.hello:
                    self._avoided[worker.hello.node] = now + _AVOIDED_SECONDS
                    self._relieve(worker)
                elif worker.owner is None:
                    worker.relieved = False  # `resize` lets the other one go, or one that idles

    def _relieve(self, worker: Worker) -> None:
        """Asks for another in the place of a worker, once. The lock is held."""
        if not worker.relieved:
            worker.relieved = True
            self._openings.append(_Opening(worker.memory, worker.owner, due=0.0))
