"""The twelve evaluations: of a message's input what is timed, and of its result what is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradserve.client import Client, Function
from gradserve.ir.types import Array
from tests.thirdparty.gradbench import bundles, descent, hands, losses
from tests.thirdparty.gradbench.library import OURS

Input = Mapping[str, Any]


def as_list(x: Any) -> Any:
    """Arrays as JSON has them."""
    return np.asarray(x).tolist()


@dataclass(frozen=True)
class Task:
    """What is timed, and what is sent of its result."""

    run: Callable[[], Any]
    output: Callable[[Any], Any] = as_list


Evaluation = Callable[[Client, Input], Task]


def _floats(x: Any) -> Array:
    return np.array(x, float)


def hello(client: Client, given: Any) -> tuple[Function, float]:
    return client.function(losses.square(OURS)), float(given)


def det(client: Client, given: Input) -> tuple[Function, Array]:
    return client.function(losses.determinant(OURS, given["ell"])), _floats(given["A"])


def llsq(client: Client, given: Input) -> tuple[Function, Array]:
    x = _floats(given["x"])
    return client.function(losses.least_squares(OURS, given["n"], len(x))), x


def lse(client: Client, given: Input) -> tuple[Function, Array]:
    return client.function(losses.log_sum_exp(OURS)), _floats(given["x"])


def kmeans(client: Client, given: Input) -> tuple[Function, Array]:
    return client.function(losses.nearest_distances(OURS, _floats(given["points"]))), _floats(given["centroids"])


def _value(function_of: Callable[[Client, Any], tuple[Function, Any]], client: Client, given: Any) -> Task:
    f, x = function_of(client, given)
    return Task(lambda: f(x))


def _gradient(function_of: Callable[[Client, Any], tuple[Function, Any]], client: Client, given: Any) -> Task:
    f, x = function_of(client, given)
    return Task(lambda: f.grad(x))


def kmeans_direction(client: Client, given: Input) -> Task:
    """Newton's step: the Hessian is diagonal, so that its product with ones is its diagonal."""
    f, centroids = kmeans(client, given)
    along = {"centroids": np.ones_like(centroids)}

    def run() -> Array:
        found = f.derivatives("hvp", (centroids,), along, product_only=False)
        return found.arrays["gradient"]["centroids"] / found.arrays["product"]["centroids"]

    return Task(run)


def ode(client: Client, given: Input) -> Task:
    f, x = client.function(losses.runge_kutta(OURS, given["s"])), _floats(given["x"])
    return Task(lambda: f(x))


def ode_gradient(client: Client, given: Input) -> Task:
    f, x = client.function(losses.last_of_runge_kutta(OURS, given["s"])), _floats(given["x"])
    return Task(lambda: f.grad(x))


def gmm(client: Client, given: Input) -> tuple[Function, dict[str, Any]]:
    loss = losses.mixture(OURS, _floats(given["x"]), given["m"], given["gamma"])
    return client.function(loss), {name: _floats(given[name]) for name in ("alpha", "mu", "q", "l")}


def gmm_objective(client: Client, given: Input) -> Task:
    f, parameters = gmm(client, given)
    return Task(lambda: f(**parameters))


def gmm_jacobian(client: Client, given: Input) -> Task:
    f, parameters = gmm(client, given)
    return Task(lambda: f.grad(**parameters), lambda found: {name: as_list(each) for name, each in found.items()})


def lstm(client: Client, given: Input) -> tuple[Function, Array, Array]:
    f = client.function(losses.recurrent(OURS, _floats(given["state"]), _floats(given["sequence"])))
    return f, _floats(given["main_params"]), _floats(given["extra_params"])


def lstm_objective(client: Client, given: Input) -> Task:
    f, main, extra = lstm(client, given)
    return Task(lambda: f(main, extra))


def lstm_jacobian(client: Client, given: Input) -> Task:
    f, main, extra = lstm(client, given)
    return Task(
        lambda: f.grad(main, extra),
        lambda found: as_list(np.concatenate([found["main"].reshape(-1), found["extra"].reshape(-1)])),
    )


