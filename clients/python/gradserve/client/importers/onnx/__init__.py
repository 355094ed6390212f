"""ONNX models as graphs, their initialisers as parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from gradserve.client.importers.models import ImportedModel
    from gradserve.client.importers.onnx.model import Shape


def from_onnx(
    model: str | Path | bytes | Any,
    /,
    loss: str | None = None,
    *,
    wrt: Sequence[str] | None = None,
    known: Mapping[str, np.ndarray[Any, Any] | None] | None = None,
    shapes: Mapping[str, Shape] | None = None,
    lengths: Mapping[str, int] | None = None,
    dtype: str | None = None,
) -> ImportedModel:
    """The graph of an ONNX model; `Client.load` makes a function of it.

    Its parameters are the model's inputs, those that the loss adds, and `initialisers`: a tree of the real ones by
    their names, whose default is what the model holds. So `client.load(m).value_and_grad(x, labels,
    wrt="initialisers")` is the gradient with respect to all weights, at those of the model. Without a loss the function
    returns what the model does.

    Args:
        model: a file, its bytes, or an `onnx.ModelProto`; of operator set 7 or later.
        loss: `cross_entropy` of the model's output (n, classes, ...) and a parameter `labels` (n, ...), averaged; `mse`
            of its output and a parameter `targets`; or the name of an output that is a number.
        wrt: the initialisers that are parameters, by their names; all real ones unless told otherwise.
        known: inputs that are constants, such as a shape that is given as an input; None is an optional one left out.
        shapes: whole shapes of inputs whose lengths the model leaves open; of a sequence those of all its arrays.
        lengths: numbers for the model's open lengths, by their names, such as `{"batch": 8}`.
        dtype: `float64` computes in float64 what the model does in float32.

    Raises:
        Untraceable: an operator that no graph can say; names the node, what it is applied to, and a way round.
        InvalidGraph: the file is damaged, or is no such model.
        InvalidRequest: an option does not fit the model.
        LimitExceeded: the model is larger than what is taken.
        OSError: the file cannot be read.
        ImportError: onnx is not installed (`pip install 'gradserve[onnx]'`).
    """
    try:
        from gradserve.client.importers.onnx.model import imported
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "onnx":
            raise
        raise ImportError("from_onnx needs onnx: pip install 'gradserve[onnx]'") from error
    return imported(model, loss, wrt, known or {}, shapes or {}, lengths or {}, dtype)
