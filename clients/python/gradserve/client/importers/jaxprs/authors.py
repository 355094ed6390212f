"""Functions with derivatives of their own: JAX's, those of authors, and primitives that others have added to JAX."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.interpreters import ad

from gradserve.client.importers.jaxprs.binding import examples_of
from gradserve.client.importers.jaxprs.derivatives import with_rule
from gradserve.client.importers.jaxprs.known import PLAIN, known_function
from gradserve.client.importers.jaxprs.operands import Known, flat, types_of
from gradserve.client.importers.jaxprs.reading import (
    MOST_ORDERS,
    REWRITE,
    Reader,
    avals_of,
    computed_by,
    of_sparse,
    rule,
)
from gradserve.client.importers.jaxprs.transposes import with_transpose
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Value
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder


@rule("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
def custom(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """What it computes, with its rule; some functions of JAX by ours, whose derivatives are right everywhere."""
    body = equation.params.get("call_jaxpr") or equation.params["fun_jaxpr"]
    name, of_jax, function = known_function(equation.params, body)
    if function is not None:
        made = function(g, *(x.value for x in flat(operands)))
        values = [made] if isinstance(made, Value) else list(made)
        avals = avals_of(equation.outvars)
        types = [next(types_of(aval)) for aval in avals]
        return [
            Operand(g.broadcast(g.convert(value, type_.element_type), type_.shape), dtype)
            for value, (type_, dtype) in zip(values, types, strict=True)
        ]
    if of_jax and name in PLAIN:
        return reader.called(g, equation, body, operands)
    return ruled(reader, g, equation, operands, name, body)


def of_others(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """What a primitive says that it computes, traced anew."""
    name, compute = equation.primitive.name, computed_by(equation.primitive)
    assert compute is not None
    examples = examples_of(equation.invars)
    try:
        body = jax.make_jaxpr(functools.partial(compute, **equation.params))(*examples)
    except Exception as error:  # whatever others raise
        raise Unsupported(f"JAX cannot trace what it computes ({type(error).__name__})", REWRITE) from None
    own = of_sparse(equation.primitive) is None  # whose derivatives are those of what they compute
    derived = (
        own and equation.primitive in ad.primitive_jvps and any(np.issubdtype(x.dtype, np.inexact) for x in examples)
    )

    def computed(inner: Recorder, given: Sequence[Known]) -> Sequence[Known]:
        if derived:
            return ruled(reader, inner, equation, given, name, body)
        return reader.called(inner, equation, body, given)

    found = with_transpose(reader, g, equation, operands, computed)
    return computed(g, operands) if found is None else found


def ruled(
    reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known], name: str, body: Any
) -> Sequence[Known]:
    """What a function computes, with the derivative that its author gave it, or a note that it is without."""
    if reader.orders:
        made = with_rule(reader, g, equation, operands, body)
        if made is not None:
            return made
        reader.notes.append(f"{name} is imported as what it computes: no graph can say the derivative of its own")
    elif reader.orders == 0:
        reader.notes.append(f"derivatives of {name} above order {MOST_ORDERS} are those of what it computes")
    return reader.called(g, equation, body, operands)
