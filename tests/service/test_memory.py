"""Refused requests leave nothing behind, and neither do connections that break off."""

import subprocess
import sys

import pytest

_GROWTH = """
import grpc, numpy as np, random
from gradserve.service.server import Server
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.conftest import settings
from tests.service.support import Stubs, call_of, graph_message

server = Server(settings()).start()
stubs = Stubs(grpc.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.max_send_message_length", -1)]))
good = pb.GradientRequest(call=call_of()).SerializeToString()
big = pb.GradientRequest(call=call_of(arguments={"w": np.zeros(1 << 20)})).SerializeToString()
random.seed(1)

def abuse(rounds):
    for k in range(rounds):
        cut = bytearray(good)
        for _ in range(3):
            cut[random.randrange(len(cut))] = random.randrange(256)
        for data in (bytes(cut), big):
            try:
                stubs.raw("DerivativeService/Gradient")(data)
            except grpc.RpcError as error:
                assert error.code() is not grpc.StatusCode.INTERNAL, error.details()

abuse(150)
def resident():
    return server.metrics.registry.get_sample_value("process_resident_memory_bytes")

before = resident()
abuse(300)
print((resident() - before) / 2**20)
server.stop(0)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_refusals():
    # 300 refused requests of 8 MB each, and 300 with bytes changed at random, none of which is a fault of ours.
    done = subprocess.run([sys.executable, "-c", _GROWTH], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 60


_BROKEN = """
import re, socket, struct, subprocess, sys, time
from pathlib import Path

def frame(kind, stream, payload, flags=0):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

def field(name, value):
    return b"\\0" + bytes([len(name)]) + name + bytes([len(value)]) + value  # a header as it is, in no table

def call(stream, method, body):
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", method), (b":authority", b"x"),
            (b"te", b"trailers"), (b"content-type", b"application/grpc")]
    whole = struct.pack(">BI", 0, 60000) + body
    parts = [whole[k : k + 16000] for k in range(0, len(whole), 16000)]
    return frame(1, stream, b"".join(field(*each) for each in head), 4) + b"".join(frame(0, stream, p) for p in parts)

HELLO = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, b"")
STREAM, UNARY = b"/gradserve.v1.DerivativeService/StreamGradient", b"/gradserve.v1.DerivativeService/Gradient"
HALF = HELLO + call(1, UNARY, bytes(30000))
STREAMS = HELLO + b"".join(call(2 * k + 1, STREAM, b"") for k in range(125))

command = [sys.executable, "-m", "gradserve.service", "--no-ray", "--metrics-port", "-1", "--store", "none"]
service = subprocess.Popen([*command, "--address", "127.0.0.1:0", "--workers", "1"], stderr=subprocess.PIPE, text=True)
line = next(line for line in service.stderr if "serving on port" in line)
port = int(re.search(r"port ([0-9]+)", line)[1])

def resident():
    return int(re.search(r"VmRSS:\\s+([0-9]+)", Path(f"/proc/{service.pid}/status").read_text())[1]) >> 10

def broken():
    held = []
    for data, count in ((HALF, 1000), (STREAMS, 40)):
        for _ in range(count):
            held.append(socket.create_connection(("127.0.0.1", port)))
            held[-1].sendall(data)
    time.sleep(1)
    for each in held:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        each.close()

def settled():
    # What it takes once it has looked through what came, and after that looked at its memory.
    least, since = resident(), time.monotonic()
    while time.monotonic() - since < 25:
        time.sleep(0.5)
        least = min(least, resident())
    return least

try:
    before = resident()
    broken()
    most = resident()
    after = [settled()]
    broken()
    after.append(settled())
    print(before, most, *after)
finally:
    service.kill()
"""


@pytest.mark.slow
def test_memory_does_not_stay_with_connections_that_broke_off():
    # 1000 connections with half a request each, and 40 with 125 streams each, all at once, and the same again.
    done = subprocess.run([sys.executable, "-c", _BROKEN], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    before, most, after, again = map(int, done.stdout.split())
    assert most > before + 90  # else there was nothing to give back
    assert after < before + 90
    assert again < after + 60
