"""Seconds from costs: how long one core of an ordinary server takes for a step.

The figures are round ones on purpose. They decide how work is cut and where it runs, so they are the same on every
machine: a measured figure would make the chunks, and with them the bits, depend on the machine. On the benchmark's
losses they predict one to four times what a core of 2026 takes (`make bench` shows both), twice as little for sines.
"""

from __future__ import annotations

from gradserve.ir.op import Cost

FLOPS_PER_SECOND = 2e10
BYTES_PER_SECOND = 2e10
SECONDS_PER_STEP = 5e-7


def seconds(cost: Cost) -> float:
    """Predicted seconds of one step on one core."""
    return SECONDS_PER_STEP + max(cost.flops / FLOPS_PER_SECOND, cost.bytes / BYTES_PER_SECOND)
