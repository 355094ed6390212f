"""Tables as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of a table with aligned columns."""
    lines = [tuple(header), *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return [f"  {line}".rstrip() for line in padded]
