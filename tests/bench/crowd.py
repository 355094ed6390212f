"""Several callers at once: how many calls are answered in a second, and how long small ones take beside heavy work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gradserve.client.cli.demo_service import DemoService
from tests.bench.asked import Asked
from tests.bench.callers import PROCESSES, THREADS, Bare, Callee, Raw, Service, calling
from tests.bench.remote import served
from tests.bench.report import Floor, Screen, Section
from tests.bench.timing import Timing, interleave, ratio

SMALL, LARGER = Asked("mean_square", 1000), Asked("regression", 200)
GRAPHS = {
    "10 us": (SMALL, 1.0, 400),
    "1 ms": (LARGER, 3.0, 200),
}
"""By what they take on NumPy: what is asked, the calls of the bare server's that are promised, and calls in a turn."""
_CAUSE = "the bare server keeps all processors busy already; grouping saves the way of a call, a small part of this one"
MANY = os.cpu_count() or 1


@contextmanager
def service(processes: int) -> Iterator[str]:
    """The address of a service with Ray and so many front-end processes."""
    running = DemoService(workers=2, processes=processes)
    try:
        yield running.address
    finally:
        running.stop()


def calls(seconds: float, screen: Screen) -> Section:
    """Calls in a second of eight callers, by graph and server."""
    rows, floors = [], []
    with ExitStack() as stack:
        ones = {f"{n} process{'es' * (n > 1)}": stack.enter_context(service(n)) for n in dict.fromkeys((1, MANY))}
        for graph, (asked, floor, calls_per_turn) in GRAPHS.items():
            with ExitStack() as crowds:
                bare = crowds.enter_context(served("bare", asked.name))
                subjects: dict[str, Callee] = {"bare": Bare(bare, asked)}
                for name, address in ones.items():
                    subjects[f"{name}, bytes"] = Raw(address, asked)
                    subjects[f"{name}, client"] = Service(address, asked)
                callers = [crowds.enter_context(calling(name, callee)) for name, callee in subjects.items()]
                times = interleave(callers, seconds, calls_per_turn, fewest=5)
            for name, timing in times.items():
                rows.append(_row(graph, name, timing, times["bare"]))
                screen.line("  ".join(rows[-1]))
            gain = ratio(times["bare"], times[f"{MANY} processes, bytes" if MANY > 1 else "1 process, bytes"])
            what = f"{graph}: calls in a second of the bare server's"
            floors.append(Floor(what, gain.median, floor, True, (gain.low, gain.high), _CAUSE))
            screen.line(str(floors[-1]))
    header = ("graph", "server", "calls/s", "of bare", "turns")
    text = (
        f"Value and gradient, asked for by {PROCESSES * THREADS} callers at once, threads of {PROCESSES} processes "
        "with a connection each, in interleaved turns: median calls in a second of all together. `bytes` callers send "
        "the same request and do not read the reply, as those of the bare server do; `client` callers ask by `Client`. "
        "The graphs take about so long by themselves: 0.5 mean(a (w - 1)^2) of 1000 parameters, and a logistic "
        "regression on 3000 x 200 numbers."
    )
    return Section("A crowd of callers", text, header, rows, floors)


def _row(graph: str, name: str, timing: Timing, bare: Timing) -> tuple[str, ...]:
    return graph, name, f"{1 / timing.median:.0f}", str(ratio(bare, timing)), str(len(timing.turns))
