"""Documentation of what becomes of ONNX's operators, made from its own list of them and our table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx

from gradserve.client.importers.onnx import (
    operators,  # noqa: F401  (which enters them in the table)
    schemas,
)
from gradserve.client.importers.onnx.operators.classical import ML
from gradserve.client.importers.onnx.refused import ELSE, WAYS_ROUND
from gradserve.client.importers.onnx.table import TRANSLATORS

_HEAD = """\
# What can be imported from ONNX

Made by `python -m gradserve.client.importers.onnx`; do not edit.

`from_onnx` takes models of operator set 7 or later. Of the 1884 tests of operators that come with onnx 1.23, 1627 pass;
`tests/thirdparty/onnx_nodes` says why the others do not. Operators that have a translation:
"""
_CLASSICAL = """
Of the domain `ai.onnx.ml`, of which pipelines of scikit-learn are made (`skl2onnx.to_onnx`). What such operators hold
is constant, and labels that are texts are left out:
"""
_BODIES = """
Operators that are expanded by the functions that ONNX defines them by, as the model's own functions are:
"""
_REFUSED = """
What is refused if anything reads it, with the node's name and a way round. Texts, complex numbers, reals of 8 bits or
fewer and integers of 4 or fewer have no place in a graph; reals of 16 bits are computed as float32. Sequences have a
place while importing alone, where their lengths must be known; as inputs they are lists of parameters, of the shapes
that `shapes={"x": [(2, 3), (4,)]}` tells.
"""


def documentation() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    translated, classical = (
        {name: _said(each.translate.__doc__) for name, each in TRANSLATORS.items() if each.domain == domain}
        for domain in ("", ML)
    )
    names = {each.name for each in onnx.defs.get_all_schemas() if not each.domain} - set(translated)
    bodies = sorted(name for name in names - set(WAYS_ROUND) if schemas.has_body(name))
    refused = {name: WAYS_ROUND.get(name, ELSE) for name in sorted(names) if name not in bodies}
    yield _HEAD
    yield from _table(translated)
    yield _CLASSICAL
    yield from _table(classical)
    yield _BODIES
    yield ", ".join(f"`{name}`" for name in bodies) + "."
    yield _REFUSED
    yield from _table(refused)


def _said(doc: str | None) -> str:
    return (doc or "As ONNX defines it.").partition("\n")[0].replace("|", "\\|")


def _table(said: Mapping[str, str]) -> Iterator[str]:
    yield "| operation | how |"
    yield "| --- | --- |"
    yield from (f"| `{name}` | {how} |" for name, how in sorted(said.items()))
