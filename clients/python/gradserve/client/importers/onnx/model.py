"""A model becomes a graph: its inputs, its loss, and its initialisers as one tree of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from onnx import TensorProto, TypeProto, ValueInfoProto

from gradserve.client.importers.imported import output_names
from gradserve.client.importers.lax.elements import Operand, finished, held_type
from gradserve.client.importers.models import Defaulted, ImportedModel
from gradserve.client.importers.naming import parameter_names, paths, tree
from gradserve.client.importers.onnx import (
    operators,  # noqa: F401  (which enters them in the table)
    reading,
)
from gradserve.client.importers.onnx.elements import Elements
from gradserve.client.importers.onnx.entries import Absent, Listed
from gradserve.client.importers.onnx.graphs import Reader, Scope
from gradserve.client.importers.onnx.losses import LOSS, attached, note_of
from gradserve.client.importers.onnx.table import translator_of
from gradserve.client.tracing import trees
from gradserve.client.tracing.traced import Traced
from gradserve.client.tracing.trees import SEPARATOR, Branch, Leaf, Structure, flatten
from gradserve.ir.builder import Value
from gradserve.ir.errors import InvalidGraph, InvalidRequest, Untraceable
from gradserve.ir.types import Array, TensorType
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

Shape: TypeAlias = Sequence[int] | Sequence[Sequence[int]]
"""Of an array, or of each one of a sequence."""
INITIALISERS = "initialisers"
"""The parameter that the initialisers are."""


def imported(
    source: Any,
    loss: str | None,
    wrt: Sequence[str] | None,
    known: Mapping[str, Array | None],
    shapes: Mapping[str, Shape],
    lengths: Mapping[str, int],
    dtype: str | None,
) -> ImportedModel:
    """The model as a graph; see `from_onnx`."""
    if dtype not in (None, "float32", "float64"):
        raise InvalidRequest(f"dtype is float32 or float64, not {dtype!r}")
    model = reading.read(source)
    elements = Elements(dtype == "float64")
    reader = _Model(model, elements, known, shapes, lengths)
    return reader.whole(loss, wrt)


class _Model:
    """A model on its way to a graph."""

    def __init__(
        self,
        model: reading.Model,
        elements: Elements,
        known: Mapping[str, Array | None],
        shapes: Mapping[str, Shape],
        lengths: Mapping[str, int],
    ) -> None:
        self.model, self.elements = model, elements
        self.known, self.shapes, self.lengths = known, shapes, lengths
        self.g = Recorder()
        self.inputs: dict[str, Structure] = {}
        self.scope = Scope({}, model.opsets, model.functions)

    def whole(self, loss: str | None, wrt: Sequence[str] | None) -> ImportedModel:
        """The graph with its parameters."""
        g, graph = self.g, self.model.graph
        reader = Reader(self.model.file, self.elements, self.model.folder)
        held = {tensor.name for tensor in graph.initializer}
        given = [each for each in graph.input if each.name not in held]
        self._require(given)
        names = parameter_names([each.name for each in given if each.name not in self.known], (INITIALISERS,))
        for each in given:
            self._input(each, names)
        arrays = self._initialisers(wrt)
        reader.read(g, graph.node, self.scope)
        outputs = self._outputs(loss)
        named = {name: x.value for name, x in outputs.items()}
        if loss is not None:
            self.elements.notes += note_of(loss, graph.node, outputs)
            named = {LOSS: attached(g, outputs, loss, self._parameter)}
        initialisers = tree(arrays)
        order = [*self.inputs]
        if initialisers:
            self.inputs[INITIALISERS] = flatten(initialisers)[1]
        plain = parameter_names(named) if len(named) > 1 else dict(zip(named, output_names(1), strict=True))
        keys = tuple(plain.values())
        structure: Structure = Leaf() if len(keys) == 1 else Branch(dict, keys, (Leaf(),) * len(keys))
        traced = Traced(self._built({plain[name]: value for name, value in named.items()}), self.inputs, structure)
        source = f"onnx: {self.model.file}"
        notes = tuple(dict.fromkeys(self.elements.notes))
        defaults = {INITIALISERS: initialisers} if initialisers else {}
        return ImportedModel(traced, source, Defaulted(order, defaults), notes, defaults)

    def _built(self, outputs: Mapping[str, Value]) -> Any:
        """The graph, with its inputs in the order of the parameters."""
        values = {name: value for name, (_, value) in self.g._inputs.items()}
        names = [path for name, structure in self.inputs.items() for path in trees.paths(structure, name)]
        return self.g.build(outputs, [values[name] for name in names])

    def _outputs(self, loss: str | None) -> dict[str, Operand]:
        """The arrays that the model gives, those of a sequence one by one.

        Texts are left out, which notes tell, and what a loss does not need is not refused.
        """
        found: dict[str, Operand] = {}
        refused: dict[str, Untraceable] = {}
        for each in self.model.graph.output:
            if each.name not in self.scope.values:
                raise InvalidGraph(f"{self.model.file}: nothing makes its output {each.name!r}")
            entry = self.scope.values[each.name]
            if isinstance(entry, Listed):
                found |= {f"{each.name}.{k}": x for k, x in enumerate(entry.items)}
            elif isinstance(entry, Operand):
                found[each.name] = entry
            elif isinstance(entry, Untraceable):
                refused[each.name] = entry
                if each.type.tensor_type.elem_type == TensorProto.STRING:
                    self.elements.notes.append(f"output {each.name} is left out: no graph has texts")
                elif loss is None:
                    raise entry
        if refused and (loss in refused or not any(x.is_float for x in found.values())):
            raise refused.get(str(loss), next(iter(refused.values())))
        if not found:
            raise InvalidGraph(f"{self.model.file} has no outputs")
        return found

    def _require(self, given: Sequence[ValueInfoProto]) -> None:
        """Whether what the options name is there."""
        names = {each.name for each in given}
        unknown = [name for name in (*self.known, *self.shapes) if name not in names]
        if unknown:
            raise InvalidRequest(f"the model has no input {unknown[0]!r}; it has {', '.join(sorted(names)) or 'none'}")
        open_ = {dim.dim_param for each in given for dim in each.type.tensor_type.shape.dim} - {""}
        odd = [name for name in self.lengths if name not in open_]
        if odd:
            raise InvalidRequest(
                f"no input has an open length {odd[0]!r}; there are {', '.join(sorted(open_)) or 'none'}"
            )

    def _parameter(self, name: str, type_: TensorType) -> Value:
        """One more input."""
        plain = parameter_names([name], (*self.inputs, INITIALISERS))[name]
        self.inputs[plain] = Leaf()
        return self.g.input(plain, type_)

    def _input(self, each: ValueInfoProto, names: Mapping[str, str]) -> None:
        name, type_ = each.name, each.type
        if type_.HasField("optional_type"):
            if name in self.known and self.known[name] is None:
                self.scope.values[name] = Absent()
                return
            type_ = type_.optional_type.elem_type
        if type_.HasField("sequence_type"):
            self._listed(name, type_.sequence_type.elem_type, names[name])
            return
        if not type_.HasField("tensor_type"):
            raise InvalidGraph(f"input {name!r} is no array but a {type_.WhichOneof('value')}; export one that is")
        dtype = self._dtype(name, type_.tensor_type.elem_type)
        if name in self.known:
            try:
                given = np.asarray(self.known[name]).astype(dtype)
            except (TypeError, ValueError) as error:
                raise InvalidRequest(f"input {name!r} is given as something that is no array of {dtype}") from error
            self.scope.values[name] = Reader.constant(self.g, given)
            return
        self.inputs[names[name]] = Leaf()
        self.scope.values[name] = self._given(names[name], dtype, self._shape(name, type_.tensor_type))

    def _listed(self, name: str, element: TypeProto, plain: str) -> None:
        """An input that is a sequence: a list of parameters, whose shapes are told."""
        shapes = self.shapes.get(name)
        if shapes is None or not all(isinstance(shape, Sequence) for shape in shapes):
            way = f"shapes={{{name!r}: [(...), ...]}}, the shape of each one"
            raise InvalidRequest(f"input {name!r} is a sequence of arrays; give {way}")
        dtype = self._dtype(name, element.tensor_type.elem_type)
        structure = flatten([0.0] * len(shapes))[1]
        self.inputs[plain] = structure
        self.scope.values[name] = Listed(
            tuple(
                self._given(path, dtype, self._lengths(name, shape))
                for path, shape in zip(trees.paths(structure, plain), shapes, strict=True)
            )
        )

    def _dtype(self, name: str, number: int) -> np.dtype[Any]:
        try:
            dtype = self.elements.dtype(number)
        except Unsupported as error:
            raise InvalidGraph(f"input {name!r}: {error}") from None
        if dtype == np.uint64 and name not in self.known:
            raise InvalidGraph(f"input {name!r} is uint64, and no graph takes such an array; export it as int64")
        return dtype

    def _given(self, path: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Operand:
        value = self.g.input(path, held_type(dtype, shape))
        return Operand(finished(self.g, value, dtype), dtype)

    def _shape(self, name: str, type_: TypeProto.Tensor) -> tuple[int, ...]:
        if name in self.shapes:
            return self._lengths(name, self.shapes[name])
        if not type_.HasField("shape"):
            raise InvalidRequest(f"input {name!r} has no shape; give shapes={{{name!r}: (...)}} (--shape {name}=N,N)")
        found = []
        for dim in type_.shape.dim:
            length = dim.dim_value if dim.HasField("dim_value") else self.lengths.get(dim.dim_param)
            if length is None:
                way = f"lengths={{{dim.dim_param!r}: ...}} (--length {dim.dim_param}=N)"
                if not dim.dim_param:
                    way = f"shapes={{{name!r}: (...)}} (--shape {name}=N,N)"
                raise InvalidRequest(f"input {name!r} has an open length {dim.dim_param}".rstrip() + f"; give {way}")
            found.append(length)
        return self._lengths(name, found)

    @staticmethod
    def _lengths(name: str, shape: Any) -> tuple[int, ...]:
        if not isinstance(shape, Sequence) or any(not isinstance(n, int | np.integer) or n < 0 for n in shape):
            raise InvalidRequest(f"input {name!r} cannot have the shape {shape}; lengths are whole, from 0 on")
        return tuple(int(n) for n in shape)

    def _initialisers(self, wrt: Sequence[str] | None) -> dict[tuple[str, ...], Array]:
        """Those that are parameters, entered as inputs; the others become constants."""
        tensors = {tensor.name: tensor for tensor in self.model.graph.initializer}
        unknown = [name for name in wrt or () if name not in tensors]
        if unknown:
            raise InvalidRequest(f"the model has no initialiser {unknown[0]!r}; it has {', '.join(tensors) or 'none'}")
        arrays = {name: array for name, tensor in tensors.items() if (array := self._array(tensor)) is not None}
        fixed = self._known_names() if wrt is None else {name for name in tensors if name not in wrt}
        free = [name for name, array in arrays.items() if array.dtype.kind == "f" and name not in fixed]
        odd = [name for name in wrt or () if name not in free]
        if odd:
            raise InvalidRequest(f"initialiser {odd[0]!r} is {arrays[odd[0]].dtype}, and one differentiates real ones")
        found, where = {}, paths(free)
        for name, array in arrays.items():
            if name not in where:
                self.scope.values[name] = Reader.constant(self.g, array)
                continue
            path = SEPARATOR.join((INITIALISERS, *where[name]))
            self.scope.values[name] = Operand(self.g.input(path, held_type(array.dtype, array.shape)), array.dtype)
            found[where[name]] = array
        return found

    def _array(self, tensor: TensorProto) -> Array | None:
        """The elements of an initialiser; None of one that no graph has, which counts only if anything reads it."""
        try:
            return self.elements.array(tensor, self.model.folder)
        except Unsupported as error:
            self.scope.values[tensor.name] = Untraceable(f"initialiser {tensor.name!r}: {error}")
            return None

    def _known_names(self) -> set[str]:
        """Initialisers that operators must know, such as the scales of a Resize."""
        found = set[str]()
        for node in self.model.graph.node:
            translator = translator_of(node.domain, node.op_type)
            found |= {node.input[k] for k in (translator.known if translator else ()) if k < len(node.input)}
        return found
