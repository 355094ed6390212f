"""Linearisation: the function's value, and its differential as a linear function of the tangents."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff import names
from gradserve.autodiff.jvp import jvp
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass


@dataclass(frozen=True, slots=True)
class Linearized:
    """A graph that is linear in some of its inputs.

    The nodes that depend on `linear_inputs` are the linear part; all others are known once the primals are. No
    partial evaluation is needed: in a graph the two parts are told apart by reachability.
    """

    graph: Graph
    linear_inputs: tuple[str, ...]
    linear_outputs: tuple[str, ...]


def linearize(graph: Graph, wrt: Sequence[str]) -> Linearized:
    """The graph's differential in `wrt`, beside its value.

    Raises:
        NotDifferentiable: an op on the way has no derivative.
    """
    pushed = jvp(graph, wrt, forward=False)
    return Linearized(
        graph=pushed,
        linear_inputs=tuple(names.tangent(name) for name in wrt),
        linear_outputs=tuple(o.name for o in pushed.outputs if names.split(o.name)[0] == "tangent"),
    )
