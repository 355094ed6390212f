"""Soaks a service: `python -m tests.soak --minutes 20`. Ends with 1 if an answer was wrong, a call lost or it grows."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.soak.soak import Outcome, soak

_SHOWN = 20


def main() -> int:
    """Runs it, with a bar, and prints what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="how long")
    parser.add_argument("--callers", type=int, default=4, help="callers at a time, besides those that misbehave")
    parser.add_argument("--seed", type=int, default=0, help="of the order of calls")
    options = parser.parse_args()
    console = Console()
    shown = TextColumn("{task.fields[state]}")
    with Progress(TextColumn("soaking"), BarColumn(), TimeRemainingColumn(), shown, console=console) as progress:
        task = progress.add_task("soaking", total=60 * options.minutes, state="")

        def tell(now: float, out: Outcome) -> None:
            wrong, lost = len(out.wrong), len(out.lost) + len(out.untyped)
            state = f"{out.answered.total()} answered, {wrong} wrong, {lost} lost, {len(out.faults)} faults done"
            progress.update(task, completed=now, state=state)

        out = soak(60 * options.minutes, options.callers, options.seed, tell)
    _print(out, console)
    return 0 if out.passed else 1


def _print(out: Outcome, console: Console) -> None:
    table = Table("call", "answered", "median ms", "99 % ms", "longest ms", title="Calls")
    for name, times in sorted(out.seconds.items()):
        figures = times.quantile(0.5), times.quantile(0.99), times.longest
        table.add_row(name, str(out.answered[name]), *(f"{1e3 * each:.1f}" for each in figures))
    console.print(table)
    columns = ("process", "figure", "first", "last", "first half", "second half, a minute", "rise", "minutes", "")
    table = Table(*columns, title="Growth")
    for growth in out.growth:
        early, late = growth.early, growth.late
        second = f"{late.a_minute:+.3f} ({late.low:+.3f} to {late.high:+.3f})"
        levels = f"{growth.first:.1f}", f"{growth.last:.1f}"
        rise, minutes = f"{growth.rise:+.2f}", f"{growth.minutes:.1f}"
        row = *levels, f"{early.a_minute:+.3f}", second, rise, minutes, growth.verdict
        table.add_row(growth.process, growth.figure, *row)
    console.print(table)
    for moment, said in out.faults:
        console.print(f"{moment:7.1f} s  {said}")
    console.print(f"given up by their clients: {dict(out.given_up)}")
    for title, found in (("wrong", out.wrong), ("lost", out.lost), ("untyped", out.untyped)):
        console.print(f"{title}: {len(found)}")
        for said in found[:_SHOWN]:
            console.print(f"  {said}")


if __name__ == "__main__":
    sys.exit(main())
