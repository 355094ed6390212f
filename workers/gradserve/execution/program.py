"""Programs: graphs whose constants are arguments, so that one program serves all data of the same shapes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from gradserve.ir.budget import remembered
from gradserve.ir.canonical import passing_digest
from gradserve.ir.graph import BlobRef, Constant, Graph, Input, Literal, Node, Output
from gradserve.ir.op import Cost
from gradserve.ir.records import dataclass, once
from gradserve.ir.types import Array
from gradserve.ops.control.calling import graph_cost

CONSTANT = "constant:"
"""How the names of inputs begin that were constants; no name in a client's graph holds a colon."""


@dataclass(frozen=True)
class Program:
    """What is run: a derived and optimised graph of concrete shapes, without data."""

    graph: Graph
    """Its array constants are inputs after all others; scalars, which are part of the mathematics, stay."""

    @once
    def digest(self) -> str:
        """SHA-256 in lower-case hexadecimal; two data sets of the same shapes have one program."""
        return hashlib.sha256(b"program 1 " + passing_digest(self.graph).encode()).hexdigest()

    @once
    def cost(self) -> Cost:
        """Floating-point operations, and bytes read and written, of one run; exact, from shapes."""
        return graph_cost(self.graph)

    @once
    def parts(self) -> int:
        """Nodes and their operands, those of functions included: a node may have a hundred thousand operands."""
        every = (self.graph, *self.graph.functions)
        return sum(1 + len(node.operands) for graph in every for node in graph.nodes)

    @property
    def flops(self) -> float:
        """Floating-point operations of one run."""
        return self.cost.flops

    @once
    def argument_bytes(self) -> int:
        """Bytes of all arguments, constants included."""
        return sum(given.type.nbytes for given in self.graph.inputs)

    @once
    def result_bytes(self) -> int:
        """Bytes of all outputs."""
        return sum(type_.nbytes for type_ in self.graph.output_types.values())


@dataclass(frozen=True)
class Instance:
    """A program with the constants of the one graph that it came from."""

    program: Program
    constants: Mapping[str, Literal] = field(default_factory=dict)
    """By the name of the program's input."""

    @once
    def arrays(self) -> dict[str, Array]:
        """The elements of the constants, by the name of the program's input."""
        return {name: literal.array for name, literal in self.constants.items()}


def instance_of(graph: Graph) -> Instance:
    """The program of a concrete graph, with the graph's constants."""
    hoisted, constants = _hoist(graph)
    return Instance(Program(hoisted), {f"{CONSTANT}{k}": _literal(c) for k, c in enumerate(constants)})


def _literal(constant: Constant) -> Literal:
    if isinstance(constant, BlobRef):
        raise TypeError(f"the elements of {constant.digest} are elsewhere; fetch them before a program is made")
    return constant


@remembered
def _hoist(graph: Graph) -> tuple[Graph, list[Constant]]:
    """The graph with its array constants, those of its functions included, as its last inputs; and these constants."""
    staying = [k for k, c in enumerate(graph.constants) if not c.type.shape]
    moving = [k for k, c in enumerate(graph.constants) if c.type.shape]
    hoisted: list[Constant] = [graph.constants[k] for k in moving]
    called = [_hoist_functions(node) for node in graph.nodes]
    own = len(hoisted)
    hoisted += [constant for _, constants in called for constant in constants]
    if not hoisted:
        return graph, []
    first, before = len(graph.inputs), graph.first_node_value
    shift = len(hoisted) - own  # what nodes produce moves up by the constants of functions, which were no values here
    number = [*range(before), *range(before + shift, len(graph.value_types) + shift)]
    """What each value is called from now on."""
    for position, k in enumerate((*moving, *staying)):
        number[first + k] = first + position + (shift if position >= own else 0)

    nodes, extra = [], first + own
    for node, (changed, constants) in zip(graph.nodes, called, strict=True):
        added = range(extra, extra + len(constants))
        operands = (*[number[k] for k in node.operands], *added)
        moved = operands != node.operands
        nodes.append(Node(changed.op, operands, node.types, node.origin) if moved else node)
        extra += len(constants)
    names = [Input(f"{CONSTANT}{k}", constant.type) for k, constant in enumerate(hoisted)]
    return (
        Graph(
            inputs=(*graph.inputs, *names),
            constants=tuple(graph.constants[k] for k in staying),
            nodes=tuple(nodes),
            outputs=tuple(Output(o.name, number[o.value]) for o in graph.outputs),
        ),
        hoisted,
    )


def _hoist_functions(node: Node) -> tuple[Node, list[Constant]]:
    """The node with functions that take their constants as last inputs, the same for all of them; and the constants."""
    if not node.op.calls_functions:
        return node, []
    parts = {name: _hoist(function) for name, function in node.op.functions.items()}
    constants = [constant for _, own in parts.values() for constant in own]
    if not constants:
        return node, []
    functions, before = {}, 0
    for name, (function, own) in parts.items():
        functions[name] = _taking(function, len(own), constants, before)
        before += len(own)
    return replace(node, op=replace(node.op, **functions)), constants


@remembered
def _taking(function: Graph, own: int, constants: Sequence[Constant], before: int) -> Graph:
    """The function whose last `own` inputs are `constants` from `before` on, taking all of these instead."""
    first = len(function.inputs) - own
    more = len(constants) - own

    def moved(value: int) -> int:
        if value < first:
            return value
        return value + before if value < first + own else value + more

    return Graph(
        inputs=(*function.inputs[:first], *(Input(f"{CONSTANT}{k}", c.type) for k, c in enumerate(constants))),
        constants=function.constants,
        nodes=tuple(replace(node, operands=tuple(map(moved, node.operands))) for node in function.nodes),
        outputs=tuple(Output(o.name, moved(o.value)) for o in function.outputs),
    )
