"""The processes behind a service, and what it takes to kill one."""

from __future__ import annotations

import resource
import threading
import time

import psutil


def worker_processes(service_pid: int) -> list[psutil.Process]:
    """The service's Ray workers that hold actors."""
    return [p for p in psutil.Process(service_pid).children(recursive=True) if is_actor(p)]


def front_ends(service_pid: int) -> list[psutil.Process]:
    """The processes that serve, of a service with Ray or of several: their supervisor is another."""
    return [p for p in psutil.Process(service_pid).children() if "gradserve.service.processes.front_end" in p.cmdline()]


def is_actor(process: psutil.Process) -> bool:
    try:
        title = " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return title.startswith("ray::Worker")


def heavy_processes(service_pid: int) -> list[psutil.Process]:
    """The processes that heavy work runs in without a cluster."""
    return [p for p in psutil.Process(service_pid).children(recursive=True) if is_heavy(p)]


def is_heavy(process: psutil.Process) -> bool:
    try:
        return "gradserve.pools.local.worker" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def starve(process: psutil.Process, room: int = 64 << 20) -> None:
    """Lets a process have no more than so many bytes beyond those that it has: a larger allocation fails."""
    resource.prlimit(process.pid, resource.RLIMIT_AS, (process.memory_info().vms + room, resource.RLIM_INFINITY))


class Killer(threading.Thread):
    """Sends SIGKILL to one worker after another while work goes on, until left."""

    def __init__(self, service_pid: int, pause: float, kills: int) -> None:
        super().__init__(daemon=True)
        self.killed: list[int] = []
        self._plan = (service_pid, pause, kills)
        self._over = threading.Event()

    def run(self) -> None:
        service_pid, pause, kills = self._plan
        while len(self.killed) < kills and not self._over.wait(pause):
            for worker in worker_processes(service_pid)[:1]:
                worker.kill()
                self.killed.append(worker.pid)

    def __enter__(self) -> Killer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def seconds_until_idle(service_pid: int, limit: float) -> float:
    """Seconds until no worker of the service uses its processor."""
    started = time.monotonic()
    while time.monotonic() - started < limit:
        before = busy_seconds(service_pid)
        time.sleep(0.1)
        if busy_seconds(service_pid) - before < 0.03:
            return time.monotonic() - started
    return limit


def busy_seconds(service_pid: int) -> float:
    total = 0.0
    for process in worker_processes(service_pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
