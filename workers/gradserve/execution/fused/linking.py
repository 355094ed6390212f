"""Machine code in this process, and how it leaves it again."""

from __future__ import annotations

import itertools
import sys
import threading
from typing import Any

import llvmlite.binding as llvm

from gradserve.execution.fused.compiler import target

LIBRARIES_OF_LINKER = 32
"""A linker keeps 9 KB of every library that has left it, and takes 100 KB itself: after so many another follows."""
_LOCK = threading.Lock()
_numbers = itertools.count()


class _Linker:
    """Links libraries, and ends when it is full and all of them have left."""

    def __init__(self) -> None:
        self.jit = llvm.create_lljit_compiler(target())  # which owns a target of its own
        self.libraries: set[int] = set()
        self.is_full = False

    def left(self, number: int) -> None:
        """Says that a library has gone. May be called amid anything, by a garbage collection: takes no lock."""
        self.libraries.discard(number)
        self.end_if_done()

    def end_if_done(self) -> None:
        if self.is_full and not self.libraries:
            _LINKERS.discard(self)


_LINKERS: set[_Linker] = set()
"""Linkers must outlive their libraries, in whatever order a garbage collection finds the two."""


class Library:
    """Machine code in this process, for as long as this is kept."""

    def __init__(self, linker: _Linker, number: int, tracker: Any, symbol: str) -> None:
        """`tracker` is LLVM's, and knows the address of the symbol."""
        self._linker, self._number, self._tracker = linker, number, tracker
        self.address: int = tracker[symbol]

    def __del__(self, is_ending: Any = sys.is_finalizing) -> None:
        """Takes it out of the process, unless that is about to end itself."""
        if not is_ending():
            self._tracker.close()
            self._linker.left(self._number)


class _Linking:
    """The linker that is not full."""

    def __init__(self) -> None:
        self._linker: _Linker | None = None
        self._room = 0

    def _with_room(self) -> _Linker:
        if self._linker is None or not self._room:
            if self._linker is not None:
                self._linker.is_full = True
                self._linker.end_if_done()
            self._linker, self._room = _Linker(), LIBRARIES_OF_LINKER
            _LINKERS.add(self._linker)
        self._room -= 1
        return self._linker

    def link(self, code: bytes, symbol: str) -> Library:
        linker, number = self._with_room(), next(_numbers)
        linker.libraries.add(number)
        library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(symbol)
        return Library(linker, number, library.link(linker.jit, f"program {number}"), symbol)


_linking = _Linking()


def linked(code: bytes, symbol: str) -> Library:
    """Machine code in this process, at the address of its symbol."""
    with _LOCK:
        return _linking.link(code, symbol)
