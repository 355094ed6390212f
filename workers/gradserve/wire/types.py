"""Types on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradserve.ir.errors import InvalidGraph, Violation
from gradserve.ir.records import dataclass
from gradserve.ir.shapes import MAX_RANK, shape_faults
from gradserve.ir.types import ElementType, Length, Shape, Symbol, TensorType
from gradserve.v1 import graph_service_pb2, tensor_pb2

NUMBER_OF = {
    ElementType.BOOL: tensor_pb2.ELEMENT_TYPE_BOOL,
    ElementType.INT32: tensor_pb2.ELEMENT_TYPE_INT32,
    ElementType.INT64: tensor_pb2.ELEMENT_TYPE_INT64,
    ElementType.FLOAT32: tensor_pb2.ELEMENT_TYPE_FLOAT32,
    ElementType.FLOAT64: tensor_pb2.ELEMENT_TYPE_FLOAT64,
    ElementType.COMPLEX64: tensor_pb2.ELEMENT_TYPE_COMPLEX64,
    ElementType.COMPLEX128: tensor_pb2.ELEMENT_TYPE_COMPLEX128,
}
"""The wire's number of every element type."""
ELEMENT_TYPE_OF: dict[int, ElementType] = {number: element_type for element_type, number in NUMBER_OF.items()}


@dataclass(frozen=True, slots=True)
class Signature:
    """Names and types of a graph's inputs and outputs."""

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]


def encode_type(type_: TensorType) -> tensor_pb2.TensorType:
    """The message of a type."""
    return tensor_pb2.TensorType(element_type=NUMBER_OF[type_.element_type], shape=encode_shape(type_.shape))


def encode_shape(shape: Shape) -> list[tensor_pb2.Dimension]:
    """The messages of the lengths of a shape."""
    return [
        tensor_pb2.Dimension(symbol=length.name) if isinstance(length, Symbol) else tensor_pb2.Dimension(size=length)
        for length in shape
    ]


def decode_type(message: tensor_pb2.TensorType, field: str = "") -> TensorType:
    """The type of a message.

    Raises:
        InvalidGraph: it is no type of the IR; names all violations, with paths below `field`.
    """
    violations: list[Violation] = []
    type_ = read_type(message, field, violations)
    if type_ is not None:
        violations += [Violation(field, *fault) for fault in shape_faults(type_.shape, type_.element_type.itemsize)]
    if violations or type_ is None:
        raise InvalidGraph("the type is not correct", violations)
    return type_


def decode_signature(message: graph_service_pb2.Signature) -> Signature:
    """The signature of a message.

    Raises:
        InvalidGraph: a type in it is no type of the IR.
    """
    return Signature(
        inputs={i.name: decode_type(i.type, f"inputs[{k}].type") for k, i in enumerate(message.inputs)},
        outputs={o.name: decode_type(o.type, f"outputs[{k}].type") for k, o in enumerate(message.outputs)},
    )


def read_type(message: tensor_pb2.TensorType, field: str, violations: list[Violation]) -> TensorType | None:
    """The type that is stated, whose lengths may still be nonsense; None, and violations, if it is not stated."""
    element_type = read_element_type(message.element_type, f"{field}.element_type", violations)
    shape = read_shape(message.shape, f"{field}.shape", violations)
    return None if element_type is None or shape is None else TensorType(element_type, shape)


def read_element_type(number: int, field: str, violations: list[Violation]) -> ElementType | None:
    """The element type of a number of the wire; None, and a violation, if it has none."""
    element_type = ELEMENT_TYPE_OF.get(number)
    if element_type is None:
        known = ", ".join(f"{number} for {t.value}" for t, number in NUMBER_OF.items())
        stated = f"{number} is no element type" if number else "the element type is not stated"
        violations.append(Violation(field, "G7", f"{stated}; write {known}"))
    return element_type


def read_shape(lengths: Iterable[tensor_pb2.Dimension], field: str, violations: list[Violation]) -> Shape | None:
    """The shape that is stated, however long its axes; None, and violations, if a length is not stated."""
    shape: list[Length] = []
    before = len(violations)
    for axis, length in enumerate(lengths):
        case = length.WhichOneof("length")
        if axis >= MAX_RANK:
            violations.append(Violation(field, "G8", f"more than {MAX_RANK} axes; merge some by a reshape"))
            break
        if case == "size":
            shape.append(length.size)
        elif case == "symbol":
            shape.append(Symbol(length.symbol))
        else:
            violations.append(Violation(f"{field}[{axis}]", "G7", "the length is not stated"))
    return tuple(shape) if len(violations) == before else None
