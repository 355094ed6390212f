"""What Ray says of its cluster. The names are those of Ray 2.60; gradserve has actors alone, no tasks of its own."""

from __future__ import annotations

from deploy.grafana.common import rate
from deploy.grafana.dashboards import RAY, Section
from deploy.grafana.panels import Query, graph

_PER_POD = "{{namespace}} {{pod}}"


def section() -> Section:
    """The panels on Ray."""
    store = f"ray_object_store_used_memory{{{RAY}}} + ray_object_store_available_memory{{{RAY}}}"
    pinned = f'ray_spill_manager_objects_bytes{{{RAY},State="Pinned"}}'
    return Section(
        "Ray",
        [
            graph(
                "Nodes",
                "Nodes of the cluster, as its head sees them: the head, one beside each front end, and the workers' "
                "machines; and those whose metrics Prometheus reaches.",
                "none",
                Query(f"sum by (namespace) (ray_cluster_active_nodes{{{RAY}}})", "{{namespace}} in the cluster"),
                Query(f"sum by (namespace) (up{{{RAY}}})", "{{namespace}} scraped"),
            ),
            graph(
                "Actors by state",
                "Every Ray worker of gradserve is one actor. PENDING_CREATION that lasts means that no node has room; "
                "DEAD counts all that have ended.",
                "none",
                Query(f'sum by (State) (ray_actors{{{RAY},Source="gcs"}})', "{{State}}"),
            ),
            graph(
                "Actor calls",
                "Calls of actors that ended per second. `run` is a chunk of work, `hello` asks whether a worker lives.",
                "ops",
                Query(
                    f"sum by (Name) ({rate('ray_tasks', _OWNED)})",
                    "{{Name}}",
                ),
            ),
            graph(
                "Processors, used",
                "How busy the processors of each node are.",
                "percent",
                Query(f"ray_node_cpu_utilization{{{RAY}}}", _PER_POD),
                most=100,
            ),
            graph(
                "Processors, reserved",
                "Processors that workers have reserved, and those that are free. Head and front ends offer none.",
                "none",
                Query(f'sum by (State) (ray_resources{{{RAY},Name="CPU"}})', "{{State}}"),
                stacked=True,
            ),
            graph(
                "Memory, reserved",
                "Memory that workers have reserved, and that is free for more.",
                "bytes",
                Query(f'sum by (State) (ray_resources{{{RAY},Name="memory"}})', "{{State}}"),
                stacked=True,
            ),
            graph(
                "Memory, used",
                "Memory of all processes and the object store of each node, as a share of its limit. At 95 % Ray ends "
                "workers.",
                "percentunit",
                Query(f"ray_node_mem_used{{{RAY}}} / ray_node_mem_total{{{RAY}}}", _PER_POD),
                steps=((0.9, "red"),),
                most=1,
            ),
            graph(
                "Object store, pinned",
                "Objects in shared memory that cannot be dropped, as a share of the store. At 80 % Ray begins to write "
                "them to disk.",
                "percentunit",
                Query(f"max by (namespace, pod) ({pinned}) / max by (namespace, pod) ({store})", _PER_POD),
                steps=((0.75, "orange"), (0.8, "red")),
                most=1,
            ),
            graph(
                "Object store, used",
                "Bytes in shared memory, copies that can be dropped at any time included.",
                "bytes",
                Query(f"ray_object_store_used_memory{{{RAY}}}", _PER_POD),
            ),
            graph(
                "Objects to disk and back",
                "Objects that did not fit the object store, per second.",
                "ops",
                Query(
                    f"sum by (Type) ({rate('ray_spill_manager_request_total', _MOVED)})",
                    "{{Type}}",
                ),
            ),
            graph(
                "Network",
                "Bytes per second of each node, received and sent.",
                "Bps",
                Query(f"ray_node_network_receive_speed{{{RAY}}}", _PER_POD + " received"),
                Query(f"ray_node_network_send_speed{{{RAY}}}", _PER_POD + " sent"),
            ),
            graph(
                "Disk",
                "How full the disk of each node is. Above 95 % Ray writes no objects to it.",
                "percent",
                Query(f"ray_node_disk_utilization_percentage{{{RAY}}}", _PER_POD),
                steps=((80, "orange"), (95, "red")),
                most=100,
            ),
        ],
    )


_OWNED = RAY + ',Source="owner",State="FINISHED"'
_MOVED = RAY + ',Type=~"Spilled|Restored"'
