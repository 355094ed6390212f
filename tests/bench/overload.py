"""Ten times as many calls as a service can answer."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tests.bench import at_once
from tests.bench.flood import Order, Seen
from tests.bench.loaded import (
    OK,
    PRODUCTS,
    SHED,
    Flood,
    Health,
    bare_seconds,
    codes_told,
    flooded,
    one_core_service,
    percentile,
    rate,
    times,
)
from tests.bench.report import Floor, Screen, Section, duration

CALLS = ("20 ms", "100 ms")
TIMES, KEPT = 10.0, 8


@dataclass(frozen=True)
class Overloaded:
    """What became of a service that was asked ten times as much as it can do."""

    alone: list[float]
    """Seconds of calls that come one by one."""
    kept: list[float]
    """Of calls of which a few are kept under way."""
    capacities: tuple[float, float]
    """Calls answered in a second, where a few are kept under way: before and after."""
    seen: list[Seen]
    seconds: float
    """How long the calls were sent for."""
    recovery: float
    """From the last of them to the first answer of a caller who begins then that takes as long as alone."""
    health: Sequence[float]
    failures: int
    """Of the checks of health."""
    bare: float
    """Of a processor for each call of a bare server."""

    @property
    def capacity(self) -> float:
        """What it can do: the more of before and after."""
        return max(self.capacities)

    @property
    def answered(self) -> list[Seen]:
        """Those that were not turned away."""
        return [each for each in self.seen if each.code == OK]

    @property
    def shed(self) -> list[float]:
        """Seconds of those that were turned away."""
        return times([each for each in self.seen if each.code == SHED])

    @property
    def rate(self) -> float:
        """Calls answered in a second while all came."""
        return sum(each.sent + each.took <= self._began + self.seconds for each in self.answered) / self.seconds

    @property
    def refusal(self) -> float:
        """Seconds of what could be answered that a call turned away took."""
        return max(0.0, 1 - self.rate / self.capacity) * self.seconds / max(1, len(self.shed))

    @property
    def left(self) -> float:
        """The share of the processor that as many calls of a bare server would leave."""
        return 1 - TIMES * self.capacities[0] * self.bare

    @property
    def _began(self) -> float:
        return min(each.sent for each in self.seen)


def overloaded(products: int, seconds: float) -> Overloaded:
    """Measures it, by calls of so many products."""
    with one_core_service() as address:
        alone = times(flooded(Order(address, products, seconds=seconds / 4)))
        kept = flooded(Order(address, products, at_once=KEPT, seconds=seconds / 2))
        before = rate(kept)
        flood = Flood(Order(address, products, TIMES * before, seconds, connections=4))
        after = Flood(Order(address, products, seconds=8.0, pause=0.05))
        health = Health(address)
        flood.begin()
        time.sleep(seconds)
        ended = time.monotonic()
        after.begin()
        seen, calm = flood.seen(), after.seen()
        health.stop()
        later = rate(flooded(Order(address, products, at_once=KEPT, seconds=seconds / 2)))
    bare = bare_seconds(TIMES * before, seconds / 2)
    good = [s for s in calm if s.code == OK and s.took <= 1.5 * percentile(alone, 50)]
    recovery = max(good[0].sent + good[0].took - ended, 0.0) if good else float("inf")
    found = health.seconds, health.failures, bare
    return Overloaded(alone, times(kept), (before, later), seen, seconds, recovery, *found)


def overload(share: float, screen: Screen) -> Section:
    """Goodput, times and recovery of a service at ten times what it can do."""
    every = {name: overloaded(PRODUCTS[name], max(3.0, 20.0 * share)) for name in CALLS}
    rows = [row for name, each in every.items() for row in _rows(name, each)]
    floors = [floor for name, each in every.items() for floor in _floors(name, each)]
    for line in (*map("  ".join, rows), *map(str, floors)):
        screen.line(line)
    refusals = ", ".join(duration(each.refusal) for each in every.values())
    text = (
        f"Gradients of some {' and '.join(CALLS)} each, asked for by a client that does not wait for answers: a "
        "service of one worker on a processor of its own, the client on the others, as it takes half as much as the "
        "service to be refused and would be counted otherwise. Recovery is told from the last call to the first "
        "answer, within 1.5 times of what it takes alone, to a caller that began then; health was asked for every 50 "
        f"ms. A call that was turned away took {refusals} of what could be answered; a server of gRPC for Python that "
        "says requests again takes what the table says of the processor for each, at the same rate. Of calls turned "
        "away p50 and p99. What a service can do is what it does for callers of whom eight wait for an answer, before "
        "or after, whichever is more."
    )
    header = ("calls", "load", "answered/s", "p50", "p99", "turned away", "codes")
    return Section("Overload", text, header, rows, floors)


def _rows(name: str, it: Overloaded) -> Iterator[tuple[str, ...]]:
    before, later = it.capacities
    yield (
        name,
        "alone",
        f"{1 / np.mean(it.alone):.1f}",
        duration(percentile(it.alone, 50)),
        duration(percentile(it.alone, 99)),
        "",
        "",
    )
    took = duration(percentile(it.kept, 50)), duration(percentile(it.kept, 99))
    yield name, f"{KEPT} at a time", f"{before:.1f}, later {later:.1f}", *took, "", ""
    answered = times(it.answered)
    took = duration(percentile(answered, 50)), duration(percentile(answered, 99))
    away = f"{duration(percentile(it.shed, 50))}, {duration(percentile(it.shed, 99))}"
    yield name, f"{TIMES:g} times that", f"{it.rate:.1f}", *took, away, codes_told(Counter(s.code for s in it.seen))
    told = f"{duration(it.bare)} of the processor a call: would leave {it.left:.2f}x"
    yield name, "the same of a bare echo", "", "", "", "", told


def _floors(name: str, it: Overloaded) -> Iterator[Floor]:
    goodput, codes = it.rate / it.capacity, Counter(s.code for s in it.seen)
    cause = f"a bare echo of as many calls would leave {it.left:.2f}x" if it.left < 0.9 else ""
    yield Floor(f"overload by {name}: goodput of capacity", goodput, 0.9, at_least=True, cause=cause)
    late = percentile(times(it.answered), 99) / percentile(it.alone, 99)
    yield Floor(f"overload by {name}: p99 of admitted calls of that alone", late, 3.0, cause=cause)
    yield Floor(f"overload by {name}: p99 of calls turned away of 50 ms", percentile(it.shed, 99) / 0.05, 1.0)
    yield Floor(f"overload by {name}: recovery of 5 s", max(it.recovery, 1e-3) / 5.0, 1.0)
    true = 1 - it.failures / len(it.health)
    yield Floor(f"overload by {name}: health checks that were true", true, 1.0, at_least=True)
    explained = (codes[OK] + codes[SHED]) / len(it.seen)
    yield Floor(f"overload by {name}: calls with an explained end", explained, 1.0, at_least=True)


def sections(share: float, screen: Screen) -> list[Section]:
    """All that is measured of too many calls."""
    return [
        overload(share, screen),
        at_once.all_at_once(screen),
        at_once.beside_one_who_wants_all(share, screen),
    ]


if __name__ == "__main__":
    from tests.bench.report import Lines

    sections(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, Lines())
