"""How a service ends: calls in flight finish, new ones are refused, and its process exits with 0."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradserve.service.server import Server
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.conftest import settings
from tests.service.support import Stubs, UnderWay, call_of, refusal, slow_call
from tests.waiting import PATIENCE_SECONDS, comes

pytestmark = pytest.mark.slow

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def slow_request(seconds):
    return pb.EvaluateRequest(call=slow_call(seconds))


def in_flight(server, count=1):
    assert comes(lambda: server.admission.calls >= count)


def serves_no_more(stubs):
    health = health_pb2_grpc.HealthStub(stubs.channel)
    return health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_SECONDS).status == NOT_SERVING


def test_call_in_flight_finishes_and_new_ones_are_refused(start):
    server, stubs = start()
    call = UnderWay(stubs)
    stopped = []
    stopper = threading.Thread(target=lambda: stopped.append(server.stop(PATIENCE_SECONDS)))
    stopper.start()
    assert comes(lambda: serves_no_more(stubs))
    refused = refusal(lambda: stubs.derivatives.Evaluate(pb.EvaluateRequest(call=call_of())))
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert refused.info.reason == "UNAVAILABLE"
    assert refused.retry_after
    assert call.answers()
    assert not stopped
    assert call.end() is grpc.StatusCode.OK
    stopper.join(PATIENCE_SECONDS)
    assert stopped == [True]
    assert refusal(lambda: stubs.derivatives.Evaluate(pb.EvaluateRequest())).code is grpc.StatusCode.UNAVAILABLE


def test_call_that_does_not_end_in_time_is_cut_off(start):
    server, stubs = start()
    call = stubs.derivatives.Evaluate.future(slow_request(60))
    in_flight(server)
    started = time.monotonic()
    assert not server.stop(0.2)
    assert time.monotonic() - started < 5
    assert call.exception(timeout=5).code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
    assert server.admission.wait_idle(5)


def test_stopping_twice_and_waiting(start):
    server, _ = start()
    assert not server.wait(0.01)
    assert server.stop(1)
    assert server.stop(1)
    assert server.wait(1)


def test_server_that_never_started_has_stopped():
    assert Server(settings()).wait(0)


def test_port_that_is_taken(start):
    server, _ = start()
    with pytest.raises(OSError, match="cannot listen"):
        Server(settings(address=f"127.0.0.1:{server.port}")).start()


class Process:
    """A service in a process of its own."""

    def __init__(self, *options):
        command = [sys.executable, "-m", "gradserve.service", "--no-ray", "--metrics-port", "0", "--workers", "2"]
        command += ["--address", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines = []
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if "serving on port" in line:
                break
        port, page = map(int, re.findall(r" on port (\d+)", line))
        self.stubs = Stubs(grpc.insecure_channel(f"127.0.0.1:{port}"))
        self._page = f"http://127.0.0.1:{page}/metrics"

    def in_flight(self):
        with urllib.request.urlopen(self._page, timeout=PATIENCE_SECONDS) as page:
            return float(re.findall(r"^gradserve_in_flight (.*)$", page.read().decode(), re.MULTILINE)[0])

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        self.stubs.channel.close()
        _, rest = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, rest


@pytest.fixture
def process():
    started = []

    def start(*options):
        started.append(Process(*options))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains_the_process(process, number):
    service = process("--grace", f"{PATIENCE_SECONDS:g}")
    call = UnderWay(service.stubs)
    service.signal(number)
    assert comes(lambda: serves_no_more(service.stubs))
    refused = refusal(lambda: service.stubs.derivatives.Evaluate(pb.EvaluateRequest(call=call_of())))
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert call.answers()
    assert call.end() is grpc.StatusCode.OK
    status, log = service.end()
    assert status == 0, log
    assert "Traceback" not in log
    assert log.rstrip().endswith("stopped")


def test_signal_ends_a_process_that_is_starting():
    """Not only by the default of processes, which the first one of a container does not have."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a head that takes connections, and says nothing
        head = f"127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "gradserve.service", "--address", "127.0.0.1:0", "--metrics-port", "-1"]
        starting = subprocess.Popen([*command, "--ray-join", head])
        try:
            # Without a pause: amid the start of its own child it is most exposed.
            assert comes(psutil.Process(starting.pid).children, pause=0.0)
            joining = psutil.Process(starting.pid).children()
            starting.send_signal(signal.SIGTERM)
            assert starting.wait(PATIENCE_SECONDS) == 0
            assert not psutil.wait_procs(joining, timeout=PATIENCE_SECONDS)[1]
        finally:
            starting.kill()
            starting.wait()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_signals_that_were_blocked_by_whoever_started_the_process_end_it(process, processes):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        service = process("--processes", processes)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    service.signal(signal.SIGTERM)
    assert service.end()[0] == 0


def test_second_signal_cuts_off(process):
    service = process("--grace", f"{2 * PATIENCE_SECONDS:g}")
    call = service.stubs.derivatives.Evaluate.future(slow_request(60))
    assert comes(lambda: service.in_flight() == 1.0)
    service.signal(signal.SIGTERM)
    assert comes(lambda: serves_no_more(service.stubs))
    assert not call.done()
    service.signal(signal.SIGTERM)
    assert call.exception(timeout=PATIENCE_SECONDS) is not None
    status, log = service.end()
    assert status == 0, log


def test_wrong_settings_are_told_in_one_line(process):
    service = process()
    port = service.lines[-1].split("serving on port ")[1].split(",")[0]
    command = [sys.executable, "-m", "gradserve.service", "--no-ray", "--address", f"127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "cannot listen on" in done.stderr
    assert "Traceback" not in done.stderr
