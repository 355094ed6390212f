"""Ordinary differential equations within a graph, with steps as long as a tolerance lets them be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from gradserve.client.functions.closed import Tree
from gradserve.client.functions.control import scan
from gradserve.client.functions.custom import custom_derivative, linear_call, stop_gradient
from gradserve.client.functions.derivatives import jvp, vjp
from gradserve.client.functions.lifted import Field, Layout
from gradserve.client.functions.parts import has_complex, in_parts
from gradserve.client.functions.phases import Phases, Watch
from gradserve.client.functions.regimes import Regimes
from gradserve.client.functions.stepping import METHODS, Method, Rate, Walked, stepped
from gradserve.client.functions.until import OnMost
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.tracer import Tracer

ADJOINTS = ("loop", "equation")
ASTRAY = 1e4
"""By how many tolerances a state may be missed on the way back: a sign that the way there cannot be found again."""


class Trajectory(NamedTuple):
    """A solution at some times."""

    y: Any
    """The states, a tree like the first one with a leading axis for the times."""
    steps: Any
    """How many steps were tried."""
    converged: Any
    """Whether the last time was reached; always, unless `on_most="report"` lets others pass."""


def odeint(
    function: Callable[..., Any],
    y: Any,
    t: Any,
    *arguments: Any,
    rtol: Any = 1e-8,
    atol: Any = 1e-10,
    method: Literal["dopri5", "radau"] = "dopri5",
    adjoint: Literal["loop", "equation"] = "loop",
    most: int = 1000,
    on_most: OnMost = "refuse",
) -> Trajectory:
    """The states at the times t of what begins at t[0] in the state y and moves by `function(y, t, *arguments)`.

    It has derivatives in y, t, the arguments and all that the function captures, of any order. With `adjoint="loop"`
    they are those of the steps that were made and of their lengths: exact for what was computed. They keep the state at
    each of `most` steps, and compute again what a step computes, so choose a close bound. With
    `"equation"` tangents and cotangents follow equations of their own, in steps of their own and to the same tolerance,
    backwards from the states at the times (Chen and others, Neural Ordinary Differential Equations, 2018): nothing is
    kept but these, and the derivative is right to the tolerance only. Stiff equations cannot be followed backwards:
    they take too many steps, or miss the states on the way there, and then derivatives are NaN.

    Where the function jumps or has a kink, by `if`, `np.where`, `np.sign`, `np.floor`, `np.maximum` and the like of the
    state or the time, a step ends there, and derivatives know of when that is. Where the state is led back to a jump
    from both sides it stays, and there is none.

    Args:
        function: from a state, a float64 scalar and others to a tree like the state: how fast it moves.
        y: a tree of arrays; of complex ones, real and imaginary parts are followed, and atol is one number then.
        t: the times, in order, upwards or downwards; steps end at each of them.
        arguments: trees of arrays.
        rtol: a step's error is at most atol + rtol |y|, as the root of the mean of squares over the state.
        atol: the same for small states, one number or a tree like the state.
        method: `dopri5`, explicit, of order 5 with an error estimate of order 4 (Dormand and Prince, 1980), or for
            stiff equations `radau`, implicit, of order 5 (Hairer and Wanner, 1996), with matrices of 3n x 3n for n
            elements of the state.
        adjoint: how derivatives are found.
        most: the largest number of steps, those among them that are tried again shorter.
        on_most: `refuse` the call if the last time is not reached by then, or `report` so; states of times that are
            not reached are NaN then.

    Raises:
        NumericalFailure: the call does, if the last time is not reached.
        Untraceable: nothing is being traced, or the function returns another tree.
        ValueError: there is no such method.
    """
    for name, given, offered in (("method", method, METHODS), ("adjoint", adjoint, ADJOINTS)):
        if given not in offered:
            raise ValueError(f"{name}={given!r} is none of {', '.join(map(repr, offered))}")
    if has_complex([y]):
        parts, start, real = in_parts(function, y)
        options: dict[str, Any] = {"rtol": rtol, "atol": atol, "method": method, "adjoint": adjoint}
        found = odeint(real, start, t, *arguments, **options, most=most, on_most=on_most)
        return found._replace(y=parts.together([found.y])[0])
    field, times = _traced(function, y, t, arguments)
    along = _Stepper(METHODS[method], _goals(field, y, rtol, atol), most, on_most)
    if adjoint == "equation":
        rows, steps, converged = _by_equations(field, along, field.start, times, field.known[1:])
    else:
        rows, steps, converged, *_ = along.over(field, times)
    return Trajectory(field.tree(rows), steps, converged)


def walked(
    function: Callable[..., Any],
    y: Any,
    t: Any,
    watch: Watch | None = None,
    *,
    rtol: Any,
    atol: Any,
    method: str,
    most: int,
    on_most: OnMost = "refuse",
) -> Walked:
    """The way of a real vector, as `odeint` has it, with events."""
    field, times = _traced(function, y, t, ())
    return _Stepper(METHODS[method], _goals(field, y, rtol, atol), most, on_most).over(field, times, watch)


def _traced(function: Callable[..., Any], y: Any, t: Any, arguments: Sequence[Any]) -> tuple[Field, Any]:
    """A differential equation, and the times."""
    times = t.astype(np.float64) if isinstance(t, Tracer) else np.asarray(t, np.float64)
    if times.ndim != 1 or not times.size:
        raise untraceable(f"the times have shape {times.shape}", "give a vector of at least one")
    return Field("a differential equation", function, y, np.zeros(()), *arguments), times


def _goals(field: Field, y: Any, rtol: Any, atol: Any) -> Any:
    """The tolerances as those of a vector, which do not move."""
    return stop_gradient((rtol, _elements(atol, y, field.layout)))


def _phases(field: Field, known: Sequence[Any], watch: Watch | None) -> Phases | None:
    """The phases of a field of a state, a time and what is known, with events; None if nothing divides it."""
    regimes = _regimes(field)
    if not regimes.size and watch is None:
        return None
    return Phases(
        regimes.size,
        lambda regime, y, t: regimes.rate(regime, y, t, *known) if regimes.size else field(y, t, *known),
        lambda regime, y, t: regimes.on(regime, y, t, *known),
        lambda regime, other, y, t: regimes.gaps(regime, other, y, t, *known),
        watch,
    )


def _regimes(field: Field) -> Regimes:
    return Regimes(field, len(field.layout.types) + 1)


def _elements(atol: Any, y: Any, layout: Layout) -> Any:
    """A tolerance for each element of the state as a vector."""
    found, state = Tree.of(atol, "atol"), Tree.of(y, "")
    leaves = [leaf for _, leaf in found.leaves]
    if found.structure != state.structure:
        if len(leaves) != 1 or np.ndim(leaves[0]):
            raise untraceable(f"atol is {found.structure} where the state is {state.structure}", "give one number")
        leaves *= len(layout.types)
    return layout.vector([np.broadcast_to(leaf, t.lengths) for leaf, t in zip(leaves, layout.types, strict=True)])


class _Stepper(NamedTuple):
    """A method with its tolerances and bounds."""

    method: Method
    goals: Any
    most: int
    on_most: OnMost

    def __call__(self, rate: Rate, start: Any, times: Any, phases: Phases | None = None) -> Walked:
        """The way from a state over the times."""
        return stepped(rate, start, times, self.method, self.goals, self.most, self.on_most, phases)

    def over(self, field: Field, times: Any, watch: Watch | None = None) -> Walked:
        """The way of an equation from where it starts, with events."""
        _, *known = field.known  # the time is no argument of its own
        return self(lambda y, t: field(y, t, *known), field.start, times, _phases(field, known, watch))

    def misses(self, y: Any, other: Any) -> Any:
        """By how many tolerances two states differ at most."""
        rtol, atol = self.goals
        return np.max(np.abs(y - other) / (atol + rtol * np.abs(other)))

    def with_tangents(self) -> _Stepper:
        """For states beside tangents of theirs, which get the same tolerances."""
        rtol, atol = self.goals
        return self._replace(goals=(rtol, np.concatenate([atol, atol])))

    def with_others(self, count: int) -> _Stepper:
        """For states beside so many numbers of other kinds, which get the smallest tolerance."""
        rtol, atol = self.goals
        return self._replace(goals=(rtol, np.concatenate([atol, np.broadcast_to(np.min(atol), (count,))])))


def _by_equations(field: Field, along: _Stepper, start: Any, times: Any, known: Sequence[Any]) -> tuple[Any, Any, Any]:
    """The same, with derivatives by the equations of tangents and of cotangents."""
    if _regimes(field).jumps_by_others:
        raise untraceable(
            "the rate of a differential equation jumps where its state or what it depends on says so, "
            "which equations of tangents and cotangents do not know",
            "leave out adjoint='equation'",
        )

    def solved(start: Any, times: Any, *known: Any) -> tuple[Any, Any, Any]:
        return along(lambda y, t: field(y, t, *known), start, times)[:3]

    def rule(primals: Any, result: Any, tangents: Any) -> tuple[Any, Any, Any]:
        (_, times, *known), (rows, steps, converged), (first, ends, *others) = primals, result, tangents
        equations = _Equations(field, along, [k for k, tangent in enumerate(others) if tangent is not None])
        vectors = [first, ends, *(tangent for tangent in others if tangent is not None)]
        (moved,) = linear_call(equations.forward, equations.backward, vectors, [rows, times, *known])
        return moved, steps, converged

    found: tuple[Any, Any, Any] = custom_derivative(solved, rule)(start, times, *known)
    return found


class _Equations:
    """How tangents of the first state, the times and some of what is known become tangents of the states; and back."""

    def __init__(self, field: Field, along: _Stepper, moved: Sequence[int]) -> None:
        self._field, self._along, self._moved = field, along, moved

    def forward(self, tangents: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """The tangents of the states, one for each time."""
        (start, ends, *others), (rows, times, *known) = tangents, given
        vectors = dict(zip(self._moved, others, strict=True))
        moves = [vectors.get(k) for k in range(len(known))]
        size = start.size

        def rate(both: Any, t: Any) -> Any:
            values, tangent = jvp(self._field, (both[:size], t, *known), (both[size:], None, *moves))
            return np.concatenate([values, tangent])

        speeds = self._speeds(rows, times, known)
        both, *_ = self._along.with_tangents()(rate, np.concatenate([rows[0], start - speeds[0] * ends[0]]), times)
        return [both[:, size:] + speeds * ends[:, None]]

    def backward(self, cotangents: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """The cotangents of the first state, the times, and what is known and moves."""
        (arriving,), (rows, times, *known) = cotangents, given
        moving = [known[k] for k in self._moved]
        layout = [rows.shape[1], rows.shape[1], *(np.size(x) for x in moving)]
        along = self._along.with_others(sum(layout[1:]))

        def rate(state: Any, t: Any) -> Any:
            y, cotangent, *_ = _parts(state, layout)

            def speed(y: Any, *moving: Any) -> Any:
                whole = dict(zip(self._moved, moving, strict=True))
                return self._field(y, t, *(whole.get(k, x) for k, x in enumerate(known)))

            values, pullback = vjp(speed, y, *moving)
            return np.concatenate([values, *(-np.ravel(x) for x in pullback(cotangent))])

        def back(carry: Any, given: Any) -> tuple[Any, None]:
            cotangent, sums = carry
            y, before, arriving, pair = given
            (_, last), *_ = along(rate, np.concatenate([y, cotangent + arriving, sums]), pair)
            found, cotangent, sums = _parts(last, [layout[0], layout[0], sum(layout[2:])])
            trusted = np.where(self._along.misses(found, before) <= ASTRAY, 1.0, np.nan).astype(y.dtype)
            return (cotangent * trusted, sums), None

        pairs = np.stack([times[1:], times[:-1]], axis=1)
        nothing = np.zeros(rows.shape[1], rows.dtype), np.zeros(sum(layout[2:]), rows.dtype)
        (first, sums), _ = scan(back, nothing, (rows[1:], rows[:-1], arriving[1:], pairs), reverse=True)
        speeds = self._speeds(rows, times, known)
        ends = np.concatenate([-np.sum(first * speeds[0], keepdims=True), np.sum(arriving[1:] * speeds[1:], axis=1)])
        found = [np.reshape(part, np.shape(x)) for part, x in zip(_parts(sums, layout[2:]), moving, strict=True)]
        return [first + arriving[0], ends, *(x.astype(y.dtype) for x, y in zip(found, moving, strict=True))]

    def _speeds(self, rows: Any, times: Any, known: Sequence[Any]) -> Any:
        """How fast the states move at the times."""
        return scan(lambda _, given: (None, self._field(*given, *known)), None, (rows, times)).rows


def _parts(vector: Any, sizes: Sequence[int]) -> list[Any]:
    ends = np.cumsum([0, *sizes])
    return [vector[a:b] for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
