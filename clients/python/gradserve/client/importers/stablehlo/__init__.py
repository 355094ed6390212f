"""StableHLO programs as graphs, from their text alone: neither JAX nor MLIR need be installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradserve.client.importers.imported import Imported

_GIVES_TEXT = ("mlir_module", "as_text")
"""Methods of what jax.export and jax.jit(...).lower make, which give their text."""


def from_stablehlo(
    source: Any,
    /,
    *,
    most: int | None = None,
    names: tuple[str, ...] = (),
    shapes: Mapping[str, Sequence[int]] | None = None,
    known: Mapping[str, Any] | None = None,
) -> Imported:
    """The graph of a StableHLO program's public function; `Client.load` makes a function of it.

    Its parameters are `arg0`, `arg1`, ... unless `names` gives others; its results are `result`, or `result.0` and so
    on. What is exported by `jax.export` may be given itself, as `jax.jit(f).lower(x)` may; if it is for several
    platforms, it is taken as it is on processors.

    Args:
        source: the text, the path of a file with it (`.mlir`), or what has an `mlir_module()` or an `as_text()` that
            gives it.
        most: a bound on the steps of loops whose number of steps depends on numbers.
        names: of the parameters.
        shapes: whole shapes of parameters whose lengths the program leaves open, as where JAX exports symbolic ones.
        known: parameters that are constants, such as a length that is given as a number.

    Raises:
        InvalidGraph: it is no such text; names the line.
        InvalidRequest: an option does not fit the program.
        Untraceable: an operation that no graph can say; names it, what it is applied to, the line, and a way round.
        LimitExceeded: it is larger than a graph may be.
        OSError: the file cannot be read.
    """
    from gradserve.client.importers.stablehlo.program import Options, imported

    options = Options(most, names, shapes or {}, known or {}, _platform(source))
    if isinstance(source, Path):
        return imported(load_text(source), source.name, options)
    for name in _GIVES_TEXT:
        if hasattr(source, name):
            source = getattr(source, name)()
            break
    if isinstance(source, bytes | bytearray):
        from gradserve.ir.errors import InvalidGraph

        raise InvalidGraph(
            "the bytes of Exported.serialize hold MLIR's bytecode, which is not read; "
            "take the text, as exported.mlir_module() gives it"
        )
    if not isinstance(source, str):
        way = "; give f.lower(x)" if hasattr(source, "lower") else ""
        raise TypeError(f"the text of a program is wanted, or the path of a file, not a {type(source).__name__}{way}")
    if source.endswith((".mlir", ".stablehlo")) and "\n" not in source:
        raise TypeError(f"{source[:80]!r} is no text of a program; give Path({source[:80]!r}) for a file")
    return imported(source, "stablehlo", options)


def _platform(source: Any) -> int | None:
    """Which of several platforms a program that JAX exported for them is taken for: processors, if it is for them."""
    platforms = list(getattr(source, "platforms", ()))
    if len(platforms) < 2:
        return None
    return platforms.index("cpu") if "cpu" in platforms else 0


def load_text(path: Path) -> str:
    """The text in a file.

    Raises:
        OSError: the file cannot be read.
        InvalidGraph: it is no text.
    """
    from gradserve.ir.errors import InvalidGraph

    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidGraph(
            f"{path} is not text; write the program as text, as by Path('f.mlir').write_text(exported.mlir_module())"
        ) from None
