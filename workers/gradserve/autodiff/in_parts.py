"""A graph of complex inputs as one of their real and imaginary parts, which are what differences move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradserve.autodiff.walk import inline
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.ops import builder

REAL, IMAGINARY = "real", "imag"


def in_parts(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph with inputs `NAME.real` and `NAME.imag` in the place of each of these complex ones."""
    g = builder()
    arguments = {}
    for given in graph.inputs:
        if given.name in names:
            parts = [g.input(f"{given.name}.{part}", given.type.part) for part in (REAL, IMAGINARY)]
            arguments[given.name] = g.complex(*parts)
        else:
            arguments[given.name] = g.input(given.name, given.type)
    return g.finished(inline(g, graph, arguments))


def parts_of(arrays: Mapping[str, Array], names: Sequence[str], sign: int = 1) -> dict[str, Array]:
    """The arrays with the parts of these in their place; of gradients, which are df/dx - i df/dy, with a sign of -1."""
    found = {}
    for name, array in arrays.items():
        if name in names:
            found[f"{name}.{REAL}"] = np.ascontiguousarray(array.real)
            found[f"{name}.{IMAGINARY}"] = np.ascontiguousarray(sign * array.imag)
        else:
            found[name] = array
    return found


def part_names(wrt: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The names of inputs with those of the parts of these in their place."""
    parts = {name: (f"{name}.{REAL}", f"{name}.{IMAGINARY}") for name in names}
    return tuple(new for name in wrt for new in parts.get(name, (name,)))
