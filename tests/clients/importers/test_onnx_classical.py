"""Pipelines of scikit-learn's kind, `ai.onnx.ml`, beside ONNX's own reference implementation and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from gradserve.client.importers import from_onnx
from gradserve.ir.errors import Untraceable

ML = "ai.onnx.ml"
RNG = np.random.default_rng(3)
X = RNG.normal(size=(5, 3)).astype(np.float32)
FLOATS, WHOLE, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def model(nodes, shape=(5, 3), outputs=(("y", FLOATS),), kind=FLOATS, held=None) -> onnx.ModelProto:
    given = [helper.make_tensor_value_info("x", kind, shape)]
    made = [helper.make_tensor_value_info(name, each, None) for name, each in outputs]
    tensors = [numpy_helper.from_array(array, name) for name, array in (held or {}).items()]
    graph = helper.make_graph(nodes, "pipeline", given, made, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(ML, 3)])


def node(operation: str, *, of=("x",), to=("y",), **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operation, list(of), list(to), domain=ML, name="n1", **attributes)


WEIGHTS = RNG.normal(size=6).round(3).tolist()
COUNTS = np.array([[0, 2, 7], [5, 2, -1]])
NODES: dict[str, tuple[onnx.ModelProto, np.ndarray]] = {
    "linear regressor of two targets": (
        model([node("LinearRegressor", coefficients=WEIGHTS, intercepts=[0.5, -1.0], targets=2)]),
        X,
    ),
    "scaler": (model([node("Scaler", offset=[0.5, -1.0, 2.0], scale=[2.0, 0.5, 1.0])]), X),
    "scaler of one number": (model([node("Scaler", offset=[0.5], scale=[2.0])]), X),
    **{
        f"normalizer by {norm}": (model([node("Normalizer", norm=norm)]), np.where(np.arange(5)[:, None] == 2, 0, X))
        for norm in ("MAX", "L1", "L2")
    },
    "binarizer": (model([node("Binarizer", threshold=0.25)]), X),
    "imputer of NaN": (
        model([node("Imputer", imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=np.nan)]),
        np.where(X > 0.5, np.nan, X).astype(np.float32),
    ),
    "imputer of a number": (
        model([node("Imputer", imputed_value_int64s=[9], replaced_value_int64=2)], (2, 3), (("y", WHOLE),), WHOLE),
        COUNTS,
    ),
    "features by position": (
        model([node("ArrayFeatureExtractor", of=("x", "i"))], held={"i": np.array([[2, 0]])}),
        X,
    ),
    "feature vectorizer": (model([node("FeatureVectorizer", of=("x", "x"), inputdimensions=[2, 4])]), X),
    "one-hot encoder": (
        model([node("OneHotEncoder", cats_int64s=[2, 5, 7], zeros=1)], (2, 3), kind=WHOLE),
        COUNTS,
    ),
    "label encoder": (
        model(
            [node("LabelEncoder", keys_int64s=[2, 5], values_floats=[0.5, 1.5], default_float=-3.0)], (2, 3), kind=WHOLE
        ),
        COUNTS,
    ),
    "label encoder to numbers": (
        model([node("LabelEncoder", keys_int64s=[2, 5], values_int64s=[20, 50])], (2, 3), (("y", WHOLE),), WHOLE),
        COUNTS,
    ),
    **{
        f"classifier of {count} after {after}": (
            model(
                [
                    node(
                        "LinearClassifier",
                        to=("l", "y"),
                        coefficients=WEIGHTS if count == 2 else [*WEIGHTS, 0.5, -0.25, 1.0],
                        intercepts=[0.1, -0.2, 0.3][:count],
                        classlabels_ints=[7, 3, 5][:count],
                        post_transform=after,
                    )
                ],
                outputs=(("l", WHOLE), ("y", FLOATS)),
            ),
            X,
        )
        for count in (2, 3)
        for after in ("NONE", "LOGISTIC", "SOFTMAX")
    },
}
SUPPORT = RNG.normal(size=(4, 3)).round(3)


def machine(operation: str, kernel: str, **attributes: Any) -> onnx.NodeProto:
    told = {"kernel_type": kernel, "kernel_params": [0.4, 0.3, 3.0], "support_vectors": SUPPORT.reshape(-1).tolist()}
    return node(operation, **told, **attributes)


def regressor(kernel: str, **attributes: Any) -> onnx.ModelProto:
    told = {"coefficients": [0.5, -1.0, 0.25, 2.0], "rho": [0.3], "n_supports": 4}
    return model([machine("SVMRegressor", kernel, **told, **attributes)])


def classifier(kernel: str, sizes: list[int], **attributes: Any) -> onnx.ModelProto:
    count = len(sizes)
    pairs = count * (count - 1) // 2
    coefficients = np.round(np.random.default_rng(5).normal(size=4 * (count - 1)), 3).tolist()
    labels = {} if "classlabels_strings" in attributes else {"classlabels_ints": [4, 1, 9][:count]}
    told = {"coefficients": coefficients, "rho": [0.1, -0.2, 0.05][:pairs], "vectors_per_class": sizes, **labels}
    made = machine("SVMClassifier", kernel, to=("l", "y"), **told, **attributes)
    return model([made], outputs=(("l", TEXT if "classlabels_strings" in attributes else WHOLE), ("y", FLOATS)))


for name in ("LINEAR", "POLY", "RBF", "SIGMOID"):
    NODES[f"regressor with {name}"] = regressor(name), X
    NODES[f"classifier with {name}"] = classifier(name, [1, 2, 1]), X
NODES["the side that one class is of"] = regressor("RBF", one_class=1), X
NODES["classifier of two"] = classifier("RBF", [2, 2]), X


@pytest.mark.parametrize("name", NODES)
def test_values_are_those_of_the_reference(embedded, name):
    made, x = NODES[name]
    ours = embedded.load(from_onnx(made))(x)
    found = list(ours.values()) if isinstance(ours, dict) else [ours]
    wanted: Any = ReferenceEvaluator(made).run(None, {"x": x})
    for mine, other in zip(found, wanted, strict=True):
        assert np.shape(mine) == np.shape(other)
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-6)


def test_probabilities_of_two_classes(embedded):
    """The reference comes near to them by iteration, of which it stops at 0.0025."""
    made = classifier("RBF", [2, 2], prob_a=[-1.5], prob_b=[0.2])
    found = embedded.load(from_onnx(made))(X)
    scores = embedded.load(from_onnx(classifier("RBF", [2, 2])))(X)["y"][:, 1]
    np.testing.assert_allclose(found["y"][:, 0], 1 / (1 + np.exp(-1.5 * scores + 0.2)), rtol=1e-5)
    np.testing.assert_allclose(found["y"].sum(1), 1, rtol=1e-6)
    wanted: Any = ReferenceEvaluator(made).run(None, {"x": X})
    np.testing.assert_array_equal(found["l"], wanted[0])
    np.testing.assert_allclose(found["y"], wanted[1], atol=0.005)


def test_the_gradient_of_a_machine_is_that_of_its_kernels(embedded):
    x = X.astype(np.float64)
    _, found = embedded.load(from_onnx(regressor("RBF"), dtype="float64")).vjp(x, cotangent=np.ones((5, 1)))
    rest = x[:, None] - SUPPORT.astype(np.float32)
    kernels = np.exp(-np.float32(0.4) * (rest**2).sum(2)) * np.array([0.5, -1.0, 0.25, 2.0])
    np.testing.assert_allclose(found, -2 * np.float32(0.4) * (kernels[:, :, None] * rest).sum(1), rtol=1e-6)


def test_the_gradient_of_normalised_zeros_is_finite(embedded):
    function = embedded.load(from_onnx(NODES["normalizer by L2"][0], dtype="float64"))
    _, found = function.vjp(np.zeros((5, 3)), cotangent=np.ones((5, 3)))
    np.testing.assert_array_equal(found, np.ones((5, 3)))


def test_classes_that_are_texts_are_left_out_and_their_scores_are_not(embedded):
    texts = {"classlabels_strings": ["ja", "nein"]}
    made = from_onnx(classifier("RBF", [2, 2], **texts))
    assert made.notes == ("output l is left out: no graph has texts",)
    scores = embedded.load(made)(X)
    np.testing.assert_array_equal(scores, embedded.load(from_onnx(classifier("RBF", [2, 2])))(X)["y"])
    loss = from_onnx(classifier("RBF", [2, 2], **texts), "cross_entropy")
    logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    np.testing.assert_allclose(embedded.load(loss)(X, np.ones(5, int)), -logs[:, 1].mean(), rtol=1e-6)


def test_maps_of_classes_are_columns(embedded):
    scores = node("LinearClassifier", to=("l", "p"), coefficients=WEIGHTS, classlabels_ints=[0, 1])
    made = from_onnx(model([scores, node("ZipMap", of=("p",), classlabels_int64s=[0, 1])]))
    assert made.notes == ("what ZipMap gives is an array with a column for each class, and not maps",)
    weights = np.array(WEIGHTS, np.float32).reshape(2, 3)
    np.testing.assert_allclose(embedded.load(made)(X), X @ weights.T, rtol=1e-5)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (classifier("RBF", [1, 2, 1], prob_a=[-1.0] * 3, prob_b=[0.0] * 3), "more than two classes are found by iter"),
        (model([node("OneHotEncoder", cats_strings=["a"])]), "its categories are texts; encode classes and categories"),
        (model([node("LabelEncoder", keys_strings=["a"], values_int64s=[1])]), "its keys or values are texts"),
        (model([node("TreeEnsembleRegressor", n_targets=1)]), "what a tree gives is steps"),
        (model([node("LinearRegressor", coefficients=[1.0] * 3, post_transform="PROBIT")]), "PROBIT has no transl"),
        (model([node("ArrayFeatureExtractor", of=("x", "i"))], held={"i": np.array(["a"])}), "initialiser 'i': no gra"),
        (model([helper.make_node("Scaler", ["x"], ["y"])]), "there is no translation of Scaler"),
    ],
)
def test_what_has_no_translation_is_refused(made, said):
    with pytest.raises(Untraceable, match=said):
        from_onnx(made)
