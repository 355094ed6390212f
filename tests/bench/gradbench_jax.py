"""GradBench's evaluations in JAX, for a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.bench.gradbench import ROWS, leaves
from tests.thirdparty.gradbench import bundles, descent, hands, losses
from tests.thirdparty.gradbench.with_jax import JAX

Call = Callable[[], Any]


def call_of(name: str) -> Callable[[], tuple[Any, list[Any]]]:
    """What a row computes, as arrays after a number that nobody reads."""
    row = ROWS[name]
    call = _CALLS[row.module](row.function, row.make())
    return lambda: (0.0, leaves(jax.block_until_ready(call())))


def _jitted(function: Callable[..., Any], *arguments: Any) -> Call:
    compiled, given = jax.jit(function), jax.tree.map(jnp.asarray, arguments)
    return lambda: compiled(*given)


def _of_one(key: str, loss: Callable[[Any], Callable[[Any], Any]]) -> Callable[[str, Any], Call]:
    """A function of one array and its gradient."""

    def call(function: str, given: Any) -> Call:
        of_array = loss(given)
        return _jitted(jax.grad(of_array) if function == "gradient" else of_array, np.array(given[key]))

    return call


def _ode(function: str, given: Any) -> Call:
    loss = losses.runge_kutta if function == "primal" else losses.last_of_runge_kutta
    return _of_one("x", lambda given: loss(JAX, given["s"]))(function, given)


def _kmeans(function: str, given: Any) -> Call:
    cost = losses.nearest_distances(JAX, np.array(given["points"]))

    def direction(centroids: Any) -> Any:
        gradient, diagonal = jax.jvp(jax.grad(cost), (centroids,), (jnp.ones_like(centroids),))
        return gradient / diagonal

    return _jitted(direction if function == "dir" else cost, np.array(given["centroids"]))


def _gmm(function: str, given: Any) -> Call:
    loss = losses.mixture(JAX, np.array(given["x"]), given["m"], given["gamma"])

    def of_dict(p: Any) -> Any:
        return loss(**p)

    parameters = {name: np.array(given[name]) for name in ("alpha", "mu", "q", "l")}
    return _jitted(jax.grad(of_dict) if function == "jacobian" else of_dict, parameters)


def _lstm(function: str, given: Any) -> Call:
    loss = losses.recurrent(JAX, np.array(given["state"]), np.array(given["sequence"]))

    def gradient(main: Any, extra: Any) -> Any:
        return dict(zip(("main", "extra"), jax.grad(loss, (0, 1))(main, extra), strict=True))

    arguments = np.array(given["main_params"]), np.array(given["extra_params"])
    return _jitted(gradient if function == "jacobian" else loss, *arguments)


def _ht(function: str, given: Any) -> Call:
    loss = hands.complicated(JAX, hands.Hand.of_input(given["data"]), np.array(given["us"]))

    def jacobian(shift: Any, theta: Any) -> Any:
        return dict(zip(("shift", "theta"), jax.jacfwd(loss, (0, 1))(shift, theta), strict=True))

    return _jitted(jacobian if function == "jacobian" else loss, np.zeros(2), np.array(given["theta"]))


def _ba(function: str, given: Any) -> Call:
    scene = bundles.Scene.of_input(given)
    error, of_weight = bundles.reprojection(JAX), bundles.weight_error(JAX)
    if function == "objective":
        errors, weights = jax.jit(jax.vmap(error)), jax.jit(jax.vmap(of_weight))
        return lambda: (errors(*scene.observed), weights(scene.weights))
    blocks = jax.jit(jax.vmap(jax.jacrev(error, (0, 1, 2))))
    of_weights = jax.jit(jax.vmap(jax.grad(of_weight)))

    def assembled() -> Any:
        camera, point, weight = map(np.asarray, blocks(*scene.observed))
        return bundles.sparse(scene, (camera, point, weight), np.asarray(of_weights(scene.weights)))

    return assembled


def _particle(function: str, given: Any) -> Call:
    return _jitted(descent.particle(JAX, _forward(function)), np.array(given["w"]))


def _saddle(function: str, given: Any) -> Call:
    return _jitted(descent.saddle(JAX, _forward(function)), np.array(given["start"]))


def _forward(modes: str) -> str:
    """With forward mode outside: JAX has no reverse mode of loops whose ends depend on numbers."""
    return f"f{modes[1]}"


_CALLS: dict[str, Callable[[str, Any], Call]] = {
    "ba": _ba,
    "det": _of_one("A", lambda given: losses.determinant(JAX, given["ell"])),
    "gmm": _gmm,
    "ht": _ht,
    "kmeans": _kmeans,
    "llsq": _of_one("x", lambda given: losses.least_squares(JAX, given["n"], len(given["x"]))),
    "lse": _of_one("x", lambda given: losses.log_sum_exp(JAX)),
    "lstm": _lstm,
    "ode": _ode,
    "particle": _particle,
    "saddle": _saddle,
}
