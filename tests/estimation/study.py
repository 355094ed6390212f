"""How good and how honest the estimators are: `python -m tests.estimation.study [runs] [size]` prints a table.

For each spectrum, budget and estimator: the median error relative to the trace, and how often the interval covers.
"""

from __future__ import annotations

import sys

import numpy as np

from gradserve.estimation.looks import Target
from gradserve.questions.estimates import Estimator
from tests.estimation.matrices import asked, spectra

BUDGETS = (24, 48, 96, 192, 384)
SEMIDEFINITE = frozenset({Estimator.NYSTROMPP, Estimator.XNYSTRACE})


def main(runs: int, size: int) -> None:
    for name, matrix in spectra(size).items():
        trace = float(np.trace(matrix))
        for budget in BUDGETS:
            for estimator in Estimator:
                if estimator is Estimator.EXACT or (name == "hess" and estimator in SEMIDEFINITE):
                    continue
                found = [asked(matrix, estimator, Target(budget), seed) for seed in range(runs)]
                errors = np.abs([each.value[0] - trace for each in found])
                covered = np.mean(errors <= [each.half_width[0] for each in found])
                told = f"{name:6} {budget:4} {estimator:11} {np.median(errors) / trace:9.1e} {covered:6.3f}"
                sys.stdout.write(f"{told}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], "1000", "1000")[:2]))
