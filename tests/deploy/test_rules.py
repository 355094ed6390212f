"""Rules, alerts and the configuration of Prometheus and Alertmanager, by promtool and amtool."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.known_metrics import REPOSITORY, RULES, alerts, ray_version, rules, unknown
from tests.deploy.locks import locked
from tests.deploy.tools import tool

pytestmark = pytest.mark.deploy

PROMETHEUS = REPOSITORY / "deploy" / "prometheus"
RUNBOOK = PROMETHEUS / "RUNBOOK.md"
RULE_TESTS = sorted((PROMETHEUS / "rules_tests").glob("*.yaml"))
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NAMES = sorted({alert["alert"] for alert in alerts()})


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool(name), *arguments], capture_output=True, text=True, check=False)


def require_clean(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout + done.stderr


# --- the files are correct --------------------------------------------------------------------------------------------


def test_promtool_accepts_the_rules():
    require_clean(run("promtool", "check", "rules", "--lint=all", "--lint-fatal", RULES))


def test_promtool_refuses_a_rule_that_does_not_parse(tmp_path):
    planted = tmp_path / "rules.yaml"
    planted.write_text(RULES.read_text().replace("sum by (namespace)", "sum by namespace", 1))
    assert run("promtool", "check", "rules", planted).returncode != 0


def compose_mounts(service: str) -> dict[str, Path]:
    """The files of the repository that compose puts into a container, by where they are in it."""
    compose = REPOSITORY / "deploy" / "docker" / "compose.yaml"
    volumes = yaml.safe_load(compose.read_text())["services"][service]["volumes"]
    mounts = [volume.split(":") for volume in volumes if volume.startswith(".")]
    return {inside: (compose.parent / outside).resolve() for outside, inside, *_ in mounts}


def test_promtool_accepts_the_configuration_as_compose_has_it(tmp_path):
    """Its paths are those of the container: here they lead to the files that compose mounts there."""
    text = (PROMETHEUS / "prometheus.yml").read_text()
    mounts = compose_mounts("prometheus")
    assert mounts.pop("/etc/prometheus/prometheus.yml") == PROMETHEUS / "prometheus.yml"
    for inside, outside in mounts.items():
        assert inside in text
        text = text.replace(inside, str(outside))
    config = tmp_path / "prometheus.yml"
    config.write_text(text)
    done = run("promtool", "check", "config", config)
    require_clean(done)
    assert f"{len(rules())} rules found" in done.stdout


def test_promtool_refuses_a_configuration_whose_rules_are_not_there():
    assert run("promtool", "check", "config", PROMETHEUS / "prometheus.yml").returncode != 0


def test_promtool_accepts_the_configuration_for_a_local_service():
    done = run("promtool", "check", "config", PROMETHEUS / "local.yml")
    require_clean(done)
    assert f"{len(rules())} rules found" in done.stdout


def test_amtool_accepts_alertmanagers_configuration():
    assert compose_mounts("alertmanager")["/etc/alertmanager/alertmanager.yml"] == PROMETHEUS / "alertmanager.yml"
    done = run("amtool", "check-config", PROMETHEUS / "alertmanager.yml")
    require_clean(done)
    assert "2 inhibit rules" in done.stdout


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [("severity=page", "page"), ("severity=ticket", "ticket"), ("severity=unheard-of", "ticket")],
)
def test_alerts_reach_the_receiver_of_their_severity(labels, receiver):
    routing = run("amtool", "config", "routes", "test", f"--config.file={PROMETHEUS / 'alertmanager.yml'}", labels)
    assert routing.stdout.strip() == receiver


def test_no_secret_is_in_the_configuration():
    for path in (PROMETHEUS / "prometheus.yml", PROMETHEUS / "local.yml", PROMETHEUS / "alertmanager.yml"):
        read = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
        assert not re.search(r"password|token|secret|_key", read, re.IGNORECASE), path


# --- the alerts do what they should -----------------------------------------------------------------------------------


def test_the_alerts_pass_their_tests():
    require_clean(run("promtool", "test", "rules", *RULE_TESTS))


PLANTED = [
    (
        "errors.yaml",
        "one call in a hundred fails, a page after a quarter of an hour",
        "UNAVAILABLE|DEADLINE_EXCEEDED",
        "NOT_FOUND|DEADLINE_EXCEEDED",
    ),  # a client's fault
    (
        "latency.yaml",
        "without calls there is no quantile and no mean",
        'le="+Inf"} > 0',
        'le="+Inf"} >= 0',
    ),  # not a number
    (
        "memory.yaml",
        "a Ray node that is full in every respect, beside one that is not",
        'objects_bytes{job="ray",State="Pinned"}',
        'objects_bytes{job="ray",State="Pinned"} * 4',
    ),
    (
        "saturation.yaml",
        "the workers do not keep up with the chunks",
        "min_over_time(gradserve_chunks_waiting",
        "max_over_time(gradserve_chunks_waiting",
    ),
    (
        "targets.yaml",
        "a Ray worker node does not answer, its head does",
        'max by (namespace, pod) (up{job="ray"}) == 0',
        'max by (namespace) (up{job="ray"}) == 0',
    ),
    (
        "workers.yaml",
        "a worker dies every other minute, and a tenth of the chunks runs again",
        "ratio_rate15m > 0.05",
        "ratio_rate15m > 0.5",
    ),
]


@pytest.mark.parametrize(("tests", "name", "right", "wrong"), PLANTED, ids=[tests for tests, *_ in PLANTED])
def test_wrong_rules_do_not_pass(tmp_path, tests, name, right, wrong):
    text = RULES.read_text()
    assert right in text
    (tmp_path / "rules.yaml").write_text(text.replace(right, wrong))
    planted = yaml.load((PROMETHEUS / "rules_tests" / tests).read_text(), _Loader)
    chosen = [case for case in planted["tests"] if case["name"] == name]
    (tmp_path / tests).write_text(yaml.safe_dump({**planted, "rule_files": ["rules.yaml"], "tests": chosen}))
    assert run("promtool", "test", "rules", tmp_path / tests).returncode != 0


@cache
def cases() -> list[dict[str, Any]]:
    files = [yaml.load(path.read_text(), _Loader) for path in RULE_TESTS]
    return [case for file in files for case in file["tests"]]


def fires(case: dict[str, Any]) -> set[tuple[str, str]]:
    """Name and severity of the alerts that a case expects to fire."""
    by_rule = {
        (test["alertname"], alert["exp_labels"]["severity"])
        for test in case.get("alert_rule_test", [])
        for alert in test["exp_alerts"]
    }
    labels = [sample["labels"] for test in case.get("promql_expr_test", []) for sample in test["exp_samples"] or []]
    firing = [text for text in labels if text.startswith("ALERTS{") and 'alertstate="firing"' in text]
    return by_rule | {(_label(text, "alertname"), _label(text, "severity")) for text in firing}


def quiet(case: dict[str, Any]) -> bool:
    """Whether a case expects silence at some time."""
    alert_tests, queries = case.get("alert_rule_test", []), case.get("promql_expr_test", [])
    silent = [test for test in alert_tests if not test["exp_alerts"]]
    return bool(silent) or any(test["expr"].startswith("ALERTS") and not test["exp_samples"] for test in queries)


def _label(series: str, name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', series)
    assert found, series
    return found[1]


def test_every_alert_is_seen_firing_and_quiet_in_the_same_case():
    for alert in alerts():
        key = (alert["alert"], alert["labels"]["severity"])
        assert [case["name"] for case in cases() if key in fires(case) and quiet(case)], key


def test_every_window_of_the_burn_rate_is_seen_firing():
    text = (PROMETHEUS / "rules_tests" / "errors.yaml").read_text()
    windows = {alert["labels"]["window"] for alert in alerts() if alert["alert"] == "GradserveErrorBudgetBurn"}
    assert windows == {"1h", "6h", "1d", "3d"}
    assert all(f'alertstate="firing",family="errors",namespace="a",severity="{s}",window="{w}"' in text
               for s, w in (("page", "1h"), ("page", "6h"), ("ticket", "1d"), ("ticket", "3d")))  # fmt: skip


# --- whoever gets an alert knows what to do ---------------------------------------------------------------------------


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: f"{alert['alert']}-{alert['labels']['severity']}")
def test_an_alert_says_what_it_is(alert):
    labels, annotations = alert["labels"], alert["annotations"]
    assert labels["severity"] in {"page", "ticket"}
    assert labels["family"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert "$labels.namespace" in annotations["summary"]
    assert "$labels.namespace" in annotations["description"]
    values = re.findall(r"\{\{ \$value[^}]*\}\}", " ".join(annotations.values()))
    assert all("| humanize" in value for value in values), values
    assert annotations["runbook_url"] == f"deploy/prometheus/RUNBOOK.md#{alert['alert'].lower()}"


def test_the_runbook_has_a_section_for_every_alert_and_no_other():
    sections = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    assert sorted(section.splitlines()[0] for section in sections) == NAMES
    for section in sections:
        assert "**Means.**" in section
        assert "look at" in section.lower()
        assert re.search(r"\bdo\.\*\*", section, re.IGNORECASE), section.splitlines()[0]


def test_the_panels_that_the_runbook_names_exist():
    titles = "".join(path.read_text() for path in (RULES.parent / "dashboards").glob("*.json"))
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*.]+)\*(?!\*)", RUNBOOK.read_text()))
    assert "Chunks waiting" in named
    assert [name for name in named if f'"title": "{name}"' not in titles] == []


# --- nothing is asked that nobody answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_of_a_rule_exists(rule):
    assert unknown(rule["expr"]) == []


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_every_series_of_the_alerts_tests_exists(path):
    """Or a metric misspelt in a rule and in its test would pass both."""
    tests = yaml.load(path.read_text(), _Loader)["tests"]
    series = [line["series"] for case in tests for line in case["input_series"]]
    assert [wrong for each in series for wrong in unknown(each)] == []


def test_the_list_of_rays_metrics_is_of_the_version_that_is_deployed():
    assert ray_version() == locked(REPOSITORY / "deploy" / "docker" / "requirements.txt")["ray"]
