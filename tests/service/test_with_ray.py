"""The service with a pool of Ray actors."""

import time

import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradserve import wire
from gradserve.client.tracing.trace import trace
from gradserve.pools.ray import cluster as local_cluster
from gradserve.service.server import Server
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import execution_pb2, verification_service_pb2
from tests.service.conftest import settings
from tests.service.support import Stubs, call_of, slow_call
from tests.service.test_metrics import values

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def clustered():
    server = Server(settings(ray=True)).start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield server, Stubs(channel)
    assert server.stop(10)


def placed(placement):
    return execution_pb2.ExecutionOptions(placement=placement)


def test_small_calls_stay_in_the_front_end(clustered):
    _, stubs = clustered
    assert stubs.derivatives.Gradient(pb.GradientRequest(call=call_of())).report.placement == "front-end"


def _eigenvalues(A):
    return np.sum(np.linalg.eigvalsh(A @ A.T))


def _products(A):
    for _ in range(20):
        A = np.tanh(A @ A)
    return np.sum(A)


@pytest.mark.parametrize("loss", [_eigenvalues, _products])
def test_heavy_work_is_done_outside_the_front_end(clustered, loss):
    """There it would keep everybody else waiting, even if the way to a worker costs more than the work."""
    _, stubs = clustered
    point = np.random.default_rng(0).standard_normal((700, 700)) / 30.0
    graph = wire.encode_graph(trace(loss, point).graph)
    reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(graph, {"A": point})))
    assert reply.report.placement == "cluster"
    assert all(worker.startswith("worker-") for worker in reply.report.workers)
    kept = placed(execution_pb2.PLACEMENT_FRONT_END)  # the fault that this would find
    small = call_of(graph, {"A": point}, options=kept)
    assert stubs.derivatives.Evaluate(pb.EvaluateRequest(call=small)).report.placement == "front-end"


def test_bits_do_not_depend_on_the_placement(clustered):
    _, stubs = clustered
    points = np.random.default_rng(0).standard_normal((1000, 3))
    batch = execution_pb2.Batch(inputs=["w"], reduction=execution_pb2.REDUCTION_SUM)
    replies = [
        stubs.derivatives.Gradient(
            pb.GradientRequest(call=call_of(arguments={"w": points}, batch=batch, options=placed(placement)))
        )
        for placement in (execution_pb2.PLACEMENT_FRONT_END, execution_pb2.PLACEMENT_CLUSTER)
    ]
    assert [reply.report.placement for reply in replies] == ["front-end", "cluster"]
    assert replies[0].gradients["w"] == replies[1].gradients["w"]
    assert replies[0].value == replies[1].value


def test_symmetry_has_the_same_bits_everywhere(clustered):
    _, stubs = clustered
    reports = []
    for placement in (execution_pb2.PLACEMENT_FRONT_END, execution_pb2.PLACEMENT_CLUSTER):
        call = call_of(options=placed(placement))
        *_, last = stubs.verification.VerifySymmetry(verification_service_pb2.VerifySymmetryRequest(call=call))
        reports.append(last.report)
        assert last.execution.placement == ("front-end", "cluster")[len(reports) - 1]
    assert reports[0].pairs
    assert reports[0] == reports[1]


def test_report_names_the_workers(clustered):
    _, stubs = clustered
    call = call_of(options=placed(execution_pb2.PLACEMENT_CLUSTER))
    report = stubs.derivatives.Gradient(pb.GradientRequest(call=call)).report
    assert len(report.workers) == 1
    assert report.workers[0] != "front-end"


def test_workers_are_counted(clustered):
    server, _ = clustered
    found = values(server)
    assert found["gradserve_workers", "front-end"] == 2
    assert found["gradserve_workers", "cluster"] == 2
    assert found["gradserve_workers_wanted", "cluster"] == 2
    assert found["gradserve_workers_lost_total",] == 0
    assert found["gradserve_chunks_waiting",] == 0


def test_cancelled_call_frees_the_cluster(clustered):
    server, stubs = clustered
    call = slow_call(60)
    call.options.placement = execution_pb2.PLACEMENT_CLUSTER
    running = stubs.derivatives.Evaluate.future(pb.EvaluateRequest(call=call))
    with pytest.raises(grpc.FutureTimeoutError):
        running.result(timeout=3)
    running.cancel()
    assert server.admission.wait_idle(5)
    quick = call_of(options=placed(execution_pb2.PLACEMENT_CLUSTER))
    reply = stubs.derivatives.Gradient(pb.GradientRequest(call=quick), timeout=10)
    assert wire.decode_tensor(reply.value) == 14.0


def health_of_cluster(stubs):
    request = health_pb2.HealthCheckRequest(service="cluster")
    return health_pb2_grpc.HealthStub(stubs.channel).Check(request, timeout=30).status


def comes_to(holds, seconds=120.0):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def test_a_service_that_finds_no_cluster_to_join_serves_and_says_so():
    server = Server(settings(ray=True, ray_join="127.0.0.1:1")).start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stubs = Stubs(channel)
        assert health_of_cluster(stubs) == health_pb2.HealthCheckResponse.NOT_SERVING
        whole = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert whole.status == health_pb2.HealthCheckResponse.SERVING
        call = call_of(options=placed(execution_pb2.PLACEMENT_CLUSTER))
        assert wire.decode_tensor(stubs.derivatives.Gradient(pb.GradientRequest(call=call)).value) == 14.0
        assert values(server)["gradserve_workers", "cluster"] == 0
    assert server.stop(10)


def test_a_lost_cluster_is_started_again_and_no_call_is_lost(clustered):
    """The last test of this file, as it costs the cluster."""
    server, stubs = clustered
    points = np.random.default_rng(1).standard_normal((2000, 3))
    batch = execution_pb2.Batch(inputs=["w"], reduction=execution_pb2.REDUCTION_SUM)
    options = placed(execution_pb2.PLACEMENT_CLUSTER)
    request = pb.GradientRequest(call=call_of(arguments={"w": points}, batch=batch, options=options))
    before = stubs.derivatives.Gradient(request)
    assert before.report.workers[0].startswith("worker-")
    assert health_of_cluster(stubs) == health_pb2.HealthCheckResponse.SERVING
    assert local_cluster._head
    head = psutil.Process(local_cluster._head._process.pid)
    (control,) = [process for process in head.children() if process.name() == "gcs_server"]
    control.kill()
    assert comes_to(lambda: health_of_cluster(stubs) == health_pb2.HealthCheckResponse.NOT_SERVING)
    meanwhile = stubs.derivatives.Gradient(request, timeout=60)
    assert comes_to(lambda: health_of_cluster(stubs) == health_pb2.HealthCheckResponse.SERVING)
    after = stubs.derivatives.Gradient(request, timeout=60)
    assert after.report.workers[0].startswith("worker-")
    assert before.gradients["w"] == meanwhile.gradients["w"] == after.gradients["w"]
    assert values(server)["gradserve_workers", "cluster"] >= 1
