"""A call: a graph with its arguments, which of them carry a batch, and wishes about how it is run."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias, cast

from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType, type_of

Argument: TypeAlias = Array | TensorType
"""An array; or its type alone, where a question is to be explained and not answered."""


class Reduction(enum.StrEnum):
    """How the results of a batch are put together."""

    NONE = "none"
    SUM = "sum"
    MEAN = "mean"


class Placement(enum.StrEnum):
    """Where chunks run."""

    AUTO = "auto"
    FRONT_END = "front-end"
    CLUSTER = "cluster"


EXECUTORS = ("fused", "numpy", "xla")
"""What a call may run on, by name."""


class AtKinks(enum.StrEnum):
    """What becomes of derivatives where a node sits on a kink."""

    CONVENTION = "convention"
    """Each op follows its convention, and the report counts the nodes."""
    RESOLVE = "resolve"
    """They are limits from several directions, with an error bound, if all agree; otherwise they are refused."""
    REFUSE = "refuse"
    """They are refused."""


class Transport(enum.StrEnum):
    """How float64 travels between client and service."""

    EXACT = "exact"
    FLOAT32 = "float32"
    """Rounded to float32 at both ends, which halves what is sent."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The inputs whose arguments carry a leading axis of points, and what becomes of the results."""

    inputs: tuple[str, ...]
    reduction: Reduction = Reduction.NONE


@dataclass(frozen=True, slots=True)
class Options:
    """Wishes about how a call is run; where derivatives exist none of them changes the mathematics."""

    executor: str = ""
    """The executor to run on; empty for the one that is predicted to be fastest."""
    placement: Placement = Placement.AUTO
    inline_limit: int = 0
    """Bytes of a result above which it comes back as a blob; 0 means the server's default."""
    count_kinks: bool = True
    """Whether the report on a derivative says how many nodes sit on a kink."""
    kinks: AtKinks = AtKinks.CONVENTION
    """What becomes of derivatives there; all but the convention need them counted, whatever `count_kinks` says."""
    transport: Transport = Transport.EXACT
    """Whether float64 is rounded on the way: arguments and vectors before anything is computed, derivatives after."""

    @property
    def counts(self) -> bool:
        """Whether kinks are counted."""
        return self.count_kinks or self.kinks is not AtKinks.CONVENTION


@dataclass(frozen=True)
class Call:
    """What every question is about."""

    graph: Graph
    arguments: Mapping[str, Argument]
    """One for each input, by name."""
    batch: Batch | None = None
    options: Options = Options()

    @property
    def batched(self) -> tuple[str, ...]:
        """The inputs that carry the batch; empty without one."""
        return self.batch.inputs if self.batch else ()

    @property
    def reduction(self) -> Reduction:
        """What becomes of the results of a batch."""
        return self.batch.reduction if self.batch else Reduction.NONE

    @property
    def batch_size(self) -> int | None:
        """The number of points, of a checked call; None without a batch."""
        return types_of(self.arguments)[self.batched[0]].lengths[0] if self.batched else None

    @property
    def points(self) -> int:
        """The points that each have an answer of their own, of a checked call; 1 where a batch is reduced."""
        return (self.batch_size or 1) if self.reduction is Reduction.NONE else 1


def types_of(arguments: Mapping[str, Argument]) -> dict[str, TensorType]:
    """The type of every argument."""
    return {name: a if isinstance(a, TensorType) else type_of(a) for name, a in arguments.items()}


def arrays_of(arguments: Mapping[str, Argument]) -> Mapping[str, Array]:
    """The arguments themselves, of a question that is to be answered: there none is a type alone."""
    return cast("Mapping[str, Array]", arguments)
