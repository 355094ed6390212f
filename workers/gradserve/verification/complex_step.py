"""Complex steps (Squire and Trapp, SIAM Review 40, 1998): derivatives of analytic functions without differences.

The imaginary part of f(x + ihd), divided by h, is the derivative along d but for a term in h^2, and nothing cancels: h
can be so small that the term is below any rounding.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradserve.ir.graph import Graph, Literal
from gradserve.ir.op import Op
from gradserve.ir.types import Array
from gradserve.ops.elementwise.stop_gradient import StopGradient
from gradserve.ops.family import Discrete

STEP = 2.0**-332
"""About 1e-100: its square is nothing, and no derivative of 1e-200 underflows with it."""
_OFF_THE_AXIS = 2.0**-166
"""An imaginary part beyond this is rounding, as of a power of a negative number, and no derivative."""


def slope_by_complex_step(graph: Graph, arguments: Mapping[str, Array], direction: Mapping[str, Array]) -> float | None:
    """The derivative of a loss at the arguments along a direction in some of them; None unless real and analytic.

    Comparisons, and what else is constant between its jumps, are those of the real parts.
    """
    if any(type_.is_complex for type_ in graph.value_types):
        return None
    values: list[Array] = [
        arguments[given.name] + 1j * STEP * direction[given.name] if given.name in direction else arguments[given.name]
        for given in graph.inputs
    ]
    if not all(isinstance(constant, Literal) for constant in graph.constants):
        return None
    values += [constant.array for constant in graph.constants if isinstance(constant, Literal)]
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            found = _results(node.op, [values[k] for k in node.operands])
            if found is None or not all(_near_the_axis(value) for value in found):
                return None
            values += found
    return float(np.imag(values[graph.outputs[0].value])) / STEP


def _results(op: Op, operands: list[Array]) -> tuple[Array, ...] | None:
    if not any(np.iscomplexobj(operand) for operand in operands):
        return op.results(np, *operands)
    if isinstance(op, Discrete) and not isinstance(op, StopGradient):
        return op.results(np, *(operand.real for operand in operands))
    return op.results(np, *operands) if op.analytic else None


def _near_the_axis(value: Array) -> bool:
    return not np.iscomplexobj(value) or bool((np.abs(value.imag) < _OFF_THE_AXIS).all())
