"""Graphs and arrays in files: graphs as text (`.txt`, `.graph`) or as protobuf (any other suffix), arrays as `.npz`.

A graph file is whole: what its constants hold is in it. The text form writes large constants below the graph, one line
for each, such as

    blob 3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea = AAAAAAAA8D8AAAAAAAAAQA==

which is the SHA-256 of the constant's bytes and the bytes themselves in base 64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from gradserve import wire
from gradserve.ir.errors import InvalidGraph, InvalidRequest, LimitExceeded
from gradserve.ir.graph import BlobRef, Graph, Literal
from gradserve.ir.limits import DEFAULT_LIMITS
from gradserve.ir.types import Array
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.text.printing import constant_text, to_text
from gradserve.v1 import graph_pb2
from gradserve.wire.graph_decode import with_elements

TEXT_SUFFIXES = frozenset({".txt", ".graph"})
_BLOB = "blob "
_EVERYTHING = 1 << 62
_PROTOBUF_BYTES = (1 << 31) - (1 << 20)
"""A message has less than 2 GiB."""


def save_graph(graph: Graph, path: Path) -> None:
    """Writes a graph with all that its constants hold.

    Raises:
        OSError: the file cannot be written.
        InvalidGraph: constants are named by a digest, and their elements are not here.
        LimitExceeded: the constants are too large for protobuf; the text form takes them.
    """
    unknown = [constant.digest for constant in graph.constants if isinstance(constant, BlobRef)]
    if unknown:
        raise InvalidGraph(f"{len(unknown)} constants are known by their digest only, such as {unknown[0]}")
    if path.suffix in TEXT_SUFFIXES:
        path.write_text("\n".join([to_text(graph), *_blob_lines(graph)]) + "\n", encoding="utf-8")
        return
    if sum(constant.type.nbytes for constant in graph.constants) > _PROTOBUF_BYTES:
        raise LimitExceeded("file_bytes", f"{path.name} cannot hold 2 GiB of constants; save the graph as .graph")
    path.write_bytes(wire.encode_graph(graph, inline_limit=_EVERYTHING).SerializeToString(deterministic=True))


def load_graph(path: Path) -> Graph:
    """The graph in a file, with all that its constants hold.

    Raises:
        OSError: the file cannot be read.
        InvalidGraph: it holds no correct graph; names all violations.
    """
    try:
        return _parse_file(path) if path.suffix in TEXT_SUFFIXES else _decode_file(path)
    except UnicodeDecodeError:
        raise InvalidGraph(f"{path} is not text; a graph in protobuf has another suffix than .txt and .graph") from None
    except InvalidGraph as error:
        raise InvalidGraph(f"{path}: {error.message}", error.violations) from None


def load_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an `.npz` file by name. Nothing in it is unpickled.

    Raises:
        OSError: the file cannot be read.
        InvalidRequest: it is no such file, or holds something that is no array of numbers.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile):
        raise InvalidRequest(f"{path} holds no arrays by name, as np.savez writes them") from None


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes arrays by name, to exactly this path.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _blob_lines(graph: Graph) -> list[str]:
    """The constants that the text of the graph names by digest only, each once."""
    contents = {
        constant.digest: constant.array
        for constant in graph.constants
        if isinstance(constant, Literal) and constant_text(constant).startswith(_BLOB)
    }
    return [f"{_BLOB}{digest} = {base64.b64encode(array.data).decode()}" for digest, array in contents.items()]


def _parse_file(path: Path) -> Graph:
    lines = path.read_text(encoding="utf-8").split("\n")
    text = "\n".join("" if line.startswith(_BLOB) else line for line in lines)
    graph = parse(text, OP_SET)
    blobs = dict(_blob(line) for line in lines if line.startswith(_BLOB))
    missing = [c.digest for c in graph.constants if isinstance(c, BlobRef) and c.digest not in blobs]
    if missing:
        raise InvalidGraph(
            f"what {len(missing)} of its constants hold is not in the file, such as blob {missing[0]}; "
            "Function.save writes it below the graph, and printing a graph leaves it out"
        )
    return with_elements(graph, blobs.get)


def _blob(line: str) -> tuple[str, bytes]:
    """The digest and the bytes that a line has."""
    digest, _, encoded = line.removeprefix(_BLOB).partition(" = ")
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        data = b""
    if hashlib.sha256(data).hexdigest() != digest:
        raise InvalidGraph(f"the bytes of blob {digest[:64]} are damaged: they do not have that digest")
    return digest, data


def _decode_file(path: Path) -> Graph:
    data = path.read_bytes()
    try:
        message = graph_pb2.Graph.FromString(data)
    except DecodeError:
        message = None
    if not data or message is None:
        raise InvalidGraph("this is no graph; Function.save writes one")
    # Limits are for what strangers send.
    return wire.decode_graph(message, OP_SET, limits=replace(DEFAULT_LIMITS, inline_bytes=_EVERYTHING))
