"""The metrics of several processes as those of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from prometheus_client import Metric

Snapshot: TypeAlias = Sequence[Metric]
"""What one process has counted so far, and what it shows at this moment."""
_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]

_CUMULATIVE = {"counter", "histogram"}
_UNLIKE_SUMS: Mapping[str, Callable[[float, float], float]] = MappingProxyType(
    {
        "process_start_time_seconds": min,
        "python_info": max,
        "gradserve_build": max,
        "gradserve_certificate_not_before_timestamp_seconds": max,
        "gradserve_certificate_not_after_timestamp_seconds": min,
    }
)
"""How numbers of two processes go together that do not add up."""


def together(snapshots: Iterable[Snapshot]) -> list[Metric]:
    """The metrics of all processes together: sums, but for what is the same for all."""
    families: dict[str, Metric] = {}
    values: dict[str, dict[_Key, float]] = {}
    for family in (family for snapshot in snapshots for family in snapshot):
        families.setdefault(family.name, family)
        combine, found = _UNLIKE_SUMS.get(family.name), values.setdefault(family.name, {})
        for sample in family.samples:
            key = sample.name, tuple(sample.labels.items())
            if key not in found:
                found[key] = sample.value
            else:
                found[key] = found[key] + sample.value if combine is None else combine(found[key], sample.value)
    return [_family(families[name], found) for name, found in values.items()]


def counted(snapshot: Snapshot) -> Snapshot:
    """What stays of a process that has ended: what it counted, not what it showed."""
    return [family for family in snapshot if family.type in _CUMULATIVE]


def _family(like: Metric, values: Mapping[_Key, float]) -> Metric:
    made = Metric(like.name, like.documentation, like.type)
    for (name, labels), value in values.items():
        made.add_sample(name, dict(labels), value)
    return made
