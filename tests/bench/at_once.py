"""Two thousand calls at once, and one caller who wants everything."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from tests.bench.flood import Order, Seen
from tests.bench.loaded import (
    OK,
    PRODUCTS,
    SHED,
    Flood,
    Health,
    bare_server,
    codes_told,
    flooded,
    one_core_service,
    percentile,
    times,
)
from tests.bench.report import Floor, Screen, Section, duration

AT_ONCE, QUEUED = 2000, 1000
_CAUSE = "those that are answered meanwhile take half of the processor, and to turn one away takes some 0.15 ms"


def all_at_once(screen: Screen) -> Section:
    """Two thousand calls at once from one connection, small ones and such of 20 ms, and the same of a bare server."""
    rows, floors = [], []
    for name in ("small", "20 ms"):
        with one_core_service() as address:
            health = Health(address)
            seen = flooded(_burst(address, PRODUCTS[name]))
            health.stop()
        codes = Counter(s.code for s in seen)
        rows.append((name, *_row(seen), duration(max(health.seconds))))
        floors.append(Floor(f"{AT_ONCE} {name} calls at once: explained", _explained(seen), 1.0, at_least=True))
        if codes[SHED]:
            shed = max(times(s for s in seen if s.code == SHED))
            floors.append(
                Floor(f"{AT_ONCE} {name} calls at once: turned away by 50 ms", shed / 0.05, 1.0, cause=_CAUSE)
            )
        true = 1 - health.failures / len(health.seconds)
        floors.append(Floor(f"{AT_ONCE} {name} calls at once: health true", true, 1.0, at_least=True))
    with bare_server() as (address, _):
        rows.append(("bare echo", *_row(flooded(_burst(address, 0, bare=True))), ""))
    for row in rows:
        screen.line("  ".join(row))
    text = (
        f"{AT_ONCE} calls sent at once over one connection, to a service as above; and to a server of gRPC for Python "
        "that says requests again, on the same processor: what comes last waits there for all others as well. "
        "Calls of 20 ms that are answered meanwhile share the processor with those that are turned away."
    )
    header = ("calls", "codes", "p50", "slowest", "turned away, p50 and slowest", "health, slowest")
    return Section("All at once", text, header, rows, floors)


def _burst(address: str, products: int, bare: bool = False) -> Order:
    return Order(address, products, rate=1e6, seconds=AT_ONCE / 1e6, bare=bare)


def _explained(seen: Sequence[Seen]) -> float:
    return sum(each.code in (OK, SHED) for each in seen) / AT_ONCE


def _row(seen: Sequence[Seen]) -> tuple[str, ...]:
    took, shed = times(seen), times(s for s in seen if s.code == SHED)
    late = f"{duration(percentile(shed, 50))}, {duration(max(shed))}" if shed else ""
    return codes_told(Counter(s.code for s in seen)), duration(percentile(took, 50)), duration(max(took)), late


def beside_one_who_wants_all(share: float, screen: Screen) -> Section:
    """Small calls of one caller beside a thousand long ones of another."""
    seconds = max(3.0, 15.0 * share)
    seen: dict[str, list[float]] = {"none": [], "1000 of 100 ms": []}
    with one_core_service() as address:
        for name, took in seen.items():
            greedy = (
                None
                if name == "none"
                else Flood(Order(address, PRODUCTS["100 ms"], at_once=QUEUED, seconds=seconds + 2))
            )
            polite = Flood(Order(address, 0, seconds=seconds, pause=5e-3))
            if greedy:
                greedy.begin()
                time.sleep(1.0)
            polite.begin()
            took.extend(times(polite.seen()))
            if greedy:
                others = Counter(each.code for each in greedy.seen())
    rows = [(name, duration(percentile(t, 50)), duration(percentile(t, 99)), str(len(t))) for name, t in seen.items()]
    ratio = {p: percentile(seen["1000 of 100 ms"], p) / percentile(seen["none"], p) for p in (50, 99)}
    cause = "a service of one processor has it taken away for what a step of the long call holds the interpreter"
    floors = [
        Floor(f"beside 1000 long calls: p{p} of small ones of that alone", r, 1.5, cause=cause)
        for p, r in ratio.items()
    ]
    for line in (*map("  ".join, rows), *map(str, floors)):
        screen.line(line)
    text = (
        "Small calls every 5 ms of one caller, while another keeps 1000 calls of 100 ms under way and sends those "
        f"again that are refused, when it is told to; of its calls {codes_told(others)} ended. The service as above."
    )
    return Section("One caller beside another", text, ("other caller", "p50", "p99", "calls"), rows, floors)
