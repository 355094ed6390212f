"""Mutations of graphs as protobuf messages, and a repair of types that lets more of them through the check."""

import functools
import random
import struct
from typing import Any

from gradserve.ir.attributes import make_op
from gradserve.ir.errors import ConstraintError
from gradserve.ir.op import Op, attribute_types
from gradserve.ops import OP_SET
from gradserve.v1 import graph_pb2, tensor_pb2
from gradserve.wire.graph_encode import CASES
from gradserve.wire.types import encode_type, read_element_type, read_shape, read_type

NAMES = sorted(op.name for op in OP_SET)
INTEGERS = (0, 1, -1, 2, 3, 7, 40, 300, -(2**31), 2**31 - 1, 2**40, 2**62, 2**63 - 1, -(2**63))
REALS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-310, 5e-324, 1e300, -1e308, float("inf"), float("-inf"), float("nan"), 1e16)
_ELEMENTS: list[Any] = list(tensor_pb2.ElementType.values())


@functools.cache
def _plain(arity: int | None = None) -> list[str]:
    """The ops without attributes and functions that take so many operands, or any number."""
    plain = [op for n in NAMES if (op := OP_SET.find(n)) and not attribute_types(op) and not op.calls_functions]
    return [op.name for op in plain if arity in (None, op.arity)]


def mutated(graph: graph_pb2.Graph, dice: random.Random) -> graph_pb2.Graph:
    """The graph with one to four changes, mostly repaired so that types fit again."""
    for _ in range(dice.choice((1, 1, 1, 2, 3, 4))):
        where = dice.choice((graph, graph, *graph.functions))
        dice.choice(_CHANGES)(where, dice)
    if dice.random() < 0.85:
        _repair(graph)
    if dice.random() < 0.5:
        _make_loss(graph)
    return graph


def _op_name(g: graph_pb2.Graph, dice: random.Random) -> None:
    if g.nodes:
        node = dice.choice(g.nodes)
        others = _plain(len(node.operands))
        node.op = dice.choice(others if others and dice.random() < 0.8 else NAMES)
        if not node.attributes or dice.random() < 0.8:
            node.attributes.clear()


def _operand(g: graph_pb2.Graph, dice: random.Random) -> None:
    if g.nodes:
        node = dice.choice(g.nodes)
        if node.operands:
            node.operands[dice.randrange(len(node.operands))] = dice.choice((dice.randrange(12), 0, 1, 2**32 - 1))


def _arity(g: graph_pb2.Graph, dice: random.Random) -> None:
    if g.nodes:
        node = dice.choice(g.nodes)
        if node.operands and dice.random() < 0.5:
            del node.operands[-1]
        else:
            node.operands.append(dice.randrange(6))


def _attribute(g: graph_pb2.Graph, dice: random.Random) -> None:
    nodes = [node for node in g.nodes if node.attributes]
    if not nodes:
        return
    node = dice.choice(nodes)
    attribute = node.attributes[dice.choice(sorted(node.attributes))]
    match attribute.WhichOneof("value"):
        case "boolean":
            attribute.boolean = not attribute.boolean
        case "integer":
            attribute.integer = dice.choice(
                (*INTEGERS, max(-(2**63), min(2**63 - 1, attribute.integer + dice.choice((1, -1)))))
            )
        case "real":
            attribute.real = dice.choice(REALS)
        case "integers":
            _integers(attribute.integers.values, dice)
        case "element_type":
            attribute.element_type = dice.choice(_ELEMENTS)
        case "lengths":
            if attribute.lengths.values:
                _length(dice.choice(attribute.lengths.values), dice)
        case "word":
            attribute.word = dice.choice(("exp", "log", "band", "svd", "eigh", "x", ""))


def _integers(values: Any, dice: random.Random) -> None:
    if values and dice.random() < 0.8:
        k = dice.randrange(len(values))
        values[k] = dice.choice((*INTEGERS, dice.randrange(5), dice.randrange(5)))
    else:
        values.append(dice.choice((0, 1, 2, -1)))


def _length(dimension: tensor_pb2.Dimension, dice: random.Random) -> None:
    if dice.random() < 0.15:
        dimension.symbol = dice.choice(("n", "m"))
    else:
        dimension.size = dice.choice((0, 1, 2, 3, 3, 4, 5, 8, 17, 64, 1000, *INTEGERS))


def _input_type(g: graph_pb2.Graph, dice: random.Random) -> None:
    if g.inputs:
        type_ = dice.choice(g.inputs).type
        if dice.random() < 0.3:
            type_.element_type = dice.choice(_ELEMENTS)
        elif type_.shape and dice.random() < 0.8:
            _length(dice.choice(type_.shape), dice)
        else:
            type_.shape.add(size=dice.choice((0, 1, 2, 3)))


def _all_inputs(g: graph_pb2.Graph, dice: random.Random) -> None:
    """All axes of one length get another, so that what fitted still fits."""
    lengths = sorted({d.size for i in g.inputs for d in i.type.shape if d.size})
    if lengths:
        old, new = dice.choice(lengths), dice.choice((1, 2, 4, 5, 9, 33, 200, 5000))
        for i in g.inputs:
            for d in i.type.shape:
                if d.size == old:
                    d.size = new


def _node_type(g: graph_pb2.Graph, dice: random.Random) -> None:
    types = [t for node in g.nodes for t in node.types]
    if types:
        type_ = dice.choice(types)
        if type_.shape and dice.random() < 0.7:
            _length(dice.choice(type_.shape), dice)
        else:
            type_.element_type = dice.choice(_ELEMENTS)


