"""Lines of Python that repeat one check of a certificate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradserve.client.certifying.arguments import Arguments
from gradserve.questions.verification import EntryReport, VerificationReport

_FINEST = -17
_FINEST_OF_SINGLE = -7


def reproducer(report: VerificationReport, arguments: Arguments, options: Mapping[str, Any], of: str) -> str:
    """A central difference in the worst entry, or the same certificate again where no entry is to blame."""
    head = "# function, claimed and at: those of the certificate"
    entry = report.entries[0] if report.entries else None
    if of != "gradient" or entry is None or not math.isfinite(entry.measured):
        given = {"directions": options["directions"], "seed": options["seed"], "rel_tol": options["relative_tolerance"]}
        more = "" if of == "gradient" else f", of={of!r}" + ", tangent=tangent" * (of in ("jvp", "hvp"))
        told = more + "".join(f", {name}={value!r}" for name, value in given.items() if value)
        return f"{head}\nfrom gradserve.client import certify\n\nprint(certify(function, claimed, at=at{told}))"
    moved = f'moved(function, at, "{entry.name}", '
    return (
        f"{head}\nfrom gradserve.client import moved\n\nh = 2.0**{_exponent(report, entry, arguments)}\n"
        f"measured = ({moved}h) - {moved}-h)) / (2 * h)\n"
        f'print(f"claimed {entry.claimed!r}, measured {{measured!r}}")'
    )


def _exponent(report: VerificationReport, entry: EntryReport, arguments: Arguments) -> int:
    """That of the step, a power of two, with which truncation and noise are about as large as each other."""
    array = arguments.real[entry.input]
    finest = _FINEST if array.dtype.itemsize == 8 else _FINEST_OF_SINGLE
    relative = report.noise / max(abs(entry.measured), report.noise, 1e-300)
    level = round(math.log2(relative) / 3) if relative else finest
    size = math.frexp(abs(float(array[entry.index])))[1] - 1
    return min(-2, max(finest, level)) + max(0, size)
