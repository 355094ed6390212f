"""Derivatives against differences, in both modes and to the order asked for, as the suite's own helpers do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client import Untraceable
from gradserve.client.tracing.trees import flatten, unflatten
from gradserve.ir.errors import InvalidGraph
from tests.thirdparty.hips.operators import in_argument
from tests.thirdparty.hips.tracing import Traced

STEP = 1e-6
TOLERANCE = 1e-6
_RANDOM = np.random.default_rng(0)


def close(a: float, b: float) -> bool:
    """Whether two numbers differ by little, or by little of their size."""
    return bool(abs(a - b) < TOLERANCE or abs(a - b) < TOLERANCE * abs(a + b))


def check_equivalent(x: Any, y: Any) -> None:
    """Two trees have one shape, and the same inner product with a random one."""
    weights = _random_like(x)
    assert close(_inner(x, weights), _inner(y, weights)), f"{x} differs from {y}"


@in_argument
def check_grads(
    f: Callable[..., Any], x: Any, modes: Sequence[str] = ("fwd", "rev"), order: int = 2, values: bool = True
) -> None:
    """The value is that of the function, and derivatives up to the order are those of its differences."""
    value, traced = f(x), Traced(f, x)
    if values:
        check_equivalent(traced.value(), value)
    u, v = _random_like(value), _random_like(x)
    expected = _inner(_difference(f, x, v), u)
    for mode in modes:
        name, along, against, ask, derivative = _ways(f, traced, u, v)[mode]
        found = _inner(ask(along), against)
        assert close(found, expected), f"({name}) check of {f.__name__} failed: {found} for {expected} at {x}"
        if order > 1:
            derivative.__name__ = f"{name.lower()}_{f.__name__}"
            check_grads(derivative, (0, 1), modes=modes, order=order - 1, values=False)(x, along)


def _ways(f: Callable[..., Any], traced: Traced, u: Any, v: Any) -> dict[str, tuple[Any, ...]]:
    """Each mode's name, its vector, the one that its result is taken with; its functions of a vector, and of both."""
    return {
        "fwd": ("JVP", v, u, traced.pushed, lambda x, v: traced.at(x).pushed(v)),
        "rev": ("VJP", u, v, traced.pulled, lambda x, u: traced.at(x).pulled(u)),
    }


def combo_check(f: Callable[..., Any], argnum: Any = 0, **options: Any) -> Callable[..., None]:
    """The check at every combination of the arguments given."""

    def check(*args: Any, **named: Any) -> None:
        for point in itertools.product(*args):
            for values in itertools.product(*named.values()):
                _check_unless_refused(check_grads(f, argnum, **options), point, dict(zip(named, values, strict=True)))

    return check


def _check_unless_refused(check: Callable[..., None], args: Any, named: Any) -> None:
    """Some functions have no complex numbers to give, as what needs an order: those points are left out."""
    try:
        check(*args, **named)
    except (InvalidGraph, Untraceable):
        if not any(map(np.iscomplexobj, args)):
            raise


def _difference(f: Callable[..., Any], x: Any, v: Any) -> Any:
    ahead, behind = (f(_moved(x, v, sign * STEP / 2)) for sign in (1, -1))
    return _moved(ahead, behind, -1.0, 1 / STEP)


def _moved(x: Any, v: Any, step: float, scale: float = 1.0) -> Any:
    """scale (x + step v), leaf by leaf."""
    leaves, structure = flatten(x)
    return unflatten(structure, [scale * (a + step * b) for (_, a), (_, b) in zip(leaves, flatten(v)[0], strict=True)])


def _random_like(tree: Any) -> Any:
    leaves, structure = flatten(tree)
    return unflatten(structure, [_random(np.shape(leaf), np.iscomplexobj(leaf)) for _, leaf in leaves])


def _random(shape: tuple[int, ...], is_complex: bool) -> Any:
    real = _RANDOM.standard_normal(shape)[()]
    return real + 1j * _RANDOM.standard_normal(shape)[()] if is_complex else real


def _inner(x: Any, y: Any) -> float:
    """The real part of the sum of all products, none of them conjugated: what our transposes keep."""
    pairs = list(zip(flatten(x)[0], flatten(y)[0], strict=True))
    assert all(np.shape(a) == np.shape(b) for (_, a), (_, b) in pairs)
    return float(sum(np.sum(np.multiply(a, b)).real for (_, a), (_, b) in pairs))
