"""The table of ONNX's operators: what each becomes, written by the functions of `gradserve.numpy` and the builder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradserve.client.importers.imported import refusal
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.onnx.entries import Absent, Entry, Listed
from gradserve.ir.builder import Value
from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Literal
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

if TYPE_CHECKING:
    from gradserve.client.importers.onnx.graphs import Reader, Scope

One: TypeAlias = "Value | Operand | Listed | Absent"
Result: TypeAlias = "One | Sequence[One | Untraceable | None]"
Translate = Callable[..., Result]


@dataclass(frozen=True)
class Translator:
    """What one operator becomes."""

    translate: Translate
    """Takes the node and its operands, None for those left out; gives values, or operands where ONNX's schema does not
    say their elements, and refusals of what nothing may read."""
    known: tuple[int, ...]
    """The operands that must be known while importing."""
    moves: bool
    """Whether elements come out as they went in, so that no integer can leave its range."""
    knows_uint64: bool
    """Whether it is right for uint64, which lies in int64 by its bits: it asks neither for their order nor size."""
    sequences: bool
    """Whether it takes sequences and what is absent."""
    domain: str
    """That of the operator."""


TRANSLATORS: dict[str, Translator] = {}
"""By the names of operators."""


def translator_of(domain: str, name: str) -> Translator | None:
    """What an operator of a domain becomes, if there is a translation."""
    found = TRANSLATORS.get(name)
    return found if found is not None and found.domain == ("" if domain == "ai.onnx" else domain) else None


def translates(
    *names: str,
    known: tuple[int, ...] = (),
    moves: bool = False,
    uint64: bool | None = None,
    sequences: bool = False,
    domain: str = "",
) -> Callable[[Translate], Translate]:
    """A decorator that enters what becomes of these operators; what moves elements knows uint64 unless told not to."""
    knows = moves if uint64 is None else uint64

    def enter(translate: Translate) -> Translate:
        TRANSLATORS.update(dict.fromkeys(names, Translator(translate, known, moves, knows, sequences, domain)))
        return translate

    return enter


@dataclass
class Node:
    """An operator applied: what a translator is given beside the operands."""

    g: Recorder
    reader: Reader
    scope: Scope
    operation: str
    """The operator."""
    called: str
    """How the node is named where it is refused."""
    version: int
    """Of the operator set."""
    attributes: dict[str, Any]
    operands: list[Entry | None]
    outputs: int
    """How many results are asked for."""
    names: list[str] = field(default_factory=list)
    """Of the operands."""

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute; sequences are lists, tensors are arrays, texts are decoded."""
        return self.attributes.get(name, default)

    def given(self, k: int) -> bool:
        """Whether there is an operand of this number."""
        return k < len(self.operands) and self.operands[k] is not None

    def array(self, k: int, attribute: str = "") -> Array | None:
        """The elements of an operand that must be known, or of the attribute that it was once; None without either.

        Raises:
            Unsupported: they are computed from arguments.
        """
        if not self.given(k):
            told = self.get(attribute)
            return None if told is None else np.asarray(told)
        literal = self._literal(k)
        if literal is None:
            name = self.names[k] if k < len(self.names) else ""
            raise Unsupported(
                f"operand {k} ({name!r}) must be known beforehand, and it is computed from arguments",
                "make it an initialiser, or give it in from_onnx(..., known={name: array}), --known NAME=N",
            )
        return literal.array

    def is_known(self, k: int) -> bool:
        """Whether the elements of an operand are known."""
        return self._literal(k) is not None

    def _literal(self, k: int) -> Literal | None:
        operand = self.operands[k]
        found = self.g.literal(operand.value) if isinstance(operand, Operand) else None
        return found if isinstance(found, Literal) else None

    def ints(self, k: int, attribute: str = "") -> tuple[int, ...] | None:
        """As `array`, as whole numbers."""
        found = self.array(k, attribute)
        return None if found is None else tuple(int(n) for n in found.reshape(-1))

    def refuse(self, problem: str, instead: str) -> Unsupported:
        """What is to be raised where no graph can say what is asked for."""
        return Unsupported(problem, instead)

    def unread(self, problem: str, instead: str) -> Untraceable:
        """A result that no graph has, which counts only if anything reads it."""
        return refusal(self.called, [x for x in self.operands if x is not None], self.g.origin, problem, instead)


def axis_in(axis: int, rank: int) -> int:
    """An axis counted from the first.

    Raises:
        ValueError: there is none.
    """
    if not -rank <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} is none of {rank}")
    return axis % max(rank, 1)
