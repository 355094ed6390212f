"""Pictures of graphs: boxes in layers, what is computed later above what it is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gradserve.ir.records import dataclass

_CHARACTER, _LINE, _PADDING = 7.3, 15.0, 8.0
"""The width and the height of monospaced text, and the space around it, in pixels."""
_ACROSS, _UP = 24.0, 46.0
"""The space between boxes of a layer, and between layers."""
_SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Box:
    """Lines of text, the positions of the earlier boxes that arrows come from, and the frame's color."""

    lines: tuple[str, ...]
    sources: tuple[int, ...]
    color: str = "black"

    @property
    def width(self) -> float:
        """In pixels."""
        return max(map(len, self.lines)) * _CHARACTER + 2 * _PADDING

    @property
    def height(self) -> float:
        """In pixels."""
        return len(self.lines) * _LINE + 2 * _PADDING


def draw(boxes: Sequence[Box]) -> str:
    """The picture as SVG. Boxes of a layer are ordered by where their neighbours are, which avoids most crossings."""
    layers = _layers(boxes)
    heights = [max(boxes[k].height for k in layer) for layer in layers]
    widths = [sum(boxes[k].width + _ACROSS for k in layer) + _ACROSS for layer in layers]
    width, height = max(widths), sum(heights) + _UP * (len(layers) + 1)
    middles: dict[int, tuple[float, float]] = {}
    below = height - _UP
    for layer, own_height, own_width in zip(layers, heights, widths, strict=True):
        left = (width - own_width) / 2 + _ACROSS
        for k in layer:
            middles[k] = (left + boxes[k].width / 2, below - own_height / 2)
            left += boxes[k].width + _ACROSS
        below -= own_height + _UP
    arrows = [_arrow(boxes, middles, source, k) for k, box in enumerate(boxes) for source in box.sources]
    parts = [*arrows, *(_box(box, *middles[k]) for k, box in enumerate(boxes))]
    return "\n".join([_HEAD.format(width=width, height=height), *parts, "</svg>"])


_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
    'font-family="monospace" font-size="12">\n'
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z"/></marker></defs>'
)


def _layers(boxes: Sequence[Box]) -> list[list[int]]:
    """The boxes layer by layer, from below: each one above all that it comes from."""
    level: list[int] = []
    for box in boxes:
        level.append(1 + max((level[source] for source in box.sources), default=-1))
    layers: list[list[int]] = [[] for _ in range(1 + max(level, default=0))]
    for k, own in enumerate(level):
        layers[own].append(k)
    neighbours: list[list[int]] = [list(box.sources) for box in boxes]
    for k, box in enumerate(boxes):
        for source in box.sources:
            neighbours[source].append(k)
    for _ in range(_SWEEPS):
        place = {k: position / len(layer) for layer in layers for position, k in enumerate(layer)}
        for layer in layers:
            layer.sort(key=lambda k: sum(place[n] for n in neighbours[k]) / max(1, len(neighbours[k])))
    return layers


def _arrow(boxes: Sequence[Box], middles: dict[int, tuple[float, float]], source: int, target: int) -> str:
    (x0, y0), (x1, y1) = middles[source], middles[target]
    y0, y1 = y0 - boxes[source].height / 2, y1 + boxes[target].height / 2
    bend = (y0 + y1) / 2
    path = f"M{x0:.0f} {y0:.0f} C{x0:.0f} {bend:.0f} {x1:.0f} {bend:.0f} {x1:.0f} {y1:.0f}"
    return f'<path d="{path}" fill="none" stroke="black" marker-end="url(#tip)"/>'


def _box(box: Box, x: float, y: float) -> str:
    left, top = x - box.width / 2, y - box.height / 2
    size = f'width="{box.width:.0f}" height="{box.height:.0f}"'
    frame = f'<rect x="{left:.0f}" y="{top:.0f}" {size} rx="4" fill="white" stroke="{box.color}"/>'
    lines = [escape(line, quote=False) for line in box.lines]
    rows = [
        f'<text x="{left + _PADDING:.0f}" y="{top + _PADDING + (k + 0.8) * _LINE:.0f}">{line}</text>'
        for k, line in enumerate(lines)
    ]
    return "\n".join([frame, *rows])
