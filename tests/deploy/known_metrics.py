"""What can be asked of Prometheus: the metrics that gradserve and Ray really export, with their labels."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from prometheus_client import Metric

from deploy.grafana.__main__ import rendered
from gradserve.service.identity.validity import Validity, publish
from gradserve.service.monitoring.metrics import Metrics

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = REPOSITORY / "deploy" / "helm" / "gradserve" / "files" / "rules.yaml"
RAY_LIST = Path(__file__).with_name("ray_metrics.txt")
FROM_SCRAPE = {"job", "namespace", "pod"}
"""The labels that every scraped series gets."""
# A name with matchers, or one that can be nothing but a metric's. That it stands where one may, promtool says.
_SELECTOR = re.compile(
    r"(?P<named>[A-Za-z_][\w:]*)\{(?P<matchers>[^{}]*)\}|\b(?P<bare>(?:gradserve|ray|process)_\w+|[A-Za-z_]\w*:[\w:]+)"
)
_MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"')
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
_LATER_LABELS = {
    "gradserve_calls": {"method", "code", "executor"},
    "gradserve_received_bytes": {"method"},
    "gradserve_sent_bytes": {"method"},
    "gradserve_call_seconds": {"method", "phase", "executor"},
    "gradserve_batch_size": {"method"},
    "gradserve_verifications": {"verdict"},
    "gradserve_in_flight_limit": {"kind"},
    "gradserve_running": {"kind"},
    "gradserve_shed": {"limit"},
    "gradserve_workers": {"pool"},
    "gradserve_workers_wanted": {"pool"},
}
"""The labels of metrics that have no series before the service has started."""


def rules() -> list[dict[str, Any]]:
    """All recording rules and alerts."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """All alerts."""
    return [rule for rule in rules() if "alert" in rule]


@functools.cache
def known() -> dict[str, frozenset[str]]:
    """The labels of every series that there can be, by its name."""
    found = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity", "family"}, **_service(), **_ray()}
    found = {name: labels | FROM_SCRAPE for name, labels in found.items()}
    found |= {rule["record"]: set(rule["record"].split(":")[0].split("_")) for rule in rules() if "record" in rule}
    return {name: frozenset(labels) for name, labels in found.items()}


def selectors(expr: str) -> Iterator[tuple[str, str]]:
    """The metrics that an expression names, each with its matchers as they are written."""
    for found in _SELECTOR.finditer(expr):
        yield found["named"] or found["bare"], found["matchers"] or ""


def unknown(expr: str) -> list[str]:
    """What is wrong with each metric that does not exist or has no such label."""
    wrong = []
    for metric, matchers in selectors(expr):
        labels = known().get(metric)
        if labels is None:
            wrong.append(f"{metric}: there is no such metric")
        elif lacking := set(_MATCHER.findall(matchers)) - labels:
            wrong.append(f"{metric}: no label {', '.join(sorted(lacking))}")
    return wrong


def dashboards() -> dict[str, str]:
    """The committed dashboards, by file name."""
    folder = RULES.parent / "dashboards"
    return {name: (folder / name).read_text() for name in rendered()}


def _service() -> dict[str, set[str]]:
    metrics = Metrics()
    pool: Any = SimpleNamespace(name="cluster", size=0, wanted=0, waiting=0, lost=0)
    metrics.watch_cluster(pool)
    publish(metrics.registry, Validity)
    return {name: labels for family in metrics.registry.collect() for name, labels in _series(family)}


def _series(family: Metric) -> list[tuple[str, set[str]]]:
    labels = {label for sample in family.samples for label in sample.labels}
    labels |= _LATER_LABELS.get(family.name, set())
    if family.type == "histogram":
        labels.add("le")
    return [(family.name + suffix, labels) for suffix in _SUFFIXES.get(family.type, ("",))]


def _ray() -> dict[str, set[str]]:
    lines = [line.split() for line in RAY_LIST.read_text().splitlines() if not line.startswith("#")]
    return {name: set(labels) for name, *labels in lines}


def ray_version() -> str:
    """The version of Ray that the list was taken from."""
    found = re.search(r"Ray (\d+\.\d+\.\d+)", RAY_LIST.read_text())
    assert found
    return found[1]
