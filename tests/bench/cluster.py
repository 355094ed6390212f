"""What a Ray cluster costs: the way of a chunk to a worker and back, and how much of all processor time is work."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import psutil

from gradserve.execution import executor, instance_of
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.pools.ray.pool import RayPool
from gradserve.pools.work import Chunk, Rows, Work
from gradserve.runtime.control import Control
from tests.bench.report import Floor, Screen, Section, duration, time_floor
from tests.bench.timing import Here, Timing, interleave, ratio
from tests.raylets import nodes

SOCKET, CALL, LANE, RAY = "bare socket", "Ray's plain call", "a chunk by lane", "a chunk by Ray"
PACKET = bytes(300)
"""As long as a small chunk is when it travels."""
NODES = (1, 2, 4)
STEPS = (1, 8, 40)
"""Rounds of a chunk: about a millisecond each."""
_ECHO = """
import socket, sys
with socket.socket(fileno=int(sys.argv[1])) as end:
    while packet := end.recv(1 << 16):
        end.send(packet)
"""
NEAR, FAR = 3e-4, 8e-4
"""Seconds of one chunk to a worker and back, on one node and between nodes."""
_CAUSE = "two threads and two processes are woken one after the other, and Python works at both ends"
_CAUSE_FAR = "Ray's plain call of an actor takes as long"


def round_trips(seconds: float, screen: Screen) -> tuple[Section, dict[str, Timing]]:
    """Seconds of one tiny chunk to a worker and back, each with the peer that could do no less, and their timings."""
    work = _work(rounds=0, chunks=1)
    with ExitStack() as stack:
        address = stack.enter_context(nodes(2, 1))
        near = stack.enter_context(_pool(address, workers=1, cpus=2))  # fits on the first node alone, and fills it
        far = stack.enter_context(_pool(address, workers=1, cpus=1))
        calls: dict[str, Callable[[], Any]] = {
            SOCKET: stack.enter_context(_socket_echo()),
            CALL: _plain_call(),
            LANE: lambda: list(near.run(work, Control.after(60.0))),
            RAY: lambda: list(far.run(work, Control.after(60.0))),
        }
        times = interleave([Here(name, call) for name, call in calls.items()], seconds, calls_per_turn=20)
        used = {name: _processor_seconds(call) for name, call in calls.items()}
    rows = []
    for name, timing in times.items():
        of_call = str(ratio(timing, times[CALL]))
        rows.append((name, duration(timing.median), duration(timing.best), of_call, duration(used[name])))
        screen.line(f"{name:18} {duration(timing.median)}, {of_call} of Ray's plain call")
    floors = (
        time_floor("a chunk by lane, of Ray's plain call", ratio(times[LANE], times[CALL]), 0.4),
        time_floor("a chunk by Ray, of Ray's plain call", ratio(times[RAY], times[CALL]), 1.5),
        Floor(f"a chunk by lane, of {NEAR * 1e3:g} ms", times[LANE].median / NEAR, 1.0, cause=_CAUSE),
        Floor(f"a chunk by Ray to another node, of {FAR * 1e3:g} ms", times[RAY].median / FAR, 1.0, cause=_CAUSE_FAR),
    )
    text = (
        "One chunk, x x + 1 for one number, to a worker and back: by lane on one node, by Ray to another node. Beside "
        "it a plain call of an actor with an array of one number on that node, and an echo of as many bytes by a pair "
        "of sockets. The last column is processor time of the front end's process."
    )
    header = ("way", "median", "best", "of Ray's call", "front end")
    return Section("The way to a worker", text, header, rows, floors), times


def efficiency(seconds: float, screen: Screen) -> tuple[Section, dict[int, dict[float, float]]]:
    """The share of all processor time that is the chunks' own, by nodes and by the length of a chunk."""
    found: dict[int, dict[float, float]] = {}
    rows = []
    for count in NODES:
        with nodes(*[1] * count) as address, _pool(address, workers=count, cpus=1) as pool:
            for rounds in STEPS:
                own, share = _share(pool, rounds, seconds)
                found.setdefault(count, {})[own] = share
                rows.append((str(count), duration(own), f"{share:.0%}"))
                screen.line(f"{count} nodes, chunks of {duration(own)}: {share:.0%} of all processor time is work")
    text = (
        "Processor time of chunks run alone in one process, over that of all processes of the cluster while they run "
        "there: front end, workers, and Ray's own. One worker on each node, all nodes on this machine; the first "
        "shares it with the front end and has a lane."
    )
    return Section("Work per processor second", text, ("nodes", "processor time of a chunk", "work"), rows), found


