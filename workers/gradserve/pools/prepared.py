"""Programs made ready once and kept."""

from __future__ import annotations

import threading

from gradserve.execution.executors import EXECUTORS, Program
from gradserve.execution.plan import Plan
from gradserve.runtime.caches import Lru

CAPACITY_BYTES = 1 << 30
_PROGRAM_BYTES = 1 << 16


def plan_bytes(plan: Plan) -> int:
    """About how much memory a plan holds: its constants, and something for its steps."""
    return _PROGRAM_BYTES + sum(constant.type.nbytes for constant in plan.graph.constants)


class Programs:
    """Programs by the digest of their plan and the executor; the least recently used are dropped. Safe for threads."""

    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        """Keeps plans of up to `capacity_bytes` altogether."""
        self._programs: Lru[tuple[str, str], Program] = Lru(capacity_bytes)
        self._preparing = threading.Lock()

    def find(self, digest: str, executor: str) -> Program | None:
        """The program if it is ready, else None."""
        return self._programs.get((digest, executor))

    def prepared(self, plan: Plan, executor: str) -> Program:
        """The program of a plan, prepared now if it is not known."""
        key = (plan.digest, executor)
        found = self._programs.get(key)
        if found is not None:
            return found
        # One at a time: preparing may compile, and calls that arrive together mostly bring the same plan.
        with self._preparing:
            found = self._programs.get(key)
            if found is None:
                found = EXECUTORS[executor].prepare(plan)
                self._programs.put(key, found, plan_bytes(plan))
        return found
