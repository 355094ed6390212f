"""`gradserve import`: a model of another kind becomes a graph file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gradserve.client.importers.files import save_arrays
from gradserve.client.importers.onnx import from_onnx

TEXT = "make a graph file of an ONNX model, with a loss"
EPILOG = """\
The graph takes the model's inputs, what the loss adds (labels or targets), and the real initialisers, which are called
initialisers.NAME. --initialisers writes those of the model: the point to begin at.

examples:

  gradserve import model.onnx --loss cross_entropy -o loss.pb
  gradserve import model.onnx --loss mse --length batch=64 -o loss.pb --initialisers start.npz
  gradserve describe loss.pb
"""
T = TypeVar("T")


def describe(command: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add = command.add_argument
    add("model", type=Path, metavar="MODEL.onnx", help="a model of operator set 13 or later")
    add("-o", "--out", type=Path, metavar="GRAPH", required=True, help="the graph file: text for .txt and .graph")
    add("--loss", metavar="NAME", help="cross_entropy, mse, or an output that is a number (default: all outputs)")
    add("--wrt", action="append", metavar="NAME", help="an initialiser that is a parameter; repeat (default: all real)")
    add("--length", type=_named(int), action="append", default=[], metavar="NAME=N", help="of an open axis; repeat")
    add("--shape", type=_named(_shape), action="append", default=[], metavar="INPUT=N,N", help="of an input; repeat")
    add("--dtype", choices=("float32", "float64"), help="float64 computes so what the model does in float32")
    add("--initialisers", type=Path, metavar="FILE.npz", help="write the model's initialisers there")


def run(options: argparse.Namespace) -> int:
    """Writes the graph; returns the exit status."""
    made = from_onnx(
        options.model,
        options.loss,
        wrt=options.wrt,
        lengths=dict(options.length),
        shapes=dict(options.shape),
        dtype=options.dtype,
    )
    made.save(options.out)
    print(made)
    print(f"written to {options.out}")
    if options.initialisers is not None:
        save_arrays(options.initialisers, made.arrays)
        print(f"written to {options.initialisers}")
    return 0


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(",") if each)


def _named(read: Callable[[str], T]) -> Callable[[str], tuple[str, T]]:
    def pair(text: str) -> tuple[str, T]:
        name, _, value = text.rpartition("=")
        if not name:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBERS")
        try:
            return name, read(value)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{value!r} is no number, or no numbers with commas between them"
            ) from None

    return pair
