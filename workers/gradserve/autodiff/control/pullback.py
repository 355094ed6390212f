"""The transpose of a function that is linear in some of its inputs, as a function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradserve.autodiff import names
from gradserve.autodiff.linearize import Linearized
from gradserve.autodiff.transpose import transpose
from gradserve.ir.budget import remembered
from gradserve.ir.graph import Graph, Input, Output


@remembered
def pullback(graph: Graph, unknown: Sequence[bool], outputs: Sequence[int]) -> Graph:
    """From the known inputs and the cotangents of these outputs to the cotangents of the unknown inputs."""
    inputs = tuple(
        Input(names.tangent(i.name), i.type) if is_unknown else i
        for i, is_unknown in zip(graph.inputs, unknown, strict=True)
    )
    chosen = tuple(Output(names.tangent(graph.outputs[k].name), graph.outputs[k].value) for k in outputs)
    linearized = Linearized(
        graph=replace(graph, inputs=inputs, outputs=chosen),
        linear_inputs=tuple(i.name for i, is_unknown in zip(inputs, unknown, strict=True) if is_unknown),
        linear_outputs=tuple(output.name for output in chosen),
    )
    return transpose(linearized)
