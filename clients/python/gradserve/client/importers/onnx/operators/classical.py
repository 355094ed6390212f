"""Operators of `ai.onnx.ml` that are linear, scale or look up: what pipelines of scikit-learn are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import TensorProto

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.builder import Value
from gradserve.ir.errors import Untraceable
from gradserve.ir.types import ElementType
from gradserve.numpy import exponentials, indexing, products, shaping

ML = "ai.onnx.ml"
TEXTS = "encode classes and categories as whole numbers before the model is fitted"


def real(n: Node, x: Operand) -> Value:
    """x as real numbers, of the elements that these operators give."""
    return n.g.convert(x.value, ElementType.FLOAT64 if n.reader.elements.wide else ElementType.FLOAT32)


def numbers(n: Node, name: str, like: Value) -> Value:
    """An attribute of real numbers."""
    return n.g.constant(np.asarray(n.get(name, []), like.type.element_type.dtype))


_AFTER: Mapping[str, Callable[[Node, Value], Value]] = {
    "NONE": lambda n, x: x,
    "LOGISTIC": lambda n, x: n.g.logistic(x),
    "SOFTMAX": lambda n, x: exponentials.softmax(x, axis=-1),
}


def finished(n: Node, scores: Value) -> Value:
    """Scores as their operator gives them."""
    name = str(n.get("post_transform", "NONE"))
    if name not in _AFTER:
        raise n.refuse(f"post_transform {name} has no translation", f"take one of {', '.join(_AFTER)}")
    return _AFTER[name](n, scores)


def labels(n: Node, places: Value) -> Operand | Untraceable:
    """The classes at places, which must be whole numbers."""
    classes = n.get("classlabels_ints", n.get("classlabels_int64s"))
    if not classes:
        return n.unread("its classes are texts", TEXTS)
    table = n.g.constant(np.asarray(classes, np.int64))
    return Operand(indexing.take(table, places, axis=0), np.dtype(np.int64))


def _linear(n: Node, x: Operand) -> Value:
    value = real(n, x)
    weights = numbers(n, "coefficients", value)
    rows = n.g.reshape(weights, (weights.type.size // x.shape[-1], x.shape[-1]))
    found = products.matmul(value, shaping.transpose(rows))
    return n.g.add(found, numbers(n, "intercepts", value)) if n.get("intercepts") else found


@translates("LinearRegressor", domain=ML)
def linear_regressor(n: Node, x: Operand) -> Result:
    """x A + b."""
    return finished(n, _linear(n, x))


@translates("LinearClassifier", domain=ML)
def linear_classifier(n: Node, x: Operand) -> Result:
    """The class of the largest of the scores x A + b, and the scores; of texts the scores alone may be read."""
    g, scores = n.g, _linear(n, x)
    count = max(len(n.get("classlabels_ints", [])), len(n.get("classlabels_strings", [])))
    if scores.shape[-1] == 1 and count == 2:
        scores = g.emit("concatenate", g.neg(scores), scores, axis=1)
    made = finished(n, scores)
    if made.shape[-1] == 1:
        return [n.unread("it has one score, whose classes are a threshold's", "give two classes"), made]
    return [labels(n, g.emit("argmax", made, axis=1)), made]


@translates("Scaler", domain=ML)
def scaler(n: Node, x: Operand) -> Result:
    """(x - offset) scale."""
    value = real(n, x)
    return n.g.mul(n.g.sub(value, numbers(n, "offset", value)), numbers(n, "scale", value))


@translates("Normalizer", domain=ML)
def normalizer(n: Node, x: Operand) -> Result:
    """Rows divided by their norms; rows of zeros stay."""
    g, value, norm = n.g, real(n, x), n.get("norm", "MAX")
    size = g.abs(value)
    if norm == "MAX":
        found = g.emit("reduce_max", size, axes=(x.rank - 1,))
    elif norm == "L1":
        found = g.reduce_sum(size, axes=(x.rank - 1,))
    else:
        squares = g.reduce_sum(g.mul(value, value), axes=(x.rank - 1,))
        none = g.eq(squares, 0.0)  # where the root has no derivative
        found = g.select(none, 0.0, g.sqrt(g.select(none, 1.0, squares)))
    wide = g.reshape(g.select(g.eq(found, 0.0), 1.0, found), (*x.shape[:-1], 1))
    return g.div(value, wide)


@translates("Binarizer", domain=ML)
def binarizer(n: Node, x: Operand) -> Result:
    """1 where x is above a threshold, else 0."""
    above = n.g.gt(x.value, n.get("threshold", 0.0))
    return Operand(n.g.convert(above, x.value.type.element_type), x.dtype)


@translates("Imputer", domain=ML)
def imputer(n: Node, x: Operand) -> Result:
    """x with other numbers in the place of one that stands for none."""
    given, missing = n.get("imputed_value_floats"), n.get("replaced_value_float", 0.0)
    if not x.is_float:
        given, missing = n.get("imputed_value_int64s"), n.get("replaced_value_int64", 0)
    if not given:
        raise n.refuse(f"it tells no numbers for {x.dtype}", "give imputed values of the elements of its operand")
    g, value = n.g, x.value
    absent = g.ne(value, value) if math.isnan(missing) else g.eq(value, missing)
    kinds: Any = value.type.element_type.dtype
    return g.select(absent, g.broadcast(g.constant(np.asarray(given, kinds)), x.shape), value)


@translates("FeatureVectorizer", domain=ML)
def feature_vectorizer(n: Node, *operands: Operand) -> Result:
    """Columns beside each other, cut or filled up with zeros to the numbers that are told."""
    g, found = n.g, []
    for x, count in zip(operands, n.get("inputdimensions", []), strict=True):
        value = g.reshape(real(n, x), (x.shape[0], x.value.type.size // max(x.shape[0], 1)))
        value = part(g, value, 1, 0, min(count, value.shape[1]))
        rest = count - value.shape[1]
        found += [value, g.zeros(value.type.with_shape((x.shape[0], rest)))] if rest else [value]
    return g.emit("concatenate", *found, axis=1)


@translates("ArrayFeatureExtractor", domain=ML, moves=True)
def feature_extractor(n: Node, x: Operand, places: Operand) -> Result:
    """The elements at positions along the last axis."""
    row = n.g.reshape(places.value, (places.value.type.size,))
    found = indexing.take(x.value, row, axis=x.rank - 1)
    return n.g.reshape(found, (1, row.shape[0])) if x.rank == 1 else found


def _same(n: Node, x: Operand, keys: Any) -> Value:
    """Where each element of x is each of these keys, along a new last axis."""
    g = n.g
    table = g.constant(np.asarray(keys, x.value.type.element_type.dtype))
    wide = g.broadcast(g.reshape(x.value, (*x.shape, 1)), (*x.shape, len(keys)))
    return g.eq(wide, g.broadcast(table, (*x.shape, len(keys))))


@translates("OneHotEncoder", domain=ML)
def one_hot_encoder(n: Node, x: Operand) -> Result:
    """1 at the number of the category that x is; what is none has no 1."""
    if not n.get("cats_int64s"):
        raise n.refuse("its categories are texts", TEXTS)
    if not n.get("zeros", 1):
        raise n.refuse("it fails where x is none of its categories", "set zeros = 1")
    return n.g.convert(_same(n, x, n.get("cats_int64s")), real(n, x).type.element_type)


@translates("LabelEncoder", domain=ML)
def label_encoder(n: Node, x: Operand) -> Result:
    """The value beside the key that x is, or a default."""
    g, keys = n.g, n.get("keys_int64s", n.get("keys_floats"))
    whole, floats = n.get("values_int64s"), n.get("values_floats")
    if keys is None or (whole is None and floats is None):
        raise n.refuse("its keys or values are texts or arrays", TEXTS)
    dtype = np.dtype(np.int64) if floats is None else n.reader.elements.dtype(TensorProto.FLOAT)
    table = g.constant(np.asarray(whole if floats is None else floats, dtype))
    default = n.get("default_int64", -1) if floats is None else n.get("default_float", -0.0)
    found = _same(n, x, keys)
    place = g.emit("argmax", g.convert(found, ElementType.INT32), axis=x.rank)
    chosen = indexing.take(table, place, axis=0)
    return Operand(g.select(g.reduce_any(found, axes=(x.rank,)), chosen, default), dtype)


@translates("ZipMap", domain=ML)
def zip_map(n: Node, x: Operand) -> Result:
    """x itself: a row for each example and a column for each class, which are maps in ONNX."""
    n.reader.elements.notes.append("what ZipMap gives is an array with a column for each class, and not maps")
    return x