def _constant(g: graph_pb2.Graph, dice: random.Random) -> None:
    inline = [c for c in g.constants if c.inline]
    if not inline:
        return
    tensor = dice.choice(inline)
    data = bytearray(tensor.inline)
    if tensor.element_type == tensor_pb2.ELEMENT_TYPE_FLOAT64 and len(data) >= 8:
        at = 8 * dice.randrange(len(data) // 8)
        data[at : at + 8] = struct.pack("<d", dice.choice(REALS))
    elif tensor.element_type == tensor_pb2.ELEMENT_TYPE_INT64 and len(data) >= 8:
        at = 8 * dice.randrange(len(data) // 8)
        data[at : at + 8] = struct.pack("<q", dice.choice(INTEGERS))
    else:
        data[dice.randrange(len(data))] = dice.randrange(256)
    tensor.inline = bytes(data)


def _turn_constant(g: graph_pb2.Graph, dice: random.Random) -> None:
    """An input becomes a constant of special numbers, so that what depends on it is folded."""
    small = [i for i in g.inputs[-1:] if i.type.element_type == tensor_pb2.ELEMENT_TYPE_FLOAT64]
    count = 1
    for i in small:
        for d in i.type.shape:
            count *= d.size
        if 0 <= count <= 64:
            data = b"".join(struct.pack("<d", dice.choice(REALS)) for _ in range(count))
            g.constants.insert(
                0,
                tensor_pb2.Tensor(
                    element_type=tensor_pb2.ELEMENT_TYPE_FLOAT64, shape=[d.size for d in i.type.shape], inline=data
                ),
            )
            g.inputs.pop()
    del small


def _append(g: graph_pb2.Graph, dice: random.Random) -> None:
    """One more node, of an op without attributes, on any values; it becomes the first output."""
    name = dice.choice(_plain())
    op = OP_SET.find(name)
    assert op
    count = len(g.inputs) + len(g.constants) + sum(len(node.types) for node in g.nodes)
    operands = [dice.randrange(max(count, 1)) for _ in range(op.arity or dice.randint(1, 3))]
    g.nodes.add(op=name, operands=operands)
    if g.outputs:
        g.outputs[0].value = count


def _drop(g: graph_pb2.Graph, dice: random.Random) -> None:
    if len(g.nodes) > 1:
        del g.nodes[dice.randrange(len(g.nodes))]


def _output(g: graph_pb2.Graph, dice: random.Random) -> None:
    if g.outputs:
        dice.choice(g.outputs).value = dice.choice((dice.randrange(12), 2**32 - 1))


def _function(g: graph_pb2.Graph, dice: random.Random) -> None:
    nodes = [node for node in g.nodes if node.functions]
    if nodes:
        node = dice.choice(nodes)
        node.functions[dice.randrange(len(node.functions))] = dice.randrange(3)


_CHANGES = (
    _op_name, _op_name, _operand, _arity, _attribute, _attribute, _attribute, _input_type, _all_inputs, _node_type,
    _constant, _turn_constant, _append, _append, _drop, _output, _function,
)  # fmt: skip


def _op_of(node: graph_pb2.Node) -> Op | None:
    """The op of a node without functions, if its attributes can be read."""
    found = OP_SET.find(node.op)
    if found is None or found.calls_functions:
        return None
    values: dict[str, Any] = {}
    for name, kind in attribute_types(found).items():
        if name not in node.attributes:
            return None
        case = CASES[kind]
        attribute = node.attributes[name]
        if attribute.WhichOneof("value") != case:
            return None
        match case:
            case "element_type":
                values[name] = read_element_type(attribute.element_type, "", [])
            case "lengths":
                values[name] = read_shape(attribute.lengths.values, "", [])
            case "integers":
                values[name] = tuple(attribute.integers.values)
            case _:
                values[name] = getattr(attribute, case)
    try:
        made: Op = make_op(found, values)
    except (ConstraintError, TypeError):
        return None
    return made


def _repair(g: graph_pb2.Graph) -> None:
    """Gives each node the types that its op infers, as far as it can be told."""
    types = [read_type(i.type, "", []) for i in g.inputs]
    types += [
        read_type(tensor_pb2.TensorType(element_type=c.element_type, shape=[{"size": n} for n in c.shape]), "", [])
        for c in g.constants
    ]
    for node in g.nodes:
        op, inferred = _op_of(node), None
        given: list[Any] = [types[k] if k < len(types) else None for k in node.operands]
        if op is not None and all(t is not None and t.is_concrete for t in given):
            try:
                inferred = op.infer(*given)
            except Exception:  # whether this is typed is for the trial to see
                inferred = None
        if inferred is not None and all(n < 2**63 for t in inferred for n in t.shape if isinstance(n, int)):
            del node.types[:]
            node.types.extend(encode_type(t) for t in inferred)
        types += [read_type(t, "", []) for t in node.types]


def _make_loss(g: graph_pb2.Graph) -> None:
    """Sums the first output, if its type is a real array, so that the graph has a gradient."""
    first = len(g.inputs) + len(g.constants)
    types = [i.type for i in g.inputs] + [None] * len(g.constants) + [t for node in g.nodes for t in node.types]
    if not g.outputs or not first <= g.outputs[0].value < len(types):
        return
    type_ = types[g.outputs[0].value]
    if type_ is None or type_.element_type not in (4, 5) or not type_.shape or len(g.outputs) > 1:
        return
    node = g.nodes.add(op="reduce_sum", operands=[g.outputs[0].value])
    node.attributes["axes"].integers.values.extend(range(len(type_.shape)))
    node.types.add(element_type=type_.element_type)
    g.outputs[0].value = len(types)
