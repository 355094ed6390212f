"""The dashboards: made by code, complete, and asking only for what there is."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana import __main__ as command
from deploy.grafana.__main__ import rendered
from tests.deploy.known_metrics import REPOSITORY, dashboards, selectors, unknown
from tests.deploy.substitution import substituted
from tests.deploy.tools import tool

pytestmark = pytest.mark.deploy

FILES = sorted(dashboards())
UIDS = {"operators.json": "gradserve-operators", "users.json": "gradserve-users", "method.json": "gradserve-method"}
COLUMNS = 24


@pytest.fixture(params=FILES)
def board(request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dashboards()[request.param])
    return found


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every expression, with the title of its panel or annotation."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["target"]["expr"]


# --- made by code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_the_committed_dashboard_is_what_the_code_makes(name):
    assert dashboards()[name] == rendered()[name], "run: python -m deploy.grafana"


def test_the_command_writes_what_is_out_of_date(tmp_path, monkeypatch):
    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["deploy.grafana", *arguments])
        return command.main()

    monkeypatch.setattr(command, "FOLDER", tmp_path)
    assert run("--check") == 1
    assert list(tmp_path.iterdir()) == []
    assert run() == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == rendered()
    assert run("--check") == 0
    (tmp_path / "users.json").write_text("{}")
    assert run("--check") == 1


def test_identifiers_do_not_change():
    assert {name: json.loads(text)["uid"] for name, text in dashboards().items()} == UIDS


# --- readable by Grafana ----------------------------------------------------------------------------------------------


def lost(given: Any, read: Any, path: str = "") -> list[str]:
    """The keys of `given` that `read` lacks or has otherwise."""
    if isinstance(given, dict) and isinstance(read, dict):
        return [text for key, value in given.items() for text in lost(value, read.get(key), f"{path}.{key}")]
    if isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        pairs = enumerate(zip(given, read, strict=True))
        return [text for position, pair in pairs for text in lost(*pair, f"{path}[{position}]")]
    return [] if given == read else [path]


def read_by_grafanas_types(board: dict[str, Any]) -> list[str]:
    """What Grafana's own types do not know of a dashboard."""
    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(board))))
    # Of annotations the types leave out what the plugin for Prometheus reads: how they are titled and tagged.
    return [path for path in lost(board, read) if not path.startswith(".annotations")]


def test_grafanas_own_types_know_every_key(board):
    assert read_by_grafanas_types(board) == []


@pytest.mark.parametrize("place", [("options",), ("fieldConfig", "defaults", "custom"), ("targets", 0)])
def test_a_misspelt_key_is_found_out(place):
    board = json.loads(dashboards()["users.json"])
    panel = next(panel for panel in panels(board) if panel["type"] == "timeseries")
    for step in place:
        panel = panel[step]
    panel["lineWitdh"] = 2
    (path,) = read_by_grafanas_types(board)
    assert path.endswith(".lineWitdh")


# --- complete ---------------------------------------------------------------------------------------------------------


def test_every_panel_says_what_it_shows(board):
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_titles_and_identifiers_are_unique(board):
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    section, titles = "", []
    for panel in board["panels"]:
        section = panel["title"] if panel["type"] == "row" else section
        titles.append((section, panel["title"], panel["type"]))
    assert len(set(titles)) == len(titles)


def overlaps(board: dict[str, Any]) -> list[tuple[str, str]]:
    return [(a["title"], b["title"]) for a, b in itertools.combinations(board["panels"], 2) if overlap(a, b)]


