"""Questions about complex inputs asked in their real and imaginary parts, which differences move one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradserve.autodiff.in_parts import in_parts, part_names, parts_of
from gradserve.ir.types import Array
from gradserve.jobs.sweeps.calls import inputs_in_question
from gradserve.questions.call import Call, arrays_of


def call_in_parts(call: Call, wrt: Sequence[str]) -> tuple[Call, tuple[str, ...]]:
    """A checked call with the parts of the complex inputs in question, and what is in question then."""
    types = call.graph.input_types
    chosen = inputs_in_question(call.graph, wrt, real=False)
    names = [name for name in chosen if name in types and types[name].is_complex]
    if not names:
        return call, chosen
    arguments = parts_of(arrays_of(call.arguments), names)
    return replace(call, graph=in_parts(call.graph, names), arguments=arguments), part_names(chosen, names)


def claim_in_parts(call: Call, claimed: Mapping[str, Array]) -> Mapping[str, Array]:
    """A claimed gradient, which is df/dx - i df/dy in complex inputs, as df/dx and df/dy."""
    types = call.graph.input_types
    return parts_of(claimed, [name for name in claimed if name in types and types[name].is_complex], sign=-1)
