"""Operators that no graph can say, or that have no translation yet, and ways round them."""

from __future__ import annotations

_RANDOM = "give the random numbers as an input of the model"
_OUTSIDE = "leave it out of the model, and do it before or after"
_TEXT = "turn texts into numbers before the model"
_BY_NUMBERS = "compute it beforehand: the shape of its result depends on numbers"
_STEPS = "fit a model whose derivatives are not 0 everywhere: what a tree gives is steps"
_TRAINING = "leave the optimiser's step out: gradients are what the service gives"

WAYS_ROUND: dict[str, str] = {
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"), _RANDOM),
    "Bernoulli": _RANDOM,
    **dict.fromkeys(("ImageDecoder", "NonMaxSuppression", "TfIdfVectorizer"), _OUTSIDE),
    **dict.fromkeys(("StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch"), _TEXT),
    "Unique": _BY_NUMBERS,
    **dict.fromkeys(("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"), _STEPS),
    **dict.fromkeys(("CastMap", "CategoryMapper", "DictVectorizer"), _TEXT),
    **dict.fromkeys(("Adagrad", "Adam", "Momentum", "Gradient"), _TRAINING),
}
"""What to do instead, by operators."""

ELSE = "export the model with other operators, or without it"
OPTIMISED = "give the model as it was before ONNX Runtime optimised it"
