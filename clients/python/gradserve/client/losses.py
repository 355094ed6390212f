"""What is asked of the loss alone where a function returns more beside it, and what of all that it returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradserve.client.asking import vector_types
from gradserve.client.tracing.signature import Bound
from gradserve.ir.types import Array
from gradserve.questions.derivations import DERIVATIONS, Derivation, Vjp
from gradserve.questions.matrices import Matrix


def is_of_loss(kind: type[Derivation]) -> bool:
    """Whether it is a derivation of losses alone."""
    return "gradient" in kind.gives.values()


def asks_whole(name: str) -> bool:
    """Whether what has this name is asked of all that a function returns, not of its loss alone."""
    return name in DERIVATIONS and not is_of_loss(DERIVATIONS[name])


def names_loss(options: Mapping[str, Any]) -> bool:
    """Whether a question is about a matrix of a loss in what it is computed from, both of which a function returns."""
    return options.get("matrix") == Matrix.GAUSS_NEWTON


def seeds_of(bound: Bound) -> dict[str, Array]:
    """The cotangents with which a pullback is the gradient of the loss: 1, and zeros of what else is returned."""
    loss = bound.traced.graph.outputs[0].name
    types = vector_types(Vjp, bound)
    return {name: np.full(t.lengths, float(name == loss), t.element_type.dtype) for name, t in types.items()}
