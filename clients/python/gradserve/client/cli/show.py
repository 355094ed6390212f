"""Results on a terminal: tables where people would rather look than read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gradserve.client.results import Explanation, Report, TraceEstimate, VerificationReport
from gradserve.ir.types import Array

console = Console(emoji=False)
if not console.is_terminal:
    # A log has no window to fit into; narrow tables would lose the ends of names.
    console.width = 120
_STYLES = {"agrees": "green", "disagrees": "bold red", "kink": "yellow", "inconclusive": "yellow", "not_finite": "red"}


def line(text: str) -> None:
    """One line of text."""
    console.print(text, highlight=False)


def heading(text: str) -> None:
    """A line that opens a section."""
    console.print()
    console.rule(f"[bold]{text}", align="left")


def gradients(value: Any, by_name: Mapping[str, Array]) -> None:
    """The loss and a summary of each gradient."""
    shown = f"{value:.12g}" if np.ndim(value) == 0 else f"{np.size(value)} values, mean {np.mean(value):.6g}"
    line(f"loss  {shown}")
    table = Table("input", "shape", "norm", "smallest", "largest", "first entries", box=None, header_style="bold")
    for name, array in by_name.items():
        flat = np.ravel(array)
        first = " ".join(f"{x:.5g}" for x in flat[:4]) + (" ..." if flat.size > 4 else "")
        bounds = (f"{flat.min():.4g}", f"{flat.max():.4g}") if flat.size else ("", "")
        table.add_row(name, "x".join(map(str, np.shape(array))) or "scalar", f"{np.linalg.norm(flat):.6g}", *bounds, first)
    console.print(table)


def report(report: Report) -> None:
    """The timing breakdown of a call, with bars."""
    table = Table("phase", "ms", "", box=None, header_style="bold")
    total = sum(report.phases.values()) or 1.0
    for name, seconds in report.phases.items():
        table.add_row(name, f"{1e3 * seconds:.3f}", "█" * round(40 * seconds / total))
    console.print(table)
    hit = "plan known" if report.plan_cache_hit else "plan made for this call"
    line(
        f"{report.chunks} chunk(s) on {report.placement} by {report.executor}, {hit}, {report.retries} retries, "
        f"{report.flops:.3g} flops, at most {report.peak_bytes / 2**20:.3g} MiB"
    )


def verification(report: VerificationReport) -> None:
    """A verification: the verdict, a table of inputs, and the entries found."""
    style = _STYLES.get(report.verdict, "")
    line(
        f"[{style}]{report.verdict}[/]  {len(report.directions)} directions, {report.evaluations} evaluations, "
        f"noise in the loss {report.noise:.1e}, seed {report.seed}"
    )
    table = Table("input", "verdict", "claimed", "measured", "error bound", box=None, header_style="bold")
    for row in report.inputs:
        table.add_row(row.input, row.verdict, f"{row.claimed:.12g}", f"{row.measured:.12g}", f"{row.error_bound:.1e}")
    for entry in report.entries:
        numbers = (f"{entry.claimed:.12g}", f"{entry.measured:.12g}", f"{entry.error_bound:.1e}")
        table.add_row(entry.name, entry.verdict, *numbers, style=_STYLES.get(entry.verdict, ""))
    console.print(table)


def trace(estimate: TraceEstimate) -> None:
    """An estimate with its interval."""
    line(f"trace of the Hessian  [bold]{estimate.value:.8g}[/]")
    line(f"{estimate.confidence:.0%} interval          {estimate.lower:.8g} to {estimate.upper:.8g}")
    line(f"standard error        {estimate.standard_error:.3g} from {estimate.probes} probes, seed {estimate.seed}")
    line(f"stopped by            {estimate.stop_reason.replace('_', ' ')}")


def explanation(found: Explanation, with_text: bool) -> None:
    """What a call would cost."""
    text = str(found)
    line(text if with_text else text.partition("\n\n")[0])
