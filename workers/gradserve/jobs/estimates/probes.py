"""Random vectors in the inputs in question: all estimates of one seed begin with the same."""

from __future__ import annotations

from gradserve.ir.types import TensorType
from gradserve.pools.work import Normals, Signs


def probes_of(
    kind: type[Signs] | type[Normals], seed: int, name: str, type_: TensorType, start: int, stop: int
) -> Signs | Normals:
    """Where those from `start` to `stop` come from in an input."""
    return kind(seed, f"probe:{name}", start, stop, type_.lengths, type_.element_type)
