"""The commands on graph files: load, ask, show."""

from __future__ import annotations

import argparse

import numpy as np
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gradserve.client.cli import show
from gradserve.client.client import Client
from gradserve.client.files import load_arrays
from gradserve.client.function import Function
from gradserve.client.results import TraceEstimate, VerificationProgress


def run(options: argparse.Namespace) -> int:
    """Runs the command that the options name; returns the exit status."""
    if options.command == "demo":
        from gradserve.client.cli import demo

        return demo.run(options.workers, options.steps)
    with Client(options.address, timeout=options.timeout) as client:
        function = client.load(options.graph)
        return {"describe": describe, "gradient": gradient, "verify": verify, "trace": trace}[options.command](
            function, options
        )


def describe(function: Function, options: argparse.Namespace) -> int:
    """Signature, cost, memory and placement."""
    types = function.graph.input_types
    # Only the shapes count, so no memory is spent on the elements.
    shapes = {n: np.broadcast_to(np.zeros((), t.element_type.dtype), t.lengths) for n, t in types.items()}
    show.explanation(function.explain(**shapes, wrt=options.wrt), with_text=options.text)
    return 0


def gradient(function: Function, options: argparse.Namespace) -> int:
    """Loss and gradient, as a table and perhaps a file."""
    value, gradients = function.value_and_grad(
        **load_arrays(options.parameters), wrt=options.wrt, batch=options.batch, reduction=options.reduction
    )
    by_name = gradients if isinstance(gradients, dict) else {_only(function, options): gradients}
    show.gradients(value, by_name)
    if function.last_report:
        show.report(function.last_report)
    if options.out:
        np.savez(options.out, value=value, **{f"gradient_{name}": array for name, array in by_name.items()})
        show.line(f"written to {options.out}")
    return 0


def _only(function: Function, options: argparse.Namespace) -> str:
    """The name of the one input that is differentiated."""
    return next(iter(options.wrt), None) or next(i.name for i in function.graph.inputs if i.type.is_float)


def verify(function: Function, options: argparse.Namespace) -> int:
    """A verification report; exit status 0 if the gradient agrees."""
    claimed = load_arrays(options.claimed) if options.claimed else None
    if claimed is not None and len(claimed) == 1:
        (claimed,) = claimed.values()  # type: ignore[assignment]
    with _progress("verifying") as progress:
        task = progress.add_task("starting", total=None)

        def update(step: VerificationProgress) -> None:
            progress.update(task, description=step.stage, completed=step.evaluations)

        report = function.verify(
            **load_arrays(options.parameters),
            wrt=options.wrt,
            claimed=claimed,
            directions=options.directions,
            seed=options.seed,
            progress=update,
        )
    show.verification(report)
    return 0 if report.passed else 1


def trace(function: Function, options: argparse.Namespace) -> int:
    """An estimate of the Hessian's trace."""
    with _progress("probes") as progress:
        task = progress.add_task("estimating", total=options.max_probes)

        def update(estimate: TraceEstimate) -> None:
            progress.update(task, completed=estimate.probes, description=f"trace {estimate}")

        estimate = function.hessian_trace(
            **load_arrays(options.parameters),
            wrt=options.wrt,
            rel_tol=options.rel_tol,
            max_probes=options.max_probes,
            seed=options.seed,
            progress=update,
        )
    show.trace(estimate)
    return 0


def _progress(unit: str) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed} " + unit),
        TimeElapsedColumn(),
        transient=True,
    )
