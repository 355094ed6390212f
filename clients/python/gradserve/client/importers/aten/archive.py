"""The archives that torch.export.save writes, read without torch: a program as JSON, and arrays as raw bytes.

An archive is a zip file. Under its one folder lie `models/NAME.json`, which is the program, and
`data/weights/` and `data/constants/`, each with a JSON that tells the type of every array and the file that holds its
bytes. Nothing in it is unpickled. The records are those of `torch._export.serde.schema`, version 8.
"""

from __future__ import annotations

import functools
import io
import json
import operator
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from gradserve.client.importers.imported import Malformed
from gradserve.client.importers.lax.elements import HALVES, computed, of_half
from gradserve.ir.errors import GradserveError, InvalidRequest, LimitExceeded
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported

MOST_BYTES = 1 << 31
"""Of all that is read of an archive."""
MOST_TEXT = 1 << 26
"""Bytes of a record."""
MOST_PACKED = 100
"""How many times as long as the file what it holds may be; torch packs nothing."""
_SCHEMA = 8
_DTYPES = {
    **dict(enumerate(("uint8", "int8", "int16", "int32", "int64"), start=1)),
    **{7: "float32", 8: "float64", 10: "complex64", 11: "complex128", 12: "bool", 28: "uint16"},
    **{34: "uint32", 35: "uint64"},
}
_NO_DTYPES = {6: "float16", 9: "complex32", 13: "bfloat16"} | dict.fromkeys(range(29, 34), "8-bit floats")
_STRIDED = 7
_GROUPS = (
    ("data/weights/", "model_weights_config.json"),
    ("data/constants/", "model_constants_config.json"),
)


@dataclass(frozen=True)
class Meta:
    """What the program tells of an array."""

    dtype: str
    """NumPy's name of its elements, or torch's where NumPy has none."""
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    """In elements; None where each lies behind the one before."""
    offset: int = 0
    """Of the first element."""

    @property
    def size(self) -> int:
        """The number of elements."""
        return functools.reduce(operator.mul, self.shape, 1)

    @staticmethod
    def of(told: Mapping[str, Any]) -> Meta:
        """What a record of a tensor says.

        Raises:
            InvalidRequest: a length is open.
        """
        lengths = []
        for each in told["sizes"]:
            if "as_int" not in each:
                raise InvalidRequest(
                    "the program has open lengths; export it without dynamic_shapes, "
                    "or import program.module() with examples"
                )
            lengths.append(int(each["as_int"]))
        steps = [each.get("as_int") for each in told.get("strides") or ()]
        strides = None if len(steps) != len(lengths) or None in steps else tuple(map(int, steps))
        return Meta(name_of(told["dtype"]), tuple(lengths), strides, int(_whole(told.get("storage_offset"))))


@dataclass(frozen=True)
class Archive:
    """A program and the arrays that it holds."""

    file: str
    module: Mapping[str, Any]
    """The program's graph with its signature."""
    arrays: Mapping[str, Array]
    """By their names in the state dict, or those of constants."""
    learned: frozenset[str]
    """The names of parameters that require gradients."""
    held: tuple[str, ...] = ()
    """What the arrays hold, by torch's names."""
    same: Mapping[str, str] = field(default_factory=dict)
    """Of parameters that are another one by a second name, that one."""


def _whole(told: Mapping[str, Any] | None) -> Any:
    return (told or {}).get("as_int", 0)


def name_of(number: Any) -> str:
    """NumPy's name of the elements that have this number in torch, or torch's where NumPy has none."""
    return _DTYPES.get(number) or _NO_DTYPES.get(number) or f"type {number}"


def read(source: str | Path | bytes) -> Archive:
    """The program in a file, or in its bytes.

    Raises:
        OSError: the file cannot be read.
        InvalidGraph: it is no such archive, or it is damaged.
        LimitExceeded: it is too large.
    """
    if isinstance(source, bytes):
        return _parsed(io.BytesIO(source), "the program")
    path = Path(source)
    with path.open("rb") as file:
        return _parsed(file, path.name)


@contextmanager
def sound(file: str) -> Iterator[None]:
    """What is not written as it should be, within, is refused as that.

    Raises:
        Malformed: a record lacks something, or holds something else than it should.
    """
    try:
        yield
    except GradserveError:
        raise
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise Malformed(f"{file} is damaged: {type(error).__name__} {str(error)[:80]}") from error


