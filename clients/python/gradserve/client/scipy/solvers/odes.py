"""scipy.integrate's solvers of differential equations, of traced arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client import functions
from gradserve.client.scipy.solvers.given import Found, bound, floats, refuse, vector
from gradserve.client.scipy.solvers.steps import Steps

_ROUNDED = 1.49012e-8
"""The tolerances of `odeint`."""
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9
"""Those of `solve_ivp` where the author gives none: a thousandth of SciPy's, whose errors show in derivatives."""
_MOST = {"dopri5": 5000, "radau": 1000}
"""How many steps are tried: SciPy has no bound, but a bound is what a derivative keeps room for."""
_METHODS = {
    **dict.fromkeys(("RK23", "RK45", "DOP853"), "dopri5"),
    **dict.fromkeys(("Radau", "BDF"), "radau"),
    "LSODA": "either",
}
_FIRST_TRIED = 2000
"""After how many explicit steps an equation is taken to be stiff, where SciPy would find out by itself."""


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    args: Any = (),
    full_output: Any = 0,
    rtol: Any = None,
    atol: Any = None,
    tfirst: bool = False,
) -> Any:
    """The states at the times, one row each; explicit steps first, and implicit ones if the equation is stiff."""
    if full_output:
        refuse("scipy.integrate.odeint with full_output", "leave it out")
    moved = bound(func, args, vector)
    return _followed(
        (lambda y, t: moved(t, y)) if tfirst else moved,
        *(vector(y0), floats(t)),
        *(_ROUNDED if rtol is None else rtol, _ROUNDED if atol is None else atol),
        "either",
    )


def solve_ivp(
    fun: Callable[..., Any],
    t_span: Any,
    y0: Any,
    method: Any = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    args: Any = None,
    rtol: Any = _RELATIVE,
    atol: Any = _ABSOLUTE,
) -> Found:
    """The states in columns, at the times of `t_eval` or in steps of which only the first and the last are known."""
    if events is not None:
        refuse("scipy.integrate.solve_ivp with events", "write functions.while_loop, or solve for the time by root")
    moved, y = bound(fun, () if args is None else args, vector), vector(y0)
    way = _METHODS.get(method if isinstance(method, str) else getattr(method, "__name__", ""))
    if way is None:
        refuse(f"scipy.integrate.solve_ivp with method={method!r}", f"write one of {', '.join(_METHODS)}")
    first, last = t_span

    def at(times: Any) -> Any:
        """The states at times in order, in rows."""
        whole = np.concatenate([np.reshape(floats(first), (1,)), times])
        return _followed(lambda y, t: moved(t, y), y, whole, rtol, atol, way)[1:]

    if t_eval is None:
        ends = np.stack([floats(first), floats(last)])
        t, states = Steps(ends), Steps(np.stack([y, at(ends[1:])[0]], axis=-1))
    else:
        t = floats(t_eval)
        states = at(t).T
    known = {"status": 0, "success": True, "message": "", "t_events": None, "y_events": None}
    sol = (lambda times: _anywhere(at, times, first, last)) if dense_output else None
    return Found(t=t, y=states, sol=sol, **known)


def _anywhere(at: Callable[[Any], Any], times: Any, first: Any, last: Any) -> Any:
    """The states at times in any order, in columns; of one time, its state."""
    times = floats(times)
    if not times.ndim:
        return at(np.reshape(times, (1,)))[0]
    order = np.argsort(np.where(floats(first) <= last, times, -times))
    return np.take(at(np.take(times, order)), np.argsort(order), axis=0).T


def _followed(rate: Callable[..., Any], y: Any, t: Any, rtol: Any, atol: Any, way: str) -> Any:
    options: Any = {"rtol": rtol, "atol": atol}
    if way != "either":
        return functions.odeint(rate, y, t, method=way, most=_MOST[way], **options).y  # type: ignore[arg-type]
    tried = functions.odeint(rate, y, t, most=_FIRST_TRIED, on_most="report", **options)
    return functions.cond(
        tried.converged,
        lambda: tried.y,
        lambda: functions.odeint(rate, y, t, method="radau", most=_MOST["radau"], **options).y,
    )
