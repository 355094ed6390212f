"""A program's graph, read node by node into the nodes of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from gradserve.client.importers.aten import table
from gradserve.client.importers.aten.archive import Meta, name_of
from gradserve.client.importers.aten.refused import ELSE, RANDOM, WAYS_ROUND
from gradserve.client.importers.aten.table import Node, Result
from gradserve.client.importers.imported import Malformed, at, refusal
from gradserve.client.importers.lax.elements import HALVES, Operand, computed, finished, held, require_no_bits
from gradserve.ir.builder import Value
from gradserve.ir.errors import ConstraintError, InvalidRequest, LimitExceeded
from gradserve.ir.graph import Origin
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

MOST_NODES = 200_000
DEEPEST = 32
MOST_LENGTH = 1 << 27
"""Of an axis, for which tables of places are made."""
_FRAME = re.compile(r'File "(.+?)", line (\d+)')
_LIBRARY = re.compile(r"[\\/](site|dist)-packages[\\/](torch|functorch)[\\/]|[\\/]gradserve[\\/]client[\\/]")
_PREFIXES = ("torch.ops.", "torch._ops.")
_WITHOUT_MEANING = frozenset({"memory_format", "layout", "device", "pin_memory", "non_blocking"})
"""Arguments that say how an array lies, and nothing of its elements."""
_PLAIN = ("as_int", "as_float", "as_bool", "as_string", "as_ints", "as_floats", "as_bools", "as_strings")


class Unmade:
    """A result that its operator's translator does not make."""

    def __init__(self, maker: str) -> None:
        """`maker` is the operator."""
        self.maker = maker


