"""The text form read back into a graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from gradserve.ir.attributes import make_op
from gradserve.ir.check import Draft, Incomplete, check_draft, symbol_faults
from gradserve.ir.errors import ConstraintError, InvalidGraph, Violation, shown
from gradserve.ir.graph import BlobRef, Constant, Graph, Input, Literal, Node, Origin, Output
from gradserve.ir.op import Op, OpSet, attribute_types
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, Length, Shape, Symbol, TensorType
from gradserve.text.elements import parse_elements
from gradserve.text.tokens import Line, SyntaxFault

_ELEMENT_TYPES = {t.value: t for t in ElementType}
_ORIGIN = re.compile(r"(.+):([0-9]{1,10})")
_FIELD = re.compile(r"(inputs|constants|nodes)\[(\d+)\]")

Word: TypeAlias = Symbol
"""A bare word in the place of an attribute's value; what it means depends on what the op declares."""


@dataclass(frozen=True, slots=True)
class _Called:
    """A function named in the place of an attribute's value."""

    number: int


def parse(text: str, op_set: OpSet) -> Graph:
    """The graph of its text form. Names of derived graphs, such as `tangent:w`, are taken too.

    Constants written as `blob` become references to their digest.

    Raises:
        InvalidGraph: the text is no correct graph; names all violations with their lines.
    """
    functions: list[Graph] = []
    reading = _Reading(op_set, functions)
    for number, line in enumerate(text.split("\n"), 1):
        reading.read(number, line)
        if reading.part == "after" and reading.is_function:
            functions.append(reading.graph())
            reading = _Reading(op_set, functions)
    return reading.graph()


class _Reading:
    """What was read of a function or of the graph so far, and where."""

    def __init__(self, op_set: OpSet, functions: Sequence[Graph]) -> None:
        self.op_set = op_set
        self.functions = functions
        self.is_function = False
        self.inputs: list[tuple[str, TensorType]] = []
        self.constants: list[Constant] = []
        self.nodes: list[Node | Incomplete] = []
        self.outputs: list[Output] = []
        self.lines: dict[str, list[int]] = {"inputs": [], "constants": [], "nodes": []}
        self.violations: list[Violation] = []
        self.return_line = 0
        self.part = "header"
        self.number = 0
        self.count = 0
        """Values so far."""

    def refuse(self, constraint: str, description: str) -> None:
        self.violations.append(Violation(f"line {self.number}", constraint, description))

    def read(self, number: int, text: str) -> None:
        self.number = number
        try:
            line = Line(text)
            if line.tokens:
                getattr(self, f"_{self.part}")(line)
                line.finish()
        except SyntaxFault as fault:
            self.refuse("T1", str(fault))
            # One bad header is one violation: the lines after it are read as if it had been right.
            self.part = "body" if self.part == "header" else self.part

    def graph(self) -> Graph:
        if self.part != "after" and not self.violations:
            self.refuse("T1", "the graph does not end; write a line return and a line }")
        if not self.violations:
            types = [constant.type for constant in self.constants]
            draft = Draft(self.inputs, types, self.nodes, self.outputs)
            self.violations += [self.located(v) for v in check_draft(draft, derived=True)]
        if self.violations:
            raise InvalidGraph("the text is not a correct graph", self.violations)
        graph = Graph(
            inputs=tuple(Input(name, t) for name, t in self.inputs),
            constants=tuple(self.constants),
            nodes=tuple(node for node in self.nodes if isinstance(node, Node)),
            outputs=tuple(self.outputs),
        )
        if self.is_function and (faults := symbol_faults(graph)):
            raise InvalidGraph("the text is not a correct graph", [self.located(v) for v in faults])
        return graph

    def located(self, violation: Violation) -> Violation:
        """The violation with the line of its field before it."""
        match = _FIELD.match(violation.field)
        line = self.lines[match[1]][int(match[2])] if match else self.return_line
        return replace(violation, field=f"line {line}, {violation.field}")

    def _header(self, line: Line) -> None:
        self.is_function = line.accept("word", "function")
        if self.is_function:
            self.number_function(line)
        else:
            line.take("word", "graph")
        line.take("mark", "(")
        while not line.accept("mark", ")"):
            if self.inputs:
                line.take("mark", ",")
            self.define(line)
            name = line.string()
            self.inputs.append((name, _typed(line)))
            self.lines["inputs"].append(self.number)
        line.take("mark", "{")
        self.part = "body"

    def _body(self, line: Line) -> None:
        if line.accept("word", "return"):
            self.part = "end"
            while not line.at("end"):
                if self.outputs:
                    line.take("mark", ",")
                self.outputs.append(Output(line.string(), line.value()))
            self.return_line = self.number
        else:
            self.statement(line)

    def _end(self, line: Line) -> None:
        line.take("mark", "}")
        self.part = "after"

    def _after(self, line: Line) -> None:
        raise SyntaxFault(f"the graph has ended above; {line.token.text[:64]!r} is too much")

    def number_function(self, line: Line) -> None:
        """Takes the function's number, which says nothing that is not known."""
        column = line.token.column
        if line.function() != len(self.functions):
            known = len(self.functions)
            raise SyntaxFault(f"the function at column {column} must be @{known}: functions are numbered one by one")

    def define(self, line: Line) -> None:
        """Takes the next value's number, which says nothing that is not known."""
        column = line.token.column
        value = line.value()
        if value != self.count:
            raise SyntaxFault(f"the value at column {column} must be %{self.count}: values are numbered one by one")
        self.count += 1

    def statement(self, line: Line) -> None:
        types: list[TensorType] = []
        while not types or line.accept("mark", ","):
            self.define(line)
            types.append(_typed(line))
        line.take("mark", "=")
        if line.accept("word", "constant"):
            self.constant(line, types)
        else:
            self.node(line, tuple(types))

    def constant(self, line: Line, types: list[TensorType]) -> None:
        if self.nodes or len(types) > 1:
            raise SyntaxFault("a constant is one value and comes before all nodes")
        self.lines["constants"].append(self.number)
        if line.at("blob"):
            self.constants.append(BlobRef(types[0], line.take("blob").split()[1]))
        else:
            self.constants.append(Literal(parse_elements(line, types[0])))

    def node(self, line: Line, types: tuple[TensorType, ...]) -> None:
        name = line.take("word")
        operands = [line.value()] if line.at("value") else []
        while operands and line.accept("mark", ","):
            operands.append(line.value())
        attributes = _attributes(line) if line.at("mark", "{") else {}
        match = _ORIGIN.fullmatch(line.comment)
        origin = Origin(match[1], int(match[2])) if match else None
        op = self.op(name, attributes)
        self.lines["nodes"].append(self.number)
        self.nodes.append(
            Node(op, tuple(operands), types, origin) if op else Incomplete(op, tuple(operands), types, origin)
        )

    def op(self, name: str, attributes: dict[str, Any]) -> Op | None:
        found = self.op_set.find(name)
        if found is None:
            self.refuse("G12", f"op set {self.op_set.version} has no op {shown(name)}")
            return None
        declared, called = attribute_types(found), found.calls_functions
        meant = {k: _meaning(declared.get(k), value) for k, value in attributes.items() if k not in called}
        try:
            return make_op(found, meant, [self.function(attributes[k]) for k in called if k in attributes])
        except ConstraintError as error:
            self.refuse(f"{name} ({error.constraint})", error.description)
            return None

    def function(self, value: Any) -> Graph:
        """The function that an attribute names."""
        if not isinstance(value, _Called) or value.number >= len(self.functions):
            known = f"@0 to @{len(self.functions) - 1}" if self.functions else "none"
            raise ConstraintError("A4", f"a function written above is wanted; there are {known}")
        return self.functions[value.number]


