"""Ten times as many calls as a service can answer, two thousand at once, and one caller who wants everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.bench.flood import Order, Seen
from tests.bench.report import Floor, Screen, Section, duration

PRODUCTS = 12
"""Of a call of some 20 ms."""
TIMES, KEPT, AT_ONCE, QUEUED = 10.0, 8, 2000, 1000
_ROOT = Path(__file__).resolve().parents[2]
_OK, _SHED = "OK", "RESOURCE_EXHAUSTED"
_SETTLED = 1.0


class Flood:
    """A client in a process of its own, on the processors that the service has not."""

    def __init__(self, order: Order) -> None:
        """Connected and warm."""
        command = [sys.executable, "-m", "tests.bench.flood"]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=_on_others
        )
        self._say(json.dumps(asdict(order)))
        assert self._process.stdout
        assert self._process.stdout.readline().strip() == "ready"

    def begin(self) -> None:
        """Lets it loose."""
        self._say("go")

    def seen(self) -> list[Seen]:
        """What became of its calls, when all are answered."""
        assert self._process.stdout
        found = [Seen(**each) for each in json.loads(self._process.stdout.readline())]
        self._process.wait(30)
        return found

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def flooded(order: Order) -> list[Seen]:
    """What becomes of the calls of one client."""
    flood = Flood(order)
    flood.begin()
    return flood.seen()


@contextmanager
def one_core_service(*options: str) -> Iterator[str]:
    """The address of a service of one worker without Ray, on one processor."""
    command = [sys.executable, "-m", "gradserve.service", "--address", "127.0.0.1:0", "--metrics-port", "-1"]
    command += ["--no-ray", "--workers", "1", *options]
    process = subprocess.Popen(command, cwd=_ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=_on_first)
    try:
        assert process.stderr
        line = next(line for line in process.stderr if "serving on" in line)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield f"127.0.0.1:{line.split('port ')[1].split(',')[0]}"
    finally:
        process.terminate()
        process.wait(60)


def bare_seconds(rate: float, seconds: float) -> float:
    """What gRPC takes of a processor for one call of a server that does nothing, at such a rate."""
    command = [sys.executable, "-m", "tests.bench.bare"]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=_on_first
    ) as process:
        assert process.stdout
        flood = Flood(Order(f"127.0.0.1:{int(process.stdout.readline())}", 0, rate, seconds, connections=4, bare=True))
        before = _processor_seconds(process.pid)
        flood.begin()
        calls = len(flood.seen())
        taken = _processor_seconds(process.pid) - before
        process.terminate()
    return taken / calls


class Health:
    """Asks for the health every 50 ms."""

    def __init__(self, address: str) -> None:
        """Begins at once."""
        self.seconds: list[float] = []
        self.failures = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(address,))
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stop.set()
        self._thread.join()

    def _ask(self, address: str) -> None:
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub, request = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
            while not self._stop.wait(0.05):
                began = time.monotonic()
                try:
                    serving = stub.Check(request, timeout=1.0).status == health_pb2.HealthCheckResponse.SERVING
                except grpc.RpcError:
                    serving = False
                self.failures += not serving
                self.seconds.append(time.monotonic() - began)


def overload(share: float, screen: Screen) -> Section:
    """Goodput, times and recovery of a service at ten times what it can do."""
    seconds = max(3.0, 20.0 * share)
    with one_core_service() as address:
        alone = _took(flooded(Order(address, PRODUCTS, seconds=seconds / 4)))
        kept = flooded(Order(address, PRODUCTS, at_once=KEPT, seconds=seconds / 2))
        capacity = _rate(kept)
        screen.line(f"alone p50 {duration(_at(alone, 50))} p99 {duration(_at(alone, 99))}, {capacity:.1f} calls/s")
        flood = Flood(Order(address, PRODUCTS, TIMES * capacity, seconds, connections=4))
        after = Flood(Order(address, PRODUCTS, seconds=8.0, pause=0.05))
        health = Health(address)
        flood.begin()
        time.sleep(seconds)
        ended = time.monotonic()
        after.begin()
        seen, calm = flood.seen(), after.seen()
        health.stop()
        kept_after = flooded(Order(address, PRODUCTS, at_once=KEPT, seconds=seconds / 2))
    bare = bare_seconds(TIMES * capacity, seconds / 2)
    began = min(each.sent for each in seen)
    answered, shed = [s for s in seen if s.code == _OK], _took([s for s in seen if s.code == _SHED])
    within = [s for s in answered if s.sent + s.took <= began + seconds]
    settled = [s.took for s in answered if s.sent > began + _SETTLED]
    good = [s for s in calm if s.code == _OK and s.took <= 1.5 * _at(alone, 50)]
    recovery = (good[0].sent + good[0].took - ended) if good else float("inf")
    most = max(capacity, _rate(kept_after))
    goodput = len(within) / seconds / most
    refusal = max(0.0, 1 - goodput) * seconds / max(1, len(shed))
    all_p99 = _at(_took(answered), 99)
    codes = Counter(s.code for s in seen)
    rows = [
        ("alone", f"{1 / np.mean(alone):.1f}", duration(_at(alone, 50)), duration(_at(alone, 99)), "", ""),
        (
            f"{KEPT} at a time",
            f"{capacity:.1f}, later {_rate(kept_after):.1f}",
            duration(_at(_took(kept), 50)),
            duration(_at(_took(kept), 99)),
            "",
            "",
        ),
        (
            f"{TIMES:g} times that",
            f"{len(within) / seconds:.1f}",
            duration(_at(settled, 50)),
            f"{duration(_at(settled, 99))} ({duration(all_p99)} with the first second)",
            f"{duration(_at(shed, 50))}, {duration(_at(shed, 99))}",
            _told(codes),
        ),
        (
            "the same of a bare echo",
            "",
            "",
            "",
            "",
            f"{duration(bare)} of the processor a call: would leave {1 - TIMES * capacity * bare:.2f}x",
        ),
    ]
    screen.line(f"a call turned away takes {duration(refusal)} of what could be answered, a bare echo {duration(bare)}")
    floors = [
        Floor("overload: goodput of capacity", goodput, 0.9, at_least=True),
        Floor("overload: p99 of admitted calls of that alone", _at(settled, 99) / _at(alone, 99), 3.0),
        Floor("overload: p99 of calls turned away of 50 ms", _at(shed, 99) / 0.05, 1.0),
        Floor("overload: recovery of 5 s", max(recovery, 1e-3) / 5.0, 1.0),
        Floor("overload: health checks that were true", 1 - health.failures / len(health.seconds), 1.0, at_least=True),
        Floor("overload: calls with an explained end", (codes[_OK] + codes[_SHED]) / len(seen), 1.0, at_least=True),
    ]
    for line in (*map("  ".join, rows), *map(str, floors)):
        screen.line(line)
    text = (
        "Gradients of some 20 ms each, asked for by a client that does not wait for answers: a service of one worker "
        "on a processor of its own, the client on the others, as it takes half as much as the service to be refused "
        f"and would be counted otherwise. Recovery was seen {duration(max(recovery, 0.0))} after the last call, by a "
        "caller that began then; health was asked for every 50 ms and answered within "
        f"{duration(max(health.seconds))}. A call that was turned away took {duration(refusal)} of what could be "
        f"answered; a server of gRPC for Python that says requests again takes {duration(bare)} of the processor for "
        "each, at the same rate. Of calls turned away p50 and p99. What a service can do is "
        "what it does for callers of whom eight wait for an answer, before or after, whichever is more."
    )
    header = ("load", "answered/s", "p50", "p99", "turned away", "codes")
    return Section("Overload", text, header, rows, floors)


def all_at_once(screen: Screen) -> Section:
    """Two thousand calls at once from one connection, small ones and such of 20 ms."""
    rows, floors = [], []
    for name, products in (("small", 0), ("20 ms", PRODUCTS)):
        with one_core_service() as address:
            health = Health(address)
            seen = flooded(Order(address, products, rate=1e6, seconds=AT_ONCE / 1e6))
            health.stop()
        codes, took = Counter(s.code for s in seen), _took(seen)
        shed = _took([s for s in seen if s.code == _SHED])
        late = f"{duration(_at(shed, 50))}, {duration(max(shed))}" if shed else ""
        explained = (codes[_OK] + codes[_SHED]) / AT_ONCE
        times = duration(_at(took, 50)), duration(max(took)), late, duration(max(health.seconds))
        rows.append((name, _told(codes), *times))
        screen.line("  ".join(rows[-1]))
        floors.append(Floor(f"{AT_ONCE} {name} calls at once: explained", explained, 1.0, at_least=True))
        true = 1 - health.failures / len(health.seconds)
        floors.append(Floor(f"{AT_ONCE} {name} calls at once: health true", true, 1.0, at_least=True))
    text = f"{AT_ONCE} calls sent at once over one connection, to a service as above."
    return Section(
        "All at once",
        text,
        ("calls", "codes", "p50", "slowest", "turned away, p50 and slowest", "health, slowest"),
        rows,
        floors,
    )


def beside_one_who_wants_all(share: float, screen: Screen) -> Section:
    """Small calls of one caller beside a thousand long ones of another."""
    seconds = max(3.0, 15.0 * share)
    seen: dict[str, list[float]] = {"none": [], "1000 of 100 ms": []}
    with one_core_service() as address:
        for name, took in seen.items():
            greedy = (
                None if name == "none" else Flood(Order(address, 5 * PRODUCTS, at_once=QUEUED, seconds=seconds + 2))
            )
            polite = Flood(Order(address, 0, seconds=seconds, pause=5e-3))
            if greedy:
                greedy.begin()
                time.sleep(1.0)
            polite.begin()
            took.extend(_took(polite.seen()))
            if greedy:
                others = Counter(each.code for each in greedy.seen())
    rows = [(name, duration(_at(t, 50)), duration(_at(t, 99)), str(len(t))) for name, t in seen.items()]
    ratio = {p: _at(seen["1000 of 100 ms"], p) / _at(seen["none"], p) for p in (50, 99)}
    cause = "a service of one processor has it taken away for what a step of the long call holds the interpreter"
    floors = [
        Floor(f"beside 1000 long calls: p{p} of small ones of that alone", r, 1.5, cause=cause)
        for p, r in ratio.items()
    ]
    for line in (*map("  ".join, rows), *map(str, floors)):
        screen.line(line)
    text = (
        "Small calls every 5 ms of one caller, while another keeps 1000 calls of 100 ms under way and sends those "
        f"again that are refused, when it is told to; of its calls {_told(others)} ended. The service as above."
    )
    return Section("One caller beside another", text, ("other caller", "p50", "p99", "calls"), rows, floors)


def sections(share: float, screen: Screen) -> list[Section]:
    """All that is measured of too many calls."""
    return [overload(share, screen), all_at_once(screen), beside_one_who_wants_all(share, screen)]


def _on_first() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _on_others() -> None:
    all_ = os.sched_getaffinity(0)
    os.sched_setaffinity(0, all_ - {min(all_)} or all_)


def _processor_seconds(process: int) -> float:
    """What a process has had of processors."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _told(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))


def _took(seen: Sequence[Seen]) -> list[float]:
    return [each.took for each in seen]


def _rate(seen: Sequence[Seen]) -> float:
    """Calls answered in a second."""
    ends = sorted(each.sent + each.took for each in seen if each.code == _OK)
    return (len(ends) - 1) / (ends[-1] - ends[0])


def _at(took: Sequence[float], percent: float) -> float:
    return float(np.percentile(took, percent)) if took else float("nan")


if __name__ == "__main__":
    from tests.bench.report import Lines

    sections(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, Lines())
