"""`gradserve import`: a model or a program from elsewhere becomes a graph file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gradserve.client.importers import from_onnx, from_stablehlo, from_torch
from gradserve.client.importers.files import save_arrays
from gradserve.ir.errors import InvalidRequest

TEXT = "make a graph file of an ONNX model, with a loss, or of a program of torch.export or StableHLO"
EPILOG = """\
The graph of a model takes the model's inputs, what the loss adds (labels or targets), and the real initialisers, which
are called initialisers.NAME. --initialisers writes those of the model: the point to begin at. Programs come from
Python: Path("loss.mlir").write_text(jax.export.export(jax.jit(loss))(w).mlir_module()), or
torch.export.save(torch.export.export(module, (x, labels)).run_decompositions(), "loss.pt2"), where the parameters of
the module are called parameters.NAME.

What cannot be imported is named, with its node or line and a way round.

examples:

  gradserve import model.onnx --loss cross_entropy -o loss.pb
  gradserve import model.onnx --loss mse --length batch=64 -o loss.pb --initialisers start.npz
  gradserve import loss.mlir -o loss.pb --name w --name b --most 100
  gradserve import loss.pt2 -o loss.pb --initialisers start.npz
  gradserve describe loss.pb
"""
T = TypeVar("T")
_OF_MODELS = ("loss", "length", "dtype")
_OF_BOTH = ("shape", "known")
_OF_ARRAYS = ("wrt", "initialisers")
_OF_PROGRAMS = ("name", "most")


def describe(command: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add = command.add_argument
    add("file", type=Path, metavar="FILE", help="a model, .onnx, or a program, .pt2 or .mlir")
    add("-o", "--out", type=Path, metavar="GRAPH", required=True, help="the graph file: text for .txt and .graph")
    add = command.add_argument_group("models of operator set 7 or later").add_argument
    add("--loss", metavar="NAME", help="cross_entropy, mse, or an output that is a number (default: all outputs)")
    add("--length", type=_named(int), action="append", metavar="NAME=N", help="of an open axis; repeat")
    add("--dtype", choices=("float32", "float64"), help="float64 computes so what the model does in float32")
    add = command.add_argument_group("models and programs whose lengths are open, .onnx and .mlir").add_argument
    add("--shape", type=_named(_shape), action="append", metavar="INPUT=N,N", help="of an input; repeat")
    add("--known", type=_named(_whole), action="append", metavar="INPUT=N", help="an input that is constant; repeat")
    add = command.add_argument_group("models and programs that hold arrays, .onnx and .pt2").add_argument
    add("--wrt", action="append", metavar="NAME", help="an array that is a parameter; repeat (default: all real)")
    add("--initialisers", type=Path, metavar="FILE.npz", help="write the arrays that are parameters there")
    add = command.add_argument_group("programs in StableHLO").add_argument
    add("--name", action="append", metavar="NAME", help="of a parameter, in their order; repeat")
    add("--most", type=int, metavar="N", help="the most steps of loops whose number depends on numbers")


def run(options: argparse.Namespace) -> int:
    """Writes the graph and says what it takes and gives."""
    kind = _KINDS.get(options.file.suffix)
    if kind is None:
        way = _WAYS.get(options.file.suffix, f"give a file that ends in {_SUFFIXES}")
        raise InvalidRequest(f"{options.file} is of no kind that is known; {way}")
    read, foreign = kind
    wrong = [name for name in foreign if getattr(options, name) is not None]
    if wrong:
        raise InvalidRequest(f"--{wrong[0]} is not for files that end in {options.file.suffix}; leave it out")
    made = read(options)
    made.save(options.out)
    print(made)
    print(f"written to {options.out}")
    if options.initialisers is not None:
        save_arrays(options.initialisers, made.arrays)
        print(f"written to {options.initialisers}")
    return 0


def _model(options: argparse.Namespace) -> Any:
    return from_onnx(
        options.file,
        options.loss,
        wrt=options.wrt,
        lengths=dict(options.length or ()),
        shapes=dict(options.shape or ()),
        known=dict(options.known or ()),
        dtype=options.dtype,
    )


def _program(options: argparse.Namespace) -> Any:
    return from_stablehlo(
        options.file,
        most=options.most,
        names=tuple(options.name or ()),
        shapes=dict(options.shape or ()),
        known=dict(options.known or ()),
    )


def _archive(options: argparse.Namespace) -> Any:
    return from_torch(options.file, wrt=options.wrt)


_KINDS: Mapping[str, tuple[Callable[[argparse.Namespace], Any], tuple[str, ...]]] = {
    ".onnx": (_model, _OF_PROGRAMS),
    ".pt2": (_archive, (*_OF_MODELS, *_OF_BOTH, *_OF_PROGRAMS)),
    ".mlir": (_program, (*_OF_MODELS, *_OF_ARRAYS)),
    ".stablehlo": (_program, (*_OF_MODELS, *_OF_ARRAYS)),
}
"""What imports a file, by the end of its name, and the options that are not for it."""
_SUFFIXES = ", ".join(_KINDS)
_OF_TORCH = (
    "it holds arrays or a pickled module, and no program; write one by "
    "torch.export.save(torch.export.export(module, (x, labels)).run_decompositions(), 'loss.pt2')"
)
_AS_ONNX = "write the model as ONNX, such as by tf2onnx, and give that"
_WAYS = {
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt", ".safetensors"), _OF_TORCH),
    **dict.fromkeys((".h5", ".keras", ".tflite"), _AS_ONNX),
    **dict.fromkeys((".pkl", ".joblib"), "write the pipeline as ONNX by skl2onnx.to_onnx, and give that"),
    ".mlirbc": "take the text of the program, as exported.mlir_module() gives it, in a file that ends in .mlir",
    ".py": "functions are imported in Python, by from_jax, from_torch or a client, and saved by save",
}
"""What to do with other files, by the ends of their names."""


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(",") if each)


def _whole(text: str) -> np.ndarray[Any, Any]:
    """A number, or several with commas between or behind them."""
    return np.array(_shape(text), np.int64) if "," in text else np.array(int(text))


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
