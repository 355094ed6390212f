"""How many files and connections this process may have open at once."""

from __future__ import annotations

import resource

MOST = 1 << 16
"""More than a service has use for; without any limit, programs that close all that there may be take long."""


def raise_limit() -> int:
    """Lets this process have as many open as it may say itself, and answers how many that are.

    Most systems begin with 1024, and whoever opens as many connections would keep everybody else out.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def limit() -> int:
    """How many they are now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else min(soft, MOST)
