"""Streams of gradients: one question, asked at points as they come."""

from __future__ import annotations

from collections.abc import Mapping

from gradserve.ir.errors import GradserveError
from gradserve.ir.records import dataclass
from gradserve.questions.call import Argument
from gradserve.questions.derivatives import Derivatives

RPC = "StreamGradient"
"""The method that answers a stream."""


@dataclass(frozen=True, slots=True)
class Block:
    """Arguments of one call; or of several points along one more leading axis, each of them a call of its own."""

    arguments: Mapping[str, Argument]
    points: int = 0
    """0 for one call."""


@dataclass(frozen=True, slots=True)
class Part:
    """What belongs to some points of a block, in their order."""

    first: int
    points: int
    """0 if the block is one call."""
    found: Derivatives | GradserveError
    """Arrays have one more leading axis if the block has points."""