def _typed(line: Line) -> TensorType:
    """The type after a colon."""
    line.take("mark", ":")
    column = line.token.column
    element_type = _ELEMENT_TYPES.get(line.take("word"))
    if element_type is None:
        raise SyntaxFault(f"expected one of {', '.join(_ELEMENT_TYPES)} at column {column}")
    return TensorType(element_type, _lengths(line))


def _lengths(line: Line) -> Shape:
    line.take("mark", "[")
    lengths: list[Length] = []
    while not line.accept("mark", "]"):
        if lengths:
            line.take("mark", ",")
        lengths.append(Symbol(line.take("word")) if line.at("word") else _integer(line))
    return tuple(lengths)


def _integer(line: Line) -> int:
    column = line.token.column
    text = line.take("number")
    if not re.fullmatch("-?[0-9]{1,19}", text):
        raise SyntaxFault(f"expected an integer of 64 bits, not {text[:64]!r}, at column {column}")
    return int(text)


def _attributes(line: Line) -> dict[str, Any]:
    line.take("mark", "{")
    attributes: dict[str, Any] = {}
    while not line.accept("mark", "}"):
        if attributes:
            line.take("mark", ",")
        name = line.take("word")
        if name in attributes:
            raise SyntaxFault(f"attribute {name[:64]} is there twice")
        line.take("mark", "=")
        attributes[name] = _attribute(line)
    return attributes


def _attribute(line: Line) -> Any:
    if line.at("mark", "["):
        return _lengths(line)
    if line.at("function"):
        return _Called(line.function())
    if line.at("string"):
        return line.string()
    if line.at("word"):
        return Word(line.take("word"))
    text = line.token.text
    return float(line.take("number")) if re.search(r"[.einEIN]", text) else _integer(line)


def _meaning(kind: Any, value: Any) -> Any:
    """What a bare word means for an attribute of this kind; other values as they are."""
    if not isinstance(value, Word):
        return value
    if kind is bool:
        return {"true": True, "false": False}.get(value.name, value)
    if kind is float and value.name in ("inf", "nan"):
        return float(value.name)
    return _ELEMENT_TYPES.get(value.name, value) if kind is ElementType else value
