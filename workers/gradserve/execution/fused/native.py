"""Machine code: a graph's text compiled by LLVM, and called on arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradserve.execution.fused.compiler import object_of
from gradserve.execution.fused.linking import linked
from gradserve.execution.fused.machine import ARENA, CHECK, Machine
from gradserve.execution.fused.memory import MEMORY, address_of, stretch
from gradserve.execution.fused.table import lower
from gradserve.execution.fused.ufuncs import InnerLoop
from gradserve.execution.fused.values import FEW, Lowered, Small, row_major_at
from gradserve.ir.budget import look
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType

_SMALL_BYTES = 1 << 14
_OWN_BYTES = 1 << 16
"""Arenas up to this size stay with their table; larger ones are lent for each run."""
_SHORT_SECONDS = 5e-5
"""Runs that are predicted to be shorter keep the interpreter's lock: to give it up may take longer."""
_Checked = ctypes.CFUNCTYPE(ctypes.c_int)


class _Held(NamedTuple):
    """An input or an output: its place in the table, its type, and if it is small, memory for it."""

    place: int
    lengths: tuple[int, ...]
    dtype: np.dtype[Any]
    own: Array | None


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
        value = row_major_at(given.type, machine.text.pointer(place))
        few = given.type.size <= FEW
        values.append(Small(given.type, tuple(machine.elements(value))) if few else value)
    types = graph.value_types
    into = {
        output.value: row_major_at(types[output.value], machine.text.pointer(place))
        for place, output in zip(outputs, graph.outputs, strict=True)
    }
    lower(machine, graph, values, into)
    return Written(graph, str(machine.text), machine.arena.nbytes, inputs, outputs, machine.loops, machine.places)


class Native:
    """A graph as machine code. Called on its inputs it answers its outputs, row-major. Safe for threads."""

    def __init__(self, graph: Graph, seconds: float) -> None:
        """Compiles; `seconds` is how long a run is predicted to take."""
        look()  # a program may have many of these
        self._written = written(graph)
        self._library = linked(object_of(self._written.text), "run")
        prototype = ctypes.PYFUNCTYPE if seconds < _SHORT_SECONDS else ctypes.CFUNCTYPE
        self._function = prototype(ctypes.c_int, ctypes.c_void_p)(self._library.address)
        self._frames: list[_Frame] = []

    def __call__(self, check: Callable[[], None], arrays: Sequence[Any]) -> list[Array] | None:
        """The outputs; None if something in it is refused. What `check` raises ends the run."""
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = _Frame(self._written, self._function)
        results = frame.run(check, arrays)
        self._frames.append(frame)
        return results


class _Frame:
    """What one run at a time needs: the table, the arena, and memory for small inputs and outputs."""

    def __init__(self, written: Written, function: Callable[[int], int]) -> None:
        self._function = function
        self._table = (ctypes.c_void_p * written.places)()
        self._address = ctypes.addressof(self._table)
        self._borrows = written.arena if written.arena > _OWN_BYTES else 0
        if not self._borrows:
            self._arena = stretch(written.arena)
            self._table[ARENA] = self._arena.address
        self._raised: BaseException | None = None
        self._check: Callable[[], None] = _go_on
        self._checked = _Checked(self._look)
        self._table[CHECK] = ctypes.cast(self._checked, ctypes.c_void_p).value
        for first, loop in written.loops.items():
            self._table[first : first + 3] = list(loop.pointers)
        graph = written.graph
        made = [graph.value_types[output.value] for output in graph.outputs]
        self._inputs = [self._held(place, i.type) for place, i in zip(written.inputs, graph.inputs, strict=True)]
        self._outputs = [self._held(place, type_) for place, type_ in zip(written.outputs, made, strict=True)]
        self._large = [held for held in self._outputs if held.own is None]

    def _held(self, place: int, type_: TensorType) -> _Held:
        """Memory of the frame's own for a small array: to copy it is quicker than to ask where it lies."""
        dtype = type_.element_type.dtype
        if type_.nbytes > _SMALL_BYTES:
            return _Held(place, type_.lengths, dtype, None)
        own = np.empty(type_.lengths, dtype)
        self._table[place] = address_of(own)
        return _Held(place, type_.lengths, dtype, own)

    def _look(self) -> int:
        try:
            self._check()
        except BaseException as error:
            self._raised = error
            return 1
        return 0

    def run(self, check: Callable[[], None], arrays: Sequence[Any]) -> list[Array] | None:
        """The outputs; None if something is refused."""
        kept = []
        for (place, _, dtype, own), array in zip(self._inputs, arrays, strict=True):
            if own is None:
                row_major = np.ascontiguousarray(array, dtype)
                kept.append(row_major)
                self._table[place] = address_of(row_major)
            else:
                own[...] = array
        large = {}
        for place, lengths, dtype, _ in self._large:
            large[place] = np.empty(lengths, dtype)
            self._table[place] = address_of(large[place])
        outcome = self._run(check)
        if outcome:
            raised, self._raised = self._raised, None
            if raised is not None:
                raise raised
            return None
        return [
            large[place] if own is None else own.copy() if lengths else own[()]
            for place, lengths, _, own in self._outputs
        ]

    def _run(self, check: Callable[[], None]) -> int:
        """How the run ended; a large arena is lent to it."""
        self._check = check
        if not self._borrows:
            return self._function(self._address)
        arena = MEMORY.lend(self._borrows)
        self._table[ARENA] = arena.address
        try:
            return self._function(self._address)
        finally:
            MEMORY.give_back(arena)


def _go_on() -> None:
    pass
