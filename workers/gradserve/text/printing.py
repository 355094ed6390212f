"""The text form of a graph, one line for each node.

Such as:

    graph (%0 "w": f64[3], %1 "x": f64[n,3]) {
      %2: f64[] = constant 0.5
      %3: f64[n] = contract %1, %0 {lhs_batch=[], lhs_contract=[1], rhs_batch=[], rhs_contract=[0]}  # loss.py:31
      %4: f64[] = reduce_sum %3 {axes=[0]}
      return "loss" %4
    }

Functions that nodes call come before the graph, each as `function @0 (...) {`; a node names them as it names its
attributes, such as `body=@0`. A complex element is written as the list of its parts, `[re, im]`. Constants of more than
16 elements are written as `blob` and their digest. `parse` reads it back to an equal graph, bit by bit for the numbers
that are written out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from gradserve.ir.check import UNPRINTABLE
from gradserve.ir.graph import Constant, Graph, Literal, Node
from gradserve.ir.op import Attribute
from gradserve.ir.types import Array, ElementType, Symbol

_INLINE_ELEMENTS = 16


def to_text(graph: Graph) -> str:
    """The graph in text form, without a line break at its end."""
    return "\n".join(_lines(graph))


def excerpt(graph: Graph, letters: int, limit: str) -> str:
    """The graph in text form if it has no more than so many letters; its beginning and its end otherwise.

    Between them a line tells how many are left out, by which `limit`. What is left out is not written.
    """
    count = sum(len(each.constants) + len(each.nodes) + 3 for each in (*graph.functions, graph))
    whole = [*_within(_lines(graph), letters, longest=letters)]
    if len(whole) == count:
        return "\n".join(whole)
    longest = letters // 8
    first = [*_within(_lines(graph), letters * 3 // 4, longest)]
    last = [*_within(_lines_from_end(graph), letters // 4, longest)][::-1]
    left_out = f"{count - len(first) - len(last):,} of {count:,} lines are left out"
    return "\n".join([*first, f"  ... {left_out}: the limit {limit} is {letters:,} letters ...", *last])


def _within(lines: Iterable[str], letters: int, longest: int) -> Iterator[str]:
    """The first lines that there is room for, of those that are longer than the `longest` the beginning."""
    for line in lines:
        shown = line if len(line) <= longest else line[:longest] + "…"
        letters -= len(shown) + 1
        if letters < -1:
            return
        yield shown


def _lines(graph: Graph) -> Iterator[str]:
    """Those of the functions and of the graph."""
    table = _table(graph)
    for function, k in table.items():
        yield from _section(f"function @{k}", function, table)
    yield from _section("graph", graph, table)


def _table(graph: Graph) -> Mapping[Graph, int]:
    return {function: k for k, function in enumerate(graph.functions)}


def _section(title: str, graph: Graph, table: Mapping[Graph, int]) -> Iterator[str]:
    given = ", ".join(f"%{k} {_name(i.name)}: {i.type}" for k, i in enumerate(graph.inputs))
    yield f"{title} ({given}) {{"
    for k, constant in enumerate(graph.constants, len(graph.inputs)):
        yield f"  %{k}: {constant.type} = constant {constant_text(constant)}"
    for node, values in graph.numbered_nodes():
        yield "  " + node_text(node, values, table)
    yield _returned(graph)
    yield "}"


def _lines_from_end(graph: Graph) -> Iterator[str]:
    """The last lines of the graph and its nodes, the last first."""
    table = _table(graph)
    yield "}"
    yield _returned(graph)
    for node, value in zip(reversed(graph.nodes), reversed(graph.first_values), strict=True):
        yield "  " + node_text(node, range(value, value + len(node.types)), table)


def _returned(graph: Graph) -> str:
    return "  return " + ", ".join(f"{_name(o.name)} %{o.value}" for o in graph.outputs)


def node_text(node: Node, values: Sequence[int], table: Mapping[Graph, int] | None = None) -> str:
    """A node and the values it produces, such as `%3: f64[5] = mul %2, %0  # loss.py:31`.

    Functions are written by their number in `table`, and by their digest without one.
    """
    results = ", ".join(f"%{value}: {t}" for value, t in zip(values, node.types, strict=True))
    operands = "".join(f"{',' if k else ''} %{operand}" for k, operand in enumerate(node.operands))
    written = {name: _attribute(v) for name, v in node.op.attributes().items()}
    for name, function in node.op.functions.items():
        written[name] = f"@{function.digest[:8] if table is None else table[function]}"
    attributes = ", ".join(f"{name}={text}" for name, text in sorted(written.items()))
    origin = f"  # {UNPRINTABLE.sub('?', str(node.origin))}" if node.origin else ""
    return f"{results} = {node.op.name}{operands}{f' {{{attributes}}}' if attributes else ''}{origin}"


def constant_text(constant: Constant) -> str:
    """The elements of a small constant, such as `[[1.0, 2.0], [3.0, -inf]]`; the digest of a large one."""
    if not isinstance(constant, Literal) or constant.array.size > _INLINE_ELEMENTS:
        return f"blob {constant.digest}"
    return _nested(constant.array, constant.type.element_type) if constant.array.size else "[]"


def _name(name: str) -> str:
    return json.dumps(name, ensure_ascii=bool(UNPRINTABLE.search(name)))


def _nested(array: Array, element_type: ElementType) -> str:
    if array.ndim:
        return "[" + ", ".join(_nested(part, element_type) for part in array) + "]"
    if element_type is ElementType.BOOL:
        return _boolean(bool(array))
    if element_type.is_complex:
        return f"[{_real(array.real)}, {_real(array.imag)}]"
    return _real(array) if element_type.is_float else str(int(array))


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _real(array: Array) -> str:
    """The shortest decimal that parses to the same bits; NaN that differs from NumPy's in its bits shows them."""
    scalar = array[()]
    if math.isnan(scalar):
        same = scalar.tobytes() == array.dtype.type(np.nan).tobytes()
        return "nan" if same else f"nan({int(array.view(f'u{array.itemsize}')):#x})"
    short = str(scalar)
    return short if array.dtype.type(float(short)) == scalar else repr(float(scalar))


def _attribute(value: Attribute) -> str:
    if isinstance(value, bool):
        return _boolean(value)
    if isinstance(value, ElementType):
        return value.value
    if isinstance(value, tuple):
        return "[" + ",".join(map(_length, value)) + "]"
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _length(length: int | Symbol) -> str:
    return str(length)
