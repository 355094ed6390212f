"""A program becomes a graph: its inputs by their names in `forward`, and the module's parameters as one tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradserve.client.importers.aten import (
    archive,
    operators,  # noqa: F401  (which enters them in the table)
)
from gradserve.client.importers.aten.archive import Archive, Meta, name_of, sound
from gradserve.client.importers.aten.operators.random import DRAWS
from gradserve.client.importers.aten.reading import Reader, operation_of
from gradserve.client.importers.aten.signatures import Signature
from gradserve.client.importers.imported import Malformed
from gradserve.client.importers.lax import elements
from gradserve.client.importers.lax.elements import (
    BITS_OF_UINT64,
    HALVES,
    Operand,
    computed,
    finished,
    half_note,
    held_type,
)
from gradserve.client.importers.models import Defaulted, ImportedModel
from gradserve.client.importers.naming import parameter_names, paths, tree
from gradserve.client.tracing import trees
from gradserve.client.tracing.traced import RESULT, Traced
from gradserve.client.tracing.trees import SEPARATOR, Structure, flatten
from gradserve.ir.builder import Value
from gradserve.ir.errors import InvalidRequest, Untraceable
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

PARAMETERS = "parameters"
"""The parameter that the module's parameters are."""
RANDOM_KEY = "random_key"
"""The parameter that random numbers are drawn by."""
_HELD = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
"""Inputs that the program holds itself, and where their names stand."""
_WRITTEN = {"buffer_mutation": "buffer_name", "parameter_mutation": "parameter_name"}


def imported(
    source: Any, examples: Sequence[Any], named: Mapping[str, Any], wrt: Sequence[str] | None
) -> ImportedModel:
    """The program as a graph; see `from_torch`."""
    if isinstance(source, str | Path | bytes):
        if examples or named:
            raise InvalidRequest("a file is a whole program, which takes no examples; leave them out")
        return _Program(archive.read(source), "").whole(wrt)
    try:
        from gradserve.client.importers.aten import exporting
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise ImportError("from_torch needs torch for all but files: pip install 'gradserve[torch]'") from error
    name = exporting.name_of(source)
    return _Program(archive.read(exporting.archive_of(source, examples, named)), name).whole(wrt)


