"""Lines of Python that repeat one check of a verification."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradserve.ir.types import Array
from gradserve.questions.verification import EntryReport, VerificationReport

_FINEST = -17
_FINEST_OF_SINGLE = -7


def reproducer(report: VerificationReport, arrays: Mapping[str, Array], again: str, head: str) -> str:
    """A central difference in the worst entry; where no entry of a gradient is to blame, what `again` says.

    `arrays` are those of the point by name, and `head` says what the names `function` and `at` stand for.
    """
    entry = report.entries[0] if report.entries else None
    array = None if entry is None or entry.output or entry.order != 1 else arrays.get(entry.input)
    if entry is None or array is None or array.dtype.kind != "f" or not math.isfinite(entry.measured):
        return f"# {head}\n{again}"
    moved = f'moved(function, at, "{entry.name}", '
    return (
        f"# {head}\nfrom gradserve.client import moved\n\nh = 2.0**{_exponent(report, entry, array)}\n"
        f"measured = ({moved}h) - {moved}-h)) / (2 * h)\n"
        f'print(f"claimed {entry.claimed!r}, measured {{measured!r}}")'
    )


def written(options: Mapping[str, Any]) -> str:
    """Options as they are written after other arguments, those that were left out as well here."""
    return "".join(f", {name}={value!r}" for name, value in options.items() if value)


def _exponent(report: VerificationReport, entry: EntryReport, array: Array) -> int:
    """That of the step, a power of two, with which truncation and noise are about as large as each other."""
    finest = _FINEST if array.dtype.itemsize == 8 else _FINEST_OF_SINGLE
    relative = report.noise / max(abs(entry.measured), report.noise, 1e-300)
    level = round(math.log2(relative) / 3) if relative else finest
    size = math.frexp(abs(float(array[entry.index])))[1] - 1
    return min(-2, max(finest, level)) + max(0, size)
