"""Integrals within a graph, by adaptive Gauss-Kronrod quadrature; derivatives by Leibniz' rule.

The substitutions for infinite limits are those of QUADPACK, as is the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradserve.client.functions.closed import Tree
from gradserve.client.functions.control import cond, scan
from gradserve.client.functions.crossings import changes, crossing, differs
from gradserve.client.functions.custom import custom_derivative, stop_gradient
from gradserve.client.functions.derivatives import jvp
from gradserve.client.functions.kronrod import NODES, WEIGHTS, Cut, integrated, measure
from gradserve.client.functions.lifted import Layout, OfVector
from gradserve.client.functions.regimes import Regimes
from gradserve.client.functions.until import OnMost
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.tracer import Tracer

_FAR = 1e-12
"""How near to the limits, in the unit interval, it is asked what they decide."""


class Integral(NamedTuple):
    """What an integral is found to be."""

    value: Any
    """The integral, in the shape of what the function returns."""
    error: Any
    """An estimate of its error, mostly too large: the largest of its elements. Its derivative is taken to be 0."""
    intervals: Any
    """Into how many intervals the range was cut."""
    converged: Any
    """Whether the error is as small as asked for; always, unless `on_most="report"` lets others pass."""


def quad(
    function: Callable[..., Any],
    a: Any,
    b: Any,
    *arguments: Any,
    rtol: Any = 1e-10,
    atol: Any = 1e-12,
    most: int = 50,
    on_most: OnMost = "refuse",
) -> Integral:
    """The integral of `function(x, *arguments)` over x from a to b.

    It has derivatives of any order in the limits, the arguments and all that the function captures: of the limits the
    values there, of the others the integral of the derivative over the intervals that were found for the value, of
    which no error is estimated. Where the function jumps, and what makes it do so moves, the jump adds to that; an
    interval holds one jump or kink.

    Args:
        function: of a float64 scalar, and others, to an array. It is never called at the limits themselves, unless
            a derivative in a limit asks for its value there.
        a: the first limit, a float64 scalar; an infinite one is a number that is known when the function is traced.
        b: the last one.
        arguments: trees of arrays.
        rtol: the estimate of the error is at most this times the largest element of the value,
        atol: or at most this.
        most: the largest number of intervals.
        on_most: `refuse` the call if there is more to do by then, or `report` so.

    Raises:
        NumericalFailure: the call does, if the error stays larger.
        Untraceable: nothing is being traced, or the function returns no array.
    """
    ends = _infinite(a), _infinite(b)
    if ends[0] and ends[0] == ends[1]:
        raise ValueError(f"an integral from {a} to {b} is over nothing")
    if ends[0] > 0 or ends[1] < 0:  # from the right to the left
        found = quad(function, b, a, *arguments, rtol=rtol, atol=atol, most=most, on_most=on_most)
        return found._replace(value=-found.value)
    integrand = _Integrand(function, (a, b), arguments)
    if integrand.is_complex:
        both = quad(
            lambda x, *others: np.stack([np.real(z := function(x, *others)), np.imag(z)]),
            *(a, b, *arguments),
            **{"rtol": rtol, "atol": atol, "most": most, "on_most": on_most},
        )
        return both._replace(value=both.value[0] + 1j * both.value[1])
    goals = stop_gradient((rtol, atol))

    def solved(limits: tuple[Any, ...], *known: Any) -> Cut:
        def at(u: Any) -> Any:
            return integrand.at(u, limits, known)

        def measured(low: Any, high: Any) -> tuple[Any, Any]:
            def over(*ends: Any) -> tuple[Any, Any]:
                return measure(at, integrand.shape, *ends)

            return integrand.cut(over, low, high, limits, known) if integrand.has_pieces else over(low, high)

        return integrated(measured, integrand.shape, goals, most, on_most)

    found = custom_derivative(solved, integrand.moved)(integrand.limits, *integrand.known)
    return Integral(found.value, stop_gradient(found.error), found.count, found.converged)


class _Integrand:
    """A function between limits, as one on the unit interval."""

    def __init__(self, function: Callable[..., Any], limits: tuple[Any, Any], arguments: Sequence[Any]) -> None:
        """Traces the function."""
        self._of = OfVector("an integral", function, np.zeros(()), *arguments)
        types = self._of.lifted.types
        self.is_complex = any(type_.is_complex for type_ in types)
        if not self.is_complex:
            Layout(types, "an integral")
        if len(types) != 1:
            text = f"the function of an integral returns {len(types)} arrays"
            raise untraceable(text, "return one, such as np.stack of them")
        self.shape = types[0].lengths
        self._regimes = Regimes(self._of, 1)
        self.has_pieces = self._regimes.size > 0
        """Whether the function jumps or has kinks by where it is called."""
        self._finite = [not _infinite(limit) for limit in limits]
        self.limits = tuple(_real(limit) for limit in limits if not _infinite(limit))
        """The finite ones."""
        self.known = self._of.known
        """The arguments and what the function captures."""

    def value(self, x: Any, *known: Any) -> Any:
        """What the function returns."""
        ((_, leaf),) = Tree.of(self._of.lifted(x, *known), "").leaves
        return leaf.astype(np.float64)

    def place(self, u: Any, limits: tuple[Any, ...]) -> tuple[Any, Any]:
        """Where u between 0 and 1 lies between the limits, and how fast it moves with u."""
        match self._finite:
            case [True, True]:
                a, b = limits
                return a + (b - a) * u, b - a
            case [True, False]:
                return limits[0] + u / (1.0 - u), 1.0 / (1.0 - u) ** 2
            case [False, True]:
                return limits[0] - (1.0 - u) / u, 1.0 / u**2
        v = 2.0 * u - 1.0
        rest = 1.0 - v * v
        return v / rest, 2.0 * (1.0 + v * v) / rest**2

    def at(self, u: Any, limits: tuple[Any, ...], known: Sequence[Any]) -> Any:
        """The function there times that speed."""
        x, speed = self.place(u, limits)
        return self.value(x, *known) * speed

    def moved(self, primals: Any, result: Cut, tangents: Any) -> Cut:
        """How an integral moves: Leibniz' rule."""
        (limits, *known), (ends, *others) = primals, tangents
        total = np.zeros(self.shape)
        if any(tangent is not None for tangent in others):
            total = self._inside(result, limits, known, others)
        signs = [sign for sign, is_finite in zip((-1.0, 1.0), self._finite, strict=True) if is_finite]
        for sign, limit, end in zip(signs, limits, ends, strict=True):
            total = total + sign * self.value(limit, *known) * end
        still = np.zeros(result.low.shape)
        return Cut(total, np.zeros(()), result.count, still, still, result.converged)

    def _inside(self, cut: Cut, limits: tuple[Any, ...], known: Sequence[Any], tangents: Sequence[Any]) -> Any:
        """The integral of the derivative along tangents of what is known, over the same parts."""

        def over(value: Callable[..., Any], low: Any, high: Any) -> Any:
            def node(total: Any, given: Any) -> tuple[Any, None]:
                node, weight = given
                x, speed = self.place(0.5 * (low + high) + 0.5 * (high - low) * node, limits)
                _, along = jvp(value, (x, *known), (None, *tangents))
                return total + 0.5 * (high - low) * weight * speed * along, None

            return scan(node, np.zeros(self.shape), (NODES, WEIGHTS)).carry

        def part(total: Any, given: Any) -> tuple[Any, None]:
            low, high, number = given

            def added() -> Any:
                if not self.has_pieces:
                    return total + over(self.value, low, high)
                return total + self._in_regimes(over, low, high, limits, known, tangents)

            return cond(number < cut.count, added, lambda: total), None

        return scan(part, np.zeros(self.shape), (cut.low, cut.high, np.arange(cut.low.shape[0]))).carry

    def _in_regimes(
        self, over: Callable[..., Any], low: Any, high: Any, limits: Any, known: Sequence[Any], tangents: Sequence[Any]
    ) -> Any:
        """The same over one part, in which the function may jump or have a kink where that moves.

        The part is cut there, and a jump adds what it is times how far it moves.
        """
        regimes = self._regimes
        first, _, changed, find = self._end_of_regime(low, high, limits, known)

        def value(regime: Any) -> Callable[..., Any]:
            return lambda x, *known: self._in_regime(regime, x, known)

        def cut() -> Any:
            u, behind = find()
            which = np.arange(regimes.size) == np.argmax(changes(first, behind))

            def gap(u: Any, *known: Any) -> Any:
                found = regimes.gaps(first, behind, np.reshape(self.place(u, limits)[0], (1,)), *known)
                return np.sum(np.where(which, found, 0.0))

            _, slope = jvp(gap, (u, *known), (np.ones(()), *[None] * len(known)))
            _, along = jvp(gap, (u, *known), (None, *tangents))
            x, speed = self.place(u, limits)
            jump = value(first)(x, *known) - value(behind)(x, *known)
            sides = over(value(first), low, u) + over(value(behind), u, high)
            return sides - jump * speed * along / np.where(slope == 0.0, 1.0, slope)

        return cond(changed, cut, lambda: over(self.value, low, high))

    def _in_regime(self, regime: Any, x: Any, known: Sequence[Any]) -> Any:
        """What the function returns in a regime."""
        found = self._regimes.rate(regime, np.reshape(x, (1,)), *known)
        return np.reshape(found, self.shape).astype(np.float64)

    def _end_of_regime(
        self, low: Any, high: Any, limits: tuple[Any, ...], known: Sequence[Any]
    ) -> tuple[Any, Any, Any, Callable[[], tuple[Any, Any]]]:
        """The regimes at the ends of a part, whether they differ, and what finds where one ends, and that behind."""
        regimes = self._regimes

        def at(u: Any) -> Any:
            return np.reshape(self.place(u, limits)[0], (1,))

        def on(regime: Any, u: Any) -> Any:
            return regimes.on(regime, at(u), *known)

        def gaps(regime: Any, other: Any, u: Any) -> Any:
            return regimes.gaps(regime, other, at(u), *known)

        def matters(before: Any, behind: Any, u: Any) -> Any:
            x, _ = self.place(u, limits)
            return differs(self._in_regime(before, x, known), self._in_regime(behind, x, known))

        nowhere = np.full(regimes.size, np.nan)
        # A limit may be infinite, or where the function is not defined.
        first, last = stop_gradient(tuple(on(nowhere, np.clip(u, _FAR, 1.0 - _FAR)) for u in (low, high)))
        return first, last, np.any(changes(first, last)), lambda: crossing(on, gaps, matters, first, low, high)

    def cut(
        self, over: Callable[..., Any], low: Any, high: Any, limits: tuple[Any, ...], known: Sequence[Any]
    ) -> tuple[Any, Any]:
        """What is measured over a part, cut where a regime ends; the error is infinite if a further one ends in it."""
        _, last, changed, find = self._end_of_regime(low, high, limits, known)

        def both() -> tuple[Any, Any]:
            middle, behind = stop_gradient(find())
            ends = np.stack([low, middle]), np.stack([middle, high])
            values, errors = scan(lambda _, pair: (None, over(*pair)), None, ends).rows
            return np.sum(values, axis=0), np.where(np.any(changes(behind, last)), np.inf, np.sum(errors))

        found: tuple[Any, Any] = cond(changed, both, lambda: over(low, high))
        return found


def _infinite(limit: Any) -> int:
    """The sign of a limit that is known to be infinite; 0 for all others."""
    return 0 if isinstance(limit, Tracer) or not np.isinf(limit) else int(np.sign(limit))


def _real(limit: Any) -> Any:
    """A limit as a float64 scalar."""
    found = limit.astype(np.float64) if isinstance(limit, Tracer) else np.asarray(limit, np.float64)
    if found.ndim:
        raise untraceable(f"a limit of an integral has shape {found.shape}", "integrate between scalars")
    return found
