"""What a client claims of a graph: whether it fits, and the claim that is verified from the graph's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradserve.ir.errors import Violation, listed
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array, TensorType, type_of
from gradserve.jobs.sweeps.calls import type_violations
from gradserve.jobs.verifications.losses import Losses
from gradserve.questions.call import arrays_of
from gradserve.questions.claimed import Claimed
from gradserve.questions.verification import VerifyGradient
from gradserve.verification.claims import Claim


def violations(question: VerifyGradient, graph: Graph, wrt: Sequence[str]) -> list[Violation]:
    """Why a claim, or its vector, does not fit the graph."""
    of, found = question.of, []
    if of is not Claimed.GRADIENT and not question.claimed:
        found.append(Violation("claimed", "V8", f"there is none; give the {of} that is to be verified"))
    if of.of_arrays and not _is_one_array(graph):
        shown = listed([f"{name}: {type_}" for name, type_ in graph.output_types.items()])
        text = (
            f"the {of} that is verified is of one floating-point output, which is real; the graph's outputs are {shown}"
        )
        return [*found, Violation("of", "V9", text)]
    if question.tangents and not of.takes_tangent:
        found.append(Violation("tangents", "V8", f"a {of} takes none; leave them out, or claim a jvp or hvp"))
    if of.takes_tangent:
        found += _array_violations(
            "tangents", arrays_of(question.tangents), _types(graph, wrt), "the vector of the product"
        )
    if question.claimed:
        found += _array_violations(
            "claimed", arrays_of(question.claimed), _claimed_types(of, graph, wrt), f"the claimed {of}"
        )
    return found


def claim_of(question: VerifyGradient, losses: Losses, relative_tolerance: float) -> Claim:
    """A claim that fits, of a product, a Jacobian or a diagonal."""
    of, layout = question.of, losses.layout
    ((output, type_),) = losses.graph.output_types.items()
    given = arrays_of(question.claimed)
    if of is Claimed.JVP:
        values = np.asarray(given[output], np.float64).ravel()
    elif of is Claimed.JACOBIAN:
        blocks = [np.asarray(given[name], np.float64).reshape(type_.size, -1) for name in layout.shapes]
        values = np.concatenate(blocks, axis=1)
    else:
        values = layout.pack(given)
    tangent = layout.pack(arrays_of(question.tangents)) if question.tangents else np.empty(0)
    point = layout.pack(losses.arguments)
    return Claim(of, values, layout, point, losses.epsilon, relative_tolerance, tangent, output, type_.lengths)


def _is_one_array(graph: Graph) -> bool:
    types = list(graph.output_types.values())
    return len(types) == 1 and types[0].is_real


def _types(graph: Graph, wrt: Sequence[str]) -> dict[str, TensorType]:
    return {name: type_ for name, type_ in graph.input_types.items() if name in wrt}


def _claimed_types(of: Claimed, graph: Graph, wrt: Sequence[str]) -> dict[str, TensorType]:
    """The types of the arrays of a claim, by name."""
    if of is Claimed.JVP:
        return dict(graph.output_types)
    if of is Claimed.JACOBIAN:
        (output,) = graph.output_types.values()
        return {
            name: TensorType(type_.element_type, (*output.shape, *type_.shape))
            for name, type_ in _types(graph, wrt).items()
        }
    return _types(graph, wrt)


def _array_violations(
    path: str, given: Mapping[str, Array], expected: Mapping[str, TensorType], what: str
) -> list[Violation]:
    found = []
    for name, type_ in expected.items():
        if name not in given:
            found.append(Violation(f'{path}["{name}"]', "V3", f"{what} in {name} is missing"))
        else:
            found += type_violations(f'{path}["{name}"]', type_of(given[name]), type_, batched=False)
    for name in given:
        if name not in expected:
            text = f"{name!r} is not among those to verify: {listed(expected)}"
            found.append(Violation(f'{path}["{name}"]', "V4", text))
    return found
