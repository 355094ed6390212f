"""What a verification finds, and what it costs: `python -m tests.verification.study [trials]` writes RESULTS.md.

Beside ours stand the checks of JAX and PyTorch where they are installed.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gradserve.questions.verdicts import Verdict
from gradserve.questions.verification import VerificationReport
from tests.verification.driver import Counted, verified
from tests.verification.faults import (
    DELTAS,
    DISTANCES,
    KINDS,
    MODELS,
    Fault,
    Model,
    entry_faults,
    kinked,
    structural_faults,
)
from tests.verification.peers import Check, installed

SIZES = (10, 100, 1000, 100_000)
LARGE = 10_000
"""Entries above which single wrong entries must do."""
RIGHT, SMALLEST, IRREGULAR = 170, 40, 10
"""Trials of right gradients, of smallest faults and of irregularities: 2040, 480 and 240 in all."""
BUDGET = 60
NOISES = (0.0, 1e-12, 1e-9, 1e-6)


@dataclass
class Tally:
    """What became of the faults of one kind."""

    faults: int = 0
    found: int = 0
    """Called wrong within the budget."""
    input_named: int = 0
    entries: int = 0
    entry_named: int = 0
    within_extra: int = 0
    """Named within 4 log2 n evaluations above the budget."""
    evaluations: list[int] = field(default_factory=list)
    others: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def add(self, other: Tally) -> None:
        """Takes in what another one counted."""
        for name in ("faults", "found", "input_named", "entries", "entry_named", "within_extra"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.evaluations += other.evaluations
        for name, found in other.others.items():
            self.others[name] += found


def told(model: Model, gradient: dict[str, np.ndarray], seed: int, noise: float = 0.0) -> Counted:
    """What we say of a gradient, with so much noise in the loss, relative to its value."""
    rng, size = np.random.default_rng(seed), abs(model.loss(model.point))

    def loss(vector: Any) -> float:
        return model.loss(model.unpack(vector)) + (noise * size * rng.standard_normal() if noise else 0.0)

    return verified(loss, model.pack(model.point), model.pack(gradient), model.shapes, seed=seed)


def faults_of(model: Model, seed: int) -> Iterator[Fault]:
    """All faults of a model that change the gradient."""
    every = [f for delta in DELTAS for f in entry_faults(model, delta, seed)]
    every += structural_faults(model, seed) if model.size <= LARGE else []
    right = model.pack(model.gradient)
    return (fault for fault in every if not np.array_equal(model.pack(fault.gradient), right))


def disagreeing(report: VerificationReport) -> list[str]:
    """The inputs in which a gradient is called wrong."""
    return [row.input for row in report.inputs if row.verdict is Verdict.DISAGREES]


def judged(tally: Tally, model: Model, fault: Fault, seed: int) -> None:
    """Enters what we say of a fault."""
    counted = told(model, fault.gradient, seed)
    report = counted.report
    tally.faults += 1
    tally.entries += fault.entry is not None
    if report.verdict is not Verdict.DISAGREES:
        return
    tally.found += counted.until_found <= BUDGET
    tally.evaluations.append(counted.evaluations)
    tally.input_named += disagreeing(report) == [fault.input]
    if fault.entry is not None and [(e.input, e.index) for e in report.entries] == [(fault.input, fault.entry)]:
        tally.entry_named += 1
        tally.within_extra += counted.evaluations <= BUDGET + 4 * math.log2(model.size)


def power(n: int, trials: int, checks: dict[str, Check]) -> dict[str, Tally]:
    """What is found of each kind of fault in models of about n entries."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for seed in range(trials):
        for make in MODELS:
            model = make(n, seed)
            for fault in faults_of(model, seed):
                tally = tallies[fault.kind]
                judged(tally, model, fault, seed)
                for name, check in checks.items():
                    found = check(model, fault)
                    if found is not None:
                        tally.others[name].append(found)
    return tallies


def false_alarms(trials: int, n: int = 100) -> dict[float, dict[str, int]]:
    """How often each verdict is given on right gradients, by the noise in the loss."""
    counts: dict[float, dict[str, int]] = {noise: defaultdict(int) for noise in NOISES}
    for seed in range(trials):
        for make in MODELS:
            model = make(n, seed)
            for noise in NOISES:
                counts[noise][told(model, model.gradient, seed, noise).report.verdict] += 1
    return counts


def smallest_faults(trials: int, n: int = 100) -> dict[float, tuple[int, int]]:
    """By the noise: of how many faults twice the smallest that would be seen, how many are seen."""
    counts = {}
    for noise in NOISES:
        seen = made = 0
        for seed in range(trials):
            for make in MODELS:
                model = make(n, seed)
                right = told(model, model.gradient, seed, noise).report
                wrong = {name: array.copy() for name, array in model.gradient.items()}
                name = list(wrong)[seed % len(wrong)]
                place = np.unravel_index(seed % wrong[name].size, wrong[name].shape)
                # The directions move an entry by one to two times its scale, and an error shows as much.
                wrong[name][place] += (
                    2 * right.smallest_fault / 2.0 ** max(0, math.frexp(model.point[name][place])[1] - 1)
                )
                made += 1
                seen += told(model, wrong, seed + trials, noise).report.verdict is Verdict.DISAGREES
        counts[noise] = seen, made
    return counts


def kinks(trials: int) -> dict[str, dict[float, tuple[int, int]]]:
    """By kind of irregularity and distance: how many of the reports say what it is and how far, of how many."""
    found: dict[str, dict[float, tuple[int, int]]] = {}
    for name, (_, _, kind) in KINDS.items():
        found[name] = {}
        for distance in DISTANCES:
            reports = [kinked(name, distance, seed) for seed in range(trials)]
            right = sum(
                all(
                    row.irregularity is kind and distance / 8 <= row.distance <= 1.1 * distance
                    for row in report.directions
                )
                and report.verdict is (Verdict.AGREES if distance else Verdict.KINK)
                for report in reports
            )
            found[name][distance] = right, trials
    return found


def main() -> None:
    """Runs everything and writes it down."""
    from tests.verification.results import write

    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    checks = installed()
    tallies = {n: power(n, trials, checks) for n in SIZES}
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent
    write(folder, list(checks), tallies, false_alarms(RIGHT), smallest_faults(SMALLEST), kinks(IRREGULAR))


if __name__ == "__main__":
    main()
