"""The monitoring for real: a cluster at work, a Prometheus that scrapes it, and faults that are really made.

Time runs sixty times as fast for rules and alerts; `scaling.py` says how. Whatever is asked of Prometheus is asked for
one moment, when users have been at work for a minute and nothing was wrong.
"""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
import pytest
import yaml

from gradserve.client import Client
from tests.deploy.known_metrics import RULES, alerts, dashboards, rules
from tests.deploy.load import Crowd, Users, regression
from tests.deploy.monitored import START_SECONDS, Stack, answers, wait_until
from tests.deploy.promql import building_blocks, selectors
from tests.deploy.scaling import scaled, scaled_rules
from tests.deploy.substitution import substituted
from tests.system.processes import worker_processes

pytestmark = [pytest.mark.deploy, pytest.mark.live, pytest.mark.slow]

HEALTHY_SECONDS = 60.0
"""How long all must be quiet: longer than every `for` (sixty times as fast) but those of the slow burn rates."""
FIRES_SECONDS = 90.0
TARGETS = ("metrics", "ray", "head", "worker", "spare-metrics")
ONLY_WITH_FAULTS = {"Alerts"}
"""Panels that are empty while all is well."""
FOLLOWED = ("DerivativeService/Gradient", "EstimateService/EstimateTrace", "VerificationService/VerifyGradient")


class Healthy:
    """The stack, and the moment that is asked for. It need not be a healthy one to be asked for."""

    def __init__(self, stack: Stack, at: float) -> None:
        self.stack = stack
        self.at = at
        self.told = list(stack.notified.messages)

    def has_data(self, expr: str) -> bool:
        """Whether an expression has a value that is a number."""
        return any(math.isfinite(float(series["value"][1])) for series in self.stack.query(expr, self.at))

    def empty_panels(self, board: dict[str, Any], **variables: str) -> list[tuple[str, str]]:
        """The queries of a dashboard that find nothing, by the titles of their panels."""
        return [
            (panel["title"], target["expr"])
            for panel in board["panels"]
            for target in panel.get("targets", [])
            if not self.has_data(faster(substituted(target["expr"], __rate_interval="15s", **variables)))
        ]

    def without_data(self, expr: str) -> list[str]:
        """The building blocks and selectors of a rule that find nothing."""
        parts = [*building_blocks(expr), *(selector.text for selector in selectors(expr))]
        return [part for part in parts if not self.has_data(part)]


def faster(expr: str) -> str:
    """A panel's expression with the same windows as the rules have here."""
    return expr.replace("[1h]", f"[{scaled('1h')}]").replace("[15m]", f"[{scaled('15m')}]")


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
def healthy(stack) -> Healthy:
    """A minute of work, and a moment at its end."""
    stack.start_monitoring()
    with Users(stack.at("service"), "all_sorts", "batches", "mistakes") as users:
        wait_until(lambda: answers(stack.at("prometheus")), START_SECONDS, "Prometheus answers")
        # Rules run before the first scrape: for these seconds, an eternity here, there are no front ends.
        wait_until(lambda: stack.query(f"sum(up) == {len(TARGETS)} unless on () ALERTS"), 30, "all targets are scraped")
        stack.notified.messages.clear()
        time.sleep(HEALTHY_SECONDS)
        at = time.time()
        time.sleep(1.0)
    assert users.errors == []
    return Healthy(stack, at)


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
    assert len(healthy.without_data(wrong)) == 4


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