def overlap(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(
        a["gridPos"][start] < b["gridPos"][start] + b["gridPos"][length]
        and b["gridPos"][start] < a["gridPos"][start] + a["gridPos"][length]
        for start, length in (("x", "w"), ("y", "h"))
    )


def test_panels_fill_the_width_and_do_not_overlap(board):
    assert overlaps(board) == []
    lines: dict[int, int] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        lines[place["y"]] = lines.get(place["y"], 0) + place["w"]
    assert set(lines.values()) == {COLUMNS}


def test_an_overlap_is_found_out():
    board = json.loads(dashboards()["method.json"])
    board["panels"][2]["gridPos"]["x"] -= 1
    assert overlaps(board) == [(board["panels"][1]["title"], board["panels"][2]["title"])]


def test_the_dashboards_lead_to_each_other(board):
    assert "gradserve" in board["tags"]
    (link,) = board["links"]
    assert (link["type"], link["tags"], link["includeVars"], link["keepTime"]) == (
        "dashboards",
        ["gradserve"],
        True,
        True,
    )
    urls = [link["url"] for panel in panels(board) for link in panel["fieldConfig"]["defaults"].get("links", [])]
    assert all(url.split("?")[0].removeprefix("/d/") in UIDS.values() for url in urls)
    assert urls or board["uid"] == "gradserve-method"


def test_variables(board):
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    names = ["datasource", "namespace", "pod"] + (["method"] if board["uid"] == "gradserve-method" else [])
    assert list(variables) == names
    assert variables["datasource"]["query"] == "prometheus"
    for name in ("namespace", "pod"):
        assert variables[name]["multi"]
        assert variables[name]["includeAll"]
    for variable in list(variables.values())[1:]:
        assert unknown(variable["query"]["query"].removeprefix("label_values(").rsplit(",", 1)[0]) == []
    everything = [board["panels"], board["annotations"], board["templating"]]
    found = json.dumps(everything)
    assert '"uid": "${datasource}"' in found
    assert found.count('"type": "prometheus"') == found.count('"uid": "${datasource}"')


# --- asks for what there is -------------------------------------------------------------------------------------------


def test_every_query_uses_the_variables(board):
    for title, expr in expressions(board):
        for metric, matchers in selectors(expr):
            assert 'namespace=~"$namespace"' in matchers, (title, metric)
            recorded = ":" in metric or metric == "ALERTS"
            assert ('pod=~"$pod"' in matchers) != recorded, (title, metric)
            if board["uid"] == "gradserve-method" and title not in ("Alerts", "Front ends start"):
                assert 'method="$method"' in matchers, (title, metric)


def test_every_metric_of_a_panel_exists(board):
    assert [wrong for _, expr in expressions(board) for wrong in unknown(expr)] == []


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        ("sum(rate(gradserve_call_total[5m]))", "gradserve_call_total: there is no such metric"),
        ('sum(rate(gradserv_calls_total{job="a"}[5m]))', "gradserv_calls_total: there is no such metric"),
        ('gradserve_workers{pools="cluster"} > 1', "gradserve_workers: no label pools"),
        ('a + ray_actors{state="ALIVE"}', "ray_actors: no label state"),
        ("histogram_quantile(0.9, gradserve_batch_size)", "gradserve_batch_size: there is no such metric"),
        ("avg(namespace:gradserve_calls:rate6m) > 1", "namespace:gradserve_calls:rate6m: there is no such metric"),
    ],
)
def test_what_there_is_not_is_found_out(planted, complaint):
    assert unknown(planted) == [complaint]


def test_every_expression_parses(board, tmp_path):
    assert parses(tmp_path, [expr for _, expr in expressions(board)])


def test_an_expression_that_does_not_parse_is_found_out(tmp_path):
    assert not parses(tmp_path, ["up", "sum by (pod) (rate(up[$__rate_interval])"])


def parses(folder, exprs: list[str]) -> bool:
    records = [{"record": f"panel:{number}", "expr": substituted(expr)} for number, expr in enumerate(exprs)]
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    done = subprocess.run([tool("promtool"), "check", "rules", path], capture_output=True, text=True, check=False)
    return done.returncode == 0


# --- found by the Grafana of compose ----------------------------------------------------------------------------------


def test_grafana_is_told_where_prometheus_and_the_dashboards_are():
    folder = REPOSITORY / "deploy" / "grafana" / "provisioning"
    compose = yaml.safe_load((REPOSITORY / "deploy" / "docker" / "compose.yaml").read_text())["services"]
    mounts = [volume.split(":")[1] for volume in compose["grafana"]["volumes"]]
    (provider,) = yaml.safe_load((folder / "dashboards" / "gradserve.yaml").read_text())["providers"]
    assert provider["options"]["path"] in mounts
    sources = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    hosts = {source["type"]: source["url"].removeprefix("http://").split(":") for source in sources}
    assert hosts == {"prometheus": ["prometheus", "9090"], "alertmanager": ["alertmanager", "9093"]}
    assert all(host in compose for host, _ in hosts.values())
