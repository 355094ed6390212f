"""The commands on graph files: load, ask, show."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from gradserve.client.cli import drawing, given, show, spectral
from gradserve.client.cli.connecting import connection_of
from gradserve.client.client import Client
from gradserve.client.function import Function
from gradserve.client.importers.files import load_arrays
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.types import Array, Symbol, TensorType
from gradserve.questions.derivations import DERIVATIONS, TANGENTS
from gradserve.questions.estimated import ESTIMATES
from gradserve.questions.estimates import Estimate, EstimateTrace
from gradserve.questions.symmetry import VerifySymmetry
from gradserve.questions.verification import VerifyGradient


def run(options: argparse.Namespace) -> int:
    """Runs the command that the options name; returns the exit status."""
    if options.command == "demo":
        from gradserve.client.cli import demo

        return demo.run(options.workers, options.steps, options.address, **connection_of(options))
    commands = {
        "describe": describe,
        "inspect": inspect,
        "gradient": gradient,
        "verify": verify,
        "symmetry": symmetry,
        "trace": trace,
    }
    command = {**commands, **spectral.COMMANDS}.get(options.command) or (
        derivation if options.question in DERIVATIONS else estimate
    )
    with Client(options.address, timeout=options.timeout, **connection_of(options)) as client:
        function = client.load(options.graph)
        function.executor, function.placement, function.kinks = options.executor, options.placement, options.kinks
        function.transport = options.transport
        return command(function, options)


def describe(function: Function, options: argparse.Namespace) -> int:
    """Signature, cost, memory and placement."""
    lengths = dict(options.length)
    # Only the shapes count, so no memory is spent on the elements.
    shapes = [
        _zeros(name, type_, lengths, options.points if given.is_differentiated(name, type_, options) else None)
        for name, type_ in function.graph.input_types.items()
    ]
    batch = bool(options.points)
    show.explanation(
        function.explain(*shapes, derivation=options.derivation, wrt=options.wrt, batch=batch), with_text=options.text
    )
    return 0


def inspect(function: Function, options: argparse.Namespace) -> int:
    """Every value of the graph, as a table and perhaps pictures."""
    found = function.inspect(*given.point(function, options.point))
    show.line(str(found))
    show.kinks(found.report)
    for file, picture in ((options.dot, found.dot), (options.svg, found.svg)):
        if file is not None:
            file.write_text(picture())
            show.line(f"written to {file}")
    return 0


def gradient(function: Function, options: argparse.Namespace) -> int:
    """Loss and gradient, as a table and perhaps a file."""
    given.require_folder(options.out)
    point = given.point(function, options.point)
    if options.stream:
        value, found = _streamed(function, point, options)
    else:
        value, found = function.value_and_grad(*point, wrt=options.wrt, **given.batch(options))
    gradients = found if isinstance(found, dict) else {given.differentiated(function, options)[0]: found}
    show.gradients(value, gradients)
    if function.last_report:
        show.report(function.last_report)
    given.write(
        options.out, {"value": value, **{f"{given.GRADIENT}{name}": array for name, array in gradients.items()}}
    )
    return 0


def _streamed(function: Function, point: list[Array], options: argparse.Namespace) -> tuple[Any, Any]:
    """Loss and gradient at each row of the arrays to differentiate, one above the other."""
    if options.batch or options.batched:
        raise InvalidRequest("--stream takes rows one by one, and --batch all at once; give one of them")
    wrt, types = given.differentiated(function, options), function.graph.input_types
    rows = {len(array) if array.ndim else 0 for name, array in zip(types, point, strict=True) if name in wrt}
    if len(rows) != 1 or 0 in rows:
        raise InvalidRequest(f"{', '.join(wrt)} must have the same number of rows, at least one, to be streamed")
    points = (
        tuple(array[row] if name in wrt else array for name, array in zip(types, point, strict=True))
        for row in range(rows.pop())
    )
    values, found = zip(*function.stream_gradient(points, wrt=options.wrt), strict=True)
    if isinstance(found[0], dict):
        return np.stack(values), {name: np.stack([each[name] for each in found]) for name in found[0]}
    return np.stack(values), np.stack(found)


def derivation(function: Function, options: argparse.Namespace) -> int:
    """What a derivation gives, as a table and perhaps a file."""
    given.require_folder(options.out)
    kind = DERIVATIONS[options.question]
    vectors = load_arrays(getattr(options, kind.takes)) if kind.takes else {}
    found = function.derivatives(
        options.question,
        given.point(function, options.point),
        vectors,
        wrt=options.wrt or tuple(vectors if kind.takes == TANGENTS else ()),
        **given.batch(options),
        **given.chosen(kind, options),
    )
    arrays = {f"{role}:{name}": array for role, named in found.arrays.items() for name, array in named.items()}
    blocks = {f"{row}:{column}": block for row, columns in found.blocks.items() for column, block in columns.items()}
    show.arrays({**arrays, **blocks})
    show.report(found.report)
    given.write(options.out, {**arrays, **blocks})
    return 0


def estimate(function: Function, options: argparse.Namespace) -> int:
    """An estimate of the table, in words and perhaps a file."""
    given.require_folder(options.out)
    _tell(function, options, _estimated(function, options, ESTIMATES[options.question]), lambda e: show.line(str(e)))
    return 0


def _tell(function: Function, options: argparse.Namespace, found: Any, tell: Callable[[Any], None]) -> None:
    """Tells an estimate, or that at each point; draws what is to be drawn and writes the arrays."""
    written: dict[str, Array] = {}
    for about, answer in given.about(found):
        if about:
            show.heading(about)
        tell(answer)
        arrays = _arrays(function, options, answer)
        show.arrays(arrays)
        written |= {f"{about}/{name}" if about else name: array for name, array in arrays.items()}
        drawing.draw(answer, options, about)
    given.write(options.out, written)


def _arrays(function: Function, options: argparse.Namespace, found: Any) -> dict[str, Array]:
    """The arrays of an estimate, by field and input."""
    wrt = given.differentiated(function, options)
    arrays: dict[str, Array] = {}
    for field in fields(found):
        value = getattr(found, field.name)
        if isinstance(value, np.ndarray | Mapping):
            named = value if isinstance(value, Mapping) else {wrt[0]: value}
            arrays |= {f"{field.name}:{name}": array for name, array in named.items()}
    return arrays


def _estimated(function: Function, options: argparse.Namespace, kind: type[Estimate], **more: Any) -> Any:
    """The last estimate; meanwhile the current one is shown."""
    drawing.require(options)
    method, point = getattr(function, kind.method), given.point(function, options.point)
    with show.following("probes", lambda found: found.probes, options.max_probes or None) as update:
        told = {**more, **given.batch(options), **given.resumable(options, update)}
        return method(*point, wrt=options.wrt, **told, **given.chosen(kind, options))


def verify(function: Function, options: argparse.Namespace) -> int:
    """A verification report; exit status 0 if the gradient, or the claim, agrees."""
    drawing.require(options)
    point = given.point(function, options.point)
    tangent = given.named(function, options, options.tangents, "tangent:") if options.tangents else None
    with show.following("evaluations", lambda step: step.evaluations) as update:
        report = function.verify(
            *point,
            wrt=options.wrt,
            claimed=given.claimed(function, options) if options.claimed else None,
            tangent=tangent,
            **given.resumable(options, update),
            **given.chosen(VerifyGradient, options),
        )
    show.verification(report)
    drawing.draw(report, options)
    return 0 if report.passed else 1


def symmetry(function: Function, options: argparse.Namespace) -> int:
    """A report on mixed partials; exit status 0 if they do not depend on their order."""
    point = given.point(function, options.point)
    with show.following("evaluations", lambda step: step.evaluations) as update:
        report = function.verify_symmetry(
            *point,
            wrt=options.wrt,
            pairs=options.pair,
            **given.resumable(options, update),
            **given.chosen(VerifySymmetry, options),
        )
    show.symmetry(report)
    return 0 if report.passed else 1


def trace(function: Function, options: argparse.Namespace) -> int:
    """An estimate of the Hessian's trace."""
    given.require_folder(options.out)
    found = _estimated(function, options, EstimateTrace, groups=dict(options.group) or None)
    _tell(function, options, found, show.trace)
    return 0


def _zeros(name: str, type_: TensorType, lengths: dict[str, int], points: int | None) -> Array:
    """An array of an input's type, and a leading axis of so many points."""
    unknown = [n.name for n in type_.shape if isinstance(n, Symbol) and n.name not in lengths]
    if unknown:
        raise InvalidRequest(f"{name}: {type_} has an open length; give --length {unknown[0]}=N")
    shape = tuple(lengths[n.name] if isinstance(n, Symbol) else n for n in type_.shape)
    leading = () if points is None else (points,)
    return np.broadcast_to(np.zeros((), type_.element_type.dtype), (*leading, *shape))
