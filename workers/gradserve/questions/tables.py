"""Tables as text, and for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(header: Sequence[str], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of a table with aligned columns."""
    lines = [tuple(header), *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return [f"  {line}".rstrip() for line in padded]


def html_table(heading: str, header: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    """The same in HTML, below a heading."""
    lines = [_line("th", header), *(_line("td", row) for row in rows)]
    above = f"<p>{escape(heading)}</p>" if heading else ""
    return f"{above}<table>{''.join(lines)}</table>"


def _line(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
