"""Panels and expressions that more than one dashboard has."""

from __future__ import annotations

from deploy.grafana.dashboards import FRONT_END
from deploy.grafana.panels import Panel, Query, graph, heatmap

PHASES_TEXT = (
    "queue: waiting for admission and for a worker; decode: the request becomes a graph and arrays; plan: the "
    "derivative is derived and ordered; execute: it is computed; encode: the reply becomes bytes."
)


def rate(metric: str, matchers: str = FRONT_END) -> str:
    """The rate per second of a counter of front ends."""
    return f"rate({metric}{{{matchers}}}[$__rate_interval])"


def ratio(part: str, whole: str) -> str:
    """A part of a whole that is not zero: without a whole there is no ratio."""
    return f"{part} / ({whole} > 0)"


def mean_by_phase(matchers: str = FRONT_END) -> Panel:
    """Where the time of a call goes."""
    calls = f"sum({rate('gradserve_call_seconds_count', matchers + _QUEUE)}) > 0"
    seconds = f"sum by (phase) ({rate('gradserve_call_seconds_sum', matchers)})"
    return graph(
        "Mean time of a call, by phase",
        f"The areas add up to the mean time that the service takes for a call. {PHASES_TEXT}",
        "s",
        Query(f"{seconds} / on () group_left () ({calls})", "{{phase}}"),
        stacked=True,
    )


def quantile_by_phase(quantile: float, matchers: str = FRONT_END) -> Panel:
    """How long the slow calls stay in each phase."""
    per = round(1 / (1 - quantile))
    buckets = f"sum by (le, phase) ({rate('gradserve_call_seconds_bucket', matchers)})"
    return graph(
        f"p{100 * quantile:g} of each phase",
        f"One call in {per} stays longer in the phase. Phases of one call need not be slow together, so these do not "
        f"add up. {PHASES_TEXT}",
        "s",
        Query(f"histogram_quantile({quantile:g}, {buckets})", "{{phase}}"),
    )


def execute_heatmap(matchers: str = FRONT_END) -> Panel:
    """How the times of execution are spread."""
    return heatmap(
        "Execution times",
        "How many calls per second executed for how long. Two bands are two kinds of work, or two placements: the "
        "front end and the cluster.",
        "s",
        Query(f"sum by (le) ({rate('gradserve_call_seconds_bucket', matchers + _EXECUTE)})", "{{le}}"),
    )


def batch_heatmap(matchers: str = FRONT_END) -> Panel:
    """How the sizes of batches are spread."""
    return heatmap(
        "Batch sizes",
        "How many calls per second had how many points. A call without a batch has one point. Many small calls take "
        "longer than a few large ones.",
        "short",
        Query(f"sum by (le) ({rate('gradserve_batch_size_bucket', matchers)})", "{{le}}"),
    )


_QUEUE = ',phase="queue"'
_EXECUTE = ',phase="execute"'
