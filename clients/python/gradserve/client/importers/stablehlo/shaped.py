"""Operations whose results have shapes that operands tell: these must be known while importing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradserve.client.importers.lax import movement, ordering
from gradserve.client.importers.lax.elements import Operand, constant, held
from gradserve.client.importers.lax.known import folded, known_array
from gradserve.client.importers.stablehlo.given import Compute, dtype_of, dtype_of_result, either
from gradserve.client.importers.stablehlo.placed import convolution, gather
from gradserve.client.importers.stablehlo.syntax import Module, Operation
from gradserve.client.importers.stablehlo.tokens import invalid
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder


def known(g: Builder, x: Operand) -> tuple[int, ...]:
    """The whole numbers of an operand that tells lengths or positions.

    Raises:
        Unsupported: they are computed from arguments.
    """
    return tuple(int(each) for each in _elements(g, x).reshape(-1))


def _elements(g: Builder, x: Operand) -> Array:
    assert isinstance(g, Recorder)
    found = known_array(g, folded(g, x))
    if found is None:
        raise Unsupported("the lengths of its result are computed from arguments", "export it for known lengths")
    return found


def _broadcast(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return movement.broadcast_in_dim(g, x[0], known(g, x[1]), either(op, "dims", "broadcast_dimensions"))


def _reshape(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return g.reshape(x[0].value, known(g, x[1]))


def _iota(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return movement.iota(g, dtype_of(op), known(g, x[0]), either(op, "dim", "iota_dimension")[0])


def _pad(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return movement.pad(g, x[0], x[1], list(zip(*(known(g, each) for each in x[2:]), strict=True)))


def _slice(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    starts, stops, strides = (known(g, each) for each in x[1:])
    return movement.sliced(g, x[0], starts, stops, strides)


def _gather(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return gather(g, op, x[:2], known(g, x[2]))


def _convolution(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return convolution(g, op, x[:2], _elements(g, x[2]).tolist())


def _size(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    axis = either(op, "dim", "dimension")[0]
    return constant(g, dtype_of(op).type(x[0].shape[axis])).value


def asserted(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """What JAX asserts of lengths.

    Raises:
        InvalidGraph: it does not hold.
    """
    if not _elements(g, x[0]).all():
        said = str(op.attributes.get("error_message", "lengths are not those that the program is for"))
        for k, each in enumerate(x[1:]):
            said = said.replace(f"{{{k}}}", str(known(g, each)[0]))
        raise invalid(op.line, said)
    return []


def top_k(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """The largest elements of each row, and where they are."""
    (k,) = known(g, x[1])
    values, places = ordering.top_k(g, x[0], k, x[0].rank - 1)
    return [values, g.convert(places, held(dtype_of_result(op, 1)))]


WINDOWS = "stablehlo.dynamic_reduce_window"
_OF_WINDOWS = ("window_dimensions", "window_strides", "base_dilations", "window_dilations", "padding")


def windowed(g: Builder, op: Operation, x: Sequence[Operand], module: Module) -> Operation:
    """The reduction of windows that a call of JAX's is, whose windows are told by operands and function by name."""
    told = {name: _elements(g, each).tolist() for name, each in zip(_OF_WINDOWS, x[-5:], strict=True)}
    called = op.attributes.get("called_computations")
    name = str(called[0]).removeprefix("@") if isinstance(called, list) and called else ""
    if name not in module:
        raise Unsupported("its function is not in the program", "export it anew")
    return replace(op, name="reduce_window", operands=op.operands[:-5], attributes=told, regions=(module[name].body,))


SHAPED: Mapping[str, Compute] = {
    "dynamic_broadcast_in_dim": _broadcast,
    "dynamic_reshape": _reshape,
    "dynamic_iota": _iota,
    "dynamic_pad": _pad,
    "real_dynamic_slice": _slice,
    "dynamic_gather": _gather,
    "dynamic_conv": _convolution,
    "get_dimension_size": _size,
}
"""By name, without the dialect."""
