"""Recurrent layers with activations of their own and gates within a bound, beside their equations in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gradserve.client.importers import from_onnx
from gradserve.ir.errors import Untraceable

RNG = np.random.default_rng(2)
X = RNG.normal(size=(5, 2, 3))
ACTIVATIONS: dict[str, tuple[Callable[..., Any], dict[str, float]]] = {
    "Affine": (lambda x: 0.6 * x + 0.1, {"alpha": 0.6, "beta": 0.1}),
    "Elu": (lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)), {"alpha": 0.7}),
    "HardSigmoid": (lambda x: np.clip(0.3 * x + 0.4, 0, 1), {"alpha": 0.3, "beta": 0.4}),
    "LeakyRelu": (lambda x: np.where(x > 0, x, 0.2 * x), {"alpha": 0.2}),
    "Relu": (lambda x: np.maximum(x, 0), {}),
    "ScaledTanh": (lambda x: 1.2 * np.tanh(0.7 * x), {"alpha": 1.2, "beta": 0.7}),
    "Softplus": (lambda x: np.log1p(np.exp(x)), {}),
    "Softsign": (lambda x: x / (1 + np.abs(x)), {}),
    "ThresholdedRelu": (lambda x: np.where(x > 0.2, x, 0), {"alpha": 0.2}),
}


def layer(operation: str, gates: int, **attributes: Any) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """A layer of two units whose states are the model's output, and its weights."""
    w, r = (RNG.normal(size=(1, 2 * gates, n)).round(2) for n in (3, 2))
    held = [numpy_helper.from_array(a.astype(np.float32), name) for a, name in ((w, "w"), (r, "r"))]
    made = helper.make_node(operation, ["x", "w", "r"], ["", "y"], hidden_size=2, **attributes)
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)]
    graph = helper.make_graph(
        [made], "layer", given, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], held
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    return model, w[0].astype(np.float32).astype(float), r[0].astype(np.float32).astype(float)


def numbers_of(*names: str) -> dict[str, list[float]]:
    """The attributes of activations, each with the numbers that it has alone."""
    told = [ACTIVATIONS[name][1] for name in names if name in ACTIVATIONS]
    found = {label: [each[label] for each in told if label in each] for label in ("alpha", "beta")}
    return {f"activation_{label}": values for label, values in found.items() if values}


@pytest.mark.parametrize("bound", [0.0, 0.4])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_a_simple_layer(embedded, name, bound):
    model, w, r = layer("RNN", 1, activations=[name], clip=bound, **numbers_of(name))
    state = np.zeros((2, 2))
    for row in X:
        inner = row @ w.T + state @ r.T
        state = ACTIVATIONS[name][0](np.clip(inner, -bound, bound) if bound else inner)
    found = embedded.load(from_onnx(model, dtype="float64"))(X)
    np.testing.assert_allclose(found[0], state, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("gate", ["Sigmoid", "HardSigmoid"])
@pytest.mark.parametrize("name", ["Affine", "LeakyRelu", "ScaledTanh"])
def test_numbers_go_to_the_activations_that_have_such(embedded, gate, name):
    model, w, r = layer("GRU", 3, activations=[gate, name], **numbers_of(gate, name))
    opened = ACTIVATIONS[gate][0] if gate in ACTIVATIONS else lambda x: 1 / (1 + np.exp(-x))
    state = np.zeros((2, 2))
    for row in X:
        update, reset = (opened(row @ w[k : k + 2].T + state @ r[k : k + 2].T) for k in (0, 2))
        hidden = ACTIVATIONS[name][0](row @ w[4:].T + (reset * state) @ r[4:].T)
        state = (1 - update) * hidden + update * state
    found = embedded.load(from_onnx(model, dtype="float64"))(X)
    np.testing.assert_allclose(found[0], state, rtol=1e-6, atol=1e-7)


def test_an_activation_without_its_numbers_is_refused():
    with pytest.raises(Untraceable, match="the activation ScaledTanh has no alpha; give activation_alpha"):
        from_onnx(layer("RNN", 1, activations=["ScaledTanh"])[0])
    with pytest.raises(Untraceable, match="the activation Cube is not known here; use one of tanh, sigmoid"):
        from_onnx(layer("RNN", 1, activations=["Cube"])[0])
