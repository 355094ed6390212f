"""The metrics page: its names, its numbers, and what its labels hold."""

import re
import urllib.request
from collections import Counter

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gradserve.runtime.control import Control
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import estimate_service_pb2, graph_service_pb2, verification_service_pb2
from tests.service.support import QUADRATIC, call_of, graph_message

METHOD = "DerivativeService/Gradient"
DECLARED = {
    "gradserve_calls": "counter",
    "gradserve_call_seconds": "histogram",
    "gradserve_batch_size": "histogram",
    "gradserve_chunks": "counter",
    "gradserve_worker_retries": "counter",
    "gradserve_in_flight": "gauge",
    "gradserve_max_in_flight": "gauge",
    "gradserve_queued": "gauge",
    "gradserve_in_flight_limit": "gauge",
    "gradserve_running": "gauge",
    "gradserve_shed": "counter",
    "gradserve_queue_seconds": "histogram",
    "gradserve_plan_cache_hits": "counter",
    "gradserve_plan_cache_misses": "counter",
    "gradserve_probes": "counter",
    "gradserve_verifications": "counter",
    "gradserve_received_bytes": "counter",
    "gradserve_sent_bytes": "counter",
    "gradserve_workers": "gauge",
    "gradserve_workers_wanted": "gauge",
    "gradserve_graphs": "gauge",
    "gradserve_blob_bytes": "gauge",
    "gradserve_blob_capacity_bytes": "gauge",
    "gradserve_memory_limit_bytes": "gauge",
    "gradserve_build_info": "gauge",
}


def page(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=5) as reply:
        return reply.read().decode()


def families(server):
    return {family.name: family for family in text_string_to_metric_families(page(server))}


def values(server):
    """Values by name and labels, those of all executors together."""
    found: Counter[tuple[str, ...]] = Counter()
    for family in families(server).values():
        for sample in family.samples:
            labels = sorted(value for label, value in sample.labels.items() if label != "executor")
            found[sample.name, *labels] += sample.value
    return found


@pytest.fixture
def used(start):
    """A service that has done some of everything, and its values before and after."""
    server, stubs = start()
    before = values(server)
    stubs.graphs.RegisterGraph(graph_service_pb2.RegisterGraphRequest(graph=graph_message()))
    for _ in range(3):
        stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()))
    with pytest.raises(grpc.RpcError):
        stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(arguments={})))
    signs = estimate_service_pb2.ESTIMATOR_HUTCHINSON
    asked = estimate_service_pb2.EstimateTraceRequest(call=call_of(), max_probes=64, estimator=signs)
    list(stubs.estimates.EstimateTrace(asked))
    list(stubs.verification.VerifyGradient(verification_service_pb2.VerifyGradientRequest(call=call_of())))
    server.admission.wait_idle(5)
    return server, before, values(server)


def test_every_metric_is_there_with_its_type(used):
    found = families(used[0])
    assert {name: found[name].type for name in DECLARED} == DECLARED
    assert found["process_resident_memory_bytes"].samples
    assert found["python_info"].samples


def test_numbers_move(used):
    _, before, after = used

    def moved(*key):
        return after.get(key, 0) - before.get(key, 0)

    assert moved("gradserve_calls_total", METHOD, "OK") == 3
    assert moved("gradserve_calls_total", METHOD, "INVALID_ARGUMENT") == 1
    assert moved("gradserve_calls_total", "GraphService/RegisterGraph", "OK") == 1
    assert moved("gradserve_calls_total", "EstimateService/EstimateTrace", "OK") == 1
    for phase in ("plan", "execute"):
        assert moved("gradserve_call_seconds_count", METHOD, phase) == 4
        assert moved("gradserve_call_seconds_sum", METHOD, phase) > 0
    for phase in ("queue", "decode"):
        assert moved("gradserve_call_seconds_count", METHOD, phase) == 4
    assert moved("gradserve_call_seconds_count", METHOD, "encode") == 3
    assert moved("gradserve_batch_size_count", METHOD) == 3
    assert moved("gradserve_batch_size_count", "EstimateService/EstimateTrace") == 1
    assert moved("gradserve_chunks_total") >= 5
    assert moved("gradserve_plan_cache_hits_total") >= 2
    assert moved("gradserve_plan_cache_misses_total") >= 1
    assert moved("gradserve_probes_total") == 64
    assert moved("gradserve_verifications_total", "agrees") == 1
    request = pb.GradientRequest(call=call_of())
    assert moved("gradserve_received_bytes_total", METHOD) >= 3 * request.ByteSize()
    assert moved("gradserve_sent_bytes_total", METHOD) > 3 * 32
    assert after["gradserve_in_flight",] == 0
    assert after["gradserve_workers", "front-end"] == 2
    assert after["gradserve_blob_bytes",] == 0
    assert after["gradserve_max_in_flight",] == 64
    assert after["gradserve_queued",] == 0
    assert after["gradserve_graphs",] >= 1
    assert after["gradserve_memory_limit_bytes",] > 1 << 28


def test_calls_are_told_apart_by_executor(used):
    """What no executor has run has an empty label."""
    calls, seconds = families(used[0])["gradserve_calls"], families(used[0])["gradserve_call_seconds"]
    ended = {
        (sample.labels["code"], sample.labels["executor"]): sample.value
        for sample in calls.samples
        if sample.labels["method"] == METHOD and sample.value
    }
    assert ended == {("OK", "numpy"): 3, ("INVALID_ARGUMENT", ""): 1}
    executed = {
        sample.labels["executor"]: sample.value
        for sample in seconds.samples
        if sample.name.endswith("_count") and sample.labels["method"] == METHOD and sample.labels["phase"] == "encode"
    }
    assert executed == {"numpy": 3, "": 0}


def test_report_and_histogram_have_the_same_spans(start):
    server, stubs = start()
    stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(QUADRATIC)))
    before = values(server)
    report = stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(QUADRATIC))).report
    server.admission.wait_idle(5)
    after = values(server)
    for phase in ("queue", "decode", "plan", "execute", "encode"):
        key = ("gradserve_call_seconds_sum", METHOD, phase)
        told = getattr(report, phase).ToNanoseconds() * 1e-9
        assert after[key] - before[key] == pytest.approx(told, abs=2e-9), phase


def test_names_follow_the_rules_of_prometheus(used):
    for name, family in families(used[0]).items():
        if not name.startswith("gradserve_"):
            continue
        assert re.fullmatch(r"gradserve_[a-z]+(_[a-z]+)*", name)
        assert family.documentation.endswith(".")
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith(("_total", "_created"))
            assert not name.endswith(("_milliseconds", "_ms", "_mb", "_count", "_sum"))


def test_labels_hold_nothing_that_a_client_makes_up(used):
    text = page(used[0])
    assert not re.search(r"[0-9a-f]{64}", text)
    assert '"loss"' not in text
    labels = {label for family in families(used[0]).values() for s in family.samples for label in s.labels}
    ours = {
        "method",
        "code",
        "phase",
        "executor",
        "verdict",
        "pool",
        "kind",
        "limit",
        "le",
        "version",
        "python",
        "grpc",
    }
    assert labels <= ours | {"implementation", "major", "minor", "patchlevel", "generation"}


def test_calls_in_flight_and_bytes_kept_are_seen(start):
    server, _ = start()
    ticket = server.admission.enter(0, Control())
    server.blobs.put("1" * 64, b"12345")
    found = values(server)
    ticket.leave()
    assert found["gradserve_in_flight",] == 1
    assert found["gradserve_blob_bytes",] == 5


def test_service_without_a_page(start):
    server, _ = start(metrics_port=None)
    assert server.metrics_port is None
