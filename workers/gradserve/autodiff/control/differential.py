"""A function's differential, taken apart into what is known beside the value and what is linear in the tangents."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff import names
from gradserve.autodiff.control.functions import cut, names_of
from gradserve.autodiff.jvp import push_forward
from gradserve.autodiff.spectral import invariant
from gradserve.autodiff.walk import declare_inputs, reachable
from gradserve.ir.budget import remembered
from gradserve.ir.graph import Graph
from gradserve.ops import builder


class Differential:
    """The value of a function and its differential in some of its inputs.

    The linear part reads tangents, and of the rest inputs of the function and *residuals*: what the function computes
    on its way and the differential needs. Views of such are not kept but made again.
    """

    def __init__(self, function: Graph, moving: Sequence[bool]) -> None:
        """Differentiates in the inputs that move."""
        moved_names = names_of(function, moving)
        plain = invariant(function, moved_names, forward=False)
        g = builder()
        primals = declare_inputs(g, plain)
        tangents = {name: g.input(names.tangent(name), plain.input_types[name]) for name in moved_names}
        values, dots = push_forward(g, plain, primals, tangents)
        outputs = {o.name: values[o.value] for o in plain.outputs}
        found = [dots[o.value] for o in plain.outputs]
        for output, dot in zip(plain.outputs, found, strict=True):
            type_ = values[output.value].type
            if type_.is_float:
                outputs[names.tangent(output.name)] = g.zeros(type_) if dot is None else dot
        self.graph = g.finished(outputs)
        self.moves = tuple(dot is not None for dot in found)
        """Whether each output moves with the inputs."""
        self.inputs = range(len(function.inputs))
        """The values that are inputs of the function."""
        moved = [k for k, moves in enumerate(moving) if moves]
        self.tangents = dict(zip(moved, range(len(function.inputs), len(self.graph.inputs)), strict=True))
        """The values that are tangents, by the inputs that move."""
        self._linear = reachable(self.graph, [names.tangent(name) for name in moved_names])
        by_name = {o.name: o.value for o in self.graph.outputs}
        self.outputs = [by_name[o.name] for o in plain.outputs]
        """The values that are outputs of the function."""
        self._dots = [by_name.get(names.tangent(o.name)) for o in plain.outputs]

    def dot(self, output: int) -> int:
        """The value that is the tangent of an output, which is real."""
        found = self._dots[output]
        assert found is not None
        return found

    def boundary(self, dots: Sequence[int]) -> list[int]:
        """What the linear part reads of the rest, to give these tangents: inputs, and residuals after them."""
        graph = self.graph
        first = graph.first_node_value
        producers = [position for position, node in enumerate(graph.nodes) for _ in node.types]
        followed: set[int] = set()
        """Nodes whose operands have been looked at: one may have thousands of results, and as many operands."""
        found: set[int] = set()
        seen: set[int] = set()
        stack = [*dots]
        while stack:
            k = stack.pop()
            if k in seen or len(self.inputs) <= k < first:
                continue  # a tangent, or a constant
            seen.add(k)
            if k in self.inputs:
                found.add(k)
                continue
            position = producers[k - first]
            node = graph.nodes[position]
            if not self._linear[k] and not node.op.view:
                found.add(k)
            elif position not in followed:
                followed.add(position)
                stack += node.operands
        return sorted(found)

    def varying(self, inputs: Sequence[int]) -> list[bool]:
        """For each value, whether it depends on one of these inputs of the function."""
        return reachable(self.graph, [self.graph.inputs[k].name for k in inputs])

    def cut(self, given: Sequence[int], wanted: Sequence[int]) -> Graph:
        """Some of the values as a function of others."""
        return cut(self.graph, given, wanted)


@remembered
def differential_of(function: Graph, moving: Sequence[bool]) -> Differential:
    """The differential of a function in the inputs that move."""
    return Differential(function, moving)
