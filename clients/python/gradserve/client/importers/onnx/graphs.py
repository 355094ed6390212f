"""ONNX graphs, read node by node into the nodes of ours. What is known beforehand is computed at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, helper

from gradserve.client.importers.imported import at, refusal
from gradserve.client.importers.lax import elements as lax_elements
from gradserve.client.importers.lax.elements import Operand, finished, held
from gradserve.client.importers.lax.known import folded
from gradserve.client.importers.onnx import schemas
from gradserve.client.importers.onnx.elements import Elements
from gradserve.client.importers.onnx.entries import Entry, adopted, in_row
from gradserve.client.importers.onnx.reading import DEEPEST, MOST_NODES, require_texts
from gradserve.client.importers.onnx.refused import ELSE, OPTIMISED, WAYS_ROUND
from gradserve.client.importers.onnx.table import Node, Result, Translator, translator_of
from gradserve.ir.builder import Value
from gradserve.ir.errors import ConstraintError, InvalidGraph, LimitExceeded, Untraceable
from gradserve.ir.graph import Literal, Origin
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder


@dataclass
class Scope:
    """Values by name, those of the graphs around included."""

    values: dict[str, Entry | Untraceable]
    """What they stand for, or why that is nothing, which counts only if anything reads it."""
    opsets: Mapping[str, int]
    functions: Mapping[tuple[str, str], FunctionProto]
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict)
    """Those of the node that is expanded, which its body refers to."""
    depth: int = 0


class Reader:
    """Reads graphs, with what is common to all of one model."""

    def __init__(self, file: str, elements: Elements, folder: Path | None) -> None:
        """`file` is the model's name, for origins."""
        self.file, self.elements, self.folder = file, elements, folder
        self._count = 0

    def read(self, g: Recorder, nodes: Sequence[NodeProto], scope: Scope, origin: Origin | None = None) -> None:
        """Enters the results of nodes into the scope; those of an expanded node have its origin."""
        for number, proto in enumerate(nodes, 1):
            self._count += 1
            if self._count > MOST_NODES:
                raise LimitExceeded(
                    "onnx_nodes", f"the model has more than {MOST_NODES} nodes, those of bodies included"
                )
            require_texts([proto.op_type, proto.domain, proto.name, *proto.input, *proto.output])
            names = [name for name in proto.output if name]
            twice = [name for name in names if name in scope.values and not scope.depth]
            if twice:
                raise InvalidGraph(f"node {_called(proto)}: {twice[0]!r} is made twice")
            try:
                found: Sequence[Entry | Untraceable | None] = self._results(
                    g, proto, scope, origin or Origin(self.file, number)
                )
            except Untraceable as error:
                found = [error.with_traceback(None)] * len(proto.output)
            scope.values |= {
                name: entry for name, entry in zip(proto.output, found, strict=False) if name and entry is not None
            }

    def graph(self, g: Recorder, graph: GraphProto, scope: Scope, given: Sequence[Entry]) -> list[Entry]:
        """The results of a graph within a node, which sees the values around it."""
        if scope.depth >= DEEPEST:
            raise LimitExceeded("onnx_depth", f"graphs lie within graphs {DEEPEST} deep")
        around = {name: x if isinstance(x, Untraceable) else adopted(g, x) for name, x in scope.values.items()}
        inner = Scope(around, scope.opsets, scope.functions, scope.attributes, scope.depth + 1)
        for tensor in graph.initializer:
            inner.values[tensor.name] = self.constant(g, self.elements.array(tensor, self.folder))
        inner.values |= zip((each.name for each in graph.input), given, strict=False)
        self.read(g, graph.node, inner, g.origin)
        return [_found(inner, each.name, "the graph within") for each in graph.output]

    @staticmethod
    def constant(g: Recorder, array: Array) -> Operand:
        """A known array as an operand."""
        return lax_elements.constant(g, array)

    def _results(
        self, g: Recorder, proto: NodeProto, scope: Scope, origin: Origin
    ) -> Sequence[Entry | Untraceable | None]:
        called = _called(proto)
        operands = [_found(scope, name, called) if name else None for name in proto.input]
        with at(g, called, [x for x in operands if x is not None], origin):
            version = _version(scope, proto, called)
            translator = translator_of(proto.domain, proto.op_type)
            if translator is None:
                return self._expanded(g, proto, scope, operands, version)
            _require_known(proto, translator, operands)
            schemas.require(proto, version, operands)
            attributes = self._attributes(proto, scope)
            node = Node(
                g, self, scope, proto.op_type, called, version, attributes, operands, len(proto.output), [*proto.input]
            )
            made = _translated(translator, node, operands)
            found = self._operands(g, proto, version, operands, made, translator)
            return _folded(g, found, operands)

    def _operands(
        self,
        g: Recorder,
        proto: NodeProto,
        version: int,
        operands: Sequence[Entry | None],
        made: Result,
        translator: Translator,
    ) -> list[Entry | Untraceable | None]:
        """The results with the elements that ONNX says they have."""
        results = list(made) if isinstance(made, Sequence) else [made]
        schema = schemas.find(proto.op_type, version, proto.domain)
        found: list[Entry | Untraceable | None] = []
        for k, result in enumerate(results):
            if not isinstance(result, Value):
                found.append(result)
                continue
            dtype = schemas.result_dtype(schema, k, operands, self.elements) or result.type.element_type.dtype
            whole = g.convert(result, held(dtype)) if translator.moves else finished(g, result, dtype)
            found.append(Operand(whole, dtype))
        return found

    def _attributes(self, proto: NodeProto, scope: Scope) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for attribute in proto.attribute:
            whole = _resolved(attribute, scope)
            if whole is not None:
                found[attribute.name] = self._attribute(whole)
        return found

    def _attribute(self, attribute: AttributeProto) -> Any:
        if attribute.type == AttributeProto.TENSOR:
            return self.elements.array(attribute.t, self.folder)
        if attribute.type == AttributeProto.STRING:
            return attribute.s.decode("utf-8", "replace")
        if attribute.type == AttributeProto.STRINGS:
            return [text.decode("utf-8", "replace") for text in attribute.strings]
        return helper.get_attribute_value(attribute)

    def _expanded(
        self, g: Recorder, proto: NodeProto, scope: Scope, operands: Sequence[Entry | None], version: int
    ) -> list[Entry | None]:
        """The results of a node by the functions of the model, or by the one that ONNX defines its operator by."""
        body = scope.functions.get((proto.domain, proto.op_type)) or schemas.body(proto, version, operands)
        if body is None:
            raise refusal(_called(proto), [x for x in operands if x], g.origin, *_unknown(proto))
        if scope.depth >= DEEPEST:
            raise LimitExceeded("onnx_depth", f"node {_called(proto)}: functions call functions {DEEPEST} deep")
        values = zip(body.input, operands, strict=False)
        given: dict[str, Entry | Untraceable] = {name: x for name, x in values if x is not None}
        own = {each.name: whole for each in proto.attribute if (whole := _resolved(each, scope)) is not None}
        defaults = {each.name: each for each in body.attribute_proto} | schemas.defaults(proto, version)
        opsets = {**scope.opsets, **{each.domain: each.version for each in body.opset_import}}
        inner = Scope(given, opsets, scope.functions, {**defaults, **own}, scope.depth + 1)
        self.read(g, body.node, inner, g.origin)
        asked = zip(body.output, proto.output, strict=False)
        return [_found(inner, name, _called(proto)) if outer else None for name, outer in asked]


