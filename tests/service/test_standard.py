"""Health and reflection."""

import functools
import threading
import time
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from gradserve.service.calls.standard import REFLECTION_V1, Reflection
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import refusal, slow_call

SERVICES = [f"gradserve.v1.{name}Service" for name in ("Graph", "Derivative", "Estimate", "Verification", "Blob")]
SERVING = health_pb2.HealthCheckResponse.SERVING


def check(stubs, service=""):
    stub = health_pb2_grpc.HealthStub(stubs.channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_health(stubs, service):
    assert check(stubs, service) == SERVING


def test_health_of_what_is_not_there(stubs):
    for name in ("gradserve.v1.Nothing", "cluster"):
        told = refusal(functools.partial(check, stubs, name))
        assert (told.code, told.info.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_SERVICE")
        assert f"no service '{name}'; there are gradserve.v1." in told.message


def test_health_is_answered_while_every_thread_is_taken(start):
    # One call at work and as many as there are threads waiting: health has threads of its own.
    server, stubs = start(max_in_flight=1, max_queued=2, threads=3, queue_seconds=20.0)
    request = pb.EvaluateRequest(call=slow_call(60))
    calls = [stubs.derivatives.Evaluate.future(request) for _ in range(6)]
    until = time.monotonic() + 5
    while not server.admission.calls and time.monotonic() < until:
        time.sleep(0.01)
    assert check(stubs) == SERVING
    for call in calls:
        call.cancel()
    assert server.admission.wait_idle(10)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection(stubs, version):
    method = stubs.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="gradserve.v1.DerivativeService"),
    ]
    listed, described = method(iter(asked))
    names = {service.name for service in listed.list_services_response.service}
    assert names >= {*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"}
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(f)
        for f in described.file_descriptor_response.file_descriptor_proto
    ]
    methods = {method.name for file in files for service in file.service for method in service.method}
    assert {"Evaluate", "Gradient", "Hvp"} <= methods


def test_generated_reflection_stub_works(stubs):
    stub = reflection_pb2_grpc.ServerReflectionStub(stubs.channel)
    (reply,) = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    assert len(reply.list_services_response.service) == len(SERVICES) + 3


def questions(**fields):
    return reflection_pb2.ServerReflectionRequest(**fields)


ASKED = [
    questions(list_services=""),
    questions(file_containing_symbol="gradserve.v1.DerivativeService.Hvp"),
    questions(file_by_filename="gradserve/v1/graph.proto"),
    questions(file_by_filename="nothing.proto"),
    questions(all_extension_numbers_of_type="google.protobuf.MethodOptions"),
    questions(host="somewhere", file_containing_symbol="gradserve.v1.Tensor"),
    questions(),
]


def test_answers_of_reflection_are_those_of_the_library(stubs):
    names = sorted([*SERVICES, "grpc.health.v1.Health", reflection.SERVICE_NAME, REFLECTION_V1])
    library: Any = reflection.ReflectionServicer(names)
    expected = [*library.ServerReflectionInfo(iter(ASKED), None)]
    for _ in range(2):  # and those that were given before
        assert [*reflection_pb2_grpc.ServerReflectionStub(stubs.channel).ServerReflectionInfo(iter(ASKED))] == expected


def test_questions_of_reflection_are_answered_once():
    """Ten thousand of them, each from another host, take about as long as reading and writing them."""
    found: Any = Reflection(SERVICES)
    asked = [questions(host=str(k), file_containing_symbol="gradserve.v1.DerivativeService") for k in range(1000)]
    plain: Any = reflection.ReflectionServicer(SERVICES)
    again = time.process_time()
    assert sum(1 for _ in plain.ServerReflectionInfo(iter(asked), None)) == 1000
    kept = time.process_time()
    assert sum(1 for _ in found.answers(iter(asked), None)) == 1000
    assert time.process_time() - kept < (kept - again) / 3


def test_long_questions_of_reflection_are_refused(stubs):
    stub = reflection_pb2_grpc.ServerReflectionStub(stubs.channel)
    told = refusal(lambda: list(stub.ServerReflectionInfo(iter([questions(host="x" * 5000)]))))
    assert (told.code, told.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


def test_health_watch_tells_of_the_end(start):
    server, stubs = start()
    watch = health_pb2_grpc.HealthStub(stubs.channel).Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == SERVING
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    stopper.join(10)


HEALTH, REFLECTION = "/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


@pytest.mark.parametrize("data", [b"\xff" * 10, b"\x0a\x05ab", b"\x0a\x02\xff\xfe"])
def test_bytes_that_are_no_message_are_refused(stubs, data):
    channel = stubs.channel
    for ask in (
        lambda: channel.unary_unary(f"{HEALTH}Check", None, None)(data, timeout=5),
        lambda: list(channel.unary_stream(f"{HEALTH}Watch", None, None)(data, timeout=5)),
        lambda: list(channel.stream_stream(REFLECTION, None, None)(iter([data]), timeout=5)),
    ):
        assert refusal(ask).code is grpc.StatusCode.INVALID_ARGUMENT
    assert check(stubs) == SERVING
