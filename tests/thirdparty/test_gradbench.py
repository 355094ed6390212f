"""GradBench's twelve evaluations through our tool: golden results, closed forms, and other libraries.

The evaluations are those of https://github.com/gradbench/gradbench, whose reference takes 1e-4 for equal.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from gradserve.client import Client
from tests.thirdparty.gradbench import inputs, losses
from tests.thirdparty.gradbench.evaluations import EVALUATIONS
from tests.thirdparty.gradbench.protocol import evaluated, responses
from tests.thirdparty.gradbench.with_jax import JAX

CLOSE = 1e-10


def difference(found: Any, expected: Any) -> float:
    """GradBench's measure: the largest difference, relative where numbers are large; infinite if shapes differ."""
    if isinstance(expected, dict):
        same = isinstance(found, dict) and found.keys() == expected.keys()
        return max(difference(found[key], each) for key, each in expected.items()) if same else np.inf
    a, b = np.asarray(found, float), np.asarray(expected, float)
    return float(np.max(abs(a - b) / np.maximum(abs(a) + abs(b), 1.0))) if a.shape == b.shape else np.inf


@pytest.fixture(scope="module")
def client():
    with Client(timeout=None, threads=1) as embedded:
        yield embedded


@pytest.fixture(scope="module", autouse=True)
def double():
    jax.config.update("jax_enable_x64", True)


def output(client: Client, module: str, function: str, given: Any) -> Any:
    answer = evaluated(module, function, given, client)
    assert answer["success"], answer.get("error")
    return answer["output"]


def same_as_list(found: Any, expected: Any) -> bool:
    return difference(found, np.asarray(expected).tolist()) < CLOSE


# Golden results.

MODES = ("rr", "ff")


def golden_input(folder: Path, name: str) -> Any:
    kind, _, rest = name.partition(":")
    match kind:
        case "ba":
            return inputs.read_ba(folder / "gradbench" / "ba" / f"{rest}.txt")
        case "ht":
            return inputs.read_ht(folder / "gradbench/ht/model_small", folder / "gradbench/ht" / rest)
        case "lstm":
            return inputs.read_lstm(folder / "adbench" / f"{rest}.txt")
    return json.loads((folder / "gradbench" / "golden" / f"{rest}.json").read_text())


BA, HT = ("ba1_n49_m7776_p31843", "ba5_n257_m65132_p225911"), ("simple", "complicated")
GOLDEN = [
    *((f"ba:{name}", "ba", function, f"{name[:3]}.{function}") for name in BA for function in EVALUATIONS["ba"]),
    *((f":det{n}.input", "det", function, f"det{n}.{function}") for n in (5, 8) for function in EVALUATIONS["det"]),
    *(
        (f"ht:{kind}_small/hand1_t26_c100.txt", "ht", function, f"ht_{kind}_small_hand1.{function}")
        for kind in HT
        for function in EVALUATIONS["ht"]
    ),
    *((":kmeans.input", "kmeans", function, f"kmeans.{function}") for function in EVALUATIONS["kmeans"]),
    *(("lstm:lstm_l2_c1024", "lstm", function, f"lstm_l2_c1024.{function}") for function in EVALUATIONS["lstm"]),
    *((":ode.input", "ode", function, f"ode.{function}") for function in EVALUATIONS["ode"]),
]


@pytest.mark.data
@pytest.mark.parametrize(("given", "module", "function", "golden"), GOLDEN, ids=[row[-1] for row in GOLDEN])
def test_golden_results(client, data_folder, given, module, function, golden):
    found = output(client, module, function, golden_input(data_folder, given))
    expected = golden_input(data_folder, f":{golden}")
    assert difference(found, expected) < CLOSE


@pytest.mark.data
@pytest.mark.parametrize("mode", MODES)
def test_golden_optima(client, data_folder, mode):
    folder = data_folder / "gradbench" / "golden"
    w, point = (json.loads((folder / f"{name}.json").read_text()) for name in ("particle_w0", "saddle_11"))
    assert difference(output(client, "particle", mode, {"w": 0.0}), w) < CLOSE
    assert difference(output(client, "saddle", mode, {"start": [1.0, 1.0]}), point) < CLOSE


# Without golden results: closed forms, and libraries that know the answer.


