"""Special functions of an order, and of several numbers."""

from __future__ import annotations

import numpy as np

from gradserve.client.importers.aten.table import Given, Node, Result, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.special import polygamma, zeta
from gradserve.numpy import elementwise

_BESSEL = {
    **{"i0": ("bessel_i", 0.0), "special_i0": ("bessel_i", 0.0), "special_i1": ("bessel_i", 1.0)},
    **{"special_i0e": ("bessel_ie", 0.0), "special_i1e": ("bessel_ie", 1.0)},
    **{"special_bessel_j0": ("bessel_j", 0.0), "special_bessel_j1": ("bessel_j", 1.0)},
    **{"special_bessel_y0": ("bessel_y", 0.0), "special_bessel_y1": ("bessel_y", 1.0)},
    **{"special_modified_bessel_i0": ("bessel_i", 0.0), "special_modified_bessel_i1": ("bessel_i", 1.0)},
    **{"special_modified_bessel_k0": ("bessel_k", 0.0), "special_modified_bessel_k1": ("bessel_k", 1.0)},
}


def _enter_bessel(name: str, op: str, order: float) -> None:
    translates(name)(lambda n, x: n.g.emit(op, n.of(x), order=order))


for _name, (_op, _order) in _BESSEL.items():
    _enter_bessel(_name, _op, _order)


@translates("special_scaled_modified_bessel_k0", "special_scaled_modified_bessel_k1")
def _scaled_bessel(n: Node, x: Operand) -> Result:
    """exp(x) times the modified Bessel function of the second kind."""
    value = n.of(x)
    return n.g.mul(n.g.exp(value), n.g.emit("bessel_k", value, order=float(n.name[-1])))


@translates("special_spherical_bessel_j0")
def _spherical_bessel(n: Node, x: Operand) -> Result:
    """sin(x) / x."""
    return elementwise.sinc(n.g.div(n.of(x), np.pi))


@translates("igamma", "igammac")
def _igamma(n: Node, a: Operand, x: Operand) -> Result:
    """The regularised incomplete gamma functions."""
    return n.g.emit("gammainc" if n.name == "igamma" else "gammaincc", *n.g.align([n.of(a), n.of(x)]))


@translates("polygamma")
def _polygamma(n: Node, order: int, x: Operand) -> Result:
    """The derivative of digamma of that order."""
    return polygamma(n.g, Operand(n.g.constant(float(order)), np.dtype(np.float64)), n.operand(x))


@translates("special_zeta")
def _hurwitz(n: Node, x: Given, q: Given) -> Result:
    """Hurwitz's zeta function of known exponents."""
    return zeta(n.g, *(Operand(each, n.dtype) for each in n.g.align([n.of(x), n.of(q)])))
