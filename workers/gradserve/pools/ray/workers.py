"""The actors of a pool: started, replaced when they die, watched while they work."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import ray

from gradserve.pools.ray.actor import Hello, Worker

SILENT_SECONDS = 30.0
"""A worker that answers nothing for so long counts as dead. Ray took 68 s to notice a partition."""
_IDLE_PING_SECONDS = 5.0
"""How often a worker without work is asked whether it lives: one that has died is replaced before it is needed."""
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0

log = logging.getLogger("gradserve.pools")


@functools.cache
def _actor_class() -> Any:
    remote: Any = ray.remote  # its annotations leave out concurrency groups
    return remote(concurrency_groups={"control": 1})(Worker)


@dataclass(eq=False)
class Member:
    """A worker, as its pool sees it."""

    name: str
    memory: int
    """Bytes that are reserved for it."""
    owner: object
    """The job that it works for alone; None if it works for all."""
    handle: Any
    hello: Hello | None = None
    tasks: list[Any] = field(default_factory=list)
    """Chunks that it has been sent, oldest first; only the oldest runs."""
    lost: bool = False
    ping: tuple[float, Future[Hello]] | None = None


@dataclass(eq=False)
class _Vacancy:
    memory: int
    owner: object
    due: float
    failures: int = 0


class Crew:
    """Members by owner. Safe for threads; calls into Ray that may block are made by `tend` only."""

    def __init__(self, cpus: float, changed: Callable[[], None], silent_seconds: float = SILENT_SECONDS) -> None:
        """`cpus` is what a worker for all reserves; `changed` is called when a worker is ready or must be replaced."""
        self._cpus = cpus
        self._changed = changed
        self.silent_seconds = silent_seconds
        self._lock = threading.Lock()
        self._ready: dict[object, list[Member]] = {}
        self._starting: set[Member] = set()
        self._vacancies: list[_Vacancy] = []
        self._discharged: list[Member] = []
        self._names = 0
        self.lost = 0
        """Members that were given up as dead."""

    def ready(self, owner: object) -> list[Member]:
        """The members that can take chunks of this owner."""
        return self._ready.get(owner, [])

    def everyone(self) -> list[Member]:
        """All members that are ready."""
        with self._lock:
            return [member for members in self._ready.values() for member in members]

    def hire(self, count: int, memory: int, owner: object) -> None:
        """Asks for more members, each with `memory` bytes; `tend` starts them."""
        with self._lock:
            self._vacancies += [_Vacancy(memory, owner, due=0.0) for _ in range(count)]
        self._changed()

    def resize(self, count: int, memory: int) -> None:
        """Makes the members that work for all `count`, counting those to come: asks for more, or lets idle ones go."""
        with self._lock:
            asked = [v for v in self._vacancies if v.owner is None]
            starting = [m for m in self._starting if m.owner is None]
            ready = self._ready.get(None, [])
            surplus = len(asked) + len(starting) + len(ready) - count
            if not surplus:
                return
            self._vacancies += [_Vacancy(memory, None, due=0.0) for _ in range(-surplus)]
            if surplus > 0:
                gone: list[object] = [*asked, *starting, *(m for m in ready if not m.tasks)][:surplus]
                self._vacancies = [v for v in self._vacancies if v not in gone]
                self._starting.difference_update(m for m in starting if m in gone)
                self._ready[None] = [m for m in ready if m not in gone]
                self._discharged += [m for m in (*starting, *ready) if m in gone]
        self._changed()

    def dismiss(self, owner: object) -> None:
        """Ends the members of an owner."""
        with self._lock:
            leaving = self._ready.pop(owner, []) + [m for m in self._starting if m.owner is owner]
            self._starting.difference_update(leaving)
            self._vacancies = [v for v in self._vacancies if v.owner is not owner]
            self._discharged += leaving
        if leaving:
            self._changed()

    def replace(self, member: Member) -> None:
        """Gives a member up as dead and asks for another one in its place."""
        with self._lock:
            if member.lost:
                return
            member.lost = True
            self.lost += 1
            members = self._ready.get(member.owner, [])
            if member in members:
                # Copied, as `ready` hands the list out.
                self._ready[member.owner] = [m for m in members if m is not member]
                self._vacancies.append(_Vacancy(member.memory, member.owner, due=0.0))
            self._discharged.append(member)
        self._changed()

    def tend(self) -> list[Member]:
        """Starts and ends actors as asked, and returns members that do not answer."""
        with self._lock:
            due = [v for v in self._vacancies if v.due <= time.monotonic()]
            self._vacancies = [v for v in self._vacancies if v not in due]
            discharged, self._discharged = self._discharged, []
        for member in discharged:
            ray.kill(member.handle)
        for vacancy in due:
            self._start(vacancy)
        return [member for member in self.everyone() if self._is_silent(member)]

    def close(self) -> None:
        """Ends all members."""
        with self._lock:
            leaving = [m for members in self._ready.values() for m in members]
            leaving += [*self._starting, *self._discharged]
            self._ready, self._starting, self._vacancies, self._discharged = {}, set(), [], []
        for member in leaving:
            ray.kill(member.handle)

    def _start(self, vacancy: _Vacancy) -> None:
        self._names += 1
        # A worker of one job runs beside the others: it reserves memory, and no CPU that they already hold.
        cpus = self._cpus if vacancy.owner is None else 0
        handle = (
            _actor_class()
            .options(num_cpus=cpus, memory=vacancy.memory, max_concurrency=1, max_restarts=0, max_task_retries=0)
            .remote()
        )
        member = Member(f"worker-{self._names}", vacancy.memory, vacancy.owner, handle)
        with self._lock:
            self._starting.add(member)
        handle.hello.remote().future().add_done_callback(functools.partial(self._greeted, member, vacancy))

    def _greeted(self, member: Member, vacancy: _Vacancy, hello: Future[Hello]) -> None:
        error = hello.exception()
        with self._lock:
            if member not in self._starting:  # dismissed meanwhile
                return
            self._starting.remove(member)
            if error is None:
                member.hello = hello.result()
                self._ready[member.owner] = [*self._ready.get(member.owner, []), member]
            else:
                delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**vacancy.failures)
                again = _Vacancy(vacancy.memory, vacancy.owner, time.monotonic() + delay, vacancy.failures + 1)
                self._vacancies.append(again)
        if error is not None:
            log.warning("a worker could not start and is tried again: %s", error)
        self._changed()

    def _is_silent(self, member: Member) -> bool:
        now = time.monotonic()
        if member.ping is None or (member.ping[1].done() and member.ping[1].exception() is None):
            if member.ping is None or member.tasks or now - member.ping[0] > _IDLE_PING_SECONDS:
                member.ping = (now, member.handle.hello.remote().future())
            return False
        return member.ping[1].done() or now - member.ping[0] > self.silent_seconds