class _Program:
    """A program on its way to a graph."""

    def __init__(self, read: Archive, name: str) -> None:
        self.archive, self.name = read, name or read.file
        self.g = Recorder()
        self.scope: dict[str, Any] = {}
        self.inputs: dict[str, Structure] = {}
        self.notes: list[str] = []

    def whole(self, wrt: Sequence[str] | None) -> ImportedModel:
        """The graph with its parameters."""
        with sound(self.name):
            graph, signature = self.archive.module["graph"], Signature.of(self.archive.module)
            self._arguments(signature, graph)
            arrays = self._held(wrt)
            self.notes += map(half_note, _halves(self.archive, graph))
            results = Reader(self._key(graph)).read(self.g, graph, self.scope)
            traced = self._traced(self._outputs(results), signature, arrays)
        parameters = tree(arrays)
        defaults = {PARAMETERS: parameters} if parameters else {}
        order = [name for name in self.inputs if name not in defaults]
        notes = tuple(dict.fromkeys(self.notes))
        return ImportedModel(traced, f"torch: {self.name}", Defaulted(order, defaults), notes, defaults)

    def _arguments(self, signature: Signature, graph: Mapping[str, Any]) -> None:
        """The inputs that the caller gives; what the exporter has fixed is noted."""
        plain = parameter_names(signature.inputs, (PARAMETERS, RANDOM_KEY))
        self.scope |= dict.fromkeys(_tokens(self.archive.module))
        leaves = iter(signature.given)
        for name, structure in signature.inputs.items():
            own = [next(leaves) for _ in range(trees.count(structure))]
            kept = signature.without_constants(structure, iter(own))
            for path, (value_name, constant) in zip(trees.paths(structure, plain[name]), own, strict=True):
                if value_name is None:
                    self.notes.append(f"{path} is {constant!r}, as it was when it was exported")
                    continue
                self._input(value_name, path, Meta.of(graph["tensor_values"][value_name]))
            if trees.count(kept):
                self.inputs[plain[name]] = kept

    def _key(self, graph: Mapping[str, Any]) -> Operand | None:
        """The key of random numbers, an input where any are drawn."""
        if not any(operation_of(node["target"]).partition(".")[0] in DRAWS for node in graph["nodes"]):
            return None
        words = np.zeros(2, np.uint32)
        self.inputs[RANDOM_KEY] = flatten(words)[1]
        self.notes.append(f"random numbers are drawn by {RANDOM_KEY}, two words of uint32, and are not those of torch")
        return Operand(self.g.input(RANDOM_KEY, held_type(words.dtype, words.shape)), words.dtype)

    def _input(self, name: str, path: str, meta: Meta) -> None:
        try:
            dtype = computed(meta.dtype)
            type_ = held_type(dtype, meta.shape)
        except (TypeError, Unsupported):
            raise InvalidRequest(
                f"{path} is {meta.dtype}, and no graph takes such an array; give float32, float64, int64 or bool"
            ) from None
        if dtype == np.uint64:
            raise InvalidRequest(f"{path} is uint64, and no graph takes such an array; give int64 or uint32")
        self.scope[name] = Operand(finished(self.g, self.g.input(path, type_), dtype), dtype)

    def _held(self, wrt: Sequence[str] | None) -> dict[tuple[str, ...], Array]:
        """The arrays that are parameters, entered as inputs; the others become constants."""
        names = dict(_own(self.archive.module))
        real = {key for key in names.values() if self._array(key).dtype.kind in "fc"}
        unknown = [key for key in wrt or () if key not in real]
        if unknown:
            raise InvalidRequest(f"{unknown[0]!r} is none of the module's real arrays: {', '.join(sorted(real))}")
        same = self.archive.same
        asked = self.archive.learned if wrt is None else wrt
        free = [same.get(key, key) for key in names.values() if key in asked and key in real]
        found, where = dict[tuple[str, ...], Array](), paths(dict.fromkeys(free))
        known = dict[str, Operand]()
        for name, own in names.items():
            key = same.get(own, own)
            array = self._array(key)
            if key in where and key not in known:
                path = SEPARATOR.join((PARAMETERS, *where[key]))
                known[key] = Operand(self.g.input(path, held_type(array.dtype, array.shape)), array.dtype)
                found[where[key]] = array
            if key in where and key != own:
                self.notes.append(f"{own} is {key}: one parameter, by that name")
            self.scope[name] = known[key] if key in where else self._constant(key, array)
        return found

    def _array(self, key: str) -> Array:
        if key not in self.archive.arrays:
            raise Malformed(f"{self.name} does not hold {key!r}; save it with its state dict")
        return self.archive.arrays[key]

    def _constant(self, key: str, array: Array) -> Operand:
        try:
            return elements.constant(self.g, array)
        except Unsupported as error:
            raise Untraceable(f"{key} of {self.name}: {error}") from None

    def _outputs(self, results: Sequence[Any]) -> list[Any]:
        """What the caller is given of the results; what a module writes into itself is noted."""
        found = []
        for spec, result in zip(self.archive.module["signature"]["output_specs"], results, strict=True):
            ((kind, told),) = spec.items()
            if kind in ("user_output", "loss_output"):
                found.append(result)
            elif kind == "token":
                continue  # which says in what order errors are raised
            elif kind in _WRITTEN:
                self.notes.append(f"{told[_WRITTEN[kind]]} stays as it is, where the module writes into it")
            elif kind == "user_input_mutation":
                self.notes.append(f"{told['user_input_name']} stays as it is, where the function writes into it")
            else:
                raise Untraceable(f"{self.name} gives {kind}, which no graph does; export the module without it")
        return found

    def _traced(self, results: Sequence[Any], signature: Signature, arrays: Mapping[tuple[str, ...], Array]) -> Traced:
        structure = signature.without_constants(
            signature.output, iter((None if x is None else "", None) for x in results)
        )
        values = [self._value(x) for x in results if x is not None]
        if not values:
            raise Untraceable(f"{self.name} returns no array; return what is to be computed")
        if arrays:
            self.inputs[PARAMETERS] = flatten(tree(arrays))[1]
        given = {name: value for name, (_, value) in self.g._inputs.items()}
        names = [path for name, each in self.inputs.items() for path in trees.paths(each, name)]
        outputs = dict(zip(trees.paths(structure, RESULT), values, strict=True))
        return Traced(self.g.build(outputs, [given[name] for name in names]), self.inputs, structure)

    def _value(self, result: Any) -> Value:
        if isinstance(result, bool | int | float):
            return self.g.constant(result)
        if not isinstance(result, Operand):
            raise Untraceable(f"{self.name} returns a {type(result).__name__}; return arrays and numbers")
        if result.dtype == np.uint64:
            self.notes.append(BITS_OF_UINT64)
        return result.value


def _halves(archive: Archive, graph: Mapping[str, Any]) -> list[str]:
    """The reals of 16 bits that the program computes with, or holds."""
    names = [*archive.held, *(name_of(told["dtype"]) for told in graph["tensor_values"].values())]
    return [name for name in dict.fromkeys(names) if name in HALVES]


def _tokens(module: Mapping[str, Any]) -> list[str]:
    """The inputs that only say in what order things are done, such as the checks of linear systems."""
    return [spec["token"]["arg"]["name"] for spec in module["signature"]["input_specs"] if "token" in spec]


def _own(module: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The program's inputs that it holds itself, with the names of their arrays."""
    found = []
    for spec in module["signature"]["input_specs"]:
        ((kind, told),) = spec.items()
        if kind in _HELD:
            found.append((told["arg"]["name"], told[_HELD[kind]]))
    return found
