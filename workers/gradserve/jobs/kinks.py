"""How many nodes of a graph sit on a kink, where each op follows its own convention, and at how many points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gradserve.autodiff import Derivation, Evaluate, WithKinks, names
from gradserve.ir.types import Array
from gradserve.jobs.call import Options


@dataclass(frozen=True, slots=True)
class Kinks:
    """What sits on a kink; all zero where the function is differentiable at every point asked for."""

    nodes: int
    """Nodes that do at one point or more."""
    examples: int
    """Points at which a node does."""


def counting(derivation: Derivation, options: Options) -> Derivation:
    """The derivation, with counts of kinks if it is one of derivatives and the options do not decline them."""
    return WithKinks(derivation) if options.count_kinks and not isinstance(derivation, Evaluate) else derivation


def counts_at_a_point(chunk: Mapping[str, Array]) -> dict[str, Array]:
    """The counts of a chunk whose examples are all at one point, which counts once."""
    return {name: np.minimum(chunk[name], 1) for name in names.COUNTS if name in chunk}


def found_kinks(counted: Derivation, chunks: Iterable[Mapping[str, Array]]) -> Kinks | None:
    """What chunks of points say of kinks in their outputs; None if the derivation does not count them."""
    if not isinstance(counted, WithKinks):
        return None
    told = [chunk for chunk in chunks if names.KINKED_NODES in chunk]
    if not told:
        return Kinks(0, 0)  # no node of the graph ever sits on one
    nodes = np.any([chunk[names.KINKED_NODES] > 0 for chunk in told], axis=0)
    return Kinks(int(np.count_nonzero(nodes)), sum(int(chunk[names.KINKED_EXAMPLES]) for chunk in told))