def _share(pool: RayPool, rounds: int, seconds: float) -> tuple[float, float]:
    """A chunk's own processor seconds, and what share they are of all while chunks run for so many seconds."""
    one = _work(rounds, 1)
    (schedule,) = one.schedules.values()
    program, point = executor("numpy").prepare(schedule), {"x": one.data["x"]}
    before = _processor_seconds(lambda: program(point))
    work = _work(rounds, max(4, int(seconds / before)))
    list(pool.run(_work(rounds, 4 * pool.size), Control.after(60.0)))  # workers come to know the program
    started = _all_processor_seconds()
    list(pool.run(work, Control.after(600.0)))
    spent = _all_processor_seconds() - started
    own = (before + _processor_seconds(lambda: program(point))) / 2
    return own, own * len(work.chunks) / spent


def _processor_seconds(call: Callable[[], Any], least: float = 0.2) -> float:
    """Processor seconds that this process spends on a call."""
    call()
    calls, started, end = 0, time.process_time(), time.perf_counter() + least
    while time.perf_counter() < end:
        call()
        calls += 1
    return (time.process_time() - started) / calls


def _all_processor_seconds() -> float:
    """Processor seconds so far of this process and of all that it started."""
    here = psutil.Process()
    used = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return sum(one.user + one.system for one in used)


def _work(rounds: int, chunks: int) -> Work:
    """Chunks that take one number and give one: x x + 1, or so many rounds of exp over a vector made from it."""
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (1,)))
    y = x * x + 1.0
    if rounds:
        wide = z = g.broadcast_to(y, shape=(100_000,))
        for _ in range(rounds):
            z = g.exp(-z * z) + wide
        y = g.reduce_sum(z, axes=(0,))
    schedule = executor("numpy").schedule(instance_of(g.build({"y": y})).program)
    digest = schedule.program.digest
    cut = tuple(Chunk(digest, {"x": Rows("x", k, k + 1)}) for k in range(chunks))
    return Work({digest: schedule}, {"x": np.linspace(0.0, 1.0, chunks)}, {}, cut, "numpy")


@contextmanager
def _pool(address: str, workers: int, cpus: float) -> Iterator[RayPool]:
    pool = RayPool(address, workers, worker_memory=128 << 20, cpus_per_worker=cpus)
    try:
        end = time.monotonic() + 60
        while pool.size < workers and time.monotonic() < end:
            time.sleep(0.05)
        assert pool.size == workers, "the workers did not start"
        yield pool
    finally:
        pool.close()


@contextmanager
def _socket_echo() -> Iterator[Callable[[], Any]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            process = subprocess.Popen([sys.executable, "-c", _ECHO, str(theirs.fileno())], pass_fds=[theirs.fileno()])

        def echo() -> bytes:
            ours.send(PACKET)
            return ours.recv(1 << 16)

        yield echo
    process.wait()


class _Echo:
    def run(self, array: Any) -> Any:
        return array


def _plain_call() -> Callable[[], Any]:
    """A call of an actor on the far node that does nothing."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote: Any = ray.remote
    near = ray.get_runtime_context().get_node_id()
    (far,) = [node["NodeID"] for node in ray.nodes() if node["NodeID"] != near]
    where = NodeAffinitySchedulingStrategy(far, soft=False)
    actor, array = remote(_Echo).options(num_cpus=0, scheduling_strategy=where).remote(), np.zeros(1)
    return lambda: ray.get(actor.run.remote(array))
