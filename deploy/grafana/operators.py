"""For those who run gradserve: the golden signals, and what is left of the capacity."""

from __future__ import annotations

from deploy.grafana import common, ray
from deploy.grafana.capacity import CLUSTER, capacity, saturation
from deploy.grafana.common import rate
from deploy.grafana.dashboards import FAILURE_CODES, FRONT_END, NAMESPACE, Section
from deploy.grafana.dashboards import dashboard as whole
from deploy.grafana.panels import Json, Query, graph, number, timeline

FAILURES = f'gradserve_calls_total{{{FRONT_END},code=~"{FAILURE_CODES}"}}'
BUDGET = 0.001


def dashboard() -> Json:
    """The dashboard of the operators."""
    return whole(
        "gradserve-operators",
        "gradserve / operators",
        "Traffic, errors, latency and saturation of the front ends; capacity of front ends and Ray.",
        [_now(), _traffic(), _errors(), _latency(), saturation(), capacity(), ray.section()],
    )


def _now() -> Section:
    ratio_5m = f"max(namespace:gradserve_failures_per_call:ratio_rate5m{{{NAMESPACE}}})"
    burn_3d = f"max(namespace:gradserve_failures_per_call:ratio_rate3d{{{NAMESPACE}}}) / {BUDGET}"
    return Section(
        "Now",
        [
            number(
                "Front ends up",
                "Front ends whose metrics page Prometheus reaches.",
                "none",
                Query(f"sum(up{{{FRONT_END}}})"),
            ),
            number(
                "Calls",
                "Calls that end per second, however they end.",
                "reqps",
                Query(f"sum({rate('gradserve_calls_total')})"),
            ),
            number(
                "Failures per call",
                "The share of calls of the last 5 minutes that failed by a fault of the service; the worst namespace. "
                "The objective allows 0.1 %.",
                "percentunit",
                Query(ratio_5m),
                steps=((BUDGET, "orange"), (14.4 * BUDGET, "red")),
                decimals=2,
            ),
            number(
                "Budget burn, 3 days",
                "How fast the error budget is spent: 1 spends the budget of 30 days in 30 days; the worst namespace.",
                "none",
                Query(burn_3d),
                steps=((1, "orange"), (3, "red")),
                decimals=2,
            ),
            number(
                "Ray workers ready",
                "Ray workers that can take chunks. How many are wanted is shown under Capacity.",
                "none",
                Query(f"sum(gradserve_workers{{{CLUSTER}}})"),
            ),
            number(
                "Calls in flight",
                "Calls that are worked on at this moment, as a share of those allowed; the fullest front end.",
                "percentunit",
                Query(f"max(gradserve_in_flight{{{FRONT_END}}} / gradserve_max_in_flight{{{FRONT_END}}})"),
                steps=((0.75, "orange"), (0.9, "red")),
                decimals=0,
            ),
            timeline(
                "Alerts",
                "Alerts while they fire. deploy/prometheus/RUNBOOK.md says what each of them means and what to do.",
                Query(
                    "max by (alertname, severity, namespace, pod) "
                    f'(ALERTS{{alertname=~"Gradserve.+",alertstate="firing",{NAMESPACE}}})',
                    "{{alertname}} {{severity}} {{pod}}",
                ),
            ),
        ],
    )


def _traffic() -> Section:
    return Section(
        "Traffic",
        [
            graph(
                "Calls by method",
                "Calls that end per second. Click on a method to follow it.",
                "reqps",
                Query(f"sum by (method) ({rate('gradserve_calls_total')}) > 0", "{{method}}"),
                stacked=True,
                per_method=True,
            ),
            graph(
                "Calls by front end",
                "Clients choose a front end when they connect and stay; --max-connection-age makes them choose again. "
                "A front end far above the others means that clients do not spread.",
                "reqps",
                Query(f"sum by (namespace, pod) ({rate('gradserve_calls_total')})", "{{namespace}} {{pod}}"),
            ),
            graph(
                "Bytes",
                "Bytes of request and of reply messages per second.",
                "Bps",
                Query(f"sum({rate('gradserve_received_bytes_total')})", "received"),
                Query(f"sum({rate('gradserve_sent_bytes_total')})", "sent"),
            ),
        ],
    )


def _errors() -> Section:
    refused = f'{FRONT_END},code!~"OK|{FAILURE_CODES}"'
    burns = [
        Query(f"max(namespace:gradserve_failures_per_call:ratio_rate{window}{{{NAMESPACE}}}) / {BUDGET}", window)
        for window in ("1h", "6h", "1d", "3d")
    ]
    return Section(
        "Errors",
        [
            graph(
                "Failures by code",
                "Calls that fail by a fault of the service, per second. UNAVAILABLE: turned away or workers lost; "
                "DEADLINE_EXCEEDED: not done in time; INTERNAL: a bug, under the request's name in the log.",
                "reqps",
                Query(f"sum by (code) (rate({FAILURES}[$__rate_interval]))", "{{code}}"),
                stacked=True,
            ),
            graph(
                "Failures by method",
                "The five methods that fail most, per second. Click on a method to follow it.",
                "reqps",
                Query(f"topk(5, sum by (method) (rate({FAILURES}[$__rate_interval])))", "{{method}}"),
                per_method=True,
            ),
            graph(
                "Refusals by code",
                "Calls that end with an answer about the client's request, per second: no fault of the service, and "
                "in no error budget. NOT_FOUND is normal: the client then sends the graph or blob again.",
                "reqps",
                Query(f"sum by (code) ({rate('gradserve_calls_total', refused)})", "{{code}}"),
                stacked=True,
            ),
            graph(
                "Error budget burn",
                "How many times faster than allowed the budget is spent, over several windows; the worst namespace. "
                "Alerts page at 14.4 over 1 h and 6 over 6 h, and make tickets at 3 over 1 d and 1 over 3 d.",
                "none",
                *burns,
                steps=((1, "orange"), (14.4, "red")),
                width=12,
            ),
            graph(
                "Front ends start",
                "How often each front end has started in the last hour. All graphs and blobs that it kept are lost "
                "each time, and clients send them again.",
                "none",
                Query(
                    f"max by (namespace, pod) (changes(process_start_time_seconds{{{FRONT_END}}}[1h]))",
                    "{{namespace}} {{pod}}",
                ),
                steps=((3, "red"),),
                width=12,
            ),
        ],
    )


def _latency() -> Section:
    mean = f"namespace_class:gradserve_call_seconds:mean_rate5m{{{NAMESPACE}}}"
    return Section(
        "Latency",
        [
            common.mean_by_phase(),
            common.quantile_by_phase(0.5),
            common.quantile_by_phase(0.99),
            common.execute_heatmap(),
            graph(
                "Mean time by class of methods",
                "All phases of a call together, over 5 minutes. Clients give up after 60 s unless told otherwise.",
                "s",
                Query(mean, "{{namespace}} {{class}}"),
                steps=((10, "red"),),
            ),
            graph(
                "p99 of the queue by class of methods",
                "One call in a hundred waits longer for admission and for a worker, over 5 minutes. After 1 s of "
                "waiting for admission a call is turned away.",
                "s",
                Query(
                    f'namespace_class_phase:gradserve_call_seconds:p99_rate5m{{{NAMESPACE},phase="queue"}}',
                    "{{namespace}} {{class}}",
                ),
                steps=((0.5, "red"),),
            ),
        ],
    )
