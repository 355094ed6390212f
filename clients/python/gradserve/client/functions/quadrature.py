"""Integrals within a graph, by adaptive Gauss-Kronrod quadrature; derivatives by Leibniz' rule.

The rule of 15 points, its error estimate and the substitutions for infinite limits are those of QUADPACK (Piessens,
de Doncker-Kapenga, Ueberhuber and Kahaner, 1983): the interval with the largest error is halved until their sum is
small enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradserve.client.functions.closed import Tree
from gradserve.client.functions.control import cond, scan
from gradserve.client.functions.custom import custom_derivative, stop_gradient
from gradserve.client.functions.derivatives import jvp
from gradserve.client.functions.lifted import Layout, Lifted
from gradserve.client.functions.until import OnMost, until
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.tracer import Tracer

_HALF_NODES = np.array(
    [
        *(0.99145537112081263921, 0.94910791234275852453, 0.86486442335976907279, 0.74153118559939443986),
        *(0.58608723546769113029, 0.40584515137739716691, 0.20778495500789846760, 0.0),
    ]
)
_HALF_WEIGHTS = np.array(
    [
        *(0.02293532201052922496, 0.06309209262997855329, 0.10479001032225018384, 0.14065325971552591875),
        *(0.16900472663926790283, 0.19035057806478540991, 0.20443294007529889241, 0.20948214108472782801),
    ]
)
_HALF_GAUSS = np.array([0.12948496616886969327, 0.27970539148927666790, 0.38183005050511894495, 0.41795918367346938776])

NODES = np.concatenate([-_HALF_NODES, _HALF_NODES[-2::-1]])
"""Where the rule of Kronrod looks, between -1 and 1."""
WEIGHTS = np.concatenate([_HALF_WEIGHTS, _HALF_WEIGHTS[-2::-1]])
"""Its weights."""
GAUSS = np.zeros(15)
"""Those of the rule of Gauss, at every second node."""
GAUSS[1::2] = [*_HALF_GAUSS, *_HALF_GAUSS[-2::-1]]


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
    which no error is estimated.

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

    def solved(limits: tuple[Any, ...], *known: Any) -> _Cut:
        return _integrated(lambda u: integrand.at(u, limits, known), integrand.shape, goals, most, on_most)

    found = custom_derivative(solved, integrand.moved)(integrand.limits, *integrand.known)
    return Integral(found.value, stop_gradient(found.error), found.count, found.converged)


class _Cut(NamedTuple):
    """An integral over the unit interval, cut into parts of which the first `count` are in use."""

    value: Any
    error: Any
    count: Any
    low: Any
    high: Any
    converged: Any


class _Integrand:
    """A function between limits, as one on the unit interval."""

    def __init__(self, function: Callable[..., Any], limits: tuple[Any, Any], arguments: Sequence[Any]) -> None:
        """Traces the function."""
        self._lifted = Lifted("an integral", function, np.zeros(()), *arguments)
        self.is_complex = any(type_.is_complex for type_ in self._lifted.types)
        if not self.is_complex:
            Layout(self._lifted.types, "an integral")
        if len(self._lifted.types) != 1:
            text = f"the function of an integral returns {len(self._lifted.types)} arrays"
            raise untraceable(text, "return one, such as np.stack of them")
        self.shape = self._lifted.types[0].lengths
        self._finite = [not _infinite(limit) for limit in limits]
        self.limits = tuple(_real(limit) for limit in limits if not _infinite(limit))
        """The finite ones."""
        self.known = self._lifted.leaves[1:]
        """The arguments and what the function captures."""

    def value(self, x: Any, *known: Any) -> Any:
        """What the function returns."""
        ((_, leaf),) = Tree.of(self._lifted(x, *known), "").leaves
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

    def moved(self, primals: Any, result: _Cut, tangents: Any) -> _Cut:
        """How an integral moves: Leibniz' rule."""
        (limits, *known), (ends, *others) = primals, tangents
        total = np.zeros(self.shape)
        if any(tangent is not None for tangent in others):
            total = self._inside(result, limits, known, others)
        signs = [sign for sign, is_finite in zip((-1.0, 1.0), self._finite, strict=True) if is_finite]
        for sign, limit, end in zip(signs, limits, ends, strict=True):
            total = total + sign * self.value(limit, *known) * end
        still = np.zeros(result.low.shape)
        return _Cut(total, np.zeros(()), result.count, still, still, result.converged)

    def _inside(self, cut: _Cut, limits: tuple[Any, ...], known: Sequence[Any], tangents: Sequence[Any]) -> Any:
        """The integral of the derivative along tangents of what is known, over the same parts."""

        def part(total: Any, given: Any) -> tuple[Any, None]:
            low, high, number = given

            def node(total: Any, given: Any) -> tuple[Any, None]:
                node, weight = given
                x, speed = self.place(0.5 * (low + high) + 0.5 * (high - low) * node, limits)
                _, along = jvp(self.value, (x, *known), (None, *tangents))
                return total + 0.5 * (high - low) * weight * speed * along, None

            used = number < cut.count
            return cond(used, lambda: scan(node, total, (NODES, WEIGHTS)).carry, lambda: total), None

        return scan(part, np.zeros(self.shape), (cut.low, cut.high, np.arange(cut.low.shape[0]))).carry


