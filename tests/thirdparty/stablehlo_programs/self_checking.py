"""StableHLO's own programs with their results: how many come in by their text, and agree.

The folder `stablehlo/testdata` of github.com/openxla/stablehlo holds a program for each of JAX's tests of its
primitives, with the numbers that it is given and those that it must give. With a copy of it at hand,

    python -m tests.thirdparty.stablehlo_programs.self_checking FOLDER [PATTERN]

runs all that have known lengths, counts what passes for each kind of elements, and groups what does not by its reason.
"""

from __future__ import annotations

import collections
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gradserve.client import Client
from gradserve.client.importers import from_stablehlo
from gradserve.ir.errors import GradserveError

MOST = 2000
"""Steps of a loop that nothing else bounds."""
_MAIN = re.compile(r"func\.func public @main\(")
_EXPECTED = re.compile(r"func\.func private @expected\(")
_TYPE = re.compile(r"tensor<((?:[^<>]|<[^<>]*>)*)>")
TOLERANCES: Mapping[str, float] = {"float32": 2e-5, "complex64": 2e-5, "float64": 1e-12, "complex128": 1e-12}
"""Of one value, compared with itself and with the largest of its array."""


def kind_of(text: str) -> str:
    """The elements that a program is about: the least usual of those that it has; empty if a length is not known."""
    types = _TYPE.findall(text)
    elements = {re.sub(r"^(?:\d+x)*", "", each) for each in types}
    if any("?" in each for each in types):
        return ""
    if any(each.startswith(("f8", "f16", "bf16")) for each in elements):
        return "half precision"
    if any(each.startswith("complex") for each in elements):
        return "complex"
    return "f32 and f64" if elements & {"f32", "f64"} else "integers and truth values"


def expected_of(text: str) -> str:
    """The same module as a program of its `expected` alone."""
    return _EXPECTED.sub("func.func public @main(", _MAIN.sub("func.func private @program(", text))


def arrays(client: Client, text: str) -> list[np.ndarray]:
    """The results of a program without parameters."""
    function = client.load(from_stablehlo(text, most=MOST))
    function.executor = "numpy"
    found = function()
    return [np.asarray(each) for each in (found.values() if isinstance(found, dict) else [found])]


def disagreement(found: np.ndarray, wanted: np.ndarray) -> str:
    """How far results are from those wanted; empty if they are these."""
    if found.shape != wanted.shape or found.dtype.kind != wanted.dtype.kind:
        return f"{found.dtype}{list(found.shape)} is not {wanted.dtype}{list(wanted.shape)}"
    tolerance = TOLERANCES.get(str(wanted.dtype))
    if tolerance is None:
        return "" if np.array_equal(found, wanted) else f"{np.sum(found != wanted)} of {found.size} differ"
    finite = np.abs(wanted[np.isfinite(wanted)])
    scale = float(finite.max()) if finite.size else 0.0
    with np.errstate(all="ignore"):
        same = np.isclose(found, wanted, rtol=tolerance, atol=tolerance * min(scale, 1.0), equal_nan=True)
        worst = np.nanmax(np.abs(found - wanted), initial=0.0)
    return "" if same.all() else f"{np.sum(~same)} of {found.size} differ, by up to {worst:.3g}"


def failure(client: Client, text: str) -> str:
    """Why a program does not pass; empty if it does."""
    try:
        found, wanted = arrays(client, text), arrays(client, expected_of(text))
        if len(found) != len(wanted):
            return f"WRONG {len(found)} results, not {len(wanted)}"
        said = [disagreement(mine, other) for mine, other in zip(found, wanted, strict=True)]
        return f"WRONG {'; '.join(filter(None, said))}" if any(said) else ""
    except GradserveError as error:
        return f"{type(error).__name__} {error}"
    except Exception as error:  # what else goes wrong is counted
        return f"CRASH {type(error).__name__} {error}"


def reason_of(why: str) -> str:
    """The same for all programs that fail alike: without lines, types and numbers."""
    return re.sub(r"\d+", "N", re.sub(r"stablehlo:\d+: |\w+\[[\d,]*\]", "", why))[:150]


def main(folder: Path, pattern: str) -> None:
    """Prints what fails and why, and what passes of each kind."""
    counts: dict[str, collections.Counter[bool]] = collections.defaultdict(collections.Counter)
    reasons: dict[str, list[str]] = collections.defaultdict(list)
    with Client() as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(folder.glob("*.mlir")):
            text = path.read_text(encoding="utf-8")
            kind = kind_of(text)
            if not kind or not re.search(pattern, path.stem):
                continue
            why = failure(client, text)
            counts[kind][not why] += 1
            if why:
                reasons[f"{kind}: {reason_of(why)}"].append(path.stem)
    for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"{len(names):4} {reason}\n     {' '.join(names[:4])}")
    for kind, counted in counts.items():
        print(f"{kind}: {counted[True]} of {counted.total()} pass")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
