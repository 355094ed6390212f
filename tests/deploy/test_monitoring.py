"""The monitoring for real: a cluster at work, a Prometheus that scrapes it, and faults that are really made.

Time runs sixty times as fast for rules and alerts; `scaling.py` says how. Whatever is asked of Prometheus is asked for
one moment, when users have been at work for a minute and nothing was wrong.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy import faults
from tests.deploy.asking import ONLY_WITH_FAULTS, Moment
from tests.deploy.known_metrics import RULES, alerts, dashboards, rules
from tests.deploy.load import Users
from tests.deploy.monitored import START_SECONDS, Stack, answers, wait_until
from tests.deploy.scaling import scaled_rules
from tests.deploy.substitution import substituted

pytestmark = [pytest.mark.deploy, pytest.mark.live, pytest.mark.slow]

HEALTHY_SECONDS = 60.0
"""How long all must be quiet: longer than every `for` (sixty times as fast) but those of the slow burn rates."""
TARGETS = ("metrics", "ray", "head", "worker", "spare-metrics")
FOLLOWED = ("DerivativeService/Gradient", "EstimateService/EstimateTrace", "VerificationService/VerifyGradient")


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("monitored"))
    try:
        running.start_head()
        running.start_worker()
        running.start_service()
        running.start_spare()
        for name in TARGETS:
            wait_until(functools.partial(answers, running.at(name)), START_SECONDS, f"{name} answers")
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def healthy(stack) -> Moment:
    """A minute of work, and a moment at its end."""
    stack.start_monitoring()
    for name in ("prometheus", "alerts"):
        wait_until(functools.partial(answers, stack.at(name), "/-/ready"), START_SECONDS, f"{name} answers")
    with Users(stack.at("service"), "all_sorts", "batches", "mistakes") as users:
        # Rules run before the first scrape: for these seconds, an eternity here, there are no front ends.
        wait_until(lambda: stack.query(f"sum(up) == {len(TARGETS)} unless on () ALERTS"), 30, "all targets are scraped")
        stack.notified.messages.clear()
        time.sleep(HEALTHY_SECONDS)
        at = time.time()
        time.sleep(1.0)
    assert users.errors == [], users.errors
    return Moment(stack, at)


# --- all is well ------------------------------------------------------------------------------------------------------


def test_every_target_is_up_and_has_its_labels(healthy):
    up = {
        (series["metric"]["job"], series["metric"]["namespace"], series["metric"]["pod"]): series["value"][1]
        for series in healthy.stack.query("up", healthy.at)
    }
    front_ends, nodes = ("service", "spare"), ("service", "head", "worker-127.0.0.1")
    expected = {("gradserve", "local", pod): "1" for pod in front_ends} | {("ray", "local", pod): "1" for pod in nodes}
    assert up == expected


@pytest.mark.parametrize("name", sorted(dashboards()))
def test_every_query_of_every_panel_finds_data(healthy, name):
    board = json.loads(dashboards()[name])
    for method in FOLLOWED if name == "method.json" else FOLLOWED[:1]:
        empty = healthy.empty_panels(board, method=method)
        assert {title for title, _ in empty} <= ONLY_WITH_FAULTS, empty


@pytest.mark.parametrize("name", ["users.json", "method.json"])
def test_a_single_front_end_can_be_chosen(healthy, name):
    assert healthy.empty_panels(json.loads(dashboards()[name]), namespace="local", pod="service") == []


def test_a_misspelt_metric_in_a_panel_is_found_out(healthy):
    """Prometheus answers such a query by an empty success."""
    text = dashboards()["users.json"]
    assert "gradserve_probes_total" in text
    empty = healthy.empty_panels(json.loads(text.replace("gradserve_probes_total", "gradserve_probe_total")))
    assert {title for title, _ in empty} == {"Probes per second", "Probes per estimate"}


def test_variables_offer_what_there_is(healthy):
    offered = {}
    for variable in json.loads(dashboards()["method.json"])["templating"]["list"][1:]:
        series, label = variable["query"]["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        offered[variable["name"]] = healthy.stack.ask(f"label/{label}/values", **{"match[]": substituted(series)})
    assert offered["namespace"] == ["local"]
    assert offered["pod"] == ["head", "service", "spare", "worker-127.0.0.1"]
    assert set(FOLLOWED) < set(offered["method"])


def test_marks_of_starts_are_found(healthy):
    for text in dashboards().values():
        alerts_, starts = json.loads(text)["annotations"]["list"]
        moments = healthy.stack.query(substituted(starts["target"]["expr"]), healthy.at)
        assert {series["metric"]["pod"] for series in moments} == {"service", "spare"}
        assert all(0 < healthy.at - float(series["value"][1]) / 1000 < 600 for series in moments)
        assert healthy.stack.query(substituted(alerts_["target"]["expr"]), healthy.at) == []


def running_rules() -> list[dict[str, Any]]:
    groups = scaled_rules(yaml.safe_load(RULES.read_text()))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", running_rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_everything_that_a_rule_looks_at_has_data(healthy, rule):
    assert healthy.without_data(rule["expr"]) == []
    healthy.stack.query(rule["expr"], healthy.at)  # fails if it is refused
    if "record" in rule:
        assert healthy.has_data(rule["record"])


def test_a_misspelt_metric_in_a_rule_is_found_out(healthy):
    wrong = 'max by (pod) (gradserve_queue{job="gradserve"}) > 0 and sum(gradserve_workers{pool="clutser"}) > 1'
    assert len(healthy.without_data(wrong)) == 2


def test_prometheus_runs_all_rules_without_an_error(healthy):
    groups = healthy.stack.ask("rules")["groups"]
    running = [rule for group in groups for rule in group["rules"]]
    assert len(running) == len(rules())
    assert {(rule["health"], rule.get("lastError", "")) for rule in running} == {("ok", "")}


def test_no_alert_fires_while_all_is_well(healthy):
    window = f"[{HEALTHY_SECONDS:.0f}s]"
    assert healthy.stack.query(f'count_over_time(ALERTS{{alertstate="firing"}}{window})', healthy.at) == []
    # The query could see one: rules have been evaluated all the time.
    (evaluated,) = healthy.stack.query(f"count_over_time(namespace:gradserve_calls:rate5m{window})", healthy.at)
    assert float(evaluated["value"][1]) > 0.8 * HEALTHY_SECONDS
    assert healthy.told == []


# --- faults -----------------------------------------------------------------------------------------------------------


def test_faults_are_reported(healthy):
    stack, made = healthy.stack, faults.Faults(healthy.stack)
    faults.wrong_gradients(made)
    faults.impatient_users(made)
    faults.a_crowd(made)
    faults.dying_workers(made)
    faults.a_certificate_that_ends(made)
    faults.a_front_end_that_restarts_and_is_short_of_memory(made)
    with Users(stack.at("service"), "chunks"):
        faults.a_machine_lost(made)
        faults.everything_lost(made)
    assert {alert["alert"] for alert in alerts()} > made.seen
    assert len(made.seen) == 18, sorted(made.seen)
    _messages_can_be_read(stack)


def _messages_can_be_read(stack: Stack) -> None:
    for receiver, alert in stack.notified.messages:
        labels, annotations = alert["labels"], alert["annotations"]
        assert labels["severity"] == receiver
        assert labels["namespace"] == "local"
        assert set(annotations) == {"summary", "description", "runbook_url"}
        for text in annotations.values():
            assert "error" not in text.replace("errorbudgetburn", ""), text
            assert not any(sign in text for sign in ("{{", "<no value>", "%!", "NaN")), text
        assert "local" in annotations["summary"]
