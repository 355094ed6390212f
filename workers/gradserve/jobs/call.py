"""A call: a graph with its arguments, checked against each other."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gradserve.ir.bind import bind, solve_symbols
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array, TensorType, type_of


class Reduction(enum.Enum):
    """How the results of a batch are put together."""

    NONE = "none"
    SUM = "sum"
    MEAN = "mean"


class Placement(enum.Enum):
    """Where chunks run."""

    AUTO = "auto"
    FRONT_END = "front-end"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Options:
    """Wishes about how a call is run; none of them changes the mathematics."""

    executor: str = ""
    placement: Placement = Placement.AUTO
    count_kinks: bool = True
    """Whether the report on a derivative says how many nodes sit on a kink."""


@dataclass(frozen=True)
class Call:
    """A concrete graph, one argument for each input, and which of them carry a batch."""

    graph: Graph
    arguments: Mapping[str, Array]
    batch: tuple[str, ...] = ()
    reduction: Reduction = Reduction.NONE
    options: Options = field(default_factory=Options)

    @property
    def batch_size(self) -> int | None:
        """The number of points; None without a batch."""
        return self.arguments[self.batch[0]].shape[0] if self.batch else None


def make_call(
    graph: Graph,
    arguments: Mapping[str, Array],
    batch: Sequence[str] = (),
    reduction: Reduction = Reduction.NONE,
    options: Options | None = None,
) -> Call:
    """The call, its graph's symbols bound to the lengths of the arguments.

    Raises:
        InvalidRequest: arguments are missing, unknown or of the wrong type, or the batch does not fit; all violations.
    """
    violations = list(_name_violations(graph, arguments, batch))
    if violations:
        raise InvalidRequest("the arguments do not fit the graph", violations)
    if not graph.is_concrete:
        shapes = {n: a.shape[1:] if n in batch else a.shape for n, a in arguments.items()}
        graph = bind(graph, solve_symbols(graph, shapes))
    expected = graph.input_types
    violations = [
        v
        for name, array in arguments.items()
        for v in type_violations(f'arguments["{name}"]', array, expected[name], name in batch)
    ]
    violations += _batch_violations(arguments, batch)
    if violations:
        raise InvalidRequest("the arguments do not fit the graph", violations)
    return Call(graph, dict(arguments), tuple(batch), reduction if batch else Reduction.NONE, options or Options())


def _name_violations(graph: Graph, arguments: Mapping[str, Array], batch: Sequence[str]) -> list[Violation]:
    if not batch and arguments.keys() == graph.input_types.keys():
        return []
    names = list(graph.input_types)
    known = ", ".join(names) or "none"
    missing = [
        Violation(f'arguments["{n}"]', "R1", f"the argument {n}: {graph.input_types[n]} is missing")
        for n in names
        if n not in arguments
    ]
    extra = [
        Violation(f'arguments["{n}"]', "R2", f"the graph has no input {n!r}; its inputs are {known}")
        for n in arguments
        if n not in graph.input_types
    ]
    unknown = [
        Violation(f"batch.inputs[{k}]", "R3", f"the graph has no input {n!r}; its inputs are {known}")
        for k, n in enumerate(batch)
        if n not in graph.input_types
    ]
    twice = [
        Violation(f"batch.inputs[{k}]", "R3", f"{n!r} is named twice") for k, n in enumerate(batch) if n in batch[:k]
    ]
    return missing + extra + unknown + twice


def type_violations(field_path: str, array: Array, expected: TensorType, batched: bool) -> list[Violation]:
    """Why an array does not have the expected type; with a leading batch axis if `batched`."""
    given = type_of(array)
    fits = not batched or given.shape
    if fits and given == (expected.with_shape((given.shape[0], *expected.shape)) if batched else expected):
        return []
    axis = " with a leading batch axis" if batched else ""
    return [Violation(field_path, "R4", f"{given} is given where {expected}{axis} is expected")]


def _batch_violations(arguments: Mapping[str, Array], batch: Sequence[str]) -> list[Violation]:
    lengths = {name: arguments[name].shape[0] for name in batch if arguments[name].ndim}
    if not lengths:
        return []
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        return [Violation("batch.inputs", "R5", f"batched arguments have different lengths: {shown}")]
    if 0 in lengths.values():
        return [Violation("batch.inputs", "R6", "the batch has no points; send at least one")]
    return []