def _integrated(at: Callable[[Any], Any], shape: tuple[int, ...], goals: Any, most: int, on_most: OnMost) -> _Cut:
    """The integral of `at` from 0 to 1, the part with the largest error halved until all errors are small."""
    rtol, atol = goals
    numbers = np.arange(most)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        low, high, values, errors, count = state
        worst = np.argmax(errors)
        a, b = np.take(low, worst), np.take(high, worst)
        middle = 0.5 * (a + b)
        lows, highs = np.stack([a, middle]), np.stack([middle, b])
        both = scan(lambda _, ends: (None, _measured(at, shape, *ends)), None, (lows, highs)).rows

        def placed(rows: Any, new: Any) -> Any:
            masks = [np.reshape(numbers == k, (most, *[1] * (rows.ndim - 1))) for k in (worst, count)]
            return np.where(masks[0], new[0], np.where(masks[1], new[1], rows))

        return placed(low, lows), placed(high, highs), placed(values, both[0]), placed(errors, both[1]), count + 1

    def ended(state: tuple[Any, ...]) -> Any:
        _, _, values, errors, _ = state
        return np.sum(errors) <= np.maximum(atol, rtol * np.max(np.abs(np.sum(values, axis=0))))

    value, error = _measured(at, shape, 0.0, 1.0)
    first = numbers == 0
    init = (
        np.zeros(most),
        np.where(first, 1.0, 0.0),
        np.where(np.reshape(first, (most, *[1] * len(shape))), value, 0.0),
        np.where(first, error, 0.0),
        np.int64(1),
    )
    (low, high, values, errors, count), _, converged = until(ended, step, init, most - 1, on_most)
    return _Cut(np.sum(values, axis=0), np.sum(errors), count, low, high, converged)


def _measured(at: Callable[[Any], Any], shape: tuple[int, ...], low: Any, high: Any) -> tuple[Any, Any]:
    """The integral over a part, and QUADPACK's estimate of its error."""
    half, middle = 0.5 * (high - low), 0.5 * (low + high)
    values = scan(lambda _, node: (None, at(middle + half * node)), None, NODES).rows

    def summed(weights: Any, rows: Any) -> Any:
        return np.reshape(weights @ np.reshape(rows, (NODES.size, -1)), shape)

    value = summed(WEIGHTS, values)
    spread = half * summed(WEIGHTS, np.abs(values - 0.5 * value))
    error = half * np.abs(value - summed(GAUSS, values))
    varies = spread > 0
    share = error / np.where(varies, spread, 1.0)
    error = np.where(varies, spread * np.minimum(1.0, (200.0 * share) ** 1.5), error)
    rounding = 50 * np.finfo(np.float64).eps * half * summed(WEIGHTS, np.abs(values))
    return half * value, np.max(np.maximum(error, rounding))


def _infinite(limit: Any) -> int:
    """The sign of a limit that is known to be infinite; 0 for all others."""
    return 0 if isinstance(limit, Tracer) or not np.isinf(limit) else int(np.sign(limit))


def _real(limit: Any) -> Any:
    """A limit as a float64 scalar."""
    found = limit.astype(np.float64) if isinstance(limit, Tracer) else np.asarray(limit, np.float64)
    if found.ndim:
        raise untraceable(f"a limit of an integral has shape {found.shape}", "integrate between scalars")
    return found
