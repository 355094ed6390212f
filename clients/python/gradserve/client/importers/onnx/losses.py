"""Losses that are attached to a model's output by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from onnx import NodeProto

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.losses import negative_log_likelihood
from gradserve.ir.builder import Value
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy import exponentials
from gradserve.numpy.recorder import Recorder

LOSS = "loss"
"""The output of a graph with a loss."""


@dataclass(frozen=True)
class Loss:
    """A loss of an output and of one more input."""

    parameter: str
    type: Callable[[TensorType], TensorType]
    """Of that input, by that of the output."""
    of: Callable[[Recorder, Value, Value], Value]


def _cross_entropy(g: Recorder, scores: Value, labels: Value) -> Value:
    """The mean of minus the logarithms of the probabilities at the labels."""
    logs = exponentials.log_softmax(scores, axis=1)
    return negative_log_likelihood(g, logs, labels, None, None, "mean")


def _squares(g: Recorder, output: Value, targets: Value) -> Value:
    """The mean of the squares of what the output is beside the targets."""
    rest = g.sub(output, targets)
    axes = tuple(range(rest.type.rank))
    squares = g.mul(rest, rest)
    return g.div(g.reduce_sum(squares, axes=axes) if axes else squares, float(max(rest.type.size, 1)))


def _labels(scores: TensorType) -> TensorType:
    if scores.rank < 2:
        raise InvalidRequest(f"cross_entropy is of scores (n, classes, ...), and the output is {scores}; use mse")
    return TensorType(ElementType.INT64, (scores.shape[0], *scores.shape[2:]))


LOSSES = {"cross_entropy": Loss("labels", _labels, _cross_entropy), "mse": Loss("targets", lambda t: t, _squares)}


def attached(
    g: Recorder, outputs: Mapping[str, Operand], loss: str, input_: Callable[[str, TensorType], Value]
) -> Value:
    """The loss of the model's outputs: one of the table of its only real output, or an output that is a number.

    Raises:
        InvalidRequest: there is no such loss, or the model has no such output.
    """
    if loss in outputs:
        return _number(g, loss, outputs[loss])
    if loss not in LOSSES:
        raise InvalidRequest(f"there is no loss {loss!r}; give {', '.join(LOSSES)} or an output: {', '.join(outputs)}")
    real = [name for name, x in outputs.items() if x.is_float]
    if len(real) != 1:
        told = ", ".join(real) or "none"
        raise InvalidRequest(f"{loss} is of one real output, and the model has {told}; export it with that one alone")
    output, attach = outputs[real[0]].value, LOSSES[loss]
    return attach.of(g, output, input_(attach.parameter, attach.type(output.type)))


_PASSED = ("Identity", "Cast", "Reshape", "Flatten", "ZipMap")
_NORMALISED = ("Softmax", "Sigmoid", "Normalizer")


def note_of(loss: str, nodes: Sequence[NodeProto], outputs: Mapping[str, Operand]) -> list[str]:
    """What is to be said of a cross entropy of what a softmax gives, which would be done twice."""
    makers = {name: node for node in nodes for name in node.output}
    found = []
    for output in [
        name for name, x in outputs.items() if x.is_float and loss == "cross_entropy" and loss not in outputs
    ]:
        name = output
        while name in makers and makers[name].op_type in _PASSED:
            name = makers[name].input[0]
        node = makers.get(name)
        after = {each.s for each in node.attribute if each.name == "post_transform"} if node is not None else set()
        if node is not None and (node.op_type in _NORMALISED or after & {b"SOFTMAX", b"LOGISTIC"}):
            found.append(
                f"cross_entropy is of scores, of which it takes the softmax, and {node.op_type} makes probabilities of "
                f"output {output}: leave it out of the model"
            )
    return found


def _number(g: Recorder, name: str, x: Operand) -> Value:
    if x.value.type.size != 1 or not x.is_float:
        raise InvalidRequest(f"output {name} is {x}, and a loss is one real number; give {', '.join(LOSSES)}")
    return g.reshape(x.value, ())
