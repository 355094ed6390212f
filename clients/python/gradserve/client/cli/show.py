"""Results on a terminal: tables where people would rather look than read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from gradserve.ir.types import Array
from gradserve.questions.call import Transport
from gradserve.questions.estimates import TraceEstimate
from gradserve.questions.explanation import Explanation
from gradserve.questions.report import Report
from gradserve.questions.symmetry import SymmetryReport
from gradserve.questions.verification import EntryReport, InputReport, VerificationReport

console = Console(emoji=False, markup=False, highlight=False)
if not console.is_terminal:
    # A log has no window to fit into; narrow tables would break the ends of names.
    console.width = 120
_STYLES = {
    "agrees": "green",
    "disagrees": "bold red",
    "order_dependent": "bold red",
    "kink": "yellow",
    "inconclusive": "yellow",
    "not_finite": "red",
}
_ENTRIES = 3


def line(text: str | Text) -> None:
    """One line of text, never broken."""
    console.print(text, soft_wrap=True)


def heading(text: str) -> None:
    """A line that opens a section."""
    console.print()
    console.rule(Text(text, "bold"), align="left")


def progress(unit: str) -> Progress:
    """A bar that shows how far a job is, in units; on a terminal only, and gone when the job is done."""
    errors = Console(stderr=True, emoji=False, markup=False, highlight=False)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.completed} " + unit, markup=False),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


@contextlib.contextmanager
def following(unit: str, spent: Callable[[Any], int], total: int | None = None) -> Iterator[Callable[[Any], None]]:
    """What shows the current answer of a stream, and by `spent` how many units it took; on a terminal only."""
    with progress(unit) as bar:
        task = bar.add_task("asking", total=total)
        yield lambda answer: bar.update(task, completed=spent(answer), description=str(answer).partition("\n")[0])


def _table(*columns: str) -> Table:
    """An empty table that breaks cells rather than cutting them."""
    return Table(*(Column(name, overflow="fold") for name in columns), box=None, header_style="bold")


def gradients(value: Any, by_name: Mapping[str, Array]) -> None:
    """The loss and a summary of each gradient."""
    shown = f"{value:.12g}" if np.ndim(value) == 0 else f"{np.size(value)} values, mean {np.mean(value):.6g}"
    line(f"loss  {shown}")
    arrays(by_name, "input")


def arrays(by_name: Mapping[str, Array], title: str = "array") -> None:
    """A summary of each array; nothing if there are none."""
    if not by_name:
        return
    table = _table(title, "shape", "norm", "smallest", "largest", "first entries")
    for name, array in by_name.items():
        flat = np.ravel(array)
        shape = "x".join(map(str, np.shape(array))) or "scalar"
        bounds = (f"{flat.min():.4g}", f"{flat.max():.4g}") if flat.size else ("", "")
        first = " ".join(f"{x:.5g}" for x in flat[:_ENTRIES]) + (" ..." if flat.size > _ENTRIES else "")
        table.add_row(name, shape, f"{np.linalg.norm(flat):.6g}", *bounds, first)
    console.print(table)


def report(report: Report) -> None:
    """The timing breakdown of a call, with bars."""
    table = _table("phase", "ms", "")
    total = sum(report.phases.values()) or 1.0
    for name, seconds in report.phases.items():
        table.add_row(name, f"{1e3 * seconds:.3f}", "█" * round(40 * seconds / total))
    console.print(table)
    hit = "plan known" if report.plan_cache_hit else "plan made for this call"
    line(
        f"{report.chunks} chunk(s) on {report.placement} by {report.executor}, {hit}, {report.retries} retries, "
        f"{report.flops:.3g} flops, at most {report.peak_bytes / 2**20:.3g} MiB"
    )
    if report.transport is not Transport.EXACT:
        line(f"float64 travelled as {report.transport}")
    kinks(report)


def kinks(report: Report | SymmetryReport) -> None:
    """What sits on a kink; nothing where nothing does."""
    if report.kinks and report.kinks.nodes:
        resolved = report.kinks.bound is not None
        line(f"{report.kinks}{'' if resolved else ', where derivatives follow the conventions of docs/NUMPY.md'}")


def verification(report: VerificationReport) -> None:
    """A verification: the verdict, a table of inputs, and the entries found."""
    count = f"{len(report.directions)} directions, {report.evaluations} evaluations"
    told = f"  {count}, noise in the loss {report.noise:.1e}, seed {report.seed}"
    line(Text.assemble((report.verdict, _STYLES.get(report.verdict, "")), told))
    table = _table("input", "verdict", "claimed", "measured", "error bound")
    rows: list[InputReport | EntryReport] = [*report.inputs, *report.entries]
    for row in rows:
        numbers = (f"{row.claimed:.12g}", f"{row.measured:.12g}", f"{row.error_bound:.1e}")
        style = "" if row.verdict == "agrees" else _STYLES.get(row.verdict, "")
        table.add_row(row.name, row.verdict, *numbers, style=style)
    console.print(table)
    for note in report.notes:
        line(note)


def symmetry(report: SymmetryReport) -> None:
    """A verification of symmetry: the verdict and a table of pairs."""
    told = f"  {len(report.pairs)} pairs, {report.evaluations} evaluations, noise in the loss {report.noise:.1e}"
    line(Text.assemble((report.verdict, _STYLES.get(report.verdict, "")), f"{told}, seed {report.seed}"))
    table = _table("u, v", "verdict", "d/du d/dv", "error bound", "d/dv d/du", "error bound", "derived")
    for pair in report.pairs:
        table.add_row(*pair.cells, style="" if pair.verdict == "agrees" else _STYLES.get(pair.verdict, ""))
    console.print(table)
    kinks(report)


def trace(estimate: TraceEstimate) -> None:
    """An estimate with its interval."""
    line(Text.assemble("trace of the Hessian  ", (f"{estimate.value:.8g}", "bold")))
    line(f"{estimate.confidence:.0%} interval          {estimate.lower:.8g} to {estimate.upper:.8g}")
    line(f"standard error        {estimate.standard_error:.3g} from {estimate.probes} probes, seed {estimate.seed}")
    line(f"estimated by          {estimate.way}")
    parts = estimate.parts if isinstance(estimate.parts, Mapping) else {}
    for name, value in parts.items():
        line(f"part of {name:<13} {float(value):.8g} ± {float(estimate.part_half_widths[name]):.2g}")
    line(f"stopped by            {estimate.stop_reason.replace('_', ' ')}")
    if estimate.report.on_kinks:
        line(f"{estimate.report.kinks}: the interval does not hold")


def explanation(found: Explanation, with_text: bool) -> None:
    """What a call would cost."""
    text = str(found)
    line(text if with_text else text.partition("\n\n")[0])
