"""JAX's reductions by functions, of axes and of windows: those that are one primitive, and all others as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.extend
import numpy as np

from gradserve.client.importers.jaxprs.folds import frame_of
from gradserve.client.importers.jaxprs.operands import Known, flat
from gradserve.client.importers.jaxprs.reading import Reader, rule
from gradserve.client.importers.lax import elementwise, folding, reductions
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.folding import Join
from gradserve.ir.builder import Builder
from gradserve.numpy.recorder import Recorder

_FOLDS = {"add": "sum", "mul": "prod", "max": "max", "min": "min", "and": "and", "or": "or", "xor": "xor"}


@rule("reduce")
def reduce(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """All elements along axes, joined."""
    arrays, axes = flat(operands), equation.params["dimensions"]
    known = _fold_of(equation.params["jaxpr"])
    if known is not None:
        name, fold = known
        return [_begun(g, name, Operand(reductions.reduce(g, arrays[0], fold, axes), arrays[0].dtype), arrays[1])]
    half = len(arrays) // 2
    made = folding.reduce(g, arrays[:half], arrays[half:], axes, _join(reader, equation))
    return [Operand(value, x.dtype) for value, x in zip(made, arrays, strict=False)]


@rule("reduce_window")
def reduce_window(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """The elements of each window, joined."""
    arrays, frame = flat(operands), frame_of(equation.params)
    known = _fold_of(equation.params["jaxpr"])
    if known is not None:
        name, fold = known
        found = Operand(reductions.reduce_window(g, arrays[0], fold, frame), arrays[0].dtype)
        return [_begun(g, name, found, arrays[1])]
    half = len(arrays) // 2
    made = folding.reduce_window(g, arrays[:half], arrays[half:], frame, _join(reader, equation))
    return [Operand(value, x.dtype) for value, x in zip(made, arrays, strict=False)]


def _fold_of(jaxpr: Any) -> tuple[str, str] | None:
    """The primitive that a function of two numbers is, and the reduction by it; None if it is another function."""
    body = getattr(jaxpr, "jaxpr", jaxpr)
    name = body.eqns[0].primitive.name if len(body.eqns) == 1 else ""
    alone = name in _FOLDS and set(body.eqns[0].invars) == set(body.invars) and body.outvars == body.eqns[0].outvars
    return (name, _FOLDS[name]) if alone else None


def _begun(g: Builder, name: str, found: Operand, first: Operand) -> Operand:
    """What a reduction gives, joined with what it begins with."""
    spread = Operand(g.broadcast(first.value, found.value.type.shape), first.dtype)
    return Operand(elementwise.ELEMENTWISE[name](g, found, spread), found.dtype)


def _join(reader: Reader, equation: Any) -> Join:
    """What the function makes of arrays, element by element: traced anew, for arrays."""
    body = equation.params["jaxpr"]
    closed = body if hasattr(body, "consts") else jax.extend.core.ClosedJaxpr(body, equation.params.get("consts", ()))
    function = jax.extend.core.jaxpr_as_fun(closed)

    def of_arrays(*arrays: Any) -> Any:
        made = jax.vmap(function)(*(x.reshape(-1) for x in arrays))
        return [x.reshape(arrays[0].shape) for x in made]

    def join(g: Builder, given: list[Operand]) -> list[Operand]:
        assert isinstance(g, Recorder)
        examples = [np.broadcast_to(np.zeros((), x.dtype), x.shape) for x in given]
        return flat(reader.called(g, equation, jax.make_jaxpr(of_arrays)(*examples), given))

    return join
