"""For those who compute with gradserve: how much is computed, how large, how well, and how long it takes."""

from __future__ import annotations

from deploy.grafana import common
from deploy.grafana.common import rate, ratio
from deploy.grafana.dashboards import FAILURE_CODES, FRONT_END, Section
from deploy.grafana.dashboards import dashboard as whole
from deploy.grafana.panels import Json, Query, graph, number

GRADIENT = FRONT_END + ',method="DerivativeService/Gradient"'
TRACE = FRONT_END + ',method="EstimateService/EstimateTrace"'


def dashboard() -> Json:
    """The dashboard of the users."""
    return whole(
        "gradserve-users",
        "gradserve / users",
        "Points, gradients, probes and verdicts per second; batch sizes, cached plans, times by phase and bytes.",
        [_now(), _work(), _plans(), _verification(), _time(), _bytes()],
    )


def _hits() -> str:
    hits, misses = (f"sum({rate(f'gradserve_plan_cache_{what}_total')})" for what in ("hits", "misses"))
    return ratio(hits, f"({hits} + {misses})")


def _agreeing() -> str:
    agrees = f'sum(increase(gradserve_verifications_total{{{FRONT_END},verdict="agrees"}}[1h]))'
    return ratio(agrees, f"sum(increase(gradserve_verifications_total{{{FRONT_END}}}[1h]))")


def _now() -> Section:
    seconds = f"sum({rate('gradserve_call_seconds_sum', GRADIENT)})"
    calls = f"sum({rate('gradserve_calls_total', GRADIENT)})"
    return Section(
        "Now",
        [
            number(
                "Gradients",
                "Points at which a gradient is computed, per second; a call with a batch counts all of its points.",
                "ops",
                Query(f"sum({rate('gradserve_batch_size_sum', GRADIENT)})"),
                width=6,
            ),
            number(
                "Mean time of a gradient call",
                "All phases in the service; what the network adds is not in it.",
                "s",
                Query(ratio(seconds, calls)),
                width=6,
            ),
            number(
                "Plans found in the cache",
                "The share of calls whose plan was known. The first call of a graph, and the first with new shapes, "
                "makes a plan.",
                "percentunit",
                Query(_hits()),
                width=6,
                decimals=1,
            ),
            number(
                "Verifications that agree",
                "The share of the last hour's verifications in which finite differences agree with the gradient.",
                "percentunit",
                Query(_agreeing()),
                width=6,
                decimals=1,
            ),
        ],
    )


def _work() -> Section:
    points = f"sum by (method) ({rate('gradserve_batch_size_sum')})"
    sized = f"sum by (method) ({rate('gradserve_batch_size_count')})"
    probes = f"sum({rate('gradserve_probes_total')})"
    return Section(
        "Work",
        [
            graph(
                "Points per second",
                "Points at which something is computed, by method. Click on a method to follow it.",
                "ops",
                Query(f"{points} > 0", "{{method}}"),
                stacked=True,
                per_method=True,
            ),
            graph(
                "Calls per second",
                "Calls that end, by method, however they end. Click on a method to follow it.",
                "reqps",
                Query(f"sum by (method) ({rate('gradserve_calls_total')}) > 0", "{{method}}"),
                stacked=True,
                per_method=True,
            ),
            graph(
                "Mean batch size",
                "Points per call, by method. One call with a batch is quicker than many calls of one point.",
                "none",
                Query(ratio(points, sized), "{{method}}"),
                per_method=True,
            ),
            common.batch_heatmap(),
            graph(
                "Probes per second",
                "Random probes that estimates of traces spend.",
                "ops",
                Query(probes, "probes"),
            ),
            graph(
                "Probes per estimate",
                "What one estimate of a trace costs on average. A tolerance half as large takes four times as many.",
                "none",
                Query(ratio(probes, f"sum({rate('gradserve_calls_total', TRACE)})"), "probes"),
            ),
        ],
    )


def _plans() -> Section:
    chunks = ratio(f"sum({rate('gradserve_chunks_total')})", f"sum({rate('gradserve_batch_size_count')})")
    return Section(
        "Plans and chunks",
        [
            graph(
                "Plans found in the cache",
                "The share of calls whose plan was known. Few hits in spite of many calls: the graph differs from call "
                "to call, because something is captured that should be a parameter.",
                "percentunit",
                Query(_hits(), "hits"),
                most=1,
            ),
            graph(
                "Plans made",
                "Calls per second whose plan had to be made.",
                "reqps",
                Query(f"sum({rate('gradserve_plan_cache_misses_total')})", "made"),
                Query(f"sum({rate('gradserve_plan_cache_hits_total')})", "found"),
            ),
            graph(
                "Chunks per call",
                "Into how many parts a call is cut, on average. It depends on the work alone, not on the number of "
                "workers.",
                "none",
                Query(chunks, "chunks"),
            ),
        ],
    )


def _verification() -> Section:
    refused = f'{FRONT_END},code!~"OK|{FAILURE_CODES}"'
    return Section(
        "Verification and refusals",
        [
            graph(
                "Verdicts per minute",
                "agrees: within the error bound of finite differences; disagrees: outside, so the gradient or Hessian "
                "is wrong there; kink: the loss has none there; order_dependent: mixed partials depend on their order; "
                "inconclusive: the bound is too wide; not_finite: NaN or infinity.",
                "none",
                Query(f"60 * sum by (verdict) ({rate('gradserve_verifications_total')})", "{{verdict}}"),
                stacked=True,
            ),
            graph(
                "Verifications that agree",
                "The share of the last hour's verifications in which finite differences agree with the gradient.",
                "percentunit",
                Query(_agreeing(), "agree"),
                most=1,
            ),
            graph(
                "Refusals by code",
                "Calls per second that end with an answer about the request. NOT_FOUND is normal: the client then "
                "sends the graph again. The others say in the client what to change.",
                "reqps",
                Query(f"sum by (code) ({rate('gradserve_calls_total', refused)})", "{{code}}"),
                stacked=True,
            ),
        ],
    )


def _time() -> Section:
    seconds = f"sum by (method) ({rate('gradserve_call_seconds_sum')})"
    calls = f"sum by (method) ({rate('gradserve_calls_total')})"
    return Section(
        "Time",
        [
            common.mean_by_phase(),
            common.quantile_by_phase(0.95),
            graph(
                "Mean time of a call, by method",
                "All phases in the service. Click on a method to follow it.",
                "s",
                Query(ratio(seconds, calls), "{{method}}"),
                per_method=True,
            ),
        ],
    )


def _bytes() -> Section:
    received = f"sum by (method) ({rate('gradserve_received_bytes_total')})"
    sent = f"sum by (method) ({rate('gradserve_sent_bytes_total')})"
    return Section(
        "Bytes",
        [
            graph(
                "Bytes received",
                "Bytes of request messages per second, by method. Captured data goes through BlobService once.",
                "Bps",
                Query(f"{received} > 0", "{{method}}"),
                stacked=True,
                per_method=True,
                width=12,
            ),
            graph(
                "Bytes sent",
                "Bytes of reply messages per second, by method.",
                "Bps",
                Query(f"{sent} > 0", "{{method}}"),
                stacked=True,
                per_method=True,
                width=12,
            ),
        ],
    )