def _require_known(proto: NodeProto, translator: Translator, operands: Sequence[Entry | None]) -> None:
    """Whether the operands are of a kind that the translation takes."""
    if any(not isinstance(x, Operand | None) for x in operands) and not translator.sequences:
        raise Unsupported(f"{proto.op_type} takes arrays alone", "take one out of the sequence by SequenceAt")
    if not translator.knows_uint64 and any(isinstance(x, Operand) and x.dtype == np.uint64 for x in operands):
        raise Unsupported(f"{proto.op_type} of uint64 is not known here", "convert to int64 before it")


def _translated(translator: Translator, node: Node, operands: Sequence[Entry | None]) -> Result:
    try:
        return translator.translate(node, *operands)
    except ConstraintError as error:  # of shapes that do not broadcast, which no op was asked for yet
        raise ValueError(error.description) from None


def _folded(
    g: Recorder, found: Sequence[Entry | Untraceable | None], operands: Sequence[Entry | None]
) -> list[Entry | Untraceable | None]:
    """Results that follow from constants alone as constants, unless they are large."""
    given = in_row([x for x in operands if x is not None])
    open_ = {x.value.index for x in given if not isinstance(g.literal(x.value), Literal)}
    return [folded(g, x, open_) if isinstance(x, Operand) else x for x in found]


def _unknown(proto: NodeProto) -> tuple[str, str]:
    where = f" of {proto.domain}" if proto.domain else ""
    way = WAYS_ROUND.get(proto.op_type, OPTIMISED if proto.domain == "com.microsoft" else ELSE)
    return f"there is no translation of {proto.op_type}{where}", way


def _resolved(attribute: AttributeProto, scope: Scope) -> AttributeProto | None:
    """The attribute itself, or what the node around it gives."""
    return scope.attributes.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute


def _found(scope: Scope, name: str, where: str) -> Entry:
    if name not in scope.values:
        raise InvalidGraph(
            f"{where}: there is no value {name!r} before it; nodes must stand in the order in which they are computed"
        )
    found = scope.values[name]
    if isinstance(found, Untraceable):
        raise found
    return found


def _called(proto: NodeProto) -> str:
    """How a node is named where it is refused."""
    return f"{proto.op_type} {proto.name!r}" if proto.name else proto.op_type


def _version(scope: Scope, proto: NodeProto, called: str) -> int:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    found = scope.opsets.get(domain, scope.opsets.get("ai.onnx") if not domain else None)
    if found is None and (proto.domain, proto.op_type) in scope.functions:
        return 1
    if found is None:
        raise InvalidGraph(f"node {called}: the model imports no operator set {domain!r}")
    return min(found, onnx.defs.onnx_opset_version()) if not domain else found
