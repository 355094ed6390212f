"""How good and how honest the estimators are: `python -m tests.estimation.study` prints the tables of CALIBRATION.md.

For each spectrum, budget and estimator the median error relative to the trace, and how often the interval covers; the
same where a tolerance stops; and how many products a tolerance of 1e-3 takes, beside the best method whose products are
fixed beforehand by who knows the answer. `--help` lists what can be chosen. Ends with status 1 if a floor is missed.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import platform
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib.metadata import version

import numpy as np

from gradserve.estimation.looks import Target
from tests.estimation.calibration import FORMS, WAYS, Outcomes, outcomes, serves
from tests.estimation.matrices import spectra

BUDGETS = (24, 48, 96, 192, 384)
TOLERANCES = (0.3, 0.1, 0.03, 0.01, 0.001)
FINE = 0.001
"""The tolerance whose products are counted."""
MOST = 4096
LEAST_COVERAGE, WORST_OF_BEST, WORST_OF_SIGNS, WORST_PRODUCTS = 0.94, 1.5, 1.05, 1.3
_TABLES = ("fixed", "stopped", "products")
PARTS = 8
"""Parts that seeds are cut into, so that all processes have work."""

Cell = tuple[str, str, Target]
"""An estimator, a spectrum and a target."""
_matrices = functools.cache(spectra)


def main(arguments: Sequence[str]) -> int:
    """Runs the study; the exit status."""
    options = _parser().parse_args(arguments)
    names = options.spectra or list(_matrices(options.size))
    _say(_heading(options))
    with ProcessPoolExecutor(options.processes) as pool:
        run, large = (functools.partial(_run, pool, size) for size in (options.size, options.large))
        tables = {
            "fixed": lambda: _fixed(run, names, options.runs),
            "stopped": lambda: _stopped(run, names, options.runs),
            "products": lambda: _products(large, names, options.products_runs),
        }
        kept = [tables[name]() for name in options.tables]
    return 0 if all(kept) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.estimation.study", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="seeds for each cell")
    parser.add_argument("--size", type=int, default=100, help="rows of the matrices")
    parser.add_argument("--large", type=int, default=1000, help="rows of those whose products are counted")
    parser.add_argument("--products-runs", type=int, default=11, help="seeds for each count of products")
    parser.add_argument("--tables", nargs="*", choices=_TABLES, default=_TABLES, help="some of them")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--spectra", nargs="*", help="some of them")
    return parser


def _heading(options: argparse.Namespace) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy"))
    return (
        f"# Calibration of the trace estimators\n\nWritten by `python -m tests.estimation.study` on "
        f"{datetime.date.today()}, Python {platform.python_version()}, {versions}; {options.runs} seeds a cell, "
        f"matrices of {options.size} rows (`tests/estimation/matrices.py`), intervals of 95 %.\n"
    )


def _fixed(run: _Run, names: Sequence[str], runs: int) -> bool:
    """The table of fixed budgets; whether its floors are kept."""
    _say("## Fixed budgets\n\nMedian |error| / trace, and in brackets the share of intervals that cover.\n")
    _say(_row(["spectrum", "products", *WAYS, "auto / best", "auto / signs"]))
    _say(_row(["---"] * (len(WAYS) + 4)))
    coverages, of_best, of_signs = [], [], []
    for name in names:
        for budget in BUDGETS:
            found = run([(way, name, Target(budget)) for way in WAYS if serves(way, name)], runs)
            errors = {way: each.error for (way, *_), each in found.items()}
            best = min(error for way, error in errors.items() if way != "auto")
            ratios = _ratio(errors["auto"], best), _ratio(errors["auto"], errors["hutchinson"])
            of_best.append((ratios[0], name, budget))
            of_signs.append((ratios[1], name, budget))
            coverages += [(each.coverage, name, budget, way) for (way, *_), each in found.items()]
            cells = {way: f"{each.error:.1e} ({each.coverage:.3f})" for (way, *_), each in found.items()}
            _say(_row([name, str(budget), *(cells.get(way, "-") for way in WAYS), *(f"{r:.2f}" for r in ratios)]))
    above = [_shown(each) for each in of_best if each[0] > WORST_OF_BEST]
    return _told(
        f"Least coverage {_shown(min(coverages))}, floor {LEAST_COVERAGE}. Auto against the best estimator: of "
        f"{len(of_best)} cells above {WORST_OF_BEST} are {', '.join(above) or 'none'}; "
        f"against signs alone at worst {_shown(max(of_signs))}, floor {WORST_OF_SIGNS}.",
        min(coverages)[0] >= LEAST_COVERAGE and not above and max(of_signs)[0] <= WORST_OF_SIGNS,
    )


def _stopped(run: _Run, names: Sequence[str], runs: int) -> bool:
    """The table of tolerances; whether its floor is kept."""
    _say(f"## Where a tolerance stops\n\nShare of the last intervals that cover, at most {MOST} products, and their ")
    _say("median number.\n")
    _say(_row(["spectrum", "tolerance", *WAYS]))
    _say(_row(["---"] * (len(WAYS) + 2)))
    coverages = []
    for name in names:
        for tolerance in TOLERANCES:
            target = Target(MOST, relative_tolerance=tolerance)
            # Signs alone come to the end of the products at the finest; what they say there the first table tells.
            ways = [way for way in WAYS if serves(way, name) and (tolerance > FINE or way not in (FORMS, "hutchinson"))]
            found = run([(way, name, target) for way in ways], runs)
            coverages += [(each.coverage, name, tolerance, way) for (way, *_), each in found.items()]
            cells = {w: f"{each.coverage:.3f} ({np.median(each.products):.0f})" for (w, *_), each in found.items()}
            _say(_row([name, str(tolerance), *(cells.get(way, "-") for way in WAYS)]))
    least = min(coverages)
    return _told(f"Least coverage {_shown(least)}, floor {LEAST_COVERAGE}.", least[0] >= LEAST_COVERAGE)


def _products(run: _Run, names: Sequence[str], runs: int) -> bool:
    """The table of products that the finest tolerance takes; whether its floor is kept."""
    size = run.args[1]
    _say(f"## Products to a relative tolerance of {FINE}\n\nMatrices of {size} rows, {runs} seeds. Of other methods ")
    _say("the fewest products, given beforehand, with which the median half interval is within the tolerance; all ")
    _say("columns take as many as there are.\n")
    _say(_row(["spectrum", "auto", "best other", "products", "auto / best"]))
    _say(_row(["---"] * 5))
    ratios = []
    for name in names:
        ((_, found),) = run([("auto", name, Target(MOST, relative_tolerance=FINE))], runs).items()
        others = [(_fewest(run, way, name, size, runs), way) for way in WAYS if way != "auto" and serves(way, name)]
        fewest, way = min([*others, (size, "exact")])
        ratios.append((float(np.median(found.products)) / fewest, name))
        _say(_row([name, f"{np.median(found.products):.0f}", way, str(fewest), f"{ratios[-1][0]:.2f}"]))
    worst = max(ratios)
    return _told(f"At worst {_shown(worst)}, floor {WORST_PRODUCTS}.", worst[0] <= WORST_PRODUCTS)


def _fewest(run: _Run, way: str, name: str, size: int, runs: int) -> int:
    """The fewest products, to 5 %, with which half the median interval is within the finest tolerance."""
    low, high = 16, size
    while high > 1.05 * low:
        middle = round(np.sqrt(low * high))
        ((_, found),) = run([(way, name, Target(middle))], runs).items()
        low, high = (low, middle) if np.median(found.half_widths) <= FINE else (middle, high)
    return high


_Run = functools.partial[dict[Cell, Outcomes]]


def _run(pool: Executor, size: int, cells: Sequence[Cell], runs: int) -> dict[Cell, Outcomes]:
    """What all seeds come to in each cell."""
    parts = [range(runs * k // PARTS, runs * (k + 1) // PARTS) for k in range(PARTS)]
    jobs = [(size, cell, part) for cell in cells for part in parts]
    found = pool.map(_job, jobs)
    return {cell: _joined(next(found) for _ in parts) for cell in cells}


def _job(job: tuple[int, Cell, range]) -> Outcomes:
    size, (way, name, target), seeds = job
    return outcomes(WAYS[way], _matrices(size)[name], target, seeds)


def _joined(parts: Iterator[Outcomes]) -> Outcomes:
    arrays = [(part.errors, part.half_widths, part.products) for part in parts]
    return Outcomes(*(np.concatenate(each) for each in zip(*arrays, strict=True)))


def _ratio(error: float, other: float) -> float:
    """Of two errors; what is rounding alone counts as none."""
    tiny = 1e-12
    return (error + tiny) / (other + tiny)


def _shown(found: tuple[object, ...]) -> str:
    value, *where = found
    return f"{value:.3g} ({', '.join(map(str, where))})"


def _told(text: str, kept: bool) -> bool:
    _say(f"\n{text} {'Kept.' if kept else 'MISSED.'}\n")
    return kept


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
