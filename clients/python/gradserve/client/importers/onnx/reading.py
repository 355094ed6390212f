"""Model files, read with limits and looked at as a whole before their nodes are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

from gradserve.client.importers.onnx.elements import MOST_BYTES, bytes_of
from gradserve.ir.errors import InvalidGraph, LimitExceeded
from gradserve.ir.records import dataclass

MOST_NODES = 50_000
DEEPEST = 32
"""Graphs within graphs, and functions that call functions."""
OLDEST = 7
"""The oldest operator set that is taken."""


@dataclass(frozen=True)
class Model:
    """A model, and where it lies."""

    graph: GraphProto
    opsets: dict[str, int]
    functions: dict[tuple[str, str], FunctionProto]
    file: str
    folder: Path | None
    """That of its file, in which tensors may lie in files of their own."""


def read(source: Any) -> Model:
    """The model in a file, in bytes, or in a proto.

    Raises:
        OSError: the file cannot be read.
        InvalidGraph: it is no model, or of an operator set that is too old.
        LimitExceeded: it is too large.
    """
    if isinstance(source, ModelProto):
        return _looked_at(source, source.graph.name or "model", None)
    if isinstance(source, bytes):
        return _looked_at(_parsed(source, "the model"), "model", None)
    path = Path(source)
    if path.stat().st_size > MOST_BYTES:
        raise LimitExceeded("onnx_bytes", f"{path.name} has {path.stat().st_size} bytes; the limit is {MOST_BYTES}")
    return _looked_at(_parsed(path.read_bytes(), path.name), path.name, path.parent)


def require_texts(names: Iterable[Any]) -> None:
    """Refuses names that are no text: protobuf gives bytes where it finds none.

    Raises:
        InvalidGraph: one is not.
    """
    odd = next((name for name in names if not isinstance(name, str)), None)
    if odd is not None:
        raise InvalidGraph(f"the name {odd!r} is not UTF-8; the model is damaged")


def _parsed(data: bytes, name: str) -> ModelProto:
    try:
        model = ModelProto.FromString(data)
    except DecodeError:
        model = None
    if model is None or not model.opset_import:
        raise InvalidGraph(f"{name} is no ONNX model; export one, such as by torch.onnx.export")
    return model


def _require_few(nodes: Sequence[NodeProto], functions: Mapping[tuple[str, str], FunctionProto]) -> None:
    """Refuses a model that its own functions, which call each other, make too large, before any is expanded."""
    sizes: dict[tuple[str, str], int] = {}

    def size(body: Sequence[NodeProto], within: tuple[tuple[str, str], ...]) -> int:
        total = len(body)
        for node in body:
            key = (node.domain, node.op_type)
            if key not in functions or key in within or len(within) >= DEEPEST:
                continue  # what calls itself, or is too deep, is refused where it is expanded
            if key not in sizes:
                sizes[key] = size(functions[key].node, (*within, key))
            total += sizes[key]
        return total

    if functions and size(nodes, ()) > MOST_NODES:
        raise LimitExceeded("onnx_nodes", f"the model has more than {MOST_NODES} nodes, those of functions included")


def _looked_at(model: ModelProto, name: str, folder: Path | None) -> Model:
    opsets = {("" if each.domain == "ai.onnx" else each.domain): each.version for each in model.opset_import}
    version = opsets.get("")
    if version is not None and version < OLDEST:
        raise InvalidGraph(
            f"{name} is of operator set {version}; convert it by onnx.version_converter to {OLDEST} or later"
        )
    graph = model.graph
    require_texts([each.name for group in (graph.initializer, graph.input, graph.output) for each in group])
    held = Counter(tensor.name for tensor in graph.initializer)
    if held and held.most_common(1)[0][1] > 1:
        raise InvalidGraph(f"{name} has {held.most_common(1)[0][1]} initialisers {held.most_common(1)[0][0]!r}")
    if graph.sparse_initializer:
        raise InvalidGraph(f"{name} has sparse initialisers; make them dense")
    size = sum(bytes_of(tensor) for tensor in model.graph.initializer)
    if size > MOST_BYTES:
        raise LimitExceeded("initialiser_bytes", f"the initialisers of {name} declare {size} bytes of {MOST_BYTES}")
    functions = {(each.domain, each.name): each for each in model.functions}
    _require_few(model.graph.node, functions)
    return Model(model.graph, opsets, functions, name, folder)
