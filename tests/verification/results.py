"""The study written down: RESULTS.md with its tables, and the power curve beside it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.verification.faults import DELTAS, MODELS
from tests.verification.peers import SLOW_CHECKS_UP_TO
from tests.verification.study import BUDGET, Tally

_HEAD = f"""# What a verification finds

Written by `python -m tests.verification.study` on {datetime.date.today()}.
Losses of {len(MODELS)} kinds (a sum of sines; a layer with a bias;
a table that rows are gathered from, with a scale that is broadcast) in every size. A single entry is wrong by a factor
of 1 + delta, and is at least as large as the median one; other faults are wrong in a whole array. Found: called wrong
within {BUDGET} evaluations. Input: exactly the wrong array is named. Entry: exactly the wrong entry is; in time: within
4 log2 n evaluations more. The checks of PyTorch and JAX have the tolerances that they come with; columns say how many
of the faults they object to. `gradcheck` moves every entry, and is not asked above {SLOW_CHECKS_UP_TO} entries.

![power](power.svg)
"""


def write(
    folder: Path,
    checks: Sequence[str],
    tallies: Mapping[int, Mapping[str, Tally]],
    alarms: Mapping[float, Mapping[str, int]],
    smallest: Mapping[float, tuple[int, int]],
    kinks: Mapping[str, Mapping[float, tuple[int, int]]],
) -> None:
    """Writes the tables and the plot."""
    parts = [_HEAD]
    for n, kinds in tallies.items():
        runs = sum(tally.faults for tally in kinds.values())
        parts += [f"## About {n} entries ({runs} faults)\n", _faults(kinds, checks), ""]
    right = sum(sum(verdicts.values()) for verdicts in alarms.values())
    parts += [f"## Right gradients ({right}, of about 100 entries)\n", _alarms(alarms, smallest), ""]
    parts += ["## Irregularities told with kind and distance, of right gradients beside them\n", _kinks(kinks), ""]
    (folder / "RESULTS.md").write_text("\n".join(parts), encoding="utf-8")
    _draw(tallies, checks, folder / "power.svg")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _faults(kinds: Mapping[str, Tally], checks: Sequence[str]) -> str:
    header = ["fault", "of", "found", "input", "entry", "in time", "evaluations (median)", *checks]
    return _table(header, [_row(kind, tally, checks) for kind, tally in kinds.items()])


def _row(kind: str, t: Tally, checks: Sequence[str]) -> list[str]:
    counts = [f"{part}" for part in (t.faults, t.found, t.input_named)]
    counts += [f"{part} of {t.entries}" if t.entries else "" for part in (t.entry_named, t.within_extra)]
    others = [f"{np.mean(t.others[name]):.0%}" if t.others[name] else "" for name in checks]
    return [kind, *counts, f"{np.median(t.evaluations):.0f}" if t.evaluations else "", *others]


def _alarms(alarms: Mapping[float, Mapping[str, int]], smallest: Mapping[float, tuple[int, int]]) -> str:
    header = ["noise, of the loss's value", "verdicts", "faults twice the smallest visible one that are seen"]
    rows = []
    for noise, verdicts in alarms.items():
        told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
        rows.append([f"{noise:.0e}", told, "{} of {}".format(*smallest[noise])])
    return _table(header, rows)


def _kinks(kinks: Mapping[str, Mapping[float, tuple[int, int]]]) -> str:
    distances = list(next(iter(kinks.values())))
    rows = [[name, *("{} of {}".format(*found[d]) for d in distances)] for name, found in kinks.items()]
    return _table(["kind", *(f"at {d:g}" for d in distances)], rows)


def _draw(tallies: Mapping[int, Mapping[str, Tally]], checks: Sequence[str], path: Path) -> None:
    """The part of single wrong entries that is found, by the size of the error; a panel for each size of model."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(tallies), figsize=(3.4 * len(tallies), 3.2), sharey=True, layout="constrained")
    for axis, (n, kinds) in zip(axes, tallies.items(), strict=True):
        rows = [kinds[f"entry {delta:.0e}"] for delta in DELTAS]
        axis.plot(DELTAS, [row.found / row.faults for row in rows], color="#1f5fa8", linewidth=2.5, label="gradserve")
        for name, style in zip(checks, ("--", ":", "-."), strict=False):
            known = [(d, np.mean(row.others[name])) for d, row in zip(DELTAS, rows, strict=True) if row.others[name]]
            if known:
                axis.plot(*zip(*known, strict=True), style, color="#e0a030", linewidth=2, label=name)
        axis.set(xscale="log", xlabel="relative error of one entry", title=f"{n} entries", ylim=(-0.03, 1.03))
        axis.grid(color="#dddddd")
    axes[0].set_ylabel("faults found")
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
