"""The static check of a graph: every rule of the IR that it breaks, with coordinates.

Rules of the IR are numbered G1, G2, ... in `CONSTRAINTS`; rules of an op (C1, C2, ...) are its `infer`. A node that
reads a length still unknown (a symbol) is checked for its structure only; its types are checked when it is bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gradserve.ir.attributes import attribute_faults, has_symbols
from gradserve.ir.errors import ConstraintError, Violation, shown, sought
from gradserve.ir.graph import BlobRef, Graph, Node, Origin, Output
from gradserve.ir.limits import GraphLimits, require_within
from gradserve.ir.op import Op
from gradserve.ir.records import dataclass
from gradserve.ir.shapes import shape_faults
from gradserve.ir.types import TensorType

CONSTRAINTS: Mapping[str, str] = {
    "G1": "an operand is a value of the graph",
    "G2": "an operand is smaller than every value that its node produces",
    "G3": "an output is a value of the graph",
    "G4": "there is an output",
    "G5": "no two inputs share a name, and no two outputs",
    "G6": "a name is not empty and holds neither a colon nor control characters",
    "G7": "every element type and every length is stated",
    "G8": "a shape has at most 32 lengths, none negative, and its elements fill less than 2**62 bytes",
    "G9": "a symbol is a word of at most 64 letters, digits and underscores that does not start with a digit",
    "G10": "the types of a node are those that its op infers",
    "G11": "a constant's lengths are numbers, and its elements fill it",
    "G12": "an op is in the graph's op set",
    "G13": "a list attribute has at most 32 entries, a number fits 64 bits and is not NaN",
    "G14": "a function is named by a node after it, and its lengths are numbers",
    "G15": "an origin is the only one of its node and has a file and a line from 1",
    "G16": "the op-set version is stated",
    "G17": "every symbol has one length",
}
"""The rules of the IR."""

DIGEST = re.compile(r"[0-9a-f]{64}")
"""A SHA-256 as it is written everywhere."""
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that no name holds: controls, separators of lines, halves of surrogate pairs."""
_SHOWN_OPERANDS = 8


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A node of which something could not be read; None stands for that."""

    op: Op | None
    operands: tuple[int, ...]
    types: tuple[TensorType | None, ...]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What was read of a graph. None stands for a type that could not be read, and was reported."""

    inputs: Sequence[tuple[str, TensorType | None]]
    constants: Sequence[TensorType | None]
    nodes: Sequence[Node | Incomplete]
    outputs: Sequence[Output]


def check(graph: Graph, *, derived: bool = False, limits: GraphLimits | None = None) -> list[Violation]:
    """The violations of a graph, as many as anybody looks for; none for a correct one.

    Args:
        graph: the graph.
        derived: whether it comes out of a transform, so that names may be such as `tangent:w`.
        limits: how large it may be; any size if None.

    Raises:
        LimitExceeded: the graph is over a limit; nothing else was looked at.
    """
    if limits is not None:
        require_within(graph, limits)
    draft = Draft(
        inputs=[(i.name, i.type) for i in graph.inputs],
        constants=[c.type for c in graph.constants],
        nodes=graph.nodes,
        outputs=graph.outputs,
    )
    blobs = [
        Violation(f"constants[{k}]", "G11", f"{shown(c.digest)} is not a SHA-256 in lower-case hexadecimal")
        for k, c in enumerate(graph.constants)
        if isinstance(c, BlobRef) and not DIGEST.fullmatch(c.digest)
    ]
    return blobs + check_draft(draft, derived=derived) + _function_violations(graph)


def _function_violations(graph: Graph) -> list[Violation]:
    """All violations within the functions that the nodes call, each function looked at once."""
    found: list[Violation] = []
    seen: set[int] = set()
    for k, node in enumerate(graph.nodes):
        for name, function in node.op.functions.items():
            if id(function) not in seen:
                seen.add(id(function))
                own = [*check(function, derived=True), *symbol_faults(function)]
                found += [replace(v, field=f"nodes[{k}].{name}.{v.field}") for v in own]
    return found


