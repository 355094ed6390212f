"""What jobs run in: pools, limits, and what is remembered of programs."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import field, replace
from typing import TYPE_CHECKING, TypeVar

from gradserve.ir.account import Effort
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.records import dataclass
from gradserve.jobs.sweeps.compiling import Compiling
from gradserve.jobs.sweeps.limits import Limits
from gradserve.jobs.sweeps.programs import Programs
from gradserve.pools.pool import HEAVY_SECONDS, Pool
from gradserve.questions.call import Options, Placement
from gradserve.runtime.caches import Lru

if TYPE_CHECKING:
    from gradserve.jobs.sweeps.matrices import Way
    from gradserve.jobs.sweeps.ready import Ready
    from gradserve.jobs.sweeps.sweep import SweepSchedule

V = TypeVar("V")

HOPS_WORTH = 3.0
"""Predicted work that takes no longer than so many ways to a worker stays in the front end."""
TRANSFER_BYTES_PER_SECOND = 5e8
"""What sending arguments to a worker costs, to be weighed against the work itself."""


@dataclass(frozen=True)
class Context:
    """The pools that a process has, what it allows, and what it remembers."""

    front_end: Pool
    cluster: Pool | None = None
    limits: Limits = field(default_factory=Limits)
    programs: Programs = field(default_factory=Programs)
    front_end_bytes: int = 2 << 30
    """Predicted live bytes of a chunk above which it goes to the cluster, however short it is."""
    goes_on: str = ""
    """The executor that work under way began on; where that has the choice it stays there. Empty for any."""
    schedules: Lru[Hashable, SweepSchedule] = field(default_factory=lambda: Lru(1 << 28))
    """Schedules of sweeps: a small call has no time to make its own anew."""
    ready: Lru[Hashable, Ready] = field(default_factory=lambda: Lru(1 << 28))
    """What answers calls of which all but the numbers is known."""
    dense: Lru[Hashable, tuple[Way, SweepSchedule, Effort]] = field(default_factory=lambda: Lru(1 << 28))
    """How matrices are made that were asked for before, and what finding out took."""

    compiling: Compiling = field(default_factory=Compiling)
    """Machine code for programs that run often."""

    def going_on(self, executor: str) -> Context:
        """The same for work that began on an executor; what is ready is so on any."""
        return replace(self, goes_on=executor, ready=Lru(1 << 26), dense=Lru(1 << 26))

    def limited(self, limits: Limits) -> Context:
        """The same with other limits: what is remembered of jobs has been held against these alone."""
        return replace(self, limits=limits, schedules=Lru(1 << 26), ready=Lru(1 << 26), dense=Lru(1 << 26))

    def keep(self, where: Lru[Hashable, V], key: Hashable, value: V, of: SweepSchedule, nbytes: int) -> None:
        """Remembers what goes by a schedule, unless there is machine code for it by now.

        That may have come, and what was remembered been forgotten, while this was being made.
        """
        where.put(key, value, nbytes)
        if of.heat is not None and self.compiling.ready(of.programs) is not None:
            self.forget({program.digest for program in of.programs})

    def forget(self, programs: Collection[str]) -> None:
        """Drops the schedules of jobs that run these programs, so that the next such job chooses anew."""
        self.schedules.discard(lambda schedule: schedule.runs(programs))
        for ready in self.ready.discard(lambda ready: ready.runs(programs)):
            ready.is_current = False
        self.dense.discard(lambda way: way[1].runs(programs))

    def require_pool(self, options: Options) -> None:
        """Refuses a placement that there is no pool for.

        Raises:
            InvalidRequest: the cluster is asked for and there is none.
        """
        if options.placement is Placement.CLUSTER and self.cluster is None:
            text = "this server has no cluster; start it with Ray or ask for another placement"
            raise InvalidRequest("the options do not fit", [Violation("options.placement", "R8", text)])

    def place(self, peak_bytes: int, seconds: float, data_bytes: int, options: Options) -> tuple[Pool, str]:
        """The pool for a job whose chunks need so much memory and time in all, and the reason in words."""
        if self.cluster is None:
            return self.front_end, "there is no cluster"
        if options.placement is not Placement.AUTO:
            pool = self.cluster if options.placement is Placement.CLUSTER else self.front_end
            return pool, "as the request asks"
        if peak_bytes > self.front_end_bytes:
            return self.cluster, f"a chunk needs {peak_bytes} bytes; at most {self.front_end_bytes} stay here"
        worth = min(HOPS_WORTH * self.cluster.hop_seconds + data_bytes / TRANSFER_BYTES_PER_SECOND, HEAVY_SECONDS)
        if seconds <= worth:
            return self.front_end, f"predicted {seconds * 1e3:.3g} ms of work, at most {worth * 1e3:.3g} ms stay here"
        return self.cluster, f"predicted {seconds * 1e3:.3g} ms of work, over {worth * 1e3:.3g} ms go to workers"
