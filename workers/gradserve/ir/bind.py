"""Symbols: which a graph has, what they are for given arguments, and the graph in which they are numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradserve.ir.attributes import has_symbols, shape_attributes
from gradserve.ir.check import operands_text
from gradserve.ir.errors import ConstraintError, InvalidGraph, InvalidRequest, Violation, shown
from gradserve.ir.graph import Graph, Input, Node
from gradserve.ir.op import Op
from gradserve.ir.shapes import shape_faults
from gradserve.ir.types import Shape, Symbol, TensorType


def symbols(graph: Graph) -> tuple[str, ...]:
    """The names of all symbols of a graph, in the order in which they appear: those of the inputs first."""
    shapes = [given.type.shape for given in graph.inputs]
    for node in graph.nodes:
        shapes += [getattr(node.op, name) for name in shape_attributes(type(node.op))]
        shapes += [t.shape for t in node.types]
    return tuple(dict.fromkeys(length.name for shape in shapes for length in shape if isinstance(length, Symbol)))


def solve_symbols(graph: Graph, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The lengths of the symbols of a graph's inputs that the shapes of these arguments tell; see `lengths_told`."""
    return lengths_told(graph.input_types, shapes)


def lengths_told(types: Mapping[str, TensorType], shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The lengths of the symbols that these arguments' shapes, by input name, tell.

    Inputs without a shape are left out: what only they could tell is missing in the answer.

    Raises:
        InvalidRequest: the shapes do not fit the inputs, or two of them tell different lengths of one symbol.
    """
    lengths: dict[str, int] = {}
    violations: list[Violation] = []
    for name, type_ in types.items():
        if name in shapes:
            shape = tuple(shapes[name])
            fault = unify(type_.shape, shape, lengths)
            if fault:
                shown_shape = f"[{','.join(map(str, shape))}]"
                description = f"an argument of shape {shown_shape} does not fit {type_}: {fault}"
                violations.append(Violation(f"arguments[{json.dumps(name)}]", "G17", description))
    if violations:
        raise InvalidRequest("arguments do not fit the graph's inputs", violations)
    return lengths


def bind(graph: Graph, lengths: Mapping[str, int]) -> Graph:
    """The correct graph with numbers in the place of its symbols, all its types checked anew.

    The symbols of the inputs must be among `lengths`. Others, lengths of results that the author of the graph could not
    say, follow from what the ops infer.

    Raises:
        InvalidRequest: an input's symbol has no length, or one that is negative or too large.
        InvalidGraph: an op's constraints do not hold for these lengths; names all violations.
    """
    if not symbols(graph):
        return graph
    inputs = tuple(Input(i.name, TensorType(i.type.element_type, _put(i.type.shape, lengths))) for i in graph.inputs)
    _require_numbers(inputs)
    binding = _Binding(lengths, [i.type for i in inputs] + [c.type for c in graph.constants])
    nodes = [binding.node(k, node) for k, node in enumerate(graph.nodes)]
    if binding.violations:
        raise InvalidGraph("the graph is not correct for these lengths", binding.violations)
    return replace(graph, inputs=inputs, nodes=tuple(nodes))


def _put(shape: Shape, lengths: Mapping[str, int]) -> Shape:
    return tuple(lengths.get(length.name, length) if isinstance(length, Symbol) else length for length in shape)


def unify(declared: Shape, actual: Shape, lengths: dict[str, int]) -> str:
    """Makes the symbols of `declared` the lengths of `actual`; answers what does not fit, empty if all does."""
    if len(declared) != len(actual):
        return f"it has {len(actual)} axes, not {len(declared)}"
    for axis, (length, found) in enumerate(zip(declared, actual, strict=True)):
        if isinstance(length, Symbol) and isinstance(found, int):
            length = lengths.setdefault(length.name, found)
        if length != found:
            name = f"{declared[axis]} = {length}" if isinstance(declared[axis], Symbol) else str(length)
            return f"axis {axis} has the length {found}, not {name}"
    return ""


def _require_numbers(inputs: Sequence[Input]) -> None:
    violations = []
    for k, given in enumerate(inputs):
        unknown = [str(length) for length in given.type.shape if isinstance(length, Symbol)]
        if unknown:
            description = f"{', '.join(unknown)} of input {shown(given.name)} has no length"
            violations.append(Violation(f"inputs[{k}].type", "G17", description))
        else:
            faults = shape_faults(given.type.shape, given.type.element_type.itemsize)
            violations += [Violation(f"inputs[{k}].type", *fault) for fault in faults]
    if violations:
        raise InvalidRequest("the lengths do not fit the graph", violations)


class _Binding:
    """One walk over the nodes, with what is known about symbols so far."""

    def __init__(self, lengths: Mapping[str, int], types: list[TensorType]) -> None:
        self.lengths = dict(lengths)
        self.types: list[TensorType | None] = [*types]
        self.violations: list[Violation] = []

    def node(self, k: int, node: Node) -> Node:
        """The node with numbers; the node as it is if it has none, for a reason that is among the violations."""
        operands = [t for operand in node.operands if (t := self.types[operand]) is not None]
        op = self.op(k, node) if len(operands) == len(node.operands) else None
        results = self.results(k, node, op, operands) if op else None
        if op is None or results is None:
            self.types += [None] * len(node.types)
            return node
        self.types += results
        return Node(op, node.operands, results, node.origin)

    def refuse(self, field: str, node: Node, constraint: str, description: str) -> None:
        self.violations.append(Violation(field, constraint, description, str(node.origin or "")))

    def op(self, k: int, node: Node) -> Op | None:
        if not has_symbols(node.op):
            return node.op
        names = shape_attributes(type(node.op))
        op = replace(node.op, **{name: _put(getattr(node.op, name), self.lengths) for name in names})
        if has_symbols(op):
            unknown = dict.fromkeys(str(v) for name in names for v in getattr(op, name) if isinstance(v, Symbol))
            description = f"{', '.join(unknown)} has no length: neither an argument nor an operand tells it"
            self.refuse(f"nodes[{k}].attributes", node, "G17", description)
            return None
        return op

    def results(self, k: int, node: Node, op: Op, operands: Sequence[TensorType]) -> tuple[TensorType, ...] | None:
        try:
            results = op.infer(*operands)
        except ConstraintError as error:
            description = f"{error.description}; {operands_text(node.operands, operands)}"
            self.refuse(f"nodes[{k}]", node, f"{op.name} ({error.constraint})", description)
            return None
        if len(results) != len(node.types):
            self.refuse(f"nodes[{k}].types", node, "G10", f"{len(node.types)} types are declared for {op.name}")
            return None
        before = len(self.violations)
        for j, (declared, result) in enumerate(zip(node.types, results, strict=True)):
            self.agree(f"nodes[{k}].types[{j}]", node, declared, result)
        return results if len(self.violations) == before else None

    def agree(self, field: str, node: Node, declared: TensorType, result: TensorType) -> None:
        """Sees that a result is what was declared and no larger than an array can be."""
        fault = unify(declared.shape, result.shape, self.lengths)
        if fault or declared.element_type is not result.element_type:
            fault = fault or "another element type"
            self.refuse(field, node, "G10", f"{node.op.name} gives {result}, not {declared}: {fault}")
        for constraint, description in shape_faults(result.shape, result.element_type.itemsize):
            self.refuse(field, node, constraint, description)
