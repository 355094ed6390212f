"""Graphs and parameters in files: graphs as text (`.txt`, `.graph`) or as protobuf (any other suffix)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gradserve.ir import codec
from gradserve.ir.graph import Graph
from gradserve.ir.text import parse, to_text
from gradserve.ir.types import Array
from gradserve.ops import OP_SET
from gradserve.v1 import graph_pb2

TEXT_SUFFIXES = frozenset({".txt", ".graph"})
_EVERYTHING = 1 << 62


def save_graph(graph: Graph, path: Path) -> None:
    """Writes a graph. The text form names large constants by digest only; the other form holds everything."""
    if path.suffix in TEXT_SUFFIXES:
        path.write_text(to_text(graph))
    else:
        path.write_bytes(codec.encode_graph(graph, inline_limit=_EVERYTHING).SerializeToString())


def load_graph(path: Path) -> Graph:
    """The graph in a file.

    Raises:
        InvalidGraph: the file holds no correct graph; names all violations.
    """
    if path.suffix in TEXT_SUFFIXES:
        return parse(path.read_text(), OP_SET)
    return codec.decode_graph(graph_pb2.Graph.FromString(path.read_bytes()), OP_SET)


def load_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an `.npz` file by name. Nothing in it is unpickled."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