def test_square_and_double(client):
    assert [output(client, "hello", function, 3.0) for function in ("square", "double")] == [9.0, 6.0]


@pytest.mark.parametrize("n", [6, 11])
def test_determinant(client, n):
    given = inputs.det(n)
    matrix = np.reshape(given["A"], (n, n))
    value = np.linalg.det(matrix)
    assert same_as_list(output(client, "det", "primal", given), value)
    assert same_as_list(output(client, "det", "gradient", given), (value * np.linalg.inv(matrix).T).reshape(-1))


def test_log_sum_exp(client):
    given = inputs.lse(2500)
    assert same_as_list(output(client, "lse", "primal", given), scipy.special.logsumexp(given["x"]))
    gradient = np.array(output(client, "lse", "gradient", given))
    assert np.max(abs(gradient / scipy.special.softmax(given["x"]) - 1)) < CLOSE


def test_least_squares(client):
    given = inputs.llsq(1024)
    places = np.linspace(-1, 1, 1024)
    missing = np.polynomial.Polynomial(given["x"])(places) - np.sign(places)
    gradient = [np.sum(missing * places**k) for k in range(128)]
    assert same_as_list(output(client, "llsq", "primal", given), 0.5 * np.sum(missing**2))
    assert same_as_list(output(client, "llsq", "gradient", given), gradient)


def test_runge_kutta_of_polynomials_of_degree_four(client):
    x = np.array([0.3, -0.7, 1.1, 0.4])
    solution = np.cumprod(x) * 2.0 ** np.arange(1, 5) / scipy.special.factorial(np.arange(1, 5))
    assert same_as_list(output(client, "ode", "primal", {"x": x.tolist(), "s": 3}), solution)
    assert same_as_list(output(client, "ode", "gradient", {"x": x.tolist(), "s": 3}), solution[-1] / x)


def test_runge_kutta_is_linear_in_every_number(client):
    given = inputs.ode(1000, 10) | {"x": np.linspace(1.0, 3.0, 12).tolist()}
    last = output(client, "ode", "primal", given)[-1]
    gradient = np.array(output(client, "ode", "gradient", given))
    assert np.max(abs(gradient * given["x"] / last - 1)) < CLOSE


def test_clusters(client):
    given = inputs.kmeans(10, 1000, 8)
    points, centroids = np.array(given["points"]), np.array(given["centroids"])
    squared = ((points[:, None] - centroids[None]) ** 2).sum(axis=2)
    own = squared.argmin(axis=1)
    step = [centroids[k] - points[own == k].mean(axis=0) for k in range(10)]
    assert same_as_list(output(client, "kmeans", "cost", given), squared.min(axis=1).sum())
    assert same_as_list(output(client, "kmeans", "dir", given), step)


def posterior(points: Any, p: dict[str, Any]) -> Any:
    """The density as the evaluation defines it, in JAX: with precision matrices and their determinants."""
    d, k = points.shape[1], len(p["alpha"])
    lower = jnp.zeros((k, d, d)).at[:, *np.triu_indices(d, 1)[::-1]].set(p["l"])
    root = lower + jax.vmap(jnp.diag)(jnp.exp(p["q"]))
    precision = jnp.swapaxes(root, 1, 2) @ root
    off = points[:, None] - p["mu"]
    densities = -0.5 * jnp.einsum("nki,kij,nkj->nk", off, precision, off)
    densities += 0.5 * jnp.linalg.slogdet(precision / (2 * np.pi))[1] + jax.nn.log_softmax(p["alpha"])
    prior = -0.5 * jnp.trace(precision, axis1=1, axis2=2) - 0.5 * d * (d + 1) * np.log(2)
    return jnp.sum(jax.nn.logsumexp(densities, axis=1)) + jnp.sum(prior - scipy.special.multigammaln(0.5 * (d + 1), d))


def test_mixture(client):
    given = inputs.gmm(10, 25)
    parameters = {name: np.array(given[name]) for name in ("alpha", "mu", "q", "l")}
    value, gradient = jax.jit(jax.value_and_grad(lambda p: posterior(np.array(given["x"]), p)))(parameters)
    assert same_as_list(output(client, "gmm", "objective", given), value)
    found = output(client, "gmm", "jacobian", given)
    expected = {name: each.tolist() for name, each in gradient.items()}
    assert difference(found, expected) < 1e-6  # the determinants of precision matrices take digits


