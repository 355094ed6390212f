"""What the jobs of each caller run in."""

from __future__ import annotations

from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.runtime.caches import Lru
from gradserve.service.identity.caller import Caller, lower

_KEPT = 16
"""For how many different limits what is remembered of jobs stays."""


class Contexts:
    """The context of all callers, and those of callers with limits of their own. Safe for threads."""

    def __init__(self, context: Context) -> None:
        """`context` has the limits of the service."""
        self._context = context
        self._limited: Lru[Limits, Context] = Lru(_KEPT)

    def of(self, caller: Caller) -> Context:
        """What his jobs run in."""
        if caller.limits is None:
            return self._context
        found = self._limited.get(caller.limits)
        if found is None:
            found = self._context.limited(lower(self._context.limits, caller.limits))
            self._limited.put(caller.limits, found)
        return found
