"""Functions that are other functions every time they are run, which no graph can say."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradserve.client.tracing.reached import reached
from gradserve.client.tracing.traced import Traced
from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Graph, Origin

RUNS = 8
"""How often a function that draws random numbers is run again: a coin may well fall on the same side twice."""
_CLOCKS = frozenset({"monotonic", "now", "perf_counter", "process_time", "time", "time_ns", "today", "utcnow"})
_DRAWS = frozenset(
    {"RandomState", "SystemRandom", "default_rng", "getrandbits", "secrets", "urandom", "uuid1", "uuid4"}
)
"""Names in code by which numbers may come in that differ from run to run, whatever state there is."""


def traced_repeatably(function: Any, trace: Callable[[], Traced]) -> Traced:
    """What `trace` makes of the function, seen to be the same if there is a doubt: it is run again then.

    Doubts are random numbers that were drawn meanwhile, also by others, and names of clocks and of new generators.

    Raises:
        Untraceable: another run makes another graph; names the first line that does.
    """
    found = reached(function)
    generators = found.generators
    before = _states(generators)
    traced = trace()
    after = _states(generators)
    if after == before and found.names.isdisjoint(_CLOCKS | _DRAWS):
        return traced
    for _ in range(RUNS):
        again, earlier = trace(), after
        _require_alike(traced, again, drawn=after != before)
        after = _states(generators)
        if after == earlier:  # by another thread, or seeded within the function
            break
    return traced


def _states(generators: list[Any]) -> list[Any]:
    """The states of all generators that can be reached, those of modules first."""
    shared = np.random.get_state(legacy=False)  # noqa: NPY002  # what authors may use is looked at
    found: list[Any] = [random.getstate(), _plain(shared)]
    for each in generators:
        if isinstance(each, random.Random):
            found.append(None if isinstance(each, random.SystemRandom) else each.getstate())
        elif isinstance(each, np.random.Generator):
            found.append(_plain(each.bit_generator.state))
        else:
            found.append(_plain(each.get_state(legacy=False)))
    return found


def _plain(state: Any) -> Any:
    """A state in which arrays are bytes, so that it can be compared."""
    if isinstance(state, Mapping):
        return {key: _plain(each) for key, each in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def _require_alike(one: Traced, other: Traced, drawn: bool) -> None:
    if one.graph.digest == other.graph.digest and one.output == other.output:
        return
    where = _first_difference(one.graph, other.graph)
    what = "random numbers are drawn" if drawn else "the numbers differ"
    raise Untraceable(
        f"{where or 'in the function'}: {what} each time the function is run, and its graph would keep those of one "
        "run; draw them outside and pass them as an argument, as in f(w, noise=rng.normal(size=n)), or take them from "
        "a generator that the function makes with a fixed seed"
    )


def _first_difference(one: Graph, other: Graph) -> Origin | None:
    """Where the first node was written that is another, or reads another constant."""
    first = len(one.inputs)
    changed = {first + k for k, (a, b) in enumerate(zip(one.constants, other.constants, strict=False)) if a != b}
    for node, another in zip(one.nodes, other.nodes, strict=False):
        if node.op != another.op or node.operands != another.operands or not changed.isdisjoint(node.operands):
            return node.origin
    return None