def test_mixture_of_one_is_scipys_normal_and_wishart(client):
    given = inputs.gmm(2, 1, 50) | {"m": 3, "gamma": 0.7}
    (q,), (l,), d, freedom = given["q"], given["l"], 2, 2 + 3 + 1  # noqa: E741
    root = np.diag(np.exp(q)) + np.array([[0, 0], [l[0], 0]])
    precision = root.T @ root
    normal = scipy.stats.multivariate_normal(given["mu"][0], np.linalg.inv(precision))
    wishart = scipy.stats.wishart(freedom, np.eye(d) / 0.7**2)
    expected = normal.logpdf(given["x"]).sum() + wishart.logpdf(precision)
    assert same_as_list(output(client, "gmm", "objective", given), expected)


def test_recurrent_network(client):
    given = inputs.lstm(2, 40)
    main, extra = np.array(given["main_params"]), np.array(given["extra_params"])
    loss = losses.recurrent(JAX, np.array(given["state"]), np.array(given["sequence"]))
    value, gradients = jax.value_and_grad(loss, (0, 1))(main, extra)
    assert same_as_list(output(client, "lstm", "objective", given), value)
    flat = np.concatenate([np.reshape(each, -1) for each in gradients])
    assert same_as_list(output(client, "lstm", "jacobian", given), flat)


def test_the_particle_comes_to_the_origin(client):
    w = output(client, "particle", "rf", {"w": 0.0})
    x, speed = np.array([0.0, 8.0]), np.array([0.75, 0.0])
    while True:
        away = [x - charge for charge in ([10.0, 10.0 - w], [10.0, 0.0])]
        further = x + 0.1 * speed
        if further[1] <= 0:
            break
        x, speed = further, speed + 0.1 * sum(r / np.linalg.norm(r) ** 3 for r in away)
    assert abs(np.interp(0.0, [further[1], x[1]], [further[0], x[0]])) < 1e-4


def test_the_saddle_is_at_the_origin(client):
    assert np.linalg.norm(output(client, "saddle", "rr", {"start": [0.5, -1.0]})) < 1e-4


# The protocol.


def test_runs_are_counted_and_timed(client):
    answer = evaluated("lse", "primal", {"x": [1.0, 2.0], "min_runs": 3, "min_seconds": 0}, client)
    assert [timing["name"] for timing in answer["timings"]] == ["evaluate"] * 3


def test_what_goes_wrong_is_the_answer(client):
    messages: list[dict[str, Any]] = [
        {"kind": "define", "module": "nothing"},
        {"kind": "evaluate", "module": "det", "function": "primal", "input": {"A": [1.0], "ell": 2}},
        {"kind": "analysis", "of": 0, "valid": True},
    ]
    lines = [json.dumps({"id": k, **message}) for k, message in enumerate(messages)]
    defined, wrong, noted = map(json.loads, responses(lines, client))
    assert defined == {"id": 0, "success": False, "error": "there is no module 'nothing'"}
    assert not wrong["success"]
    assert "f64[1] and f64[2,2] differ in size" in wrong["error"]
    assert noted == {"id": 2}


def test_as_a_process():
    messages: list[dict[str, Any]] = [
        {"kind": "start", "eval": "hello"},
        {"kind": "define", "module": "hello"},
        {"kind": "evaluate", "module": "hello", "function": "square", "input": 1.5},
    ]
    lines = "".join(json.dumps({"id": k, **message}) + "\n" for k, message in enumerate(messages))
    command = [sys.executable, "-m", "tests.thirdparty.gradbench"]
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=root, timeout=60, check=True)
    started, defined, squared = map(json.loads, ran.stdout.splitlines())
    assert (started, defined) == ({"id": 0, "tool": "gradserve"}, {"id": 1, "success": True})
    assert squared["output"] == 2.25


def test_an_error_in_the_ninth_digit_is_seen():
    assert difference([1.0, 5.0], [1.0, 5.0 * (1 + 1e-8)]) > CLOSE
    assert difference({"a": 1.0}, {"b": 1.0}) == np.inf
    assert difference([1.0], [1.0, 1.0]) == np.inf