class Reader:
    """Reads graphs, with what is common to all of one program."""

    def __init__(self, key: Operand | None = None) -> None:
        """Nothing is read yet; `key` is that of random numbers, of two words."""
        self._count, self._key, self._draws = 0, key, 0

    def drawn(self, node: Node) -> tuple[Operand, int]:
        """The key of random numbers, and the number of this draw.

        Raises:
            Unsupported: it is within a loop or a choice, where one number would stand for many draws.
        """
        if self._key is None or node.g is not self._key.value.builder:
            raise Unsupported("random numbers are drawn within a loop or a choice", RANDOM)
        self._draws += 1
        return self._key, self._draws

    def read(self, g: Recorder, graph: Mapping[str, Any], scope: dict[str, Any], depth: int = 0) -> list[Any]:
        """What a graph gives, of the values of its inputs by their names, which others are entered into."""
        if depth > DEEPEST:
            raise LimitExceeded("torch_depth", f"graphs lie within graphs {DEEPEST} deep")
        self._count += len(graph["nodes"])
        if self._count > MOST_NODES:
            raise LimitExceeded("torch_nodes", f"the program has more than {MOST_NODES} nodes, those within included")
        for node in graph["nodes"]:
            self._read(g, graph, node, scope)
        return [self._argument(each, scope) for each in graph["outputs"]]

    def _read(self, g: Recorder, graph: Mapping[str, Any], node: Mapping[str, Any], scope: dict[str, Any]) -> None:
        operation = operation_of(node["target"])
        if operation == "higher_order.with_effects":
            node = _without_token(node, scope)
            operation = operation_of(node["target"])
        names = list(_names(node["outputs"]))
        origin, operands = origin_of(node["metadata"].get("stack_trace")), list[Any]()
        called = f"{operation} {node.get('name') or ''!r}"
        with at(g, called, operands, origin):
            given, named = self._arguments(node, scope)
            operands += [x for x in _flat([*given, *named.values()]) if isinstance(x, Operand)]
            translate = table.find(operation)
            if translate is None:
                raise refusal(called, operands, origin, *_unknown(operation))
            metas = _metas(graph["tensor_values"], names)
            dtypes = [None if meta is None else computed(meta.dtype) for meta in _taken(metas)]
            require_no_bits(operation, (meta.dtype for meta in metas if meta is not None))
            shapes = [None if meta is None else meta.shape for meta in metas]
            try:
                made = translate(
                    Node(g, self, operation, dtypes, shapes, scope, _layouts(graph, node)), *given, **named
                )
            except ConstraintError as error:  # of shapes that do not broadcast, which no op was asked for yet
                raise ValueError(error.description) from None
            results = [made] if isinstance(made, Value | Operand) or made is None else list(made)
            if _stands_still(node):
                results = [_stopped(g, each) for each in results]
            for name, meta, dtype, result in zip(names, metas, dtypes, _filled(results, len(names)), strict=True):
                scope[name] = Unmade(operation) if result is None else _result(g, result, meta, dtype)

    def _arguments(self, node: Mapping[str, Any], scope: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What the operator is given by position, and by name."""
        given, named = list[Any](), dict[str, Any]()
        for each in node["inputs"]:
            if each["name"] in _WITHOUT_MEANING:
                continue
            value = self._argument(each["arg"], scope)
            if each.get("kind") == 2:
                named[each["name"]] = value
            else:
                given.append(value)
        return given, named

    def _argument(self, told: Mapping[str, Any], scope: Mapping[str, Any]) -> Any:
        ((kind, value),) = told.items()
        if kind in _PLAIN:
            return _numbers(value)
        if kind == "as_complex":
            return complex(_numbers(value["real"]), _numbers(value["imag"]))
        if kind == "as_none":
            return None
        if kind == "as_tensor":
            return _found(scope, value["name"])
        if kind == "as_tensors":
            return [_found(scope, each["name"]) for each in value]
        if kind == "as_optional_tensor":
            return self._argument(value, scope)
        if kind == "as_optional_tensors":
            return [self._argument(each, scope) for each in value]
        if kind == "as_scalar_type":
            return computed(_taken_name(name_of(value)))
        if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return _symbol(value, scope)
        if kind in ("as_sym_ints", "as_sym_floats", "as_sym_bools"):
            return [_symbol(each, scope) for each in value]
        if kind in ("as_graph", "as_int_lists", "as_float_lists"):
            return value
        raise Unsupported(f"it is given {kind.removeprefix('as_')}, which no graph has", ELSE)


def _stands_still(node: Mapping[str, Any]) -> bool:
    """Whether the author called it by `detach`, or under `no_grad`.

    Core ATen has neither. What is called `alias` there may be either of `detach` or of `x[...]`, and only what torch
    keeps of the author's own call tells which.
    """
    called = str(node["metadata"].get("torch_fn", ""))
    return called.startswith("wrap_with_set_grad_enabled;") or called.endswith(".detach")


def _stopped(g: Recorder, result: Value | Operand | None) -> Value | Operand | None:
    """The result, which is not differentiated."""
    value = result.value if isinstance(result, Operand) else result
    if value is None or not (value.type.is_float or value.type.is_complex):
        return result
    stopped = g.stop_gradient(value)
    return Operand(stopped, result.dtype) if isinstance(result, Operand) else stopped


def origin_of(trace: str | None) -> Origin | None:
    """The author's line: the innermost one of a stack trace that is not in torch."""
    own = [(file, line) for file, line in _FRAME.findall(trace or "") if not _LIBRARY.search(file)]
    return Origin(PurePath(own[-1][0]).name, int(own[-1][1])) if own else None


def operation_of(target: str) -> str:
    for prefix in _PREFIXES:
        target = target.removeprefix(prefix)
    return target.removeprefix("aten.")


def _without_token(node: Mapping[str, Any], scope: dict[str, Any]) -> Mapping[str, Any]:
    """An operator that is done in the order that a token says, by itself; the token goes on."""
    _, operator, *inputs = node["inputs"]
    token, *outputs = node["outputs"]
    scope[token["as_tensor"]["name"]] = None
    return {**node, "target": operator["arg"]["as_operator"], "inputs": inputs, "outputs": outputs}


def _names(outputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The names of the values that a node makes."""
    for each in outputs:
        ((kind, value),) = each.items()
        if kind == "as_tensor":
            yield value["name"]
        elif kind == "as_tensors":
            yield from (tensor["name"] for tensor in value)
        elif kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            yield value["as_name"]
        elif kind == "as_optional_tensor" and "as_tensor" in value:
            yield value["as_tensor"]["name"]


def _metas(values: Mapping[str, Any], names: Sequence[str]) -> list[Meta | None]:
    """What the program tells of a node's results."""
    try:
        return [_bounded(Meta.of(values[name])) if name in values else None for name in names]
    except InvalidRequest:
        raise Unsupported(
            "the shape of its result depends on numbers", "choose by torch.where instead of x[mask]"
        ) from None


def _bounded(meta: Meta) -> Meta:
    if any(length > MOST_LENGTH for length in meta.shape):
        raise LimitExceeded("torch_length", f"an array has an axis of {max(meta.shape)}; the limit is {MOST_LENGTH}")
    return meta


def _layouts(graph: Mapping[str, Any], node: Mapping[str, Any]) -> Callable[[int], Meta]:
    """How the tensors that a node is given lie, by their numbers."""

    def layout(number: int) -> Meta:
        names = [each["arg"]["as_tensor"]["name"] for each in node["inputs"] if "as_tensor" in each["arg"]]
        return Meta.of(graph["tensor_values"][names[number]])

    return layout


def _taken(metas: Sequence[Meta | None]) -> list[Meta | None]:
    for meta in metas:
        if meta is not None:
            _taken_name(meta.dtype)
    return list(metas)


def _taken_name(name: str) -> str:
    if name not in HALVES:
        held(name)  # which refuses it
    return name


def _filled(results: Sequence[Any], count: int) -> list[Any]:
    if len(results) > count:
        return list(results[:count])
    return [*results, *[None] * (count - len(results))]


def _result(g: Recorder, made: Value | Operand, meta: Meta | None, dtype: np.dtype[Any] | None) -> Operand:
    """A result with the elements that the program tells; of another shape it is none."""
    if meta is None or dtype is None:  # a number of the program's, such as .item()
        return made if isinstance(made, Operand) else Operand(made, np.dtype(made.type.element_type.dtype))
    if isinstance(made, Value):
        if made.type.is_complex and dtype.kind != "c":
            raise ValueError(f"it gives {made.type} here, and {dtype} in torch")
        value = finished(g, made, dtype) if dtype.kind != "b" else made
        made = Operand(value, dtype)
    if made.shape != meta.shape or made.dtype != dtype:
        raise ValueError(f"it gives {made} here, and {dtype}{list(meta.shape)} in torch")
    return made


def _found(scope: Mapping[str, Any], name: str) -> Any:
    if name not in scope:
        raise Malformed(f"there is no value {name!r} before it")
    found = scope[name]
    if isinstance(found, Unmade):
        raise Unsupported(f"it needs a result of {found.maker} that is not made", "compute it by other operations")
    return found


def _symbol(told: Mapping[str, Any], scope: Mapping[str, Any]) -> Any:
    ((kind, value),) = told.items()
    return scope[value] if kind == "as_name" else value


def _numbers(value: Any) -> Any:
    """A number, or several; those that JSON cannot say stand as texts."""
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return float(value) if value in ("Infinity", "-Infinity", "NaN", "inf", "-inf", "nan") else value


def _flat(given: Sequence[Any]) -> Iterator[Any]:
    for each in given:
        if isinstance(each, list):
            yield from _flat(each)
        else:
            yield each


def _unknown(operation: str) -> tuple[str, str]:
    return f"there is no translation of {operation}", WAYS_ROUND.get(operation.partition(".")[0], ELSE)


__all__ = ["Reader", "Result", "origin_of"]
