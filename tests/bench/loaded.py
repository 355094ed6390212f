"""Clients in processes of their own that load a service on one processor, and what became of their calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.bench.flood import Order, Seen

OK, SHED = "OK", "RESOURCE_EXHAUSTED"
PRODUCTS = {"small": 0, "20 ms": 12, "100 ms": 60}
"""By how long calls take, how many products of matrices they are of."""
_ROOT = Path(__file__).resolve().parents[2]


class Flood:
    """A client in a process of its own, on the processors that the service has not."""

    def __init__(self, order: Order) -> None:
        """Connected and warm."""
        command = [sys.executable, "-m", "tests.bench.flood"]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=_on_others
        )
        self._say(json.dumps(asdict(order)))
        assert self._process.stdout
        assert self._process.stdout.readline().strip() == "ready"

    def begin(self) -> None:
        """Lets it loose."""
        self._say("go")

    def seen(self) -> list[Seen]:
        """What became of its calls, when all are answered."""
        assert self._process.stdout
        found = [Seen(**each) for each in json.loads(self._process.stdout.readline())]
        self._process.wait(30)
        return found

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def flooded(order: Order) -> list[Seen]:
    """What becomes of the calls of one client."""
    flood = Flood(order)
    flood.begin()
    return flood.seen()


@contextmanager
def one_core_service(*options: str) -> Iterator[str]:
    """The address of a service of one worker without Ray, on one processor."""
    command = [sys.executable, "-m", "gradserve.service", "--address", "127.0.0.1:0", "--metrics-port", "-1"]
    command += ["--no-ray", "--workers", "1", *options]
    process = subprocess.Popen(command, cwd=_ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=_on_first)
    try:
        assert process.stderr
        line = next(line for line in process.stderr if "serving on" in line)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield f"127.0.0.1:{line.split('port ')[1].split(',')[0]}"
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def bare_server() -> Iterator[tuple[str, int]]:
    """The address of a server that says requests again, on the same processor, and its process."""
    command = [sys.executable, "-m", "tests.bench.bare"]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=_on_first
    ) as process:
        assert process.stdout
        yield f"127.0.0.1:{int(process.stdout.readline())}", process.pid
        process.terminate()


def bare_seconds(rate: float, seconds: float) -> float:
    """What gRPC takes of a processor for one call of a server that does nothing, at such a rate."""
    with bare_server() as (address, process):
        flood = Flood(Order(address, 0, rate, seconds, connections=4, bare=True))
        before = _processor_seconds(process)
        flood.begin()
        calls = len(flood.seen())
        return (_processor_seconds(process) - before) / calls


class Health:
    """Asks for the health every 50 ms."""

    def __init__(self, address: str) -> None:
        """Begins at once."""
        self.seconds: list[float] = []
        self.failures = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(address,))
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stop.set()
        self._thread.join()

    def _ask(self, address: str) -> None:
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub, request = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
            while not self._stop.wait(0.05):
                began = time.monotonic()
                try:
                    serving = stub.Check(request, timeout=1.0).status == health_pb2.HealthCheckResponse.SERVING
                except grpc.RpcError:
                    serving = False
                self.failures += not serving
                self.seconds.append(time.monotonic() - began)


def codes_told(codes: Mapping[str, int]) -> str:
    """How many ended in each way."""
    return ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))


def times(seen: Iterable[Seen]) -> list[float]:
    """Seconds that each took."""
    return [each.took for each in seen]


def rate(seen: Sequence[Seen]) -> float:
    """Calls answered in a second."""
    ends = sorted(each.sent + each.took for each in seen if each.code == OK)
    return (len(ends) - 1) / (ends[-1] - ends[0])


def percentile(took: Sequence[float], percent: float) -> float:
    """The seconds that so many percent took at most; NaN of none."""
    return float(np.percentile(took, percent)) if took else float("nan")


def _on_first() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _on_others() -> None:
    all_ = os.sched_getaffinity(0)
    os.sched_setaffinity(0, all_ - {min(all_)} or all_)


def _processor_seconds(process: int) -> float:
    """What a process has had of processors."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
