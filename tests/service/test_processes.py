"""Several processes behind one port: none is missed when it dies, they are counted as one, and end together."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from gradserve.client import Client
from gradserve.ir.errors import InvalidRequest
from gradserve.service.configuration.settings import Settings
from gradserve.service.listening.ports import SharedPort
from gradserve.service.processes import child
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import Stubs, call_of, slow_call
from tests.waiting import PATIENCE_SECONDS, comes

pytestmark = pytest.mark.slow

PROCESSES = 2
_LOCAL = [("grpc.use_local_subchannel_pool", 1)]


class Service:
    """A service of several processes."""

    def __init__(self, *options):
        command = [sys.executable, "-m", "gradserve.service", "--no-ray", "--metrics-port", "0", "--workers", "2"]
        command += ["--address", "127.0.0.1:0", "--processes", str(PROCESSES), *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines = []
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if "serving on port" in line:
                break
        told = line.split("serving on port ")[1].split(",")
        self.address, self.page = f"127.0.0.1:{int(told[0])}", told[1].rpartition(" ")[2]
        self._rest = threading.Thread(target=self.lines.extend, args=(self.process.stderr,))
        self._rest.start()

    @property
    def front_ends(self):
        found = psutil.Process(self.process.pid).children()
        return [child for child in found if "gradserve.service.processes.front_end" in child.cmdline()]

    def values(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/metrics", timeout=10) as reply:
            text = reply.read().decode()
        families = text_string_to_metric_families(text)
        return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}

    def calls(self):
        return sum(value for key, value in self.values().items() if key[0] == "gradserve_calls_total" and "OK" in key)

    def await_values(self, **wanted):
        until = time.monotonic() + 60
        while {name: self.values().get((f"gradserve_{name}",)) for name in wanted} != wanted:
            assert time.monotonic() < until, self.lines
            time.sleep(0.2)

    def end(self):
        self.process.wait(PATIENCE_SECONDS)
        self._rest.join(PATIENCE_SECONDS)
        return self.process.returncode, "".join(self.lines)

    def connected(self):
        """A process that a client is connected to."""
        port = int(self.address.rpartition(":")[2])
        for process in self.front_ends:
            if any(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in process.net_connections()):
                return process
        raise AssertionError("nobody is connected")


@pytest.fixture(scope="module")
def shared():
    """A service that no test ends."""
    running = Service("--max-in-flight", "7")
    yield running
    running.process.terminate()
    status, log = running.end()
    assert status == 0, log


@pytest.fixture
def service():
    started = []

    def start(*options):
        started.append(Service(*options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.terminate()
            each.process.wait(PATIENCE_SECONDS)


def connect(service, count):
    """Connections enough for each process to have one, almost surely."""
    channels = [grpc.insecure_channel(service.address, _LOCAL) for _ in range(count)]
    return channels, [Stubs(channel) for channel in channels]


def test_a_process_that_dies_is_replaced_and_no_call_is_lost(shared):
    stop, done, wrong = threading.Event(), [0] * 2, []

    def call(k):
        with Client(shared.address) as client:
            f = client.function(lambda w: np.sum(w * w), np.zeros(3))
            while not stop.is_set():
                try:
                    value, gradient = f.value_and_grad(np.array([1.0, -2.0, 3.0]))
                    assert (value, *gradient) == (14.0, 2.0, -4.0, 6.0)
                except Exception as error:
                    wrong.append(error)
                done[k] += 1
                time.sleep(0.005)

    callers = [threading.Thread(target=call, args=(k,)) for k in range(2)]
    for caller in callers:
        caller.start()
    while min(done) < 20:
        time.sleep(0.01)
    victim, counted = shared.connected(), shared.calls()
    victim.kill()
    shared.await_values(process_restarts_total=1, processes=PROCESSES)
    assert shared.calls() >= counted  # what has been counted stays
    seen = list(done)
    while any(now < before + 5 for now, before in zip(done, seen, strict=True)):
        time.sleep(0.01)
    stop.set()
    for caller in callers:
        caller.join(60)
    assert not wrong
    assert victim.pid not in [each.pid for each in shared.front_ends]
    assert len(shared.front_ends) == PROCESSES


def test_front_ends_that_a_signal_has_stopped_go_on(shared):
    before = shared.front_ends
    for each in before:
        each.suspend()
    channels, stubs = connect(shared, 6)
    for each in stubs:
        each.derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=30)
    assert shared.front_ends == before
    for channel in channels:
        channel.close()


def test_metrics_are_those_of_all_processes(shared):
    before = shared.values()
    channels, stubs = connect(shared, 12)
    for each in stubs:
        for _ in range(3):
            each.derivatives.Gradient(pb.GradientRequest(call=call_of()))
    found = shared.values()
    calls = "gradserve_batch_size_count", "DerivativeService/Gradient"
    assert found[calls] - before[calls] == 36
    assert found["gradserve_max_in_flight",] == 7 * PROCESSES
    assert found["gradserve_processes",] == PROCESSES
    assert found["gradserve_workers", "front-end"] == 2 * PROCESSES
    started = found["process_start_time_seconds",]
    assert time.time() - 120 < started < time.time()
    both = sum(child.memory_info().rss for child in shared.front_ends)
    assert found["process_resident_memory_bytes",] > 0.9 * both
    for channel in channels:
        channel.close()


def test_a_signal_drains_all_processes(service):
    running = service("--grace", f"{PATIENCE_SECONDS:g}")
    channels, stubs = connect(running, 6)
    calls = [each.derivatives.Evaluate.future(pb.EvaluateRequest(call=slow_call(1))) for each in stubs]
    assert comes(lambda: running.values()["gradserve_in_flight",] == len(calls))
    running.process.send_signal(signal.SIGINT)  # SIGTERM is what the shared one ends by
    assert all(call.result(timeout=PATIENCE_SECONDS).outputs["loss"].inline for call in calls)
    for channel in channels:
        channel.close()
    status, log = running.end()
    assert status == 0, log
    assert "Traceback" not in log
    assert log.rstrip().endswith("stopped")


def test_processes_end_with_their_supervisor(service):
    running = service()
    left = running.front_ends
    running.process.kill()
    assert not psutil.wait_procs(left, timeout=PATIENCE_SECONDS)[1]


def test_a_port_that_is_taken_is_named(shared):
    command = [sys.executable, "-m", "gradserve.service", "--no-ray", "--address", shared.address]
    for count in ("1", "2"):
        words = [*command, "--metrics-port", "-1", "--processes", count]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert f"cannot listen on {shared.address}" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_process_that_cannot_start_says_why(tmp_path):
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).write_text("no PEM")
    command = [sys.executable, "-m", "gradserve.service", "--no-ray", "--address", "127.0.0.1:0", "--processes", "2"]
    command += ["--metrics-port", "-1", "--tls-certificate", f"{tmp_path}/c.pem", "--tls-key", f"{tmp_path}/k.pem"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "gradserve: tls_certificate, " in done.stderr
    assert "are no certificate with its own key" in done.stderr


@pytest.fixture
def still():
    """A process that a signal stops as soon as it has been started."""
    begun = child.Child("process 7", Settings(address="127.0.0.1:0", metrics_port=None, store="none"), {})
    psutil.Process(begun.pid).suspend()
    yield begun
    begun.kill()


def test_a_process_that_stands_still_is_made_to_go_on(still, monkeypatch, caplog):
    monkeypatch.setattr(child, "LOOK_SECONDS", 0.05)
    still.await_started()
    assert still.serves
    assert "process 7 stands still, stopped by a signal, and is made to go on" in caplog.text


def test_a_process_that_is_stopped_again_and_again_is_killed(still, monkeypatch, caplog):
    monkeypatch.setattr(child, "LOOK_SECONDS", 0.05)
    over = threading.Event()

    def stop():
        process = psutil.Process(still.pid)
        while not over.wait(0.001) and process.is_running():
            process.suspend()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(OSError, match="process 7 ended with status -9 before it served"):
        still.await_started()
    over.set()
    stopping.join()
    assert "process 7 stands still, stopped by a signal, and is killed" in caplog.text


def test_a_process_that_is_starting_holds_up_no_stop(still):
    still.terminate()
    assert psutil.Process(still.pid).wait(PATIENCE_SECONDS) == -signal.SIGKILL


def test_health_is_that_of_the_process_that_is_asked(shared):
    channels, _ = connect(shared, 6)
    for channel in channels:
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
        channel.close()


def test_a_shared_port_is_shared_with_nobody_else():
    with SharedPort("127.0.0.1", 0) as port:
        assert port.number
        with socket.socket() as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            ours.bind(("127.0.0.1", port.number))
            ours.listen()
            with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port.number}: Address already in use"):
                SharedPort("127.0.0.1", port.number)
        with pytest.raises(OSError, match="Address already in use"), socket.socket() as other:
            other.bind(("127.0.0.1", port.number))
    with SharedPort("localhost", port.number), SharedPort("0.0.0.0", 0) as everywhere:
        assert everywhere.number != port.number


def test_a_port_is_free_as_soon_as_its_service_has_ended():
    """Though the system remembers the connections that it closed."""
    with SharedPort("127.0.0.1", 0) as port, socket.socket() as ours:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # as gRPC does
            ours.setsockopt(socket.SOL_SOCKET, option, 1)
        ours.bind(("127.0.0.1", port.number))
        ours.listen()
        with socket.create_connection(("127.0.0.1", port.number)) as client:
            ours.accept()[0].close()
            assert client.recv(1) == b""
    with socket.socket() as unaware, pytest.raises(OSError, match="Address already in use"):
        unaware.bind(("127.0.0.1", port.number))
    with SharedPort("127.0.0.1", port.number) as again:
        assert again.number == port.number


@pytest.mark.parametrize("address", ["unix:/tmp/x", "ipv4:127.0.0.1:1"])
def test_only_a_port_is_shared(address):
    with pytest.raises(InvalidRequest, match="write host:port"):
        Settings(address=address, processes=2)
