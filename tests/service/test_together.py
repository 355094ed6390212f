"""The metrics of processes together: sums, and what is the same for all stays."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gradserve.service.admission.histograms import Histogram
from gradserve.service.monitoring.together import counted, together


def snapshot(calls, held, seconds, began):
    registry = CollectorRegistry()
    Counter("gradserve_calls", "Calls.", ["code"], registry=registry).labels("OK").inc(calls)
    Gauge("gradserve_graphs", "Graphs.", registry=registry).set(held)
    Gauge("process_start_time_seconds", "Start.", registry=registry).set(began)
    Info("gradserve_build", "Build.", registry=registry).info({"version": "1"})
    histogram = Histogram("gradserve_call_seconds", "Seconds.", ("method",), (0.1, 1.0))
    histogram.labels("m").observe(seconds)
    registry.register(histogram)
    return list(registry.collect())


def values(snapshots):
    class Page:
        def collect(self):
            return together(snapshots)

    registry = CollectorRegistry()
    registry.register(Page())
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, *sorted(sample.labels.values())): sample.value for sample in samples}


def test_sums():
    found = values([snapshot(3, 10, 0.05, 100.0), snapshot(4, 20, 0.5, 90.0)])
    assert found["gradserve_calls_total", "OK"] == 7
    assert found["gradserve_graphs",] == 30
    assert found["process_start_time_seconds",] == 90
    assert found["gradserve_build_info", "1"] == 1
    assert found["gradserve_call_seconds_bucket", "0.1", "m"] == 1
    assert found["gradserve_call_seconds_bucket", "1.0", "m"] == 2
    assert found["gradserve_call_seconds_count", "m"] == 2
    assert found["gradserve_call_seconds_sum", "m"] == 0.55


def test_what_a_process_counted_outlives_it_and_what_it_held_does_not():
    ended, serving = snapshot(3, 10, 0.05, 100.0), snapshot(4, 20, 0.5, 90.0)
    found = values([counted(ended), serving])
    assert found["gradserve_calls_total", "OK"] == 7
    assert found["gradserve_call_seconds_count", "m"] == 2
    assert found["gradserve_graphs",] == 20


def test_nothing_is_together_of_no_process():
    assert together([]) == []
