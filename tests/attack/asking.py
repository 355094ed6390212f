"""Sound requests of every method about a graph, and explanations of them, answered in a process of their own."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradserve.ir.graph import Graph
from gradserve.questions.asked import QUESTIONS
from gradserve.wire.methods import new_request
from tests.attack.house import House
from tests.attack.requests import asked_of
from tests.attack.trial import Ended, Outcome

RUNNING = ("Inspect", "TaylorModel")
"""Methods that have no explanation and run no longer than one evaluation; of those that verify, planning is the same
as of what they verify, and they go on for as long as they may."""


class Plain(random.Random):
    """Dice that always say the same: several inputs, ordinary numbers, no field that a request need not have."""

    def random(self) -> float:
        """More than what is rare."""
        return 0.69


def requests(graph: Graph) -> Iterator[tuple[str, str, bytes]]:
    """What it is called, the method and the message of every question that can be explained, and of the others."""
    for field in new_request("ExplainGraph").DESCRIPTOR.fields:
        request = new_request("ExplainGraph")
        asked_of(getattr(request, field.name), graph, Plain())
        yield f"explained {field.name}", "ExplainGraph", request.SerializeToString()
        if field.name == "jacobian":
            for mode in (1, 2):
                request.jacobian.mode = mode
                yield f"explained jacobian {mode}", "ExplainGraph", request.SerializeToString()
    for method in RUNNING:
        request = new_request(method)
        asked_of(request, graph, Plain())
        if method == "TaylorModel":
            request.order = 5
        yield method, method, request.SerializeToString()


def answered(method: str, data: bytes) -> str:
    """How a request ends."""
    assert method in QUESTIONS
    outcome = Outcome()
    with suppress(Ended):
        House().meet(method, [data], outcome)
    last = list(outcome.stages.values())[-1]
    return f"FAULT {outcome.faults}"[:300] if outcome.faults else ("" if last == "fine" else last)


def alone(work: Callable[[], str]) -> tuple[float, int, str]:
    """Seconds of a processor and bytes that work takes in a process of its own, and how it ends."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        Path("/proc/self/clear_refs").write_text("5")
        before, started = _bytes("VmRSS"), time.process_time()
        try:
            ended = work()
        except BaseException as error:
            ended = f"FAULT {type(error).__name__}: {error}"[:200]
        told: Any = [time.process_time() - started, _bytes("VmHWM") - before, ended]
        os.write(theirs, json.dumps(told).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        read = pipe.read()
    os.waitpid(child, 0)
    seconds, grown, ended = json.loads(read) if read else (0.0, 0, "FAULT the process ended")
    return float(seconds), int(grown), str(ended)


def _bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))
