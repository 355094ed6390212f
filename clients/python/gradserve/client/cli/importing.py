"""`gradserve import`: a program from elsewhere becomes a graph file."""

from __future__ import annotations

import argparse
from pathlib import Path

from gradserve.client.importers.stablehlo import from_stablehlo
from gradserve.ir.errors import InvalidRequest

TEXT = "make a graph file of a StableHLO program, as jax.export writes it"
EPILOG = """\
examples:

  gradserve import loss.mlir -o loss.pb
  gradserve import loss.mlir -o loss.pb --name w --name b --most 100

loss.mlir comes from Python: Path("loss.mlir").write_text(jax.export.export(jax.jit(loss))(w).mlir_module()).
What cannot be imported is named, with its line and a way round.
"""
SUFFIXES = (".mlir", ".stablehlo")


def describe(command: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add = command.add_argument
    add("file", type=Path, metavar="FILE", help=f"the program's text, {' or '.join(SUFFIXES)}")
    add("-o", "--out", type=Path, metavar="GRAPH", required=True, help="the graph file to write: .graph for text")
    add("--name", action="append", default=[], metavar="NAME", help="of a parameter, in their order; repeat")
    add("--most", type=int, metavar="N", help="the most steps of loops whose number depends on numbers")


def run(options: argparse.Namespace) -> int:
    """Writes the graph and says what it takes and gives."""
    if options.file.suffix not in SUFFIXES:
        raise InvalidRequest(f"{options.file} is no program that is known; give a file that ends in {SUFFIXES[0]}")
    found = from_stablehlo(options.file, most=options.most, names=tuple(options.name))
    found.save(options.out)
    print(found)
    print(f"written to {options.out}")
    return 0
