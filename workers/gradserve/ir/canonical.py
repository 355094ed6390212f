"""The canonical form of a graph and its digest: one identity for all ways of writing the same thing down.

The canonical form keeps every input in order, then the constants in use, each once, then the nodes that an output
needs, all numbered by a depth-first walk from the outputs. So dead code, unused constants, repeated constants and the
order of independent nodes make no difference. Neither do origins, which say where a graph was written, not what it is.

Names of inputs and outputs *are* part of the identity, and so is their order: requests bind arguments and read results
by name, so that two graphs that differ in a name alone must not share an entry of a cache.

A transform adds cotangents up in the order of nodes. Two graphs with one digest but another order of nodes may
therefore differ in the last bits of a derivative; deriving from `graph.canonical` makes them depend on the digest
alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

from gradserve.ir.graph import Constant, Graph, Literal, Node, Output
from gradserve.ir.op import Attribute, Op
from gradserve.ir.types import ElementType, Symbol, TensorType

_FORMAT = "gradserve graph 1"


def digest(graph: Graph) -> str:
    """SHA-256 of the canonical form of a correct graph, in lower-case hexadecimal."""
    return _digest(graph.canonical)


def passing_digest(graph: Graph) -> str:
    """The same, after which the graph does not hold its canonical form: most graphs that are run need no other."""
    held = graph.__dict__.keys() & {"digest", "_canonical"}
    return graph.digest if held else _digest(canonical(graph))


def canonical(graph: Graph) -> Graph:
    """The correct graph's canonical form: an equal function, written in the one way that the digest stands for."""
    order = _reached(graph, _producers(graph))
    number = list(range(len(graph.inputs))) + [-1] * (len(graph.value_types) - len(graph.inputs))
    constants = _number_constants(graph, [graph.nodes[k] for k in order], number)
    return in_order(graph, order, constants, number)


def _digest(form: Graph) -> str:
    """The digest of a canonical form."""
    return hashlib.sha256("\n".join(_lines(form)).encode("ascii")).hexdigest()


def in_order(graph: Graph, order: Sequence[int], constants: tuple[Constant, ...], number: list[int]) -> Graph:
    """The graph with these constants and the nodes at these positions, operands before those who read them.

    `number` says what inputs and constants are called in it, and has room for what nodes make.
    """
    first = graph.first_values
    nodes, count = [], len(graph.inputs) + len(constants)
    for k in order:
        node, before = graph.nodes[k], first[k]
        nodes.append(Node(node.op, tuple([number[operand] for operand in node.operands]), node.types, node.origin))
        for j in range(len(node.types)):
            number[before + j] = count + j
        count += len(node.types)
    return Graph(
        inputs=graph.inputs,
        constants=constants,
        nodes=tuple(nodes),
        outputs=tuple(Output(output.name, number[output.value]) for output in graph.outputs),
    )


def _producers(graph: Graph) -> list[int]:
    """The node that makes each value after inputs and constants."""
    return [k for k, node in enumerate(graph.nodes) for _ in node.types]


def _reached(graph: Graph, producers: Sequence[int]) -> list[int]:
    """The nodes that the outputs need, operands before those who read them, in depth-first order."""
    nodes, before = graph.nodes, graph.first_node_value
    entered = bytearray(len(nodes))
    order: list[int] = []
    stack: list[int] = []
    """Nodes to enter, and as ~k those to leave, whose operands are all in order."""
    for output in graph.outputs:
        if output.value >= before:
            stack.append(producers[output.value - before])
        while stack:
            k = stack.pop()
            if k < 0:
                order.append(~k)
            elif not entered[k]:
                entered[k] = 1
                stack.append(~k)
                stack += [producers[o - before] for o in nodes[k].operands[::-1] if o >= before]
    return order


def _number_constants(graph: Graph, nodes: Sequence[Node], number: list[int]) -> tuple[Constant, ...]:
    """The constants in use, each once, in the order of their first use; numbers them."""
    start, stop = len(graph.inputs), graph.first_node_value
    read = [operand for node in nodes for operand in node.operands if operand < stop]
    used = [value for value in (*read, *(output.value for output in graph.outputs)) if start <= value < stop]
    kept: dict[Constant, int] = {}
    chosen: list[Constant] = []
    for value in dict.fromkeys(used):
        constant = graph.constants[value - start]
        position = kept.setdefault(constant, len(kept))
        if position == len(chosen):
            chosen.append(constant)
        elif isinstance(constant, Literal):
            chosen[position] = constant  # of equal constants, the one whose elements are at hand
        number[value] = start + position
    return tuple(chosen)


def _lines(graph: Graph) -> Iterator[str]:
    """The lines that are hashed, ASCII; JSON strings hold no line breaks, so no two graphs have the same."""
    yield _FORMAT
    for given in graph.inputs:
        yield f"input {json.dumps(given.name)} {_type(given.type)}"
    for constant in graph.constants:
        yield f"constant {_type(constant.type)} {constant.digest}"
    ops: dict[int, str] = {}
    types: dict[int, str] = {}
    for node in graph.nodes:  # most of which share their ops and their types with others
        op, own = id(node.op), id(node.types)
        if op not in ops:
            ops[op] = _op(node.op)
        if own not in types:
            types[own] = ";".join(map(_type, node.types))
        yield f"node {node.op.name} {','.join(map(str, node.operands))} {ops[op]} {types[own]}"
    for output in graph.outputs:
        yield f"output {json.dumps(output.name)} {output.value}"


def _op(op: Op) -> str:
    attributes = [f"{name}={_attribute(value)}" for name, value in sorted(op.attributes().items())]
    functions = [f"{name}=graph {function.digest}" for name, function in sorted(op.functions.items())]
    return ",".join(attributes + functions)


def _type(type_: TensorType) -> str:
    return type_.text


def _lengths(lengths: Sequence[int | Symbol]) -> str:
    return "[" + ",".join(map(str, lengths)) + "]"


def _attribute(value: Attribute) -> str:
    """The attribute with its kind, so that `true`, `1`, `1.0` and `"1"` differ."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, ElementType):
        return value.value
    return _lengths(value) if isinstance(value, tuple) else json.dumps(value)
