"""The matrices that questions are about, and what questions about one that is never made all take."""

from __future__ import annotations

import enum
from typing import ClassVar

from gradserve.ir.records import dataclass
from gradserve.questions.call import Call
from gradserve.questions.options import option


class Matrix(enum.StrEnum):
    """A symmetric matrix that a graph has at a point."""

    HESSIAN = "hessian"
    """The second derivatives of a loss."""
    GAUSS_NEWTON = "gauss-newton"
    """J^T H J for a loss of other outputs, or J^T J without one: without negative eigenvalues if the loss is convex."""
    FISHER = "fisher"
    """g g^T for the gradient g of a loss: with a batch of examples their sum or mean, the empirical Fisher matrix."""


@dataclass(frozen=True, slots=True)
class Group:
    """Inputs that belong together, such as those of a layer."""

    name: str
    """What they are called in answers."""
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class OfMatrix:
    """Asks about the Hessian of a loss at a point, or about another matrix, from products with vectors.

    Over a batch of examples that is reduced it is the sum or the mean of their matrices.
    """

    call: Call
    wrt: tuple[str, ...] = ()
    """The inputs in question; empty for all that are real."""
    matrix: Matrix = option(Matrix.HESSIAN, "which matrix: the Hessian of a loss, or another")
    loss: str = option(
        "", "the loss of the Gauss-Newton matrix, as its product takes it; empty for half the sum of squares"
    )
    seed: int = option(0, "determines the random vectors")
    resume: bytes = b""
    """The token of an earlier answer to this question, to go on from there; empty to begin at the beginning."""

    method: ClassVar[str]
    """Its name in Python."""
    command: ClassVar[str]
    """Its name on the command line."""
    rpc: ClassVar[str]
    answer: ClassVar[type]


@dataclass(frozen=True)
class OfMatrices(OfMatrix):
    """The same about several matrices, one after the other, each to the bit as if it had been asked for alone.

    With a batch of points that is not reduced, such as those of a training, they are those at each point; with groups
    those of each group of inputs, whose rows and columns are the group's.
    """

    groups: tuple[Group, ...] = ()
    """Those whose matrices are wanted; empty for the one of all inputs in question."""
