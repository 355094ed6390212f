"""Values and exact derivatives: the question and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from gradserve.ir.types import Array
from gradserve.questions.call import Argument, Call
from gradserve.questions.derivations import Derivation, Mode
from gradserve.questions.report import Report


@dataclass(frozen=True)
class Derivatives:
    """What was asked for, and what it cost."""

    arrays: Mapping[str, Mapping[str, Array]]
    """By role, then by name: `arrays["gradient"]["w"]`. With a batch and no reduction each has a leading axis."""
    report: Report
    blocks: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    """Of dense derivatives, by what is differentiated, then by the input it is differentiated in.

    The block of an output of shape s in an input of shape t has the shape (*s, *t), after the axis of points if there
    is one.
    """
    mode: Mode = Mode.AUTO
    """How dense derivatives were accumulated; of a Hessian FORWARD, over reverse."""


@dataclass(frozen=True)
class Differentiate:
    """Asks for a derivation of a call's graph."""

    call: Call
    derivation: Derivation
    vectors: Mapping[str, Argument] = field(default_factory=dict)
    """Tangents by input, or cotangents by output."""

    answer: ClassVar[type] = Derivatives

    @property
    def rpc(self) -> str:
        """The method that answers it."""
        return type(self.derivation).__name__
