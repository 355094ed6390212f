"""Dashboards: rows of panels, variables, links among them, and marks for alerts and starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.grafana.panels import DATASOURCE, WIDTH, Json, Panel

SCHEMA_VERSION = 39
"""That of Grafana 11; later ones read it and bring it up to date."""

FRONT_END = 'job="gradserve",namespace=~"$namespace",pod=~"$pod"'
"""The matchers of a front end's own metrics."""
RAY = 'job="ray",namespace=~"$namespace",pod=~"$pod"'
"""The matchers of Ray's metrics."""
NAMESPACE = 'namespace=~"$namespace"'
"""The matcher of recorded series, which know no pods."""
FAILURE_CODES = "INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|UNKNOWN"
"""The codes that are faults of the service; the recording rules say the same."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and the panels below it in lines that fill the width."""

    title: str
    panels: Sequence[Panel]


def dashboard(
    uid: str, title: str, description: str, sections: Sequence[Section], variables: Sequence[Json] = ()
) -> Json:
    """A whole dashboard. `variables` come after those that all have: datasource, namespace and pod."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["gradserve"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "links": [_LINK],
        "annotations": {"list": [_ALERTS, _STARTS]},
        "templating": {"list": [_datasource(), *_places(), *variables]},
        "panels": _placed(sections),
    }


def variable(name: str, label: str, description: str, query: str, *, multiple: bool) -> Json:
    """A variable whose values are those of a label. With `multiple` there is a choice of all, at first taken."""
    found: Json = {
        "type": "query",
        "name": name,
        "label": label,
        "description": description,
        "datasource": DATASOURCE,
        "query": {"qryType": 1, "query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 1,
        "multi": multiple,
        "includeAll": multiple,
        "hide": 0,
    }
    if multiple:
        found |= {"allValue": ".*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
    return found


def _datasource() -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Prometheus",
        "description": "The Prometheus that scrapes gradserve and Ray.",
        "query": "prometheus",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "hide": 0,
    }


def _places() -> list[Json]:
    pods = 'label_values(up{job=~"gradserve|ray",namespace=~"$namespace"}, pod)'
    return [
        variable(
            "namespace",
            "Namespace",
            "Where gradserve is installed.",
            'label_values(up{job="gradserve"}, namespace)',
            multiple=True,
        ),
        variable("pod", "Pod", "Front ends and Ray nodes.", pods, multiple=True),
    ]


_LINK: Json = {
    "type": "dashboards",
    "title": "gradserve",
    "tooltip": "The other dashboards of gradserve, with the same variables and time.",
    "tags": ["gradserve"],
    "asDropdown": False,
    "includeVars": True,
    "keepTime": True,
    "targetBlank": False,
    "icon": "external link",
    "url": "",
}
_ALERTS: Json = {
    "name": "Alerts",
    "enable": True,
    "hide": False,
    "iconColor": "red",
    "datasource": DATASOURCE,
    "target": {
        "refId": "Alerts",
        "expr": f'ALERTS{{alertname=~"Gradserve.+",alertstate="firing",{NAMESPACE}}}',
        "interval": "30s",
    },
    "titleFormat": "{{alertname}}",
    "textFormat": "{{namespace}} {{pod}}",
    "tagKeys": "severity,family",
}
_STARTS: Json = {
    "name": "Front ends start",
    "enable": True,
    "hide": False,
    "iconColor": "blue",
    "datasource": DATASOURCE,
    "target": {
        "refId": "Starts",
        "expr": f"process_start_time_seconds{{{FRONT_END}}} * 1000",
        "interval": "30s",
    },
    "titleFormat": "Front end starts",
    "textFormat": "{{namespace}} {{pod}}",
    "tagKeys": "pod",
    "useValueForTime": "on",
}


def _placed(sections: Sequence[Section]) -> list[Json]:
    """The panels with identifiers and places, each section below a row of its own."""
    placed: list[Json] = []
    y = 0
    for section in sections:
        row: Json = {"type": "row", "title": section.title, "collapsed": False, "panels": []}
        placed.append({"id": len(placed) + 1, **row, "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        y, x, height = y + 1, 0, 0
        for panel in section.panels:
            if x + panel.width > WIDTH:
                y, x, height = y + height, 0, 0
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            placed.append({"id": len(placed) + 1, **panel.json, "gridPos": place})
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return placed
