"""Seconds from costs: how long one core of an ordinary server takes for a step.

The figures were measured once, on a core of 2026 without AVX-512, and are committed: they decide how work is cut and
where it runs, so they are the same on every machine. Figures of the machine at hand would make the chunks, and with
them the bits, depend on it. `make bench BENCH_ARGS="--only predicted"` compares what they predict with what is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set

from gradserve.ir.graph import Graph, Node
from gradserve.ir.op import Cost, Op
from gradserve.ir.types import TensorType
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.control.calling import Calling
from gradserve.ops.family import Elementwise

CALL_SECONDS = 5e-6
"""Of a call of a program, beside its steps."""
STEP_SECONDS = 1.1e-6
"""Of a step on arrays that Python runs, beside its work."""
NUMBER_SECONDS, FUNCTION_SECONDS = 1e-7, 2e-7
"""Of a step on single numbers that Python runs: by itself, and by a function of NumPy's or SciPy's."""
NODE_SECONDS = 7e-10
"""Of a node in machine code."""
FUNCTION_NODE_SECONDS = 2.5e-8
"""Of an elementary function in machine code, of however few elements."""

FLOPS_PER_SECOND = 2e10
"""Of what is nothing of the following."""
BYTES_PER_SECOND = 2e10
CACHED_BYTES, _CACHED_BYTES_PER_SECOND, _FAR_BYTES_PER_SECOND = 12 << 20, 3.5e10, 2e10
"""Of matrices that are read once: of those that stay in a cache, and of larger ones."""
_PASS_BYTES_PER_SECOND = 3.4e10
"""Of elementwise steps, whose results are mostly read soon."""
_PRODUCTS_PER_SECOND, _HALF_PRODUCTS = 2.8e10, 12.0
"""Operations of matrix products, and the length of the shortest side at which there are half as many."""
_FACTORS_PER_SECOND, _HALF_FACTORS = 2e10, 200.0
"""The same of factorisations and what else LAPACK does, by the square root of the number of entries."""
_INTENSE = 16.0
"""Operations for each element above which an op is taken for one of LAPACK's."""
_ELEMENT_SECONDS = 1.1e-10
"""Of an element of a node in machine code, which works on several at a time."""
_QUICK_SECONDS = 1e-9
"""Of an element, below which a node is no elementary function."""
_QUICK_FLOPS, _SECONDS_PER_FLOP = 4.0, 1.1e-9
"""Elementwise ops of more operations than that call a function of a library, which takes so long for each of them."""

_NANOSECONDS: Mapping[str, float] = {
    **{"clip": 1.0, "sqrt": 1.5, "select": 1.5, "one_minus_square": 1.3, "sign": 0.8, "remainder": 22.0},
    **{"cosh": 8.4, "asin": 9.5, "acos": 9.5, "log": 10.0, "exp": 11.0, "atan": 11.5, "sin": 12.5, "cos": 12.5},
    **{"logistic": 13.5, "atanh": 13.5, "logistic_slope": 14.0, "tanh": 14.5, "tanh_slope": 18.0, "erf": 16.0},
    **{"tan": 16.5, "sinh": 16.5, "acosh": 17.0, "hypot": 19.0, "expm1": 19.0, "atan2": 20.0, "log1p": 20.0},
    **{"asinh": 20.0, "pow": 22.0, "cosine": 22.0, "hypot_excess": 24.0, "cbrt": 28.0, "logaddexp": 28.0},
    **{"erfinv": 21.0, "erfcx": 22.0, "ndtr": 24.0, "gamma": 24.0, "erfc": 25.0, "gammaln": 32.0, "erfcinv": 33.0},
    **{"digamma": 38.0, "beta": 82.0, "betaln": 92.0, "gammainc": 150.0, "gammaincc": 160.0, "expi": 250.0},
    "betainc": 330.0,
}
"""Of an element, by a function of NumPy's or SciPy's, where the number of operations does not tell."""
_COMPILED: Mapping[str, float] = {
    **{"exp": 1.6, "logistic": 1.8, "log": 2.0, "logistic_slope": 2.0, "cosh": 2.0, "sinh": 2.0, "hypot": 1.5},
    **{"acos": 2.2, "asin": 2.2, "atan": 1.9, "atan2": 3.4, "cosine": 1.8, "expm1": 1.7, "log1p": 2.2, "tan": 2.9},
    **{"sin": 2.2, "cos": 2.2, "tanh": 4.0, "tanh_slope": 2.3, "pow": 6.7, "atanh": 4.8, "asinh": 5.9},
    **{"hypot_excess": 2.5, "logaddexp": 14.0, "sqrt": 0.8},
    **dict.fromkeys(("clip", "select", "one_minus_square", "sign"), 0.0),
}
"""The same where machine code does not call such a function."""


def of_step(op: Op, cost: Cost, operands: Sequence[TensorType], results: Sequence[TensorType]) -> float:
    """Predicted seconds of a step that Python runs."""
    if all(type_.size <= 1 for type_ in (*operands, *results)):
        itself = isinstance(op, Elementwise) and op.flops <= _QUICK_FLOPS
        return (NUMBER_SECONDS if itself else FUNCTION_SECONDS) + _work(op, cost, operands, results)
    return STEP_SECONDS + (0.0 if op.view else _work(op, cost, operands, results))


