"""Derivatives of small losses, written with the builder and evaluated op by op."""

from collections.abc import Callable

import numpy as np

from gradserve.autodiff import derive
from gradserve.ir.builder import Value
from gradserve.ir.types import Array, type_of
from gradserve.ops import builder
from gradserve.questions.derivations import Gradient, Hvp
from tests.laws.support import evaluate, prefixed

Function = Callable[..., Value]


def _loss(function: Function, points):
    """The sum of the function's elements."""
    g = builder()
    y = function(g, **{name: g.input(name, type_of(x)) for name, x in points.items()})
    return g.build({"loss": g.reduce_sum(y, axes=tuple(range(y.type.rank)))})


def _arrays(points) -> dict[str, Array]:
    return {name: np.asarray(x) if isinstance(x, np.ndarray) else np.asarray(x, float) for name, x in points.items()}


def slopes(function: Function, **points) -> dict[str, Array]:
    """The derivative of each element of an elementwise function, by operand."""
    given = _arrays(points)
    results = evaluate(derive(_loss(function, given), Gradient(tuple(given))), given)
    return {name: results[f"gradient:{name}"] for name in given}


def curvatures(function: Function, wrt: str, along: str, **points) -> Array:
    """The derivative along `along` of the derivative along `wrt`, for each element of an elementwise function."""
    given, names = _arrays(points), tuple(dict.fromkeys((wrt, along)))
    tangents = {name: np.full_like(given[name], name == along) for name in names}
    results = evaluate(derive(_loss(function, given), Hvp(names)), given | prefixed("tangent", tangents))
    return results[f"product:{wrt}"]
