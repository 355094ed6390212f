"""What jobs run in: pools, limits and remembered plans."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from gradserve.autodiff import Derivation
from gradserve.execution import EXECUTORS, Plan
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.jobs.call import Options, Placement
from gradserve.jobs.cut import Piece, cut
from gradserve.jobs.limits import Limits
from gradserve.jobs.plans import Batching, Check, PlanCache, go_on
from gradserve.pools.pool import Pool
from gradserve.pools.work import ChunkResult, Work
from gradserve.runtime.caches import Lru
from gradserve.runtime.control import Control

FRONT_END_SECONDS = 5e-3
"""Predicted work below this stays in the front end: the way to a worker costs about 1 ms and a copy."""
TRANSFER_BYTES_PER_SECOND = 5e8
"""What sending arguments to a worker costs, to be weighed against the work itself."""


@dataclass(frozen=True)
class Context:
    """The pools that a process has, what it allows, and the plans it knows."""

    front_end: Pool
    cluster: Pool | None = None
    limits: Limits = field(default_factory=Limits)
    plans: PlanCache = field(default_factory=PlanCache)
    front_end_bytes: int = 2 << 30
    """Predicted live bytes of a chunk above which it goes to the cluster, however short it is."""
    modes: Lru[Hashable, str] = field(default_factory=lambda: Lru(1 << 14))
    """How Jacobians are accumulated, chosen once: looking up a second plan takes as long as a small one runs."""

    def executor(self, options: Options) -> str:
        """The executor that a call runs on.

        Raises:
            InvalidRequest: there is no executor of the name asked for.
        """
        if options.executor and options.executor not in EXECUTORS:
            known = ", ".join(EXECUTORS)
            text = f"there is no executor {options.executor!r}; known are {known}"
            raise InvalidRequest("the options do not fit", [Violation("options.executor", "R7", text)])
        return options.executor or "numpy"

    def pieces(
        self, graph: Graph, derivation: Derivation, batching: Batching | None, check: Check = go_on
    ) -> tuple[tuple[Piece, ...], bool]:
        """The pieces of a job within the limits, and whether all their plans were known.

        What `check` raises ends the work.

        Raises:
            LimitExceeded: points, memory, operations or time above a limit.
        """
        self.limits.check_graph(graph)
        hits = []

        def plan_for(wanted: Batching | None) -> Plan:
            plan, hit = self.plans.plan(graph, derivation, wanted, check)
            hits.append(hit)
            return plan

        if batching is None:
            pieces: tuple[Piece, ...] = (Piece(plan_for(None), 0, 1),)
        else:
            self.limits.check_points(batching.size)
            pieces = cut(plan_for, batching)
        self.limits.check_plans([piece.plan for piece in pieces])
        return pieces, all(hits)

    def place(self, pieces: tuple[Piece, ...], data_bytes: int, options: Options) -> tuple[Pool, str]:
        """The pool for a job, and the reason in words.

        Raises:
            InvalidRequest: the cluster is asked for and there is none.
        """
        if options.placement is Placement.CLUSTER and self.cluster is None:
            text = "this server has no cluster; start it with Ray or ask for another placement"
            raise InvalidRequest("the options do not fit", [Violation("options.placement", "R8", text)])
        if self.cluster is None:
            return self.front_end, "there is no cluster"
        if options.placement is not Placement.AUTO:
            pool = self.cluster if options.placement is Placement.CLUSTER else self.front_end
            return pool, "as the request asks"
        peak = max(piece.plan.peak_bytes for piece in pieces)
        if peak > self.front_end_bytes:
            return self.cluster, f"a chunk needs {peak} bytes; at most {self.front_end_bytes} stay here"
        seconds = sum(piece.plan.seconds for piece in pieces)
        worth = FRONT_END_SECONDS + data_bytes / TRANSFER_BYTES_PER_SECOND
        if seconds <= worth:
            return self.front_end, f"predicted {seconds * 1e3:.3g} ms of work, at most {worth * 1e3:.3g} ms stay here"
        return self.cluster, f"predicted {seconds * 1e3:.3g} ms of work, over {worth * 1e3:.3g} ms go to workers"

    def run(self, pool: Pool, work: Work, control: Control) -> Iterator[ChunkResult]:
        """The results of the work's chunks, in chunk order."""
        control.check()
        return pool.run(work, control)
