"""Functions of JAX with derivatives of their own that are ours by another name: inlined, some would lose them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from gradserve.client.importers.jaxprs.reading import is_of_jax
from gradserve.client.importers.lax import bits
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import probability, special, systems, ufuncs
from gradserve.numpy.table import SPECIAL

Function: TypeAlias = Callable[..., Value | Sequence[Value]]


def relu(g: Builder, x: Value) -> Value:
    """max(x, 0) with the derivative 0 at 0, as JAX says."""
    return g.select(g.le(x, 0), 0, x)


def sinc_near_zero(g: Builder, x: Value, *_: Value) -> Value:
    """sin(x) / x about 0 by its series: JAX chooses it at 0 alone, where eleven derivatives of it are right."""
    square = g.mul(x, x)
    found = g.full(x.type, 1.0)
    for k in range(10, 0, -2):
        found = g.sub(1.0, g.mul(g.div(square, float(k * (k + 1))), found))
    return found


def _logaddexp(g: Builder, x: Value, y: Value) -> Value:
    return g.logaddexp(x, y)


def _special(name: str) -> Function:
    return lambda g, *operands: SPECIAL[name](g, *operands)


PLAIN = frozenset({"_softmax", "log1mexp", "logit", "relu6", "_slogdet_small", "_xlogx", "poch"})
"""Functions of JAX whose derivatives are those of what they compute, wherever that is finite."""
KNOWN: dict[str, Function] = {
    "_frexp": bits.frexp,
    "logaddexp": _logaddexp,
    "logaddexp2": lambda g, x, y: ufuncs.logaddexp2(*g.align([x, y])),
    "relu": relu,
    "_sinc_maclaurin": sinc_near_zero,
    "xlogy": lambda g, x, y: special.xlogy(*g.align([x, y])),
    "xlog1py": lambda g, x, y: special.xlog1py(*g.align([x, y])),
    "expi": _special("expi"),
    "log_ndtr": lambda g, x: probability.log_ndtr(x),
    "_det": lambda g, a: systems.det(a),
    "_slogdet_lu": lambda g, a: tuple(systems.slogdet(a)),
    "_slogdet_qr": lambda g, a: tuple(systems.slogdet(a)),
}
"""By the name that JAX gives to the function."""


def known_function(params: Mapping[str, Any], body: Any) -> tuple[str, bool, Function | None]:
    """The name of a function with a derivative of its own, whether it is one of JAX's, and ours if there is one."""
    info = getattr(getattr(body, "jaxpr", body), "debug_info", None)
    name = str(params.get("name") or getattr(info, "func_name", "a function"))
    of_jax = is_of_jax(body)
    return name, of_jax, KNOWN.get(name) if of_jax else None
