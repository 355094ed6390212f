"""Calls that are ready: all but their numbers is known from an earlier call of the same types.

A small call takes some ten microseconds of running. Checking its types, naming its inputs, finding its schedule and
cutting one chunk takes several times as long, and gives the same every time.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gradserve.autodiff import names
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.jobs.sweeps.folds import KinkCount, count_nonfinite, has_nan
from gradserve.questions.call import arrays_of
from gradserve.questions.derivations import Mode
from gradserve.questions.derivatives import Derivatives, Differentiate, ReportedLater
from gradserve.questions.report import Report
from gradserve.runtime.control import Control

if TYPE_CHECKING:
    from gradserve.jobs.sweeps.sweep import SweepSchedule
    from gradserve.pools.pool import Direct

BESIDE_SECONDS = 1e-4
"""Predicted work above this is worth a thread of its own: most of it runs without the interpreter, beside others."""

Parts: TypeAlias = dict[str, dict[str, Array]]


def key_of(question: Differentiate) -> Hashable:
    """What all questions have in common that one ready call answers."""
    call = question.call
    arguments = tuple([(name, a.dtype, a.shape) for name, a in arrays_of(call.arguments).items()])
    vectors = tuple([(name, a.dtype, a.shape) for name, a in arrays_of(question.vectors).items()])
    return call.graph.digest, question.derivation, call.options, call.batch, arguments, vectors


@dataclass(frozen=True)
class Form:
    """What the outputs of the only chunk become."""

    points: int
    """The number of points that the report tells."""
    become: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)
    """What becomes of outputs that do not stay as they are."""
    matrix: Matrix | None = None


@dataclass(frozen=True)
class Matrix:
    """How a matrix is made of products with a basis."""

    basis: Mapping[str, Array]
    """Inputs of the program, which are the same in every call."""
    rows: frozenset[str]
    """The outputs that blocks are made of."""
    blocks: Callable[[Mapping[str, Array]], Parts]
    one_point: bool
    """Whether all products are at one point."""
    mode: Mode


class Ready:
    """One chunk for all points, to be run in the thread of whoever asks."""

    def __init__(self, scheduled: SweepSchedule, direct: Direct, form: Form) -> None:
        """Of a question that was answered by this schedule once."""
        self.is_current = True  # until there is a faster way: reports keep what they report on
        instance, matrix = scheduled.pieces[0].instance, form.matrix
        self._scheduled, self._direct, self._points, self._matrix = scheduled, direct, form.points, matrix
        self._mode = matrix.mode if matrix else Mode.AUTO
        self._planned = scheduled.planned
        self._constants = {**instance.arrays, **(matrix.basis if matrix else {})}
        self._derivatives = scheduled.derivatives
        types = instance.program.graph.output_types
        self._told = tuple(filter(names.tells_of_kinks, types))
        elsewhere = {*self._told, *(matrix.rows if matrix else ())}
        self._places = [(name, *names.split(name), form.become.get(name)) for name in types if name not in elsewhere]
        self._roles = tuple(dict.fromkeys(role for _, role, _, _ in self._places))

    def runs(self, programs: Collection[str]) -> bool:
        """Whether it runs one of the programs with these digests."""
        return self._scheduled.runs(programs)

    @property
    def nbytes(self) -> int:
        """What it keeps in memory, roughly."""
        basis = self._matrix.basis.values() if self._matrix else ()
        return self._scheduled.nbytes + sum(array.nbytes for array in basis)

    def answer(self, given: dict[str, Array], control: Control) -> Derivatives | None:
        """The answer, its arrays of their own, for the program's inputs by name.

        None if a derivative came out as NaN, for which there are other ways.
        """
        started = time.perf_counter()
        control.check()
        control.begins(self._planned)  # what is refused keeps its lane: it has soon ended
        if self._scheduled.seconds > BESIDE_SECONDS:
            control.waits()
        given.update(self._constants)
        made = self._direct(given, control)
        arrays, some, taken = self._arrays(made, given)
        blocks, nonfinite = ({}, some) if self._matrix is None else self._blocks(made, given, taken)
        if (nonfinite or some) and has_nan(made, self._derivatives):
            return None
        told = {name: made[name] for name in self._told} if self._told else None
        spent = time.perf_counter() - started
        if self._scheduled.heat is not None:
            self._scheduled.heat.add(spent)
        return ReportedLater(arrays, functools.partial(self._report, spent, nonfinite, told), blocks, self._mode)

    def _arrays(self, made: Mapping[str, Array], given: Mapping[str, Array]) -> tuple[Parts, int, set[int]]:
        """The outputs by role, then by name, each of its own; the elements that are no numbers; memory that is taken.

        That is told by identities; it begins with what was given.
        """
        arrays: Parts = {role: {} for role in self._roles}
        taken, seen = set(map(id, given.values())), []
        for output, role, name, become in self._places:
            array = made[output] if become is None else become(made[output])
            if array.base is not None or id(array) in taken or not array.flags.writeable:
                array = _own(array, given, taken)
            else:
                taken.add(id(array))
            arrays[role][name] = array
            seen.append(array)
        return arrays, count_nonfinite(seen), taken

    def _blocks(self, made: Mapping[str, Array], given: Mapping[str, Array], taken: set[int]) -> tuple[Parts, int]:
        """The blocks of the matrix, and how many elements are no numbers."""
        assert self._matrix is not None
        blocks = self._matrix.blocks(made)
        for columns in blocks.values():
            for column, block in columns.items():
                columns[column] = _own(block, given, taken)
        return blocks, sum(count_nonfinite(columns.values()) for columns in blocks.values())

    def _report(self, spent: float, nonfinite: int, told: Mapping[str, Array] | None) -> Report:
        """The report on one call, from what was measured and told."""
        scheduled = self._scheduled
        kinks = KinkCount(scheduled.sweep.derivation)
        kinks.add(told or {}, one_point=self._matrix is not None and self._matrix.one_point)
        return Report(
            execute=spent,
            plan_cache_hit=True,
            executor=scheduled.executor,
            placement=scheduled.pool.name,
            chunks=1,
            batch_size=self._points,
            flops=scheduled.flops,
            peak_bytes=scheduled.peak_bytes,
            nonfinite_outputs=nonfinite,
            workers=(scheduled.pool.name,),
            kinks=kinks.done(),
        )


def _own(array: Array, given: Mapping[str, Array], taken: set[int]) -> Array:
    """The array itself if it is all that lies in its memory, which is `taken` from now on; a copy otherwise."""
    owner = array if array.base is None else array.base
    known = id(owner) in taken or any(owner is each.base for each in given.values())
    if known or type(owner) is not np.ndarray or not (owner.flags.owndata and array.flags.writeable):
        return array.copy()
    if owner is not array and not (array.flags.c_contiguous and array.nbytes == owner.nbytes):
        return array.copy()
    taken.add(id(owner))
    return array


def ready(scheduled: SweepSchedule, form_of: Callable[[], Form | None]) -> Ready | None:
    """What answers questions like this one from now on; None if the chunk goes elsewhere or takes long.

    `form_of` is asked only for chunks that are small, and may know of no form.
    """
    if len(scheduled.pieces) > 1 or scheduled.sweep.laps > 1:
        return None
    piece = scheduled.pieces[0]
    direct = scheduled.pool.direct(piece.schedule, scheduled.executor)
    form = None if direct is None else form_of()
    return None if direct is None or form is None else Ready(scheduled, direct, form)