class Faults:
    """Makes a fault, and waits until its alerts have reached the webhook."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.seen: set[str] = set()

    @contextmanager
    def cause(self, *alerts: tuple[str, str]) -> Iterator[None]:
        """Waits at the end of the block for these alerts, each a name and a severity; none may have come before."""
        early = [alert for alert in alerts if self.stack.notified.told(*alert)]
        assert early == [], "told of before the fault"
        yield
        for name, severity in alerts:
            told = functools.partial(self.stack.notified.told, name, severity)
            wait_until(told, FIRES_SECONDS, f"{name} {severity}")
            self.seen.add(name)

    def until_ended(self, name: str, severity: str) -> None:
        """Waits until the webhook is told that an alert is over."""
        wait_until(lambda: self.stack.notified.told(name, severity, "resolved"), FIRES_SECONDS, f"{name} is over")

    def until_inhibited(self, name: str) -> None:
        """Waits until Alertmanager keeps an alert to itself because of another one."""
        wait_until(lambda: name in self._inhibited(), FIRES_SECONDS, f"{name} is inhibited")
        self.seen.add(name)

    def _inhibited(self) -> set[str]:
        known = self.stack.alertmanager()
        return {alert["labels"]["alertname"] for alert in known if alert["status"]["inhibitedBy"]}


def test_faults_are_reported(healthy):
    stack, faults = healthy.stack, Faults(healthy.stack)
    _wrong_gradients(faults)
    _a_crowd(faults)
    _dying_workers(faults)
    _a_front_end_that_restarts_and_is_short_of_memory(faults)
    with Users(stack.at("service"), "chunks"):
        _a_machine_lost(faults)
        _everything_lost(faults)
    assert {alert["alert"] for alert in alerts()} > faults.seen
    assert len(faults.seen) == 16, sorted(faults.seen)
    _messages_can_be_read(stack)


def _wrong_gradients(faults: Faults) -> None:
    """A user whose own gradient is wrong."""
    with (
        faults.cause(("GradserveVerificationsDisagree", "ticket")),
        Client(faults.stack.at("service")) as client,
    ):
        f = client.function(regression, w=np.zeros(100))
        for _ in range(100):  # among those of the last minute that agree
            assert not f.verify(np.zeros(100), claimed=np.ones(100), directions=2).passed


def _a_crowd(faults: Faults) -> None:
    """More calls than the front end takes."""
    saturated = ("GradserveCallsWaiting", "GradserveQueueNearLimit", "GradserveInFlightNearLimit")
    alerts_panel = [panel for panel in operators()["panels"] if panel["title"] in ONLY_WITH_FAULTS]
    with Crowd(faults.stack.at("service"), places=4, callers=12):
        with faults.cause(("GradserveErrorBudgetBurn", "page"), *((name, "ticket") for name in saturated)):
            pass  # it comes of itself
        assert Healthy(faults.stack, time.time()).empty_panels({"panels": alerts_panel}) == []
    for name in saturated:
        faults.until_ended(name, "ticket")


def operators() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dashboards()["operators.json"])
    return found


def _dying_workers(faults: Faults) -> None:
    """Ray workers that are killed again and again while they work; calls go on all the same."""
    stack = faults.stack
    node = stack.processes["worker"].pid
    with (
        Users(stack.at("service"), "chunks") as users,
        faults.cause(("GradserveWorkersDying", "ticket"), ("GradserveChunksRetried", "ticket")),
    ):
        for _ in range(14):
            for worker in worker_processes(node)[:1]:
                worker.kill()
            time.sleep(1.5)
    assert users.errors == []


def _a_front_end_that_restarts_and_is_short_of_memory(faults: Faults) -> None:
    stack = faults.stack
    taken = psutil.Process(stack.processes["spare"].pid).memory_info().rss
    with faults.cause(("GradserveFrontEndRestarting", "ticket"), ("GradserveMemoryNearLimit", "page")):
        for limit in (None, None, taken):
            stack.kill("spare")
            stack.start_spare(limit)
            wait_until(lambda: answers(stack.at("spare-metrics")), START_SECONDS, "the front end answers again")
            time.sleep(2.5)  # so that it is scraped


def _a_machine_lost(faults: Faults) -> None:
    """The only Ray node with processors, amid a call."""
    lost = (("GradserveRayNodeDown", "ticket"), ("GradserveNoWorkers", "page"), ("GradserveChunksWaiting", "ticket"))
    with faults.cause(*lost):
        faults.stack.kill("worker")
    faults.until_inhibited("GradserveWorkersMissing")


def _everything_lost(faults: Faults) -> None:
    stack = faults.stack
    with faults.cause(("GradserveRayHeadDown", "page")):
        stack.kill("head")
    with faults.cause(("GradserveNoFrontEnds", "page")):
        stack.kill("service")
        stack.kill("spare")
    faults.until_inhibited("GradserveFrontEndDown")


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
