"""How a service ends: calls in flight finish, new ones are refused, and its process exits with 0."""

import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradserve.service.server import Server
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.conftest import settings
from tests.service.support import Stubs, call_of, refusal, slow_call

pytestmark = pytest.mark.slow

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def slow_request(seconds):
    return pb.EvaluateRequest(call=slow_call(seconds))


def in_flight(server, count=1):
    until = time.monotonic() + 10
    while server.admission.calls < count:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_call_in_flight_finishes_and_new_ones_are_refused(start):
    server, stubs = start()
    call = stubs.derivatives.Evaluate.future(slow_request(3))
    in_flight(server)
    stopped = []
    stopper = threading.Thread(target=lambda: stopped.append(server.stop(60)))
    stopper.start()
    health = health_pb2_grpc.HealthStub(stubs.channel)
    until = time.monotonic() + 5
    while health.Check(health_pb2.HealthCheckRequest(), timeout=10).status != NOT_SERVING:
        assert time.monotonic() < until
    refused = refusal(lambda: stubs.derivatives.Evaluate(pb.EvaluateRequest(call=call_of())))
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert refused.info.reason == "UNAVAILABLE"
    assert refused.retry_after
    assert not call.done()
    assert call.result(timeout=60).outputs["loss"].inline
    stopper.join(60)
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
        port = int(line.split("serving on port ")[1].split(",")[0])
        self.stubs = Stubs(grpc.insecure_channel(f"127.0.0.1:{port}"))

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, seconds=30):
        self.stubs.channel.close()
        _, rest = self.process.communicate(timeout=seconds)
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
    service = process()
    call = service.stubs.derivatives.Evaluate.future(slow_request(3))
    health = health_pb2_grpc.HealthStub(service.stubs.channel)
    time.sleep(0.3)
    service.signal(number)
    until = time.monotonic() + 5
    while health.Check(health_pb2.HealthCheckRequest(), timeout=10).status != NOT_SERVING:
        assert time.monotonic() < until
    refused = refusal(lambda: service.stubs.derivatives.Evaluate(pb.EvaluateRequest(call=call_of())))
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert call.result(timeout=30).outputs["loss"].inline
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
            until = time.monotonic() + 30
            while not (joining := psutil.Process(starting.pid).children()):
                assert time.monotonic() < until  # without a pause: amid the start of its own child it is most exposed
            starting.send_signal(signal.SIGTERM)
            assert starting.wait(10) == 0
            assert not psutil.wait_procs(joining, timeout=5)[1]
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
    service = process()
    call = service.stubs.derivatives.Evaluate.future(slow_request(60))
    time.sleep(0.5)
    service.signal(signal.SIGTERM)
    time.sleep(0.3)
    assert not call.done()
    service.signal(signal.SIGTERM)
    assert call.exception(timeout=10) is not None
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
