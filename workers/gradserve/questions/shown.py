"""What all answers have that are more than a number: text, a page for notebooks, figures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Self

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.questions import figures
from gradserve.questions.tables import html_table, table

HERE = "here"
"""In the metadata of a field: whoever asks fills it in, and no message has it."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below a heading."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()
    """Lines below the rows."""

    def __str__(self) -> str:
        remarks = [f"  {remark}" for remark in self.remarks]
        return "\n".join([self.heading, *table(self.columns, self.rows), *remarks])

    def html(self) -> str:
        """The same for a page."""
        remarks = "".join(f"<p>{escape(remark)}</p>" for remark in self.remarks)
        return html_table(self.heading, self.columns, self.rows) + remarks


class Shown:
    """Prints as its tables, shows them and its figure in notebooks, and draws itself."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self._tables()))

    def __repr__(self) -> str:
        """One line, as in a list of several; without their arrays."""
        return f"<{type(self).__name__}: {str(self).partition(chr(10))[0]}>"

    def _repr_html_(self) -> str:
        """Tables and figure for notebooks; without Matplotlib the tables alone."""
        return "".join(each.html() for each in self._tables()) + figures.inline(self._draw)

    def plot(self, axes: Any = None) -> Any:
        """Draws itself on Matplotlib axes; on new ones if none are given. Answers the axes.

        Raises:
            ImportError: Matplotlib is not installed.
        """
        axes = figures.axes(axes)
        self._draw(axes)
        return axes

    def _tables(self) -> Iterator[Table]:
        raise NotImplementedError

    def _draw(self, axes: Any) -> None:
        raise NotImplementedError


class ByInput:
    """Has something to say of each input."""

    __slots__ = ()

    def bars(self, axes: Any = None) -> Any:
        """Draws a bar with its interval for each input, on Matplotlib axes; on new ones if none are given.

        Answers the axes.

        Raises:
            ImportError: Matplotlib is not installed.
        """
        axes = figures.axes(axes)
        figures.bars(axes, self._by_input())
        axes.set_xlabel(self._of_inputs())
        return axes

    def _of_each(self) -> Table:
        """What is drawn."""
        rows = tuple((name, f"{value:.8g}", f"{half:.2g}") for name, (value, half) in self._by_input().items())
        return Table("", ("input", self._of_inputs(), "±"), rows)

    def _by_input(self) -> Mapping[str, tuple[float, float]]:
        """A number for each input, and half its interval."""
        raise NotImplementedError

    def _of_inputs(self) -> str:
        """What the numbers are."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Look:
    """What an estimate said on the way to its last answer."""

    probes: int
    value: float
    half_width: float
    """Half the interval."""


class Converging(Shown):
    """An estimate that became better: knows what it said on the way, and draws that."""

    __slots__ = ()

    looks: tuple[Look, ...]

    @property
    def look(self) -> Look:
        """What it says now."""
        raise NotImplementedError

    def after(self, earlier: Self | None) -> Self:
        """The same, with all looks so far."""
        looks = (*(earlier.looks if earlier is not None else ()), self.look)
        found: Self = dataclasses.replace(self, looks=looks)  # type: ignore[type-var]
        return found

    def _draw(self, axes: Any) -> None:
        looks = self.looks or (self.look,)
        columns = ([getattr(look, name) for look in looks] for name in ("probes", "value", "half_width"))
        figures.convergence(axes, *columns)
        axes.set_xlabel("probes")
        axes.set_ylabel(self._of_looks())

    def _of_looks(self) -> str:
        """What the number is."""
        raise NotImplementedError

    def _on_the_way(self) -> Table:
        """Those looks that knew their interval, below what it says now."""
        known = [look for look in self.looks if math.isfinite(look.half_width)]
        rows = tuple((str(look.probes), f"{look.value:.8g}", f"{look.half_width:.2g}") for look in known)
        return Table(str(self), ("probes", self._of_looks(), "±"), rows)


class EntriesShown(Converging, ByInput):
    """An estimate of every entry of some inputs."""

    __slots__ = ()

    values: Any
    half_widths: Any
    widest: float
    probes: int

    @property
    def look(self) -> Look:
        """The largest entry by size, and the largest half width."""
        size = max((float(np.max(np.abs(array), initial=0.0)) for _, array in named(self.values)), default=0.0)
        return Look(self.probes, size, self.widest)

    def _of_looks(self) -> str:
        return "largest entry"

    def _tables(self) -> Iterator[Table]:
        yield self._on_the_way()
        yield self._of_each()

    def _by_input(self) -> Mapping[str, tuple[float, float]]:
        halves = dict(named(self.half_widths))
        return {n: (float(np.mean(a)), float(np.mean(halves[n]))) for n, a in named(self.values) if a.size}

    def _of_inputs(self) -> str:
        return "mean of the entries"


def named(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays of a tree of parameters with their paths, such as `layers.0.weight`; `all` if it is but one."""
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        tree = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
    elif isinstance(tree, list | tuple):
        tree = dict(enumerate(tree))
    if not isinstance(tree, Mapping):
        yield name or "all", np.asarray(tree)
        return
    for key, child in tree.items():
        if child is not None:
            yield from named(child, f"{name}.{key}" if name else str(key))
