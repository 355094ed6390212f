"""Machine code: a graph's text compiled by LLVM, and called on arrays."""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from gradserve.execution.fused import contraction, control, indexing, movement, reduction  # noqa: F401
from gradserve.execution.fused.lowering import lower
from gradserve.execution.fused.machine import ARENA, CHECK, Machine
from gradserve.execution.fused.ufuncs import InnerLoop
from gradserve.execution.fused.values import FEW, Lowered, Small, stored
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array

DONE, REFUSED, STOPPED = range(3)
_SHORT_SECONDS = 5e-5
"""Runs that are predicted to be shorter keep the interpreter's lock: to give it up may take longer."""
_Checked = ctypes.CFUNCTYPE(ctypes.c_int)


@dataclass(frozen=True)
class Written:
    """The text of a graph, and what it takes."""

    graph: Graph
    text: str
    arena: int
    """Bytes of memory that a run needs."""
    inputs: tuple[int, ...]
    """The place of each input in the table."""
    outputs: tuple[int, ...]
    loops: dict[int, InnerLoop]
    places: int


def written(graph: Graph) -> Written:
    """The text of a graph all of whose nodes have machine code."""
    machine = Machine()
    first = machine.reserve(len(graph.inputs))
    inputs = tuple(range(first, first + len(graph.inputs)))
    first = machine.reserve(len(graph.outputs))
    outputs = tuple(range(first, first + len(graph.outputs)))
    values: list[Lowered] = []
    for place, given in zip(inputs, graph.inputs, strict=True):
        value = stored(given.type, machine.text.pointer(place))
        few = given.type.size <= FEW
        values.append(Small(given.type, tuple(machine.elements(value))) if few else value)
    types = graph.value_types
    into = {
        output.value: stored(types[output.value], machine.text.pointer(place))
        for place, output in zip(outputs, graph.outputs, strict=True)
    }
    lower(machine, graph, values, into)
    return Written(graph, str(machine.text), machine.arena.nbytes, inputs, outputs, machine.loops, machine.places)


_LOCK = threading.Lock()
"""LLVM works for one thread at a time."""


def _target() -> llvm.TargetMachine:
    """Code for this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    name = llvm.get_host_cpu_name()
    return llvm.Target.from_default_triple().create_target_machine(cpu=name, features=features, opt=2, jit=True)


@functools.cache
def _compiler() -> tuple[llvm.TargetMachine, llvm.LLJIT]:
    """What compiles, and what links into this process: which owns a target of its own."""
    return _target(), llvm.create_lljit_compiler(_target())


def _object(text: str) -> bytes:
    """The machine code of a module."""
    target, _ = _compiler()
    module = llvm.parse_assembly(text)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = target.emit_object(module)
    return code


_numbers = itertools.count()


def _linked(code: bytes) -> Any:
    """Machine code in this process, for as long as this is kept."""
    _, linker = _compiler()
    library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol("run")
    return library.link(linker, f"program {next(_numbers)}")


class Native:
    """A graph as machine code. Called on its inputs, row-major arrays, it answers its outputs. Safe for threads."""

    def __init__(self, graph: Graph, seconds: float) -> None:
        """Compiles; `seconds` is how long a run is predicted to take."""
        self._written = written(graph)
        with _LOCK:
            self._library = _linked(_object(self._written.text))
        prototype = ctypes.PYFUNCTYPE if seconds < _SHORT_SECONDS else ctypes.CFUNCTYPE
        self._function = prototype(ctypes.c_int, ctypes.c_void_p)(self._library["run"])
        self._frames: list[_Frame] = []

    def __call__(self, check: Callable[[], None], arrays: Sequence[Any]) -> list[Array] | None:
        """The outputs; None if something in it is refused. What `check` raises ends the run."""
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = _Frame(self._written)
        outcome, results = frame.run(self._function, check, arrays)
        self._frames.append(frame)
        return results if outcome == DONE else None


class _Frame:
    """What one run at a time needs: the table and the arena."""

    def __init__(self, written: Written) -> None:
        self._written = written
        self._table = (ctypes.c_void_p * max(written.places, 1))()
        self._arena = np.empty(written.arena + 64, np.uint8)
        self._table[ARENA] = -(-self._arena.ctypes.data // 64) * 64
        self._raised: BaseException | None = None
        self._check: Callable[[], None] = _go_on
        self._checked = _Checked(self._look)
        self._table[CHECK] = ctypes.cast(self._checked, ctypes.c_void_p).value
        for first, loop in written.loops.items():
            self._table[first : first + 3] = list(loop.pointers)
        graph = written.graph
        types = graph.value_types
        self._given = [
            (place, i.type.element_type.dtype, i.type.lengths)
            for place, i in zip(written.inputs, graph.inputs, strict=True)
        ]
        made = [types[o.value] for o in graph.outputs]
        self._made = [(place, t.lengths, t.element_type.dtype) for place, t in zip(written.outputs, made, strict=True)]

    def _look(self) -> int:
        try:
            self._check()
        except BaseException as error:
            self._raised = error
            return 1
        return 0

    def run(
        self, function: Callable[[Any], int], check: Callable[[], None], arrays: Sequence[Any]
    ) -> tuple[int, list[Array]]:
        table, kept = self._table, []
        for (place, dtype, _), array in zip(self._given, arrays, strict=True):
            own = np.ascontiguousarray(array, dtype)
            kept.append(own)
            table[place] = own.__array_interface__["data"][0]
        results = []
        for place, lengths, dtype in self._made:
            result = np.empty(lengths, dtype)
            results.append(result)
            table[place] = result.__array_interface__["data"][0]
        self._check = check
        outcome = function(ctypes.addressof(table))
        self._check = _go_on
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised
        return outcome, [result if result.ndim else result[()] for result in results]


def _go_on() -> None:
    pass
