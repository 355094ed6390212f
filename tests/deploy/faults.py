"""Faults that are really made, and the alerts that must come of each."""

from __future__ import annotations

import functools
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psutil

from gradserve.client import Client
from gradserve.ir.errors import WorkerLost
from tests.certificates import self_signed
from tests.deploy.asking import ONLY_WITH_FAULTS, Moment
from tests.deploy.known_metrics import dashboards
from tests.deploy.load import Users, regression
from tests.deploy.monitored import START_SECONDS, Stack, answers, wait_until
from tests.system.processes import worker_processes

FIRES_SECONDS = 90.0
"""How long an alert may take to reach the webhook."""
_LEFT_SECONDS = 90.0
"""What a certificate has left when it is found to end: long enough to be told of before it has ended."""


class Faults:
    """Makes a fault, and waits until its alerts have reached the webhook."""

    def __init__(self, stack: Stack) -> None:
        """No fault yet."""
        self.stack = stack
        self.seen: set[str] = set()
        """The alerts that have come of faults."""

    @contextmanager
    def cause(self, *alerts: tuple[str, str]) -> Iterator[None]:
        """Waits at the end of the block for these alerts, each a name and a severity; none may have come before."""
        early = [alert for alert in alerts if self.stack.notified.told(*alert)]
        assert early == [], f"told of before the fault: {early}"
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


def wrong_gradients(faults: Faults) -> None:
    """A user whose own gradient is wrong."""
    with (
        faults.cause(("GradserveVerificationsDisagree", "ticket")),
        Client(faults.stack.at("service")) as client,
    ):
        f = client.function(regression, w=np.zeros(100))
        for _ in range(100):  # among those of the last minute that agree
            assert not f.verify(np.zeros(100), claimed=np.ones(100), directions=2).passed


def impatient_users(faults: Faults) -> None:
    """Users whose deadlines are shorter than what they ask for."""
    with (
        Users(faults.stack.at("service"), "long_calls", "long_calls", timeout=0.3),
        faults.cause(("GradserveErrorBudgetBurn", "page")),
    ):
        pass  # it comes of itself


def a_crowd(faults: Faults) -> None:
    """More calls than the front end takes."""
    saturated = ("GradserveCallsWaiting", "GradserveQueueNearLimit", "GradserveInFlightNearLimit")
    operators = json.loads(dashboards()["operators.json"])
    panels = [panel for panel in operators["panels"] if panel["title"] in ONLY_WITH_FAULTS]
    with Users(faults.stack.at("service"), *(["long_calls"] * 12)) as users:
        with faults.cause(*((name, "ticket") for name in saturated)):
            pass
        assert Moment(faults.stack, time.time()).empty_panels({"panels": panels}) == []
    assert users.errors == []
    for name in saturated:
        faults.until_ended(name, "ticket")


def a_certificate_that_ends(faults: Faults) -> None:
    """One that nobody has renewed."""
    with faults.cause(("GradserveCertificateEnds", "ticket")):
        self_signed(faults.stack.folder, since=-30.0, until=_LEFT_SECONDS / 86400)
    with faults.cause(("GradserveCertificateRefused", "page")):
        pass  # it comes of itself


def dying_workers(faults: Faults) -> None:
    """Ray workers that are killed again and again while they work. A chunk that loses six of them is given up."""
    stack = faults.stack
    node = stack.processes["worker"].pid
    with (
        Users(stack.at("service"), "chunks") as users,
        faults.cause(("GradserveWorkersDying", "ticket"), ("GradserveChunksRetried", "ticket")),
    ):
        for _ in range(14):
            workers = worker_processes(node)
            if workers:
                random.choice(workers).kill()
            time.sleep(1.5)  # another one is there within a second
    assert all(isinstance(error, WorkerLost) for error in users.errors), users.errors


def a_front_end_that_restarts_and_is_short_of_memory(faults: Faults) -> None:
    """A front end killed three times, the last time given no more memory than it takes."""
    stack = faults.stack
    taken = psutil.Process(stack.processes["spare"].pid).memory_info().rss
    with faults.cause(("GradserveFrontEndRestarting", "ticket"), ("GradserveMemoryNearLimit", "page")):
        for limit in (None, None, taken):
            stack.kill("spare")
            stack.start_spare(limit)
            wait_until(lambda: answers(stack.at("spare-metrics")), START_SECONDS, "the front end answers again")
            time.sleep(2.5)  # so that it is scraped


def a_machine_lost(faults: Faults) -> None:
    """The only Ray node with processors, amid a call."""
    lost = (("GradserveRayNodeDown", "ticket"), ("GradserveNoWorkers", "page"), ("GradserveChunksWaiting", "ticket"))
    with faults.cause(*lost):
        faults.stack.kill("worker")
    faults.until_inhibited("GradserveWorkersMissing")


def everything_lost(faults: Faults) -> None:
    """The head of the cluster, then all front ends."""
    stack = faults.stack
    with faults.cause(("GradserveRayHeadDown", "page")):
        stack.kill("head")
    with faults.cause(("GradserveNoFrontEnds", "page")):
        stack.kill("service")
        stack.kill("spare")
    faults.until_inhibited("GradserveFrontEndDown")
