"""Loops that were unrolled while a function was traced, found again and written as scans.

To be read in this order: `order` (of nodes, so that equal steps lie next to each other), `repeats` (runs of nodes that
do the same again and again), `bodies` (what each operand in such a run is: carried, a row, or shared), `rerolled` (the
graph with scans in their place) and `stacks` (rows put together).
"""

from gradserve.optimize.loops.rewrite import rerolled

__all__ = ["rerolled"]
