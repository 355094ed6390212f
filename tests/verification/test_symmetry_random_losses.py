"""Random losses, smooth and with a defect added: no verdict is wrong, and most are reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.questions.verdicts import Verdict
from tests.verification.symmetry_driver import verified

pytestmark = pytest.mark.slow

jax.config.update("jax_enable_x64", True)

LOSSES = 15
Term = Callable[[Any, Any, Any, float], Any]
TERMS: tuple[Term, ...] = (
    lambda m, x, y, c: m.sin(c * x + 0.3),
    lambda m, x, y, c: m.tanh(c * x) * y,
    lambda m, x, y, c: x * y,
    lambda m, x, y, c: x + c * y,
    lambda m, x, y, c: m.exp(m.sin(c * x)),
    lambda m, x, y, c: m.log(1 + c * x * x),
    lambda m, x, y, c: x / (1 + c * y * y),
    lambda m, x, y, c: m.sqrt(1 + c * x * x) * y,
    lambda m, x, y, c: m.exp(-c * x * x),
    lambda m, x, y, c: m.maximum(x, 0.0) ** 3 * y,
)


def random_loss(rng: np.random.Generator, n: int) -> Callable[[Any, Any], Any]:
    """A sum of terms that take entries and earlier terms."""
    count = int(rng.integers(1, 7))
    chosen = [(TERMS[rng.integers(len(TERMS))], *rng.integers(0, n + k, 2)) for k in range(count)]
    scales, weights = rng.choice([0.1, 1.0, 3.0, 10.0], count), rng.standard_normal(n + count)

    def loss(m: Any, p: Any) -> Any:
        values = list(p)
        for (term, i, j), scale in zip(chosen, scales, strict=True):
            values.append(term(m, values[i], values[j], scale))
        return sum(w * value for w, value in zip(weights, values, strict=True))

    return loss


def derivatives(loss: Callable[[Any, Any], Any], point: np.ndarray) -> tuple[Any, Any]:
    return jax.grad(lambda p: loss(jnp, p))(point), jax.hessian(lambda p: loss(jnp, p))(point)


def turned(c: float, s: float) -> Callable[[Any, Any], Any]:
    """The counterexample, in coordinates that are turned."""

    def defect(a: Any, b: Any) -> Any:
        x, y = c * a - s * b, s * a + c * b
        return x * y * (x * x - y * y) / (x * x + y * y)

    return defect


def test_smooth_losses():
    rng, verdicts = np.random.default_rng(3), Counter[Verdict]()
    for _ in range(LOSSES):
        n = int(rng.integers(2, 4))
        loss, point = random_loss(rng, n), rng.standard_normal(n) * 10.0 ** rng.uniform(-2, 1.5)
        gradient, hessian = derivatives(loss, point)

        def whole(p, loss=loss):
            return float(loss(np, p))

        report = verified(whole, point, gradient, hessian)
        verdicts[report.verdict] += 1
        assert report.verdict in (Verdict.AGREES, Verdict.INCONCLUSIVE)
    assert verdicts[Verdict.AGREES] >= 0.9 * LOSSES


def test_losses_with_a_defect():
    rng, verdicts = np.random.default_rng(4), Counter[Verdict]()
    for _ in range(LOSSES):
        loss, point = random_loss(rng, 2), rng.standard_normal(2) * 10.0 ** rng.uniform(-2, 1.5)
        size, angle = 10.0 ** rng.uniform(-1, 3), rng.uniform(0, 0.7)
        defect = turned(np.cos(angle), np.sin(angle))
        gradient, hessian = derivatives(loss, point)

        def whole(p, loss=loss, point=point, size=size, defect=defect):
            a, b = p - point
            return float(loss(np, p)) + (size * defect(a, b) if a or b else 0.0)

        # Homogeneous of degree 2, so that d/du d/dv at the origin is the derivative along v at u.
        slope = jax.grad(lambda q, defect=defect: defect(q[0], q[1]))
        uv, vu = (size * float(slope(jnp.eye(2)[k])[1 - k]) + float(hessian[0, 1]) for k in range(2))
        (pair,) = verified(whole, point, gradient, hessian).pairs
        verdicts[pair.verdict] += 1
        assert abs(pair.uv - uv) <= pair.uv_bound
        assert abs(pair.vu - vu) <= pair.vu_bound
        if pair.verdict is Verdict.AGREES:  # within a thousandth of what is there
            assert abs(uv - vu) <= pair.uv_bound + pair.vu_bound
        else:
            assert pair.verdict in (Verdict.ORDER_DEPENDENT, Verdict.INCONCLUSIVE)
    assert verdicts[Verdict.ORDER_DEPENDENT] >= 0.9 * LOSSES
