"""How full the front ends are, and what they hold."""

from __future__ import annotations

from deploy.grafana.common import rate, ratio
from deploy.grafana.dashboards import FRONT_END, Section
from deploy.grafana.panels import Query, graph

CLUSTER = FRONT_END + ',pool="cluster"'
"""The matchers of the pool of Ray workers."""
_PER_POD = "{{namespace}} {{pod}}"


def saturation() -> Section:
    """How near the limits the front ends are."""
    return Section(
        "Saturation",
        [
            graph(
                "Calls in flight",
                "Calls that are worked on, as a share of those allowed (--max-in-flight). Further calls wait.",
                "percentunit",
                Query(f"gradserve_in_flight{{{FRONT_END}}} / gradserve_max_in_flight{{{FRONT_END}}}", _PER_POD),
                steps=((0.9, "red"),),
                most=1,
            ),
            graph(
                "Calls waiting",
                "Calls that wait for others to end. Those that would wait too long are turned away at once.",
                "none",
                Query(f"gradserve_queued{{{FRONT_END}}}", _PER_POD),
            ),
            graph(
                "Calls turned away",
                "Calls per second that are refused with RESOURCE_EXHAUSTED and told when to come back, by the limit.",
                "ops",
                Query(f"sum by (limit) ({rate('gradserve_shed_total')})", "{{limit}}"),
            ),
            graph(
                "Calls of a kind that may run",
                "How many calls may run at once, by where they do; it follows how long they take beside each other.",
                "none",
                Query(f"sum by (kind) (gradserve_in_flight_limit{{{FRONT_END}}})", "{{kind}}: may"),
                Query(f"sum by (kind) (gradserve_running{{{FRONT_END}}})", "{{kind}}: do"),
                width=12,
            ),
            graph(
                "Chunks waiting",
                "Chunks of work beyond those that Ray workers are at. If they last, the pool asks for more workers, up "
                "to --max-workers.",
                "none",
                Query(f"gradserve_chunks_waiting{{{FRONT_END}}}", _PER_POD),
                width=12,
            ),
            graph(
                "Processors that front ends use",
                "Processor seconds per second of the service's own process; small calls are computed in it.",
                "none",
                Query(rate("process_cpu_seconds_total"), _PER_POD),
                width=12,
            ),
            graph(
                "Chunks run",
                "Chunks of work done per second, in front ends and on the cluster, and those that had to run again "
                "because their worker died.",
                "ops",
                Query(f"sum({rate('gradserve_chunks_total')})", "done"),
                Query(f"sum({rate('gradserve_worker_retries_total')})", "run again"),
                width=12,
            ),
        ],
    )


def capacity() -> Section:
    """What there is of workers and memory, and what is kept."""
    blobs = ratio(f"gradserve_blob_bytes{{{FRONT_END}}}", f"gradserve_blob_capacity_bytes{{{FRONT_END}}}")
    memory = f"process_resident_memory_bytes{{{FRONT_END}}} / gradserve_memory_limit_bytes{{{FRONT_END}}}"
    return Section(
        "Capacity",
        [
            graph(
                "Ray workers",
                "Workers that are ready, and those that the pools have asked for. A gap that lasts means that the "
                "cluster has no room.",
                "none",
                Query(f"sum(gradserve_workers{{{CLUSTER}}})", "ready"),
                Query(f"sum(gradserve_workers_wanted{{{CLUSTER}}})", "wanted"),
            ),
            graph(
                "Ray workers lost",
                "Workers that died and were replaced, by front end, in the last 15 minutes.",
                "none",
                Query(f"increase(gradserve_workers_lost_total{{{FRONT_END}}}[15m])", _PER_POD),
                steps=((3, "red"),),
            ),
            graph(
                "Memory of front ends",
                "Memory of the service's own process, as a share of the container's limit, or of the machine's memory "
                "where there is none.",
                "percentunit",
                Query(memory, _PER_POD),
                steps=((0.8, "orange"), (0.9, "red")),
                most=1,
            ),
            graph(
                "Memory of front ends, bytes",
                "Memory of the service's own process.",
                "bytes",
                Query(f"process_resident_memory_bytes{{{FRONT_END}}}", _PER_POD),
            ),
            graph(
                "Blobs",
                "Bytes of large arrays that are kept for calls to come, as a share of the store. A full store is "
                "normal: what has not been used for longest makes way.",
                "percentunit",
                Query(blobs, _PER_POD),
                most=1,
            ),
            graph(
                "Graphs",
                "Graphs that are kept. What has not been used for longest makes way.",
                "none",
                Query(f"gradserve_graphs{{{FRONT_END}}}", _PER_POD),
            ),
        ],
    )