def _parsed(file: Any, name: str) -> Archive:
    try:
        length = file.seek(0, io.SEEK_END)
        with zipfile.ZipFile(file) as archive, sound(name):
            _require_size(archive, name, length)
            return _archive(archive, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        if isinstance(error, GradserveError):
            raise
        raise Malformed(f"{name} is no program that torch.export.save wrote: {error}") from None


def _require_size(archive: zipfile.ZipFile, name: str, length: int) -> None:
    size = sum(entry.file_size for entry in archive.infolist())
    if size > MOST_BYTES:
        raise LimitExceeded("torch_bytes", f"{name} declares {size} bytes; the limit is {MOST_BYTES}")
    if size > max(MOST_TEXT, MOST_PACKED * length):
        raise LimitExceeded("torch_bytes", f"{name} declares {size} bytes in a file of {length}")


def _json(archive: zipfile.ZipFile, entry: str) -> Any:
    size = archive.getinfo(entry).file_size
    if size > MOST_TEXT:
        raise LimitExceeded("torch_bytes", f"{entry} has {size} bytes; the limit is {MOST_TEXT}")
    return json.loads(archive.read(entry))


def _archive(archive: zipfile.ZipFile, name: str) -> Archive:
    programs = [each for each in archive.namelist() if each.endswith(".json") and "/models/" in each]
    if len(programs) != 1:
        raise Malformed(f"{name} holds {len(programs)} programs; save one by torch.export.save of torch 2.8 or later")
    root = programs[0].partition("models/")[0]
    if _text(archive, f"{root}byteorder", "little") != "little":
        raise Malformed(f"{name} was written on a machine of another order of bytes")
    program = _json(archive, programs[0])
    version = program["schema_version"]["major"]
    if version != _SCHEMA:
        raise Malformed(f"{name} is of schema {version}, and {_SCHEMA} is read; save it with torch 2.8 or later")
    arrays, learned, held = dict[str, Array](), set[str](), list[str]()
    first, same = dict[str, str](), dict[str, str]()
    for folder, config in _GROUPS:
        if f"{root}{folder}{config}" not in archive.namelist():
            continue
        for key, payload in _json(archive, f"{root}{folder}{config}")["config"].items():
            if payload["is_param"]:
                told = payload["tensor_meta"]
                place = json.dumps([payload["path_name"], *map(told.get, ("sizes", "strides", "storage_offset"))])
                same[key] = first.setdefault(place, key)
            held.append(name_of(payload["tensor_meta"]["dtype"]))
            arrays[key] = _array(archive, f"{root}{folder}", key, payload)
            if payload["is_param"] and payload["tensor_meta"]["requires_grad"]:
                learned.add(key)
    return Archive(name, program["graph_module"], arrays, frozenset(learned), tuple(held), same)


def _text(archive: zipfile.ZipFile, name: str, default: str) -> str:
    return archive.read(name).decode("ascii") if name in archive.namelist() else default


def _array(archive: zipfile.ZipFile, folder: str, key: str, payload: Mapping[str, Any]) -> Array:
    if payload["use_pickle"]:
        raise Malformed(f"{key} is pickled, and nothing is unpickled; make it a plain tensor")
    told = payload["tensor_meta"]
    meta, layout = Meta.of(told), told["layout"]
    if layout != _STRIDED:
        raise Malformed(f"{key} is sparse; make it dense by .to_dense()")
    if meta.dtype not in (*_DTYPES.values(), *HALVES):
        raise Unsupported(f"{key} holds {meta.dtype}, and no graph has such elements", "call module.float()")
    dtype, raw = computed(meta.dtype), archive.read(f"{folder}{payload['path_name']}")
    halves = meta.dtype in HALVES
    elements = of_half(np.frombuffer(raw, np.uint16), meta.dtype) if halves else np.frombuffer(raw, dtype)
    strides, offset = [int(n["as_int"]) for n in told["strides"]], int(told["storage_offset"]["as_int"])
    last = offset + sum((n - 1) * stride for n, stride in zip(meta.shape, strides, strict=True))
    if any(n < 0 for n in (*meta.shape, *strides, offset)) or (meta.size and last >= len(elements)):
        raise Malformed(f"{key} has the shape {meta.shape}, and there are {len(elements)} elements of it")
    if not meta.size:
        return np.zeros(meta.shape, dtype)
    steps = [stride * dtype.itemsize for stride in strides]
    return np.array(np.lib.stride_tricks.as_strided(elements[offset:], meta.shape, steps), order="C")
