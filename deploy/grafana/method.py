"""For following a single method: `DerivativeService/Gradient`, say."""

from __future__ import annotations

from deploy.grafana import common
from deploy.grafana.common import rate, ratio
from deploy.grafana.dashboards import FAILURE_CODES, FRONT_END, Section, variable
from deploy.grafana.dashboards import dashboard as whole
from deploy.grafana.panels import Json, Panel, Query, graph, number

METHOD = FRONT_END + ',method="$method"'
FAILED = f'{METHOD},code=~"{FAILURE_CODES}"'
CALLS = f"sum({rate('gradserve_calls_total', METHOD)})"


def dashboard() -> Json:
    """The dashboard of one method."""
    choice = variable(
        "method",
        "Method",
        "The method to follow.",
        'label_values(gradserve_calls_total{job="gradserve",namespace=~"$namespace"}, method)',
        multiple=False,
    )
    choice["current"] = {"selected": True, "text": "DerivativeService/Gradient", "value": "DerivativeService/Gradient"}
    return whole(
        "gradserve-method",
        "gradserve / method",
        "Traffic, errors, times, sizes and bytes of one method.",
        [_now(), _calls(), _time(), _size()],
        [choice],
    )


def _now() -> Section:
    seconds = f"sum({rate('gradserve_call_seconds_sum', METHOD)})"
    return Section(
        "$method",
        [
            number("Calls", "Calls that end per second, however they end.", "reqps", Query(CALLS), width=6),
            number(
                "Failures per call",
                "The share of calls that fail by a fault of the service. The objective allows 0.1 % of all methods' "
                "calls together.",
                "percentunit",
                Query(ratio(f"sum({rate('gradserve_calls_total', FAILED)})", CALLS)),
                steps=((0.001, "orange"), (0.0144, "red")),
                width=6,
                decimals=2,
            ),
            number(
                "Mean time",
                "All phases in the service; what the network adds is not in it.",
                "s",
                Query(ratio(seconds, CALLS)),
                width=6,
            ),
            number(
                "Points",
                "Points computed per second; none for methods that compute nothing.",
                "ops",
                Query(f"sum({rate('gradserve_batch_size_sum', METHOD)})"),
                width=6,
            ),
        ],
    )


def _calls() -> Section:
    return Section(
        "Calls",
        [
            graph(
                "Calls by code",
                "Calls that end per second, by how they end.",
                "reqps",
                Query(f"sum by (code) ({rate('gradserve_calls_total', METHOD)}) > 0", "{{code}}"),
                stacked=True,
            ),
            graph(
                "Calls by front end",
                "Calls that end per second.",
                "reqps",
                Query(f"sum by (namespace, pod) ({rate('gradserve_calls_total', METHOD)})", "{{namespace}} {{pod}}"),
            ),
            graph(
                "Failures per call",
                "The share of calls that fail by a fault of the service, by code.",
                "percentunit",
                Query(
                    f"sum by (code) ({rate('gradserve_calls_total', FAILED)}) / on () group_left () ({CALLS} > 0)",
                    "{{code}}",
                ),
                stacked=True,
            ),
        ],
    )


def _time() -> Section:
    return Section(
        "Time",
        [
            common.mean_by_phase(METHOD),
            common.quantile_by_phase(0.5, METHOD),
            common.quantile_by_phase(0.99, METHOD),
            common.execute_heatmap(METHOD),
            _queue_by_front_end(),
            _share_of_execution(),
        ],
    )


def _queue_by_front_end() -> Panel:
    queue = f"sum by (le, namespace, pod) ({rate('gradserve_call_seconds_bucket', METHOD + QUEUE)})"
    return graph(
        "p99 of the queue, by front end",
        "One call in a hundred waits longer for admission and for a worker.",
        "s",
        Query(f"histogram_quantile(0.99, {queue})", "{{namespace}} {{pod}}"),
        steps=((0.5, "red"),),
    )


def _share_of_execution() -> Panel:
    execute = f"sum({rate('gradserve_call_seconds_sum', METHOD + EXECUTE)})"
    return graph(
        "Time that goes into computing",
        "The share of the phase execute in the whole time. The rest is waiting, decoding, planning and encoding; where "
        "it is large, larger batches help.",
        "percentunit",
        Query(ratio(execute, f"sum({rate('gradserve_call_seconds_sum', METHOD)})"), "execute"),
        most=1,
    )


def _size() -> Section:
    batches = f"sum by (le) ({rate('gradserve_batch_size_bucket', METHOD)})"
    received = f"sum({rate('gradserve_received_bytes_total', METHOD)})"
    sent = f"sum({rate('gradserve_sent_bytes_total', METHOD)})"
    return Section(
        "Sizes",
        [
            common.batch_heatmap(METHOD),
            graph(
                "Points per call",
                "Half of the calls have more points than p50, one in a hundred more than p99.",
                "none",
                Query(f"histogram_quantile(0.5, {batches})", "p50"),
                Query(f"histogram_quantile(0.99, {batches})", "p99"),
            ),
            graph(
                "Bytes per call",
                "The mean size of the messages of one call.",
                "bytes",
                Query(ratio(received, CALLS), "received"),
                Query(ratio(sent, CALLS), "sent"),
            ),
        ],
    )


QUEUE = ',phase="queue"'
EXECUTE = ',phase="execute"'
