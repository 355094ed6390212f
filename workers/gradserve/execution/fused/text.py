"""LLVM's text of one function, written line by line: values, loops and branches."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

from gradserve.ir.types import ElementType

REGISTER = {
    ElementType.BOOL: "i1",
    ElementType.INT32: "i32",
    ElementType.INT64: "i64",
    ElementType.FLOAT32: "float",
    ElementType.FLOAT64: "double",
}
"""How an element is held while it is computed with."""
MEMORY = {**REGISTER, ElementType.BOOL: "i8"}
"""How an element lies in memory."""
_TABLE = "%table"


def literal(number: Any, element_type: ElementType) -> str:
    """A number as LLVM writes it; real ones by their bits, so that none is rounded."""
    if element_type is ElementType.BOOL:
        return "true" if number else "false"
    if not element_type.is_float:
        return str(int(number))
    (bits,) = struct.unpack("<Q", struct.pack("<d", float(element_type.dtype.type(number))))
    return f"0x{bits:016X}"


class Text:
    """The text of `i32 run(ptr table)`, which answers 0 if it has come to its end."""

    def __init__(self) -> None:
        """Holds nothing but the entry."""
        self._entry: list[str] = []
        self._lines: list[str] = []
        self._count = 0
        self._block = "start"
        self._metadata: list[str] = []
        self._access = ""
        self._exits: list[str] = []
        self._declared: dict[str, str] = {}
        self._pointers: dict[int, str] = {}

    def __str__(self) -> str:
        return "\n".join(
            [
                *self._declared.values(),
                f"define i32 @run(ptr noalias {_TABLE}) {{",
                "entry:",
                *self._entry,
                " br label %start",
                "start:",
                *self._lines,
                " ret i32 0",
                "refused:",
                " ret i32 1",
                "stopped:",
                " ret i32 2",
                "}",
                *self._metadata,
            ]
        )

    def name(self, prefix: str = "%v") -> str:
        """A name that nothing has yet."""
        self._count += 1
        return f"{prefix}{self._count}"

    def line(self, text: str) -> None:
        """One instruction without a result."""
        self._lines.append(" " + text)

    def value(self, instruction: str) -> str:
        """The name of an instruction's result."""
        name = self.name()
        self._lines.append(f" {name} = {instruction}")
        return name

    def pointer(self, index: int) -> str:
        """The pointer at a place of the table, read once."""
        found = self._pointers.get(index)
        if found is None:
            place, found = self.name(), self.name()
            self._entry.append(f" {place} = getelementptr ptr, ptr {_TABLE}, i64 {index}")
            self._entry.append(f" {found} = load ptr, ptr {place}, !invariant.load !{self.metadata('!{}')}")
            self._pointers[index] = found
        return found

    def room(self, element: str, count: int) -> str:
        """Memory of the function's own for so many elements."""
        name = self.name()
        self._entry.append(f" {name} = alloca [{count} x {element}], align 64")
        return name

    def declare(self, name: str, signature: str) -> None:
        """Makes a function of LLVM's known; the signature has `@` in the place of the name."""
        self._declared[name] = f"declare {signature.replace('@', '@' + name, 1)}"

    def metadata(self, text: str) -> int:
        """The number under which a node of metadata is known."""
        number = len(self._metadata)
        self._metadata.append(f"!{number} = {text}")
        return number

    def offset(self, pointer: str, nbytes: int | str) -> str:
        """A pointer so many bytes further."""
        return pointer if nbytes == 0 else self.value(f"getelementptr i8, ptr {pointer}, i64 {nbytes}")

    def stepped(self, pointer: str, count: str, nbytes: int) -> str:
        """A pointer so many steps of so many bytes further."""
        if count == "0" or not nbytes:
            return pointer
        return self.offset(pointer, self.value(f"mul nsw i64 {count}, {nbytes}"))

    def load(self, element_type: ElementType, pointer: str) -> str:
        """The element at a pointer."""
        memory = MEMORY[element_type]
        name = self.value(f"load {memory}, ptr {pointer}, align {element_type.itemsize}{self._access}")
        return self.value(f"trunc i8 {name} to i1") if element_type is ElementType.BOOL else name

    def store(self, element_type: ElementType, value: str, pointer: str) -> None:
        """Writes an element."""
        if element_type is ElementType.BOOL:
            value = self.value(f"zext i1 {value} to i8")
        memory = MEMORY[element_type]
        self.line(f"store {memory} {value}, ptr {pointer}, align {element_type.itemsize}{self._access}")

    def copy(self, to: str, source: str, nbytes: int | str) -> None:
        """Copies bytes between places that do not overlap."""
        self.declare("llvm.memcpy.p0.p0.i64", "void @(ptr, ptr, i64, i1)")
        self.line(f"call void @llvm.memcpy.p0.p0.i64(ptr {to}, ptr {source}, i64 {nbytes}, i1 false)")

    def clear(self, to: str, nbytes: int) -> None:
        """Writes zeros."""
        self.declare("llvm.memset.p0.i64", "void @(ptr, i8, i64, i1)")
        self.line(f"call void @llvm.memset.p0.i64(ptr {to}, i8 0, i64 {nbytes}, i1 false)")

    def begin(self, label: str) -> None:
        """The block of this label, which is jumped to from elsewhere."""
        self._lines.append(f"{label}:")
        self._block = label

    def jump(self, label: str) -> None:
        """Goes on at a label."""
        self.line(f"br label %{label}")

    def branch(self, truth: str, then: str, otherwise: str) -> None:
        """Goes on at one of two labels."""
        self.line(f"br i1 {truth}, label %{then}, label %{otherwise}")

    def refuse_if(self, truth: str, outcome: str = "refused") -> None:
        """Ends the run where something is to be refused."""
        on = self.name("L")
        self.branch(truth, outcome, on)
        self.begin(on)

    @contextlib.contextmanager
    def when(self, truth: str) -> Iterator[None]:
        """What is done only where it is true."""
        inside, after = self.name("L"), self.name("L")
        self.branch(truth, inside, after)
        self.begin(inside)
        yield
        self.jump(after)
        self.begin(after)

    def leave_if(self, truth: str) -> None:
        """Ends the innermost loop."""
        on = self.name("L")
        self.branch(truth, self._exits[-1], on)
        self.begin(on)

    @contextlib.contextmanager
    def loop(self, count: int | str, independent: bool = False) -> Iterator[str]:
        """The counter of a loop that is done at least once; `independent` if no pass touches what another writes."""
        if count == 1 and independent:
            yield "0"
            return
        head, latch, out = self.name("L"), self.name("L"), self.name("L")
        counter, following = self.name(), self.name()
        before, outer = self._block, self._access
        self._exits.append(out)
        self.jump(head)
        self.begin(head)
        self._lines.append(f" {counter} = phi i64 [ 0, %{before} ], [ {following}, %{latch} ]")
        suffix = ""
        if independent:
            group = self.metadata("distinct !{}")
            itself = len(self._metadata)
            self.metadata(f"distinct !{{!{itself}, !{itself + 1}}}")
            self.metadata(f'!{{!"llvm.loop.parallel_accesses", !{group}}}')
            self._access, suffix = f", !llvm.access.group !{group}", f", !llvm.loop !{itself}"
        yield counter
        self._access = outer
        self._exits.pop()
        self.jump(latch)
        self.begin(latch)
        self._lines.append(f" {following} = add nuw nsw i64 {counter}, 1")
        ended = self.value(f"icmp eq i64 {following}, {count}")
        self.line(f"br i1 {ended}, label %{out}, label %{head}{suffix}")
        self.begin(out)
