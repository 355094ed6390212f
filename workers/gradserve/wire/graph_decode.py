"""Protobuf messages to graphs: from what anyone may send to what is correct from there on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gradserve.ir.attributes import make_op
from gradserve.ir.check import Draft, Incomplete, check_draft, origin_fault, symbol_faults
from gradserve.ir.errors import MOST_SOUGHT, ConstraintError, InvalidGraph, UnsupportedOpSet, Violation, shown
from gradserve.ir.graph import BlobRef, Constant, Graph, Input, Node, Origin, Output
from gradserve.ir.limits import DEFAULT_LIMITS, GraphLimits, Size, extent
from gradserve.ir.op import Op, OpSet, attribute_types
from gradserve.ir.types import TensorType
from gradserve.v1 import graph_pb2
from gradserve.wire.graph_encode import CASES
from gradserve.wire.tensors import Blobs, read_constant, resolve
from gradserve.wire.types import read_element_type, read_shape, read_type


def decode_graph(
    message: graph_pb2.Graph,
    op_set: OpSet,
    blobs: Blobs | None = None,
    limits: GraphLimits = DEFAULT_LIMITS,
) -> Graph:
    """The graph of a message, frozen and correct.

    Args:
        message: anything that parses.
        op_set: the ops that there are.
        blobs: where constants named by digest are; None leaves them as references.
        limits: how large the graph may be; looked at before all else.

    Raises:
        LimitExceeded: the graph is over a limit.
        UnsupportedOpSet: it is written in an op set newer than `op_set`.
        InvalidGraph: it is not correct; names the violations.
        BlobNotFound: names all blobs that are not there, of a graph that is correct otherwise.
    """
    if message.op_set_version > op_set.version:
        raise UnsupportedOpSet(
            f"the graph is written in op set {message.op_set_version}; this server knows up to {op_set.version}"
        )
    _require_within(message, limits)
    violations: list[Violation] = []
    if not message.op_set_version:
        text = f"the op-set version is not stated; write {op_set.version}"
        violations.append(Violation("op_set_version", "G16", text))
    functions, faults = _decode_functions(message, op_set, limits)
    graph, own = _Reading(message, op_set, message.op_set_version, functions).graph(limits)
    violations += [*own, *faults]
    if violations or graph is None:
        raise InvalidGraph("the graph is not correct", violations)
    return graph if blobs is None else with_elements(graph, blobs)


def _decode_functions(
    message: graph_pb2.Graph, op_set: OpSet, limits: GraphLimits
) -> tuple[list[Graph | None], list[Violation]]:
    """The functions of the table, each with those before it; None, and violations, for one that is not correct."""
    called = {k for each in (message, *message.functions) for node in each.nodes for k in node.functions}
    functions: list[Graph | None] = []
    violations: list[Violation] = []
    for k, each in enumerate(message.functions):
        function, faults = _Reading(each, op_set, message.op_set_version, functions).graph(limits)
        if each.functions:
            faults.append(Violation("functions", "G14", "only the outermost graph has a table of functions"))
        if function is not None:
            faults += symbol_faults(function)
            faults += [
                Violation(f"constants[{j}]", "G14", "a function's constants travel inside it; pass others as operands")
                for j, constant in enumerate(function.constants)
                if isinstance(constant, BlobRef)
            ]
        functions.append(None if faults else function)
        if k not in called:
            faults.append(Violation("", "G14", "no node calls it; leave it out"))
        violations += [replace(v, field=f"functions[{k}].{v.field}".rstrip(".")) for v in faults]
    return functions, violations


def with_elements(graph: Graph, blobs: Blobs) -> Graph:
    """The graph with the elements of all its constants.

    Raises:
        BlobNotFound: names all blobs that are not there.
        InvalidGraph: blobs do not fit their constants.
    """
    violations: list[Violation] = []
    found = resolve({f"constants[{k}]": c for k, c in enumerate(graph.constants)}, blobs, violations)
    if violations:
        raise InvalidGraph("blobs do not fit their constants", violations)
    return replace(graph, constants=tuple(found.values()))


def _require_within(message: graph_pb2.Graph, limits: GraphLimits) -> None:
    graphs = (message, *message.functions)
    limits.require(nodes=sum(len(g.nodes) for g in graphs))
    whole, depth = extent(
        (_size(g), [k for node in g.nodes for k in node.functions]) for g in (*message.functions, message)
    )
    limits.require(
        nodes=whole.nodes,
        depth=depth,
        inputs=sum(len(g.inputs) for g in graphs),
        outputs=sum(len(g.outputs) for g in graphs),
        constants=sum(len(g.constants) for g in graphs),
        origins=sum(len(g.origins) for g in graphs),
    )
    names = [i.name for g in graphs for i in g.inputs] + [o.name for g in graphs for o in g.outputs]
    names += [origin.file for g in graphs for origin in g.origins]
    own = Size(0, 0, 0).with_called(map(_size, graphs))
    limits.require(
        values=max(whole.values, own.values),
        operands=max(whole.operands, own.operands),
        name_length=max(map(len, names), default=0),
    )


def _size(message: graph_pb2.Graph) -> Size:
    """How much there is in a graph alone."""
    nodes = message.nodes
    values = len(message.inputs) + len(message.constants) + sum(len(node.types) for node in nodes)
    return Size(len(nodes), values, sum(len(node.operands) for node in nodes))


class _Enough(Exception):
    """More is wrong than anybody looks for."""


class _Reading:
    """What one message says, and what is wrong with how it says it."""

    def __init__(
        self, message: graph_pb2.Graph, op_set: OpSet, version: int, functions: Sequence[Graph | None]
    ) -> None:
        self.message = message
        self.op_set = op_set
        self.version = version
        self.functions = functions
        """Those that nodes may call; None for one that is not correct."""
        self.violations: list[Violation] = []
        self.plain: dict[str, Op] = {}
        """Ops without attributes and functions, by name."""

    def graph(self, limits: GraphLimits) -> tuple[Graph | None, list[Violation]]:
        """The graph, or None, and its violations."""
        try:
            constants, inputs, nodes = self.constants(limits), self.inputs(), self.nodes()
        except _Enough:
            return None, self.violations
        outputs = tuple(Output(output.name, output.value) for output in self.message.outputs)
        types = [None if constant is None else constant.type for constant in constants]
        violations = self.violations + check_draft(Draft(inputs, types, nodes, outputs))
        if violations or any(isinstance(node, Incomplete) for node in nodes):
            return None, violations
        graph = Graph(
            inputs=tuple(Input(name, t) for name, t in inputs if t is not None),
            constants=tuple(constant for constant in constants if constant is not None),
            nodes=tuple(node for node in nodes if isinstance(node, Node)),
            outputs=outputs,
        )
        return graph, violations

    def refuse(self, field: str, constraint: str, description: str, source: str = "") -> None:
        self.violations.append(Violation(field, constraint, description, source))
        self.go_on()

    def go_on(self) -> None:
        """Ends the reading where enough is known to be wrong."""
        if len(self.violations) >= MOST_SOUGHT:
            raise _Enough

    def constants(self, limits: GraphLimits) -> list[Constant | None]:
        read: list[Constant | None] = []
        size = 0
        for k, message in enumerate(self.message.constants):
            constant = read_constant(message, f"constants[{k}]", self.violations)
            if message.narrow:
                self.refuse(f"constants[{k}].narrow", "G11", "constants are what they are, and are not narrowed")
            size += constant.type.nbytes if constant is not None and message.HasField("inline") else 0
            limits.require(inline_bytes=size)
            read.append(constant)
            self.go_on()
        return read

    def inputs(self) -> list[tuple[str, TensorType | None]]:
        return [
            (message.name, read_type(message.type, f"inputs[{k}].type", self.violations))
            for k, message in enumerate(self.message.inputs)
        ]

    def nodes(self) -> list[Node | Incomplete]:
        origins = self.origins()
        self.go_on()
        return [self.node(k, message, origins.get(k)) for k, message in enumerate(self.message.nodes)]

    def origins(self) -> dict[int, Origin]:
        origins: dict[int, Origin] = {}
        count = len(self.message.nodes)
        for k, message in enumerate(self.message.origins):
            if message.node >= count:
                self.refuse(f"origins[{k}].node", "G15", f"there is no node {message.node}; the graph has {count}")
            elif message.node in origins:
                self.refuse(f"origins[{k}].node", "G15", f"node {message.node} has an origin already")
            elif fault := origin_fault(message.file, message.line):
                self.refuse(f"origins[{k}]", "G15", fault)
            else:
                origins[message.node] = Origin(message.file, message.line)
        return origins

    def node(self, k: int, message: graph_pb2.Node, origin: Origin | None) -> Node | Incomplete:
        op = self.plain.get(message.op)
        if op is None or message.attributes or message.functions:
            op = self.op(f"nodes[{k}]", message, str(origin or ""))
        operands = tuple(message.operands)
        types = tuple(read_type(t, f"nodes[{k}].types[{j}]", self.violations) for j, t in enumerate(message.types))
        known = tuple(t for t in types if t is not None)
        if op is None or len(known) < len(types):
            self.go_on()
            return Incomplete(op, operands, types, origin)
        return Node(op, operands, known, origin)

    def op(self, field: str, message: graph_pb2.Node, source: str) -> Op | None:
        """The op of a node with its attributes; None, and violations, if there is none."""
        version = self.version
        found = self.op_set.find(message.op)
        if found is None:
            self.refuse(f"{field}.op", "G12", f"op set {self.op_set.version} has no op {shown(message.op)}", source)
            return None
        if found.internal:
            text = f"{found.name} is internal: derivatives and the optimiser write it, and no client may"
            self.refuse(f"{field}.op", "G12", text, source)
            return None
        if version and found.since > version:
            self.refuse(f"{field}.op", "G12", f"{found.name} came with op set {found.since}, not {version}", source)
        attributes = self.attributes(field, found, message, source)
        functions = self.called(field, found, message, source)
        if attributes is None or functions is None:
            return None
        try:
            op = make_op(found, attributes, functions)
        except ConstraintError as error:
            self.refuse(field, f"{found.name} ({error.constraint})", error.description, source)
            return None
        if not attributes and not functions and found.since <= version:
            self.plain[found.name] = op
        return op

    def called(self, field: str, op: type[Op], message: graph_pb2.Node, source: str) -> list[Graph] | None:
        """The functions that the node calls; None if one is not there, or not correct."""
        wanted = len(op.calls_functions)
        if len(message.functions) != wanted:
            text = f"{op.name} calls {wanted or 'no'} functions, not {len(message.functions)}"
            self.refuse(f"{field}.functions", "G14", text if wanted else f"{text}; leave them out", source)
            return None
        for j, k in enumerate(message.functions):
            if k >= len(self.functions):
                known = f"those before are 0 to {len(self.functions) - 1}" if self.functions else "there is none before"
                self.refuse(f"{field}.functions[{j}]", "G14", f"there is no function {k} here; {known}", source)
                return None
        found = [self.functions[k] for k in message.functions]
        correct = [function for function in found if function is not None]
        return correct if len(correct) == len(found) else None

    def attributes(self, field: str, op: type[Op], message: graph_pb2.Node, source: str) -> dict[str, Any] | None:
        """The attributes by name; None, and violations, unless they are those that the op declares."""
        declared = attribute_types(op)
        before = len(self.violations)
        values = {}
        for name, attribute in message.attributes.items():
            path = f"{field}.attributes[{json.dumps(name[:64])}]"
            if name not in declared:
                known = ", ".join(declared) or "none"
                self.refuse(path, f"{op.name} (A1)", f"unknown attribute {shown(name)}; {op.name} has {known}", source)
            else:
                case = attribute.WhichOneof("value")
                if case == CASES[declared[name]]:
                    values[name] = self.attribute(path, attribute, case)
                else:
                    description = f"attribute {name} must be {CASES[declared[name]]}, not {case or 'empty'}"
                    self.refuse(path, f"{op.name} (A3)", description, source)
        for name in declared:
            if name not in message.attributes:
                self.refuse(f"{field}.attributes", f"{op.name} (A2)", f"attribute {name} is missing", source)
        return values if len(self.violations) == before else None

    def attribute(self, path: str, message: graph_pb2.Attribute, case: str) -> Any:
        if case == "element_type":
            return read_element_type(message.element_type, path, self.violations)
        if case == "lengths":
            return read_shape(message.lengths.values, f"{path}.lengths", self.violations)
        return tuple(message.integers.values) if case == "integers" else getattr(message, case)
