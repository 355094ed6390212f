"""A program as a graph: its public function, whose parameters are inputs or known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from gradserve.client.importers.imported import Imported, of_arrays, output_names
from gradserve.client.importers.lax.elements import BITS_OF_UINT64, Operand, constant, half_note, held_type
from gradserve.client.importers.stablehlo.lists import Arguments
from gradserve.client.importers.stablehlo.parsing import parse
from gradserve.client.importers.stablehlo.reading import Reader
from gradserve.client.importers.stablehlo.syntax import OPEN, ArrayType, Function, Module, types_in
from gradserve.ir.errors import InvalidGraph, InvalidRequest, Untraceable
from gradserve.ir.records import dataclass
from gradserve.numpy.recorder import Recorder


@dataclass(frozen=True)
class Options:
    """What is said of a program beside its text; see `from_stablehlo`."""

    most: int | None = None
    names: Sequence[str] = ()
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)
    platform: int | None = None
    """Which of those that it is for, if its first parameter says so."""


def imported(text: str, file: str, options: Options) -> Imported:
    """The public function of a program; see `from_stablehlo`."""
    module = parse(text)
    main = _main(module)
    if options.platform is not None and not main.arguments:
        raise InvalidGraph(f"{main.name} has no parameter that says which platform it is for")
    arguments = main.arguments if options.platform is None else main.arguments[1:]
    if options.names and len(options.names) != len(arguments):
        raise InvalidGraph(f"{len(options.names)} names are given for {len(arguments)} parameters")
    g = Recorder()
    called = options.names or _names(arguments)
    unknown = [name for name in (*options.shapes, *options.known) if name not in called]
    if unknown:
        raise InvalidRequest(f"the program has no parameter {unknown[0]!r}; it has {', '.join(called) or 'none'}")
    given = [_given(g, name, type_, options) for name, (_, type_) in zip(called, arguments, strict=True)]
    if options.platform is not None:
        given = [constant(g, np.array(options.platform, _dtype(main.arguments[0][1]))), *given]
    made = Reader(module, file, options.most).main(g, main, given)
    if not made:
        raise Untraceable("the program returns nothing; return what is to be computed")
    graph = g.build({name: x.value for name, x in zip(output_names(len(made)), made, strict=True)})
    notes = (BITS_OF_UINT64,) if any(operand.dtype == np.uint64 for operand in made) else ()
    return Imported(of_arrays(graph), f"{file}: {main.name}", notes=(*_half_notes(module), *notes))


def _given(g: Recorder, name: str, type_: ArrayType, options: Options) -> Operand:
    """A parameter, or the constant that it is."""
    if name not in options.known:
        dtype = _dtype(type_)
        return Operand(g.input(name, held_type(dtype, _shape(name, type_, options.shapes.get(name)))), dtype)
    array = np.asarray(options.known[name])
    if type_.dtype is None or not type_.takes(array.shape, type_.dtype) or array.dtype.kind not in "biuf":
        raise InvalidRequest(f"parameter {name} is {type_}, and cannot be {array.dtype}{list(array.shape)}")
    return constant(g, array.astype(type_.dtype))


def _shape(name: str, type_: ArrayType, told: Sequence[int] | None) -> tuple[int, ...]:
    """The lengths of a parameter, those that the program leaves open as they are told."""
    if told is None and OPEN in type_.shape:
        way = f"shapes={{{name!r}: (...)}} (--shape {name}=N,N)"
        raise InvalidRequest(f"parameter {name} is {type_}, whose lengths are open; give {way}")
    shape = type_.shape if told is None else tuple(told)
    if type_.dtype is None or not type_.takes(shape, type_.dtype) or any(type(n) is not int or n < 0 for n in shape):
        raise InvalidRequest(f"parameter {name} is {type_}, and cannot have the shape {shape}")
    return shape


def _half_notes(module: Module) -> list[str]:
    halves = (type_.half for function in module.values() for type_ in types_in(function.body))
    return [half_note(name) for name in dict.fromkeys(halves) if name is not None]


def _main(module: Module) -> Function:
    public = [function for function in module.values() if function.public]
    if "main" in module:
        return module["main"]
    if len(public) != 1:
        raise InvalidGraph(f"one public function is wanted; the program has {', '.join(module)}")
    return public[0]


def _names(arguments: Arguments) -> list[str]:
    """Those of the parameters, without the numbers that MLIR gives to all arguments of a program in a row."""
    written = [name[1:] for name, _ in arguments]
    return [f"arg{k}" if name[:3] == "arg" and name[3:].isdecimal() else name for k, name in enumerate(written)]


def _dtype(type_: ArrayType) -> np.dtype[np.generic]:
    if type_.dtype is None or type_.dtype == np.uint64:
        raise Untraceable(f"line {type_.line}: no graph takes an array of {type_}; take f32, f64, i32 or i64")
    return type_.dtype