def symbol_faults(function: Graph) -> list[Violation]:
    """What in a function has lengths that are not all numbers: nobody would bind them."""
    found = [
        Violation(f"inputs[{k}].type", "G14", f"{i.type} holds a symbol; a function's lengths are numbers")
        for k, i in enumerate(function.inputs)
        if not i.type.is_concrete
    ]
    found += [
        Violation(f"nodes[{k}]", "G14", "a type or an attribute holds a symbol; a function's lengths are numbers")
        for k, node in enumerate(function.nodes)
        if has_symbols(node.op) or not all(t.is_concrete for t in node.types)
    ]
    return found


def check_draft(draft: Draft, *, derived: bool = False) -> list[Violation]:
    """The violations of a graph that may have gaps, beyond the gaps themselves, as many as anybody looks for."""
    return sought(_Examination(draft).violations(derived))


def name_fault(name: str, derived: bool = False) -> str | None:
    """What is wrong with a name; None if nothing is."""
    if not name:
        return "a name is missing"
    if UNPRINTABLE.search(name):
        return f"the name {shown(name)} holds a control character"
    if ":" in name and not derived:
        return f"the name {shown(name)} holds a colon, which sets derived names apart; write another sign"
    return None


def origin_fault(file: str, line: int) -> str | None:
    """What is wrong with an origin; None if nothing is."""
    if not file or UNPRINTABLE.search(file):
        return f"{shown(file)} is not a file name"
    return None if 1 <= line < 2**32 else f"lines are counted from 1, not {line}"


def operands_text(operands: Sequence[int], types: Sequence[TensorType | None]) -> str:
    """The operands with their types, for messages: `operands are %0: f64[2], %1: f64[3]`."""
    given = zip(operands, types, strict=True)
    texts = [f"%{operand}: {t}" for operand, t in [*given][:_SHOWN_OPERANDS]]
    more = len(operands) - len(texts)
    return "operands are " + (", ".join(texts) or "none") + (f" and {more} more" if more else "")


