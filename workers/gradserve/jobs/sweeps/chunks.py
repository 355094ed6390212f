"""The chunks of a sweep, lap by lap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, overload

from gradserve.jobs.sweeps.cut import Piece
from gradserve.jobs.sweeps.programs import Axis
from gradserve.pools.sources import part
from gradserve.pools.work import Chunk, Constant, Source, key_of

Lap: TypeAlias = Mapping[str, Source]
"""Where the arguments of one run of the whole axis come from; those that carry the axis are cut along it."""
LapOf: TypeAlias = Callable[[int], Lap]
"""The laps by their numbers, each made when it is run."""


class Chunks(Sequence[Chunk]):
    """The chunks of a work, each made when it is asked for: there may be millions."""

    def __init__(self, pieces: Sequence[Piece], axis: Axis | None, laps: LapOf, wanted: range) -> None:
        self._pieces, self._axis, self._laps, self._wanted = pieces, axis, laps, wanted

    def __len__(self) -> int:
        return len(self._wanted)

    @overload
    def __getitem__(self, index: int) -> Chunk: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Chunk]: ...
    def __getitem__(self, index: int | slice) -> Chunk | Sequence[Chunk]:
        if isinstance(index, slice):
            return Chunks(self._pieces, self._axis, self._laps, self._wanted[index])
        return self.chunk(index, self.piece(index))

    def piece(self, index: int) -> Piece:
        """The piece that a chunk runs."""
        return self._pieces[self._wanted[index] % len(self._pieces)]

    def chunk(self, index: int, piece: Piece) -> Chunk:
        """A chunk, by a piece that has its bounds."""
        lap, along = self._wanted[index] // len(self._pieces), self._axis.inputs if self._axis else ()
        arguments = {
            name: part(source, piece.start, piece.stop) if name in along else source
            for name, source in self._laps(lap).items()
        }
        constants = {name: Constant(key_of(literal)) for name, literal in piece.instance.constants.items()}
        return Chunk(piece.instance.program.digest, arguments | constants)
