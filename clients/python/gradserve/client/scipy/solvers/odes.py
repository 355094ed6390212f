"""scipy.integrate's solvers of differential equations, of traced arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client import functions
from gradserve.client.functions.odes import walked
from gradserve.client.functions.phases import Watch
from gradserve.client.functions.stepping import Walked
from gradserve.client.scipy.solvers.events import told, watch_of
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
    return _walked(
        (lambda y, t: moved(t, y)) if tfirst else moved,
        *(vector(y0), floats(t)),
        *(_ROUNDED if rtol is None else rtol, _ROUNDED if atol is None else atol),
        "either",
    ).rows


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
    others = () if args is None else args
    moved, y = bound(fun, others, vector), vector(y0)
    way = _METHODS.get(method if isinstance(method, str) else getattr(method, "__name__", ""))
    if way is None:
        refuse(f"scipy.integrate.solve_ivp with method={method!r}", f"write one of {', '.join(_METHODS)}")
    watch = watch_of(events, others)
    if t_eval is not None and watch is not None and np.any(watch.ends):
        instead = "leave t_eval out, and take states by dense_output=True from sol.sol(times)"
        refuse("scipy.integrate.solve_ivp with t_eval and an event that ends it", instead)
    first, last = floats(t_span[0]), floats(t_span[1])

    def over(times: Any, watch: Watch | None = None) -> Walked:
        """The way over times in order, after the first."""
        whole = np.concatenate([np.reshape(first, (1,)), times])
        return _walked(lambda y, t: moved(t, y), y, whole, rtol, atol, way, watch)

    asked = np.zeros(0) if t_eval is None else floats(t_eval)
    # SciPy goes on to the last time, whatever is asked for, and events happen up to there.
    to_last = t_eval is None or watch is not None
    found = over(np.concatenate([asked, np.reshape(last, (1,))]) if to_last else asked, watch)
    t: Any = asked
    states: Any = found.rows[1 : 1 + asked.size].T
    if t_eval is None:
        t, states = Steps(np.stack([first, found.t])), Steps(np.stack([y, found.y], axis=-1))
    sol = (lambda times: _anywhere(lambda t: over(t).rows[1:], times, first, last)) if dense_output else None
    return Found(t=t, y=states, sol=sol, success=True, message="", **told(found.phase, watch))


def _anywhere(at: Callable[[Any], Any], times: Any, first: Any, last: Any) -> Any:
    """The states at times in any order, in columns; of one time, its state."""
    times = floats(times)
    if not times.ndim:
        return at(np.reshape(times, (1,)))[0]
    order = np.argsort(np.where(floats(first) <= last, times, -times))
    return np.take(at(np.take(times, order)), np.argsort(order), axis=0).T


def _walked(
    rate: Callable[..., Any], y: Any, t: Any, rtol: Any, atol: Any, way: str, watch: Watch | None = None
) -> Walked:
    if y.dtype.kind == "c":
        both = np.concatenate([floats(atol)] * 2) if np.ndim(atol) else atol
        return _walked_by_parts(rate, y, watch, lambda rate, y, watch: _walked(rate, y, t, rtol, both, way, watch))
    options: Any = {"watch": watch, "rtol": rtol, "atol": atol}
    if way != "either":
        return walked(rate, y, t, method=way, most=_MOST[way], **options)
    tried = walked(rate, y, t, method="dopri5", most=_FIRST_TRIED, on_most="report", **options)
    found: Walked = functions.cond(
        tried.converged,
        lambda: tried,
        lambda: walked(rate, y, t, method="radau", most=_MOST["radau"], **options),
    )
    return found


def _walked_by_parts(rate: Callable[..., Any], y: Any, watch: Watch | None, over: Callable[..., Walked]) -> Walked:
    """The way of a complex state, as that of its real and imaginary parts."""
    count = y.size

    def apart(z: Any) -> Any:
        return np.concatenate([np.real(z), np.imag(z)])

    def together(parts: Any) -> Any:
        return parts[..., :count] + 1j * parts[..., count:]

    if watch is not None:
        functions = watch.functions
        watch = watch._replace(functions=lambda parts, t: functions(together(parts), t))
    found = over(lambda parts, t: apart(rate(together(parts), t)), apart(y), watch)
    phase = None if found.phase is None else found.phase._replace(states=together(found.phase.states))
    return found._replace(rows=together(found.rows), y=together(found.y), phase=phase)
