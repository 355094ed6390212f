"""Refused requests leave nothing behind."""

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
