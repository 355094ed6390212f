"""By which threads gRPC reads and writes."""

from __future__ import annotations

import importlib
import os
import sys

VARIABLE = "GRPC_EXPERIMENTS"
"""By which gRPC is told, once, when it is loaded."""
_THREADS = ("listener", "client", "for_all_other_endpoints", "callback_cq")
"""What it has threads of its own for, `event_engine`s, where it is not told otherwise."""


def load_grpc() -> None:
    """Loads gRPC so that the thread that polls for calls also reads and writes.

    Threads of its own wake each other and then that one for every call: that takes about a fifth of the processor that
    a small call takes, and of what it takes to turn one away (gRPC 1.85). Whoever starts the service may choose by
    gRPC's variable. Where gRPC is loaded already it stays as it is. No process that is started later has the variable
    from here, nor has Ray, which brings a gRPC of its own into this one.
    """
    if VARIABLE in os.environ or "grpc" in sys.modules:
        return
    os.environ[VARIABLE] = ",".join(f"-event_engine_{each}" for each in _THREADS)
    try:
        importlib.import_module("grpc")
    finally:
        del os.environ[VARIABLE]
