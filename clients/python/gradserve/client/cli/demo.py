"""The demo: a service with Ray workers, real data, and every main job once."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rich.progress import track
from rich.table import Column, Table

from gradserve.client.cli import show
from gradserve.client.cli.demo_service import DemoService
from gradserve.client.client import Client
from gradserve.client.function import Function
from gradserve.ir.types import Array

CLASSES = 10
HIDDEN = 32
POINTS = 64


def run(workers: int, steps: int, address: str | None, **connection: Any) -> int:
    """Shows the main jobs on the handwritten digits that ship inside scikit-learn; returns the exit status.

    They are done by the service at `address`, which a client asks that has what `connection` says of TLS, or by one
    with so many `workers` that is started and stopped here.
    """
    images, labels = _digits()
    show.line(f"{len(images)} handwritten digits of {images.shape[1]} pixels, {CLASSES} classes")
    if address is not None:
        _jobs(address, images, labels, steps, **connection)
        return 0
    with show.console.status(f"starting a service with {workers} Ray workers"):
        service = DemoService(workers)
    try:
        show.line(f"service ready on {service.address} after {service.startup:.1f} s")
        _jobs(service.address, images, labels, steps)
        _metrics(service)
    finally:
        with show.console.status("draining the service"):
            status = service.stop()
    show.line(f"\nservice drained, exit status {status}")
    return status


def _jobs(address: str, images: Array, labels: Array, steps: int, **connection: Any) -> None:
    with Client(address, timeout=120.0, **connection) as client:
        _softmax_regression(client, images, labels, steps)
        _network(client, images, labels, steps)


def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.asarray(data.data, dtype=np.float64) / 16.0
    return images, np.eye(CLASSES)[data.target]


def _softmax_regression(client: Client, images: Array, labels: Array, steps: int) -> None:
    show.heading("softmax regression, written in NumPy")

    def loss(w: Any, b: Any) -> Any:
        scores = images @ w + b
        top = np.max(scores, axis=1, keepdims=True)
        log_sum = np.log(np.sum(np.exp(scores - top), axis=1)) + top[:, 0]
        return np.mean(log_sum - np.sum(scores * labels, axis=1)) + 1e-3 * np.sum(w * w)

    rng = np.random.default_rng(0)
    w, b = np.zeros((images.shape[1], CLASSES)), np.zeros(CLASSES)
    f = client.function(loss, w=w, b=b)
    show.line(str(f.explain(w=w, b=b)).partition("\n\n")[0])

    show.heading(f"loss and gradient at a batch of {POINTS} points, one call")
    points: dict[str, Any] = {"w": 0.1 * rng.standard_normal((POINTS, *w.shape)), "b": np.zeros((POINTS, CLASSES))}
    values, gradients = f.value_and_grad(**points, batch=True)
    show.gradients(values, gradients)
    if f.last_report:
        show.report(f.last_report)

    show.heading("gradient descent on remote gradients")
    final = _descend(f, {"w": w, "b": b}, steps, rate=2.0)

    show.heading("verification of the gradient by finite differences")
    with show.console.status("verifying"):
        report = f.verify(**final, seed=1)
    show.verification(report)

    show.heading("trace of the Hessian, estimated")
    with show.console.status("estimating") as status:
        estimate = f.hessian_trace(
            **final, wrt=["w"], rel_tol=0.03, max_probes=4000, progress=lambda e: status.update(f"trace {e}")
        )
    show.trace(estimate)


def _network(client: Client, images: Array, labels: Array, steps: int) -> None:
    show.heading("a small network with a tree of parameters")

    def loss(network: Any) -> Any:
        hidden = np.tanh(images @ network["hidden"]["weight"] + network["hidden"]["bias"])
        scores = hidden @ network["output"]["weight"] + network["output"]["bias"]
        top = np.max(scores, axis=1, keepdims=True)
        log_sum = np.log(np.sum(np.exp(scores - top), axis=1)) + top[:, 0]
        return np.mean(log_sum - np.sum(scores * labels, axis=1))

    rng = np.random.default_rng(1)
    network = {
        "hidden": {"weight": 0.1 * rng.standard_normal((images.shape[1], HIDDEN)), "bias": np.zeros(HIDDEN)},
        "output": {"weight": 0.1 * rng.standard_normal((HIDDEN, CLASSES)), "bias": np.zeros(CLASSES)},
    }
    f = client.function(loss, network=network)
    for name, type_ in f.graph.input_types.items():
        show.line(f"  {name}: {type_}")
    final = _descend(f, {"network": network}, steps, rate=0.5)
    with show.console.status("verifying"):
        report = f.verify(**final, seed=2)
    show.verification(report)


def _descend(f: Function, parameters: dict[str, Any], steps: int, rate: float) -> dict[str, Any]:
    """Plain gradient descent; prints the falling loss and returns the last parameters."""
    losses = []
    started = time.perf_counter()
    for _ in track(range(steps), description="descending", console=show.console, transient=True):
        value, gradient = f.value_and_grad(**parameters)
        losses.append(float(value))
        by_parameter = gradient if len(parameters) > 1 else dict(zip(parameters, [gradient], strict=True))
        parameters = {name: _moved(tree, by_parameter[name], rate) for name, tree in parameters.items()}
    spent = (time.perf_counter() - started) / steps
    show.line(f"loss {losses[0]:.4f} -> {losses[-1]:.4f} in {steps} steps of {1e3 * spent:.1f} ms   {_curve(losses)}")
    return parameters


def _moved(tree: Any, gradient: Any, rate: float) -> Any:
    if isinstance(tree, dict):
        return {name: _moved(branch, gradient[name], rate) for name, branch in tree.items()}
    return tree - rate * gradient


def _curve(values: list[float]) -> str:
    """The values as a line of bars."""
    low, high = min(values), max(values)
    bars = "▁▂▃▄▅▆▇█"
    return "".join(bars[round((len(bars) - 1) * (v - low) / ((high - low) or 1.0))] for v in values)


def _metrics(service: DemoService) -> None:
    show.heading(f"what Prometheus sees at {service.metrics_url}")
    table = Table(Column("metric", overflow="fold"), "value", box=None, header_style="bold")
    for name, value in service.metrics():
        table.add_row(name, f"{value:g}")
    show.console.print(table)
