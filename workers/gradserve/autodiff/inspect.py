"""Every value of a graph with its tangent and its adjoint.

The adjoint of a value is the derivative of the loss in something added to it. So no transform of its own is needed: to
every value a zero is added, and the gradient in all zeros is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff import names
from gradserve.autodiff.jvp import push_forward
from gradserve.autodiff.kinks import kink_counts, margins
from gradserve.autodiff.transpose import seed_of, vjp
from gradserve.autodiff.walk import declare_inputs, inline, leaves
from gradserve.ir.builder import Value
from gradserve.ir.graph import Graph
from gradserve.ops import builder
from gradserve.ops.control.custom_derivative import CustomDerivative


def inspected(graph: Graph, moved: Sequence[str], is_loss: bool, sown: bool) -> Graph:
    """The graph with all values as outputs: `value:K`, of a loss `adjoint:K`, and along `tangent:NAME` `tangent:K`.

    And by a node's position, how many of its elements sit on a kink, and how far the nearest is from its next branch:
    `kinks:POSITION`, `margin:POSITION`.
    """
    g = builder()
    arguments = declare_inputs(g, graph)
    tangents = {name: g.input(names.tangent(name), graph.input_types[name]) for name in moved}
    values, dots = push_forward(g, graph, arguments, tangents)
    outputs = {names.value(str(k)): value for k, value in enumerate(values)}
    real = [k for k, type_ in enumerate(graph.value_types) if type_.is_float]
    if moved:
        for k in real:
            dot = dots[k]
            outputs[names.tangent(str(k))] = g.zeros(graph.value_types[k]) if dot is None else dot
    everything = [i.name for i in graph.inputs]
    counts = kink_counts(g, graph, everything, values)
    outputs |= {names.kinks(position): count for position, count in counts.items()}
    outputs |= {names.margin(position): margin for position, margin in margins(g, graph, values).items()}
    if is_loss:
        zeros = {names.perturbation(k): g.zeros(graph.value_types[k]) for k in real}
        (loss,) = graph.outputs
        seed = seed_of(g, graph, sown)
        pulled = vjp(perturbed(graph, real), list(zeros))
        results = inline(g, pulled, {**arguments, **zeros, names.cotangent(loss.name): seed})
        outputs |= {names.adjoint(k): results[names.cotangent(names.perturbation(k))] for k in real}
    return g.finished(outputs)


def perturbed(graph: Graph, perturbed: Sequence[int]) -> Graph:
    """The graph with something added to each of these values: `perturbation:K`."""
    g = builder()
    arguments = declare_inputs(g, graph)
    added = {k: g.input(names.perturbation(k), graph.value_types[k]) for k in perturbed}

    def moved(values: Sequence[Value], first: int) -> list[Value]:
        return [g.add(value, added[k]) if k in added else value for k, value in enumerate(values, first)]

    values = moved(leaves(g, graph, arguments), 0)
    constants = range(len(graph.inputs), graph.first_node_value)
    plain = leaves(g, graph, arguments)
    for node in graph.nodes:
        g.origin = node.origin
        stays = node.op.still if isinstance(node.op, CustomDerivative) else ()
        # Of a constant that such a function captures there is no derivative.
        operands = [plain[x] if k in stays and x in constants else values[x] for k, x in enumerate(node.operands)]
        values += moved(g.apply(node.op, operands), len(values))
    return g.finished({output.name: values[output.value] for output in graph.outputs})
