"""GradBench's protocol: one message in JSON a line, and one response a line.

See CONTRIBUTING.md of https://github.com/gradbench/gradbench.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gradserve.client import Client
from tests.thirdparty.gradbench.evaluations import EVALUATIONS, Task


def responses(lines: Iterable[str], client: Client) -> Iterator[str]:
    """A response to each message."""
    for line in lines:
        message = json.loads(line)
        yield json.dumps({"id": message["id"], **response(message, client)})


def response(message: Mapping[str, Any], client: Client) -> dict[str, Any]:
    """What a message is answered, without its number. Analyses of earlier results are only acknowledged."""
    match message["kind"]:
        case "start":
            return {"tool": "gradserve"}
        case "define":
            known = message["module"] in EVALUATIONS
            return {"success": known, **({} if known else {"error": f"there is no module {message['module']!r}"})}
        case "evaluate":
            return evaluated(message["module"], message["function"], message["input"], client)
    return {}


def evaluated(module: str, function: str, given: Any, client: Client) -> dict[str, Any]:
    """The output of a function, and the time of each of its runs; the error, if there is one."""
    try:
        task = EVALUATIONS[module][function](client, given)
        result, timings = timed(task, *_wanted(given))
        return {"success": True, "output": task.output(result), "timings": timings}
    except Exception:  # whatever goes wrong is the answer
        return {"success": False, "error": traceback.format_exc()}


def _wanted(given: Any) -> tuple[int, float]:
    """How many runs are wanted, and for how many seconds."""
    return (given.get("min_runs", 1), given.get("min_seconds", 0)) if isinstance(given, Mapping) else (1, 0.0)


def timed(task: Task, runs: int, seconds: float) -> tuple[Any, list[dict[str, Any]]]:
    """The last result of as many runs as are wanted, but at least one, and what each took."""
    timings: list[dict[str, Any]] = []
    spent = 0
    while True:
        started = time.perf_counter_ns()
        result = task.run()
        taken = time.perf_counter_ns() - started
        timings.append({"name": "evaluate", "nanoseconds": taken})
        spent += taken
        if len(timings) >= runs and spent >= seconds * 1e9:
            return result, timings
