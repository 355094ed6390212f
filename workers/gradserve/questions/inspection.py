"""What happens inside a derivative: every value with its tangent and its adjoint, as a table or as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, type_of
from gradserve.questions.call import Argument, Call
from gradserve.questions.drawing import Box, draw
from gradserve.questions.report import Report

KINK_COLOR = "darkorange"
_MOST_SHOWN = 4
"""Elements of an array that are written out; of longer ones there is a summary."""


@dataclass(frozen=True, slots=True)
class InspectedValue:
    """One value of a graph."""

    number: int
    op: str
    """The op that it comes from; `input` or `constant` for what was given."""
    name: str
    """The name of an input; of a node its attributes as text."""
    operands: tuple[int, ...]
    outputs: tuple[str, ...]
    """The outputs that it is."""
    source: str
    """The source line, such as `loss.py:31`; empty if unknown."""
    value: Array
    tangent: Array | None
    """Its derivative along the tangent; None if none was given, or if it is not real."""
    adjoint: Array | None
    """The derivative of the loss in it; None if the function is no loss, or if it is not real."""
    kinks: int
    """How many elements of the node sit on a kink, where the op has no derivative and follows its convention."""
    margin: float | None = None
    """How far the nearest element's operands are from the next branch, as those of a comparison from each other; None
    if the op has no branches."""

    @property
    def label(self) -> str:
        """What it is in a few words, such as `%3 mul %1, %2` or `%0 w`."""
        given = f"{self.name}" if self.op == "input" else self.op
        operands = ", ".join(f"%{operand}" for operand in self.operands)
        return f"%{self.number} {given} {operands}".rstrip()


@dataclass(frozen=True, slots=True)
class Inspection:
    """All values of a graph in the order in which they are computed. Prints as a table."""

    values: tuple[InspectedValue, ...]
    report: Report

    @property
    def kinks(self) -> tuple[InspectedValue, ...]:
        """The values of nodes that sit on a kink."""
        return tuple(value for value in self.values if value.kinks)

    def __str__(self) -> str:
        rows = [("value", "type", "primal", "tangent", "adjoint", "kinks", "next branch", "source")]
        rows += [(v.label, str(type_of(v.value)), *_numbers(v), _kinks(v), _margin(v), v.source) for v in self.values]
        shown = [k for k, title in enumerate(rows[0]) if any(row[k] for row in rows[1:])]
        widths = {k: max(len(row[k]) for row in rows) for k in shown}
        return "\n".join("  ".join(row[k].ljust(widths[k]) for k in shown).rstrip() for row in rows)

    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        lines = ["digraph gradserve {", "  rankdir=BT; node [shape=box, fontname=monospace];"]
        for value in self.values:
            text = "\\n".join(_lines(value)).replace('"', '\\"')
            marked = f", color={KINK_COLOR}, penwidth=2" if value.kinks else ""
            lines.append(f'  v{value.number} [label="{text}"{marked}];')
            lines += [f"  v{operand} -> v{value.number};" for operand in value.operands]
        return "\n".join([*lines, "}"])

    def svg(self) -> str:
        """The graph as a picture, inputs below, with primal, tangent and adjoint in every box."""
        colors = (KINK_COLOR if value.kinks else "black" for value in self.values)
        boxes = zip(self.values, colors, strict=True)
        return draw([Box(tuple(_lines(value)), value.operands, color) for value, color in boxes])


def _lines(value: InspectedValue) -> list[str]:
    titles = ("primal", "tangent", "adjoint")
    numbers = [f"{title} {text}" for title, text in zip(titles, _numbers(value), strict=True) if text]
    outputs = [f"= {', '.join(value.outputs)}"] if value.outputs else []
    kinks = [_kinks(value)] if value.kinks else []
    return [value.label, *numbers, *kinks, *outputs]


def _kinks(value: InspectedValue) -> str:
    """How many elements sit on a kink, in words; empty for none."""
    return f"{value.kinks} on a kink" if value.kinks else ""


def _margin(value: InspectedValue) -> str:
    return "" if value.margin is None else f"{value.margin:.4g} away"


def _numbers(value: InspectedValue) -> tuple[str, str, str]:
    return _shown(value.value), _shown(value.tangent), _shown(value.adjoint)


def _shown(array: Array | None) -> str:
    """An array in a few characters; empty for None."""
    if array is None:
        return ""
    if array.size <= _MOST_SHOWN:
        return np.array2string(array, precision=6, separator=" ", max_line_width=1000).replace("\n", "")
    if array.dtype.kind != "f":
        return f"{array.size} elements"
    return f"|.| {np.linalg.norm(array):.6g}, {array.min():.4g} to {array.max():.4g}"


@dataclass(frozen=True)
class Inspect:
    """Asks for every value of a call's graph at one point, with its tangent and its adjoint."""

    call: Call
    tangents: Mapping[str, Argument] = field(default_factory=dict)
    """By input; empty leaves tangents out."""

    rpc: ClassVar[str] = "Inspect"
    answer: ClassVar[type] = Inspection