class _Examination:
    """One walk over a draft; every distinct type is looked at once."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.seen: dict[TensorType, tuple[list[tuple[str, str]], bool]] = {}
        """The faults of each distinct type, and whether its lengths are numbers."""
        self.types: list[TensorType | None] = []
        """Types of the values so far; None for one that no op should see."""
        self.symbolic: set[int] = set()
        """The values among them whose types hold symbols."""
        self.count = len(draft.inputs) + len(draft.constants) + sum(len(node.types) for node in draft.nodes)

    def violations(self, derived: bool) -> Iterator[Violation]:
        draft = self.draft
        yield from self.names("inputs", [name for name, _ in draft.inputs], derived)
        for k, (_, type_) in enumerate(draft.inputs):
            for constraint, description in self.faults(type_):
                yield Violation(f"inputs[{k}].type", constraint, description)
        for k, type_ in enumerate(draft.constants):
            yield from self.constant(type_, f"constants[{k}]")
        for k, node in enumerate(draft.nodes):
            yield from self.node(k, node)
        yield from self.outputs(derived)

    def names(self, field: str, names: Sequence[str], derived: bool) -> Iterator[Violation]:
        first: dict[str, int] = {}
        for k, name in enumerate(names):
            where = f"{field}[{k}].name"
            fault = name_fault(name, derived)
            if fault:
                yield Violation(where, "G6", fault)
            elif first.setdefault(name, k) != k:
                yield Violation(where, "G5", f"{shown(name)} is the name of {field}[{first[name]}] as well")

    def faults(self, type_: TensorType | None) -> list[tuple[str, str]]:
        """What is wrong with the next value's type, which is taken down."""
        if type_ is None:
            self.types.append(None)
            return []
        seen = self.seen.get(type_)
        if seen is None:
            faults = list(shape_faults(type_.shape, type_.element_type.itemsize))
            seen = self.seen[type_] = faults, type_.is_concrete
        faults, concrete = seen
        if not concrete:
            self.symbolic.add(len(self.types))
        self.types.append(None if faults else type_)
        return faults

    def constant(self, type_: TensorType | None, field: str) -> Iterator[Violation]:
        if type_ is not None and not type_.is_concrete:
            yield Violation(field, "G11", f"the type {type_} of a constant holds a symbol; write its length")
        for constraint, description in self.faults(type_):
            yield Violation(field, constraint, description)

    def node(self, k: int, node: Node | Incomplete) -> Iterator[Violation]:
        source = str(node.origin) if node.origin else ""
        first = len(self.types)
        complete = node.op is not None
        for j, operand in enumerate(node.operands):
            if not 0 <= operand < first:
                complete = False
                yield self.bad_operand(f"nodes[{k}].operands[{j}]", operand, first, source)
        if node.op is not None:
            for name, description in attribute_faults(node.op):
                complete = False
                yield Violation(f'nodes[{k}].attributes["{name}"]', "G13", description, source)
        for j, type_ in enumerate(node.types):
            for constraint, description in self.faults(type_):
                yield Violation(f"nodes[{k}].types[{j}]", constraint, description, source)
        if node.origin and (fault := origin_fault(node.origin.file, node.origin.line)):
            yield Violation(f"nodes[{k}].origin", "G15", fault)
        if complete and node.op is not None:
            yield from self.inferred(k, node.op, node, source)

    def bad_operand(self, field: str, operand: int, first: int, source: str) -> Violation:
        if 0 <= operand < self.count:
            description = f"%{operand} is not known yet where %{first} is made; move the node that makes it before"
            return Violation(field, "G2", description, source)
        description = f"there is no value %{operand}; the graph's values are " + values_text(self.count)
        return Violation(field, "G1", description, source)

    def inferred(self, k: int, op: Op, node: Node | Incomplete, source: str) -> Iterator[Violation]:
        """What the op says about the types, where all of them are known numbers."""
        if not node.types:  # whatever its operands are: who numbers values counts on a first result of every node
            yield Violation(f"nodes[{k}].types", "G10", f"no types are declared for {op.name}", source)
            return
        known = [t for operand in node.operands if (t := self.types[operand]) is not None]
        if len(known) < len(node.operands) or not self.symbolic.isdisjoint(node.operands) or has_symbols(op):
            return
        try:
            results = op.infer(*known)
        except ConstraintError as error:
            constraint = f"{op.name} ({error.constraint})"
            description = f"{error.description}; {operands_text(node.operands, known)}"
            yield Violation(f"nodes[{k}]", constraint, description, source)
            return
        if results == node.types:
            return
        if len(results) != len(node.types):
            given = ", ".join(map(str, results))
            description = f"{op.name} gives {given}; {len(node.types)} types are declared"
            yield Violation(f"nodes[{k}].types", "G10", description, source)
            return
        sound = self.types[len(self.types) - len(results) :]
        for j, (result, declared) in enumerate(zip(results, sound, strict=True)):
            if declared is not None and result != declared:
                description = f"{op.name} gives {result}, not {declared}; {operands_text(node.operands, known)}"
                yield Violation(f"nodes[{k}].types[{j}]", "G10", description, source)

    def outputs(self, derived: bool) -> Iterator[Violation]:
        outputs = self.draft.outputs
        if not outputs:
            yield Violation("outputs", "G4", "the graph has no output; name at least one value")
        yield from self.names("outputs", [output.name for output in outputs], derived)
        for k, output in enumerate(outputs):
            if not 0 <= output.value < self.count:
                description = f"there is no value %{output.value}; the graph's values are " + values_text(self.count)
                yield Violation(f"outputs[{k}].value", "G3", description)


def values_text(count: int) -> str:
    """The numbers of `count` values, for messages."""
    return f"%0 to %{count - 1}" if count else "none"