def ht(client: Client, given: Input) -> tuple[Function, tuple[Array, ...]]:
    hand, theta = hands.Hand.of_input(given["data"]), _floats(given["theta"])
    if not given["us"]:
        return client.function(hands.simple(OURS, hand)), (theta,)
    return client.function(hands.complicated(OURS, hand, _floats(given["us"]))), (np.zeros(2), theta)


def ht_objective(client: Client, given: Input) -> Task:
    f, arguments = ht(client, given)
    return Task(lambda: f(*arguments))


def ht_jacobian(client: Client, given: Input) -> Task:
    f, arguments = ht(client, given)

    def output(found: Any) -> Any:
        return as_list(np.concatenate([found["shift"], found["theta"]], axis=1) if given["us"] else found)

    return Task(lambda: f.jacobian(*arguments), output)


def ba(client: Client, given: Input) -> tuple[bundles.Scene, Function, Function]:
    error, of_weight = bundles.reprojection(OURS), bundles.weight_error(OURS)
    return bundles.Scene.of_input(given), client.function(error), client.function(of_weight)


def ba_objective(client: Client, given: Input) -> Task:
    scene, error, of_weight = ba(client, given)

    def output(found: tuple[Array, Array]) -> Any:
        errors, weights = found
        return {
            "reproj_error": {"elements": as_list(errors[0]), "repeated": len(errors)},
            "w_err": {"element": float(weights[0]), "repeated": len(weights)},
        }

    return Task(lambda: (error(*scene.observed, batch=True), of_weight(scene.weights, batch=True)), output)


def ba_jacobian(client: Client, given: Input) -> Task:
    """All blocks as a batch of small Jacobians, and the sparse matrix made of them."""
    scene, error, of_weight = ba(client, given)
    names = ("camera", "point", "weight")
    first = 2 * (bundles.CAMERA + bundles.POINT + 1)

    def run() -> bundles.Sparse:
        blocks = error.jacobian(*scene.observed, wrt=names, batch=[*names, "seen"])
        camera, point, weight = (blocks[name] for name in names)
        return bundles.sparse(scene, (camera, point, weight), of_weight.grad(scene.weights, batch=True))

    def output(found: bundles.Sparse) -> Any:
        return {
            name: [*as_list(each[:first]), as_list(each[-1])]
            for name, each in (("rows", found.rows), ("cols", found.columns), ("vals", found.values))
        }

    return Task(run, output)


def particle(mode: str, client: Client, given: Input) -> Task:
    f, start = client.function(descent.particle(OURS, mode)), _floats(given["w"])
    return Task(lambda: f(start))


def saddle(mode: str, client: Client, given: Input) -> Task:
    f, start = client.function(descent.saddle(OURS, mode)), _floats(given["start"])
    return Task(lambda: f(start))


def _both(names: tuple[str, str], function_of: Callable[[Client, Any], tuple[Function, Any]]) -> dict[str, Evaluation]:
    """The value and the gradient of a function of one array."""
    return {names[0]: partial(_value, function_of), names[1]: partial(_gradient, function_of)}


def _modes(evaluation: Callable[[str, Client, Input], Task]) -> dict[str, Evaluation]:
    """By the modes outside and inside."""
    return {mode: partial(evaluation, mode) for mode in ("ff", "fr", "rf", "rr")}


_PRIMAL = ("primal", "gradient")
EVALUATIONS: Mapping[str, Mapping[str, Evaluation]] = {
    "ba": {"objective": ba_objective, "jacobian": ba_jacobian},
    "det": _both(_PRIMAL, det),
    "gmm": {"objective": gmm_objective, "jacobian": gmm_jacobian},
    "hello": _both(("square", "double"), hello),
    "ht": {"objective": ht_objective, "jacobian": ht_jacobian},
    "kmeans": {"cost": partial(_value, kmeans), "dir": kmeans_direction},
    "llsq": _both(_PRIMAL, llsq),
    "lse": _both(_PRIMAL, lse),
    "lstm": {"objective": lstm_objective, "jacobian": lstm_jacobian},
    "ode": {"primal": ode, "gradient": ode_gradient},
    "particle": _modes(particle),
    "saddle": _modes(saddle),
}
"""By module, then by function."""
