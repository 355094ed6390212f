"""Panels: what is asked of Prometheus, and how the answer looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
"""Columns of Grafana's grid."""

Steps: TypeAlias = tuple[tuple[float, str], ...]
"""Colours from values on, ascending; below the first it is green."""


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel without a place: `sections` gives it one."""

    json: Json
    width: int
    height: int


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    steps: Steps = (),
    stacked: bool = False,
    most: float | None = None,
    per_method: bool = False,
    width: int = 8,
) -> Panel:
    """Lines over time, or areas on each other; `steps` are drawn as dashed lines.

    `most` is where the axis ends if nothing is higher. With `per_method` a click on a series with the label `method`
    leads to its dashboard.
    """
    custom: Json = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 25 if stacked else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if steps else "off"},
        "axisSoftMin": 0,
    }
    if most is not None:
        custom["axisSoftMax"] = most
    options: Json = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["mean", "max"], "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    defaults: Json = {"custom": custom, "color": {"mode": "palette-classic"}}
    if per_method:
        defaults["links"] = [_METHOD_LINK]
    return _panel("timeseries", title, description, unit, queries, steps, defaults, options, width, 8)


def number(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    steps: Steps = (),
    width: int = 4,
    decimals: int | None = None,
) -> Panel:
    """The last value, large, with its recent course behind it."""
    options: Json = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "textMode": "auto",
        "orientation": "auto",
    }
    defaults: Json = {"color": {"mode": "thresholds"}, "noValue": "none"}
    if decimals is not None:
        defaults["decimals"] = decimals
    return _panel("stat", title, description, unit, (query,), steps, defaults, options, width, 4)


def heatmap(title: str, description: str, unit: str, query: Query, *, width: int = 8) -> Panel:
    """How many observations fell into each bucket of a histogram, over time."""
    options: Json = {
        "calculate": False,
        "yAxis": {"unit": unit, "axisPlacement": "left"},
        "rowsFrame": {"layout": "le"},
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "scale": "exponential", "exponent": 0.5},
        "cellGap": 1,
        "filterValues": {"le": 1e-9},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
        "legend": {"show": True},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "showValue": "never",
    }
    panel = _panel("heatmap", title, description, "short", (query,), (), {}, options, width, 8)
    panel.json["targets"][0]["format"] = "heatmap"
    return panel


def timeline(title: str, description: str, query: Query, *, width: int = 24) -> Panel:
    """One bar for each series, from when it begins to when it ends."""
    options: Json = {
        "mergeValues": True,
        "showValue": "never",
        "alignValue": "left",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "calcs": [], "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    defaults: Json = {
        "custom": {"fillOpacity": 80, "lineWidth": 0},
        "color": {"mode": "thresholds"},
        "noValue": "none",
        "mappings": [{"type": "value", "options": {"1": {"text": "firing", "color": "red", "index": 0}}}],
    }
    return _panel("state-timeline", title, description, "short", (query,), ((1, "red"),), defaults, options, width, 6)


_METHOD_LINK: Json = {
    "title": "Follow ${__field.labels.method}",
    "url": "/d/gradserve-method?${datasource:queryparam}&${namespace:queryparam}&${pod:queryparam}"
    "&var-method=${__field.labels.method}&${__url_time_range}",
    "targetBlank": False,
}


def _panel(
    kind: str,
    title: str,
    description: str,
    unit: str,
    queries: tuple[Query, ...],
    steps: Steps,
    defaults: Json,
    options: Json,
    width: int,
    height: int,
) -> Panel:
    colours: list[Json] = [{"color": "green", "value": None}]
    colours += [{"color": colour, "value": value} for value, colour in steps]
    json: Json = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": [_target(query, chr(ord("A") + position)) for position, query in enumerate(queries)],
        "fieldConfig": {
            "defaults": {"unit": unit, "thresholds": {"mode": "absolute", "steps": colours}, **defaults},
            "overrides": [],
        },
        "options": options,
    }
    return Panel(json, width, height)


def _target(query: Query, name: str) -> Json:
    return {
        "refId": name,
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "editorMode": "code",
        "range": True,
        "instant": False,
    }
