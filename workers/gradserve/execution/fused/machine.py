"""What lowering writes to: the text, the arena, and the table through which inputs, outputs and inner loops come."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.execution.fused.terms import Term
from gradserve.execution.fused.text import MEMORY, REGISTER, Text, literal
from gradserve.execution.fused.ufuncs import InnerLoop
from gradserve.execution.fused.values import FEW, Arena, Filled, Lowered, Small, Stored, positions, row_major_at
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, TensorType

ARENA, CHECK = 0, 1
"""Places of the table: the arena, and the function that says whether to stop."""
_FIRST = 2
_INTRINSICS = ("fabs", "sqrt", "floor", "ceil", "rint")
_WHOLE = {"sum": "add"}
_REAL = {"sum": "fadd", "add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_RELATION = {"lt": ("olt", "slt"), "le": ("ole", "sle"), "gt": ("ogt", "sgt"), "ge": ("oge", "sge")}
_RELATION |= {"eq": ("oeq", "eq"), "ne": ("une", "ne")}


@dataclass(frozen=True, slots=True)
class Place:
    """Elements for an inner loop: the first one, and the bytes from each to the next."""

    pointer: str
    stride: int


class Machine:
    """The function that is being written."""

    def __init__(self) -> None:
        """Writes nothing yet."""
        self.text = Text()
        self.arena = Arena()
        self.loops: dict[int, InnerLoop] = {}
        """The inner loops that are called, by the first of their three places in the table."""
        self._places: dict[int, int] = {}
        self._next = _FIRST
        self._rooms: dict[str, str] = {}
        self._held: list[int] = []

    def reserve(self, count: int) -> int:
        """The first of so many places of the table."""
        first, self._next = self._next, self._next + count
        return first

    @property
    def places(self) -> int:
        """How many places the table has."""
        return self._next

    def room(self, purpose: str, element: str, count: int) -> str:
        """Memory for what is passed to a call: one for each purpose, and the same for every call."""
        key = f"{purpose} {element} {count}"
        if key not in self._rooms:
            self._rooms[key] = self.text.room(element, count)
        return self._rooms[key]

    def allocate(self, type_: TensorType) -> Stored:
        """New memory in the arena; nobody uses it yet."""
        block, start = self.arena.take(type_.nbytes)
        return row_major_at(type_, self.text.offset(self.text.pointer(ARENA), start), block)

    def scratch(self, type_: TensorType) -> Stored:
        """New memory in the arena that is given back when `let_go` is told to."""
        new = self.allocate(type_)
        self.hold(new)
        return new

    def hold(self, value: Stored) -> None:
        """Keeps a value's memory from being given back, until `let_go`."""
        self.arena.use(value.owner, 1)
        self._held.append(value.owner)

    @property
    def held(self) -> int:
        """How many blocks are held."""
        return len(self._held)

    def let_go(self, count: int) -> None:
        """Gives back all held blocks but the first `count`."""
        for block in self._held[count:]:
            self.arena.use(block, -1)
        del self._held[count:]

    def call(self, loop: InnerLoop, places: Sequence[Place], count: int | str, core: Sequence[int] = ()) -> None:
        """Calls an inner loop on so many elements; `core` has the lengths and strides of a generalised ufunc."""
        text = self.text
        first = self._places.get(id(loop))
        if first is None:
            first = self._places[id(loop)] = self.reserve(3)
            self.loops[first] = loop
        kinds = len(core) // 3 if core else 0
        data = self.room("data", "ptr", len(places))
        counts = self.room("counts", "i64", 1 + kinds)
        strides = self.room("strides", "i64", len(places) + len(core) - kinds)
        for k, place in enumerate(places):
            text.line(f"store ptr {place.pointer}, ptr {text.offset(data, 8 * k)}")
        for k, given in enumerate((count, *core[:kinds])):
            text.line(f"store i64 {given}, ptr {text.offset(counts, 8 * k)}")
        for k, stride in enumerate((*[place.stride for place in places], *core[kinds:])):
            text.line(f"store i64 {stride}, ptr {text.offset(strides, 8 * k)}")
        called, context, auxdata = (text.pointer(first + k) for k in range(3))
        text.value(f"call i32 {called}(ptr {context}, ptr {data}, ptr {counts}, ptr {strides}, ptr {auxdata})")

    def instruction(self, term: Term, operands: Sequence[str]) -> str:
        """The register with an instruction's result."""
        given = term.operands[0].element_type
        register = REGISTER[given]
        name = term.operation
        if name == "same":
            return operands[0]
        if name in _INTRINSICS:
            function = f"llvm.{name}.f{8 * given.itemsize}"
            self.text.declare(function, f"{register} @({register})")
            return self.text.value(f"call {register} @{function}({register} {operands[0]})")
        if name == "select":
            kind = REGISTER[term.element_type]
            condition, x, y = operands
            return self.text.value(f"select i1 {condition}, {kind} {x}, {kind} {y}")
        if name == "convert":
            return self._converted(operands[0], given, term.element_type)
        if name in _RELATION:
            real, whole = _RELATION[name]
            if given is ElementType.BOOL:
                whole = whole.replace("s", "u")
            compared = f"fcmp {real}" if given.is_float else f"icmp {whole}"
            return self.text.value(f"{compared} {register} {', '.join(operands)}")
        if name == "neg":
            return self.text.value(
                f"fneg {register} {operands[0]}" if given.is_float else f"sub {register} 0, {operands[0]}"
            )
        return self.text.value(
            f"{_REAL[name] if given.is_float else _WHOLE.get(name, name)} {register} {', '.join(operands)}"
        )

    def _converted(self, x: str, given: ElementType, wanted: ElementType) -> str:
        if given.is_float and not wanted.is_float:
            cast = "fptosi"
        elif given.is_float:
            cast = "fpext" if wanted.itemsize > given.itemsize else "fptrunc"
        elif wanted.is_float:
            cast = "uitofp" if given is ElementType.BOOL else "sitofp"
        elif given is ElementType.BOOL:
            cast = "zext"
        else:
            cast = "sext" if wanted.itemsize > given.itemsize else "trunc"
        return self.text.value(f"{cast} {REGISTER[given]} {x} to {REGISTER[wanted]}")

    def elements(self, value: Lowered) -> list[str]:
        """The elements in registers, row-major."""
        match value:
            case Small():
                return list(value.elements)
            case Filled():
                return [value.element] * value.type.size
        kind = value.type.element_type
        return [
            self.text.load(kind, self.text.offset(value.pointer, at * kind.itemsize))
            for at in positions(value.type.lengths, value.strides)
        ]

    def read(self, value: Stored) -> Lowered:
        """A few elements in registers, if the value is in memory of the arena; else where it is."""
        if value.type.size > FEW or value.owner < 0:
            return value
        self.hold(value)  # until whoever reads it has done so
        return Small(value.type, tuple(self.elements(value)))

    def in_memory(self, value: Lowered) -> Stored:
        """The value as memory: where it is, or written to new memory that its maker gives back."""
        if isinstance(value, Stored):
            return value
        kind = value.type.element_type
        if isinstance(value, Filled):
            one = row_major_at(TensorType(kind), self.text.room(MEMORY[kind], 1))
            self.text.store(kind, value.element, one.pointer)
            return Stored(value.type, one.pointer, (0,) * value.type.rank)
        new = row_major_at(value.type, self.text.room(MEMORY[kind], max(value.type.size, 1)))
        for k, element in enumerate(value.elements):
            self.text.store(kind, element, self.text.offset(new.pointer, k * kind.itemsize))
        return new

    def constant(self, number: bool | int | float, type_: TensorType) -> Filled:
        """A number everywhere."""
        return Filled(type_, literal(number, type_.element_type), number)