def of_graph(graph: Graph, compiled: Mapping[str, float] = _COMPILED) -> float:
    """Predicted seconds of one run of a graph as machine code, with its arguments and results in a cache.

    `compiled` has nanoseconds of an element of elementwise ops that are not computed by functions of a library.
    """
    seconds: dict[Graph, float] = {}
    for each in (*graph.functions, graph):  # every function once, before those who call it
        seconds[each] = _of_nodes(each, compiled, seconds)
    return seconds[graph]


def _of_nodes(graph: Graph, compiled: Mapping[str, float], functions: Mapping[Graph, float]) -> float:
    """The seconds of all nodes, by those of the functions that they call."""
    types, known = graph.value_types, dict[tuple[int, ...], float]()
    total = 0.0
    for node in graph.nodes:
        key = (id(node.op), *[id(types[k]) for k in node.operands])
        found = known.get(key)
        if found is None:
            found = known[key] = _of_node(node, [types[k] for k in node.operands], compiled, functions)
        total += found
    return total


def at_border(graph: Graph, read: Set[int]) -> float:
    """Predicted seconds in which machine code reads those of these values that are given, and writes its results."""
    moved = [k for k in read if k < graph.first_node_value] + [output.value for output in graph.outputs]
    types = graph.value_types
    return sum(types[k].nbytes for k in moved) / _PASS_BYTES_PER_SECOND


def _of_node(
    node: Node, operands: Sequence[TensorType], compiled: Mapping[str, float], functions: Mapping[Graph, float]
) -> float:
    """Of a node in machine code: passes keep most of what it moves in registers."""
    op = node.op
    if isinstance(op, Calling):
        return op.calls * max(functions[function] for function in op.functions.values())
    if op.view:
        return NODE_SECONDS
    cost, elements = op.cost(operands, node.types), max(type_.size for type_ in (*operands, *node.types))
    if isinstance(op, Elementwise):
        own = compiled.get(op.name)
        each = 1e-9 * (_nanoseconds(op) if own is None else own)
        around = NODE_SECONDS if each < _QUICK_SECONDS else FUNCTION_NODE_SECONDS
        return around + elements * max(_ELEMENT_SECONDS, each)
    if isinstance(op, Contract):
        return NODE_SECONDS + _product(op, cost, operands)
    return NODE_SECONDS + max(elements * _ELEMENT_SECONDS, cost.flops / _flops_per_second(cost, operands))


def _work(op: Op, cost: Cost, operands: Sequence[TensorType], results: Sequence[TensorType]) -> float:
    """Seconds beside those of any step."""
    if isinstance(op, Elementwise):
        elements = results[0].size
        return 1e-9 * elements * _nanoseconds(op) + cost.bytes / _PASS_BYTES_PER_SECOND
    if isinstance(op, Contract):
        return _product(op, cost, operands)
    return max(cost.flops / _flops_per_second(cost, operands), cost.bytes / BYTES_PER_SECOND)


def _flops_per_second(cost: Cost, operands: Sequence[TensorType]) -> float:
    """Of an op that is neither elementwise nor a product: where they are many for each entry it is one of LAPACK's."""
    elements = max((type_.size for type_ in operands), default=0)
    if cost.flops <= _INTENSE * elements:
        return FLOPS_PER_SECOND
    return _rate(_FACTORS_PER_SECOND, _HALF_FACTORS, max(1.0, elements**0.5))


def _nanoseconds(op: Elementwise) -> float:
    """Of an element of a step, beside what it takes to move it."""
    found = _NANOSECONDS.get(op.name)
    if found is not None:
        return found
    return 0.0 if op.flops <= _QUICK_FLOPS else 1e9 * _SECONDS_PER_FLOP * op.flops


def _product(op: Contract, cost: Cost, operands: Sequence[TensorType]) -> float:
    """Of a matrix product: of its operations if they are many for each entry, or else of reading the larger matrix."""
    shortest = min((side for side in _sides(op, operands) if side > 1), default=1)
    bandwidth = _CACHED_BYTES_PER_SECOND if cost.bytes <= CACHED_BYTES else _FAR_BYTES_PER_SECOND
    return max(cost.flops / _rate(_PRODUCTS_PER_SECOND, _HALF_PRODUCTS, shortest), cost.bytes / bandwidth)


def _sides(op: Contract, operands: Sequence[TensorType]) -> Iterator[int]:
    """Those of the matrices that are multiplied: axes that both have are taken together, and so are the others."""
    for type_, contracted, batch in zip(
        operands, (op.lhs_contract, op.rhs_contract), (op.lhs_batch, op.rhs_batch), strict=True
    ):
        lengths = dict(enumerate(type_.lengths))
        yield math.prod(lengths[axis] for axis in contracted)
        yield math.prod(length for axis, length in lengths.items() if axis not in (*contracted, *batch))


def _rate(most: float, half: float, length: float) -> float:
    """Operations per second at a length, of so many at the most."""
    return most * length / (length + half)
