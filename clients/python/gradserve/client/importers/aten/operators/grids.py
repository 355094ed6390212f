"""Images at places that are computed: their elements near each one, weighed."""

from __future__ import annotations

from gradserve.client.importers.aten.table import Node, Result, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.grids import Mode, Outside, sampled

_MODES: tuple[Mode, ...] = ("linear", "nearest", "cubic")
_OUTSIDE: tuple[Outside, ...] = ("zeros", "border", "reflection")


@translates("grid_sampler_2d", "grid_sampler_3d", "grid_sampler")
def _grid_sampler(
    n: Node, x: Operand, grid: Operand, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Result:
    """The elements at places between -1 and 1, weighed by how near they are."""
    how = _MODES[interpolation_mode], _OUTSIDE[padding_mode]
    return sampled(n.g, x.value, grid.value, *how, bool(align_corners))
