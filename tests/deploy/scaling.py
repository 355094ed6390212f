"""The committed configuration made fit for a test of minutes: time runs sixty times as fast, and all is on loopback.

What is changed, and nothing else:

- every duration of the rules is divided by 60: ranges (`[5m]` becomes `[5s]`) and `for:`. The groups' `interval:` is a
  second, as often as is scraped. Thresholds, labels and expressions stay as they are.
- of Prometheus's configuration: the intervals, which become a second; the path of the rules; the addresses of targets
  and Alertmanager. DNS is replaced by its answer.
- of Alertmanager's: the intervals of its routes, divided by 60, and the receivers' addresses.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

FASTER = 60
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RANGE = re.compile(r"\[(\d+[smhd])\]")


def scaled(duration: str) -> str:
    """A duration divided by 60, to the millisecond."""
    milliseconds = 1000 * int(duration[:-1]) * _UNITS[duration[-1]] // FASTER
    return f"{milliseconds}ms"


def scaled_ranges(expr: str) -> str:
    """An expression with every range divided by 60."""
    return _RANGE.sub(lambda found: f"[{scaled(found[1])}]", expr)


def scaled_rules(rules: dict[str, Any]) -> dict[str, Any]:
    """The rule file with every duration divided by 60."""
    rules = copy.deepcopy(rules)
    for group in rules["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            assert "offset" not in rule["expr"], "a duration that this does not scale"
            rule["expr"] = scaled_ranges(rule["expr"])
            if "for" in rule:
                rule["for"] = scaled(rule["for"])
    return rules


def moved_prometheus(
    config: dict[str, Any], rules: str, alertmanager: str, addresses: Mapping[str, str], more: Mapping[str, str]
) -> dict[str, Any]:
    """Prometheus's configuration with other places.

    `addresses` go by those that the file has, or by names in DNS; `more` are further front ends: addresses by pod.
    """
    config = copy.deepcopy(config)
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [rules]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    for job in config["scrape_configs"]:
        for static in job["static_configs"]:
            static["targets"] = [addresses[target] for target in static["targets"]]
        for lookup in job.pop("dns_sd_configs", []):
            (name,) = lookup["names"]
            job["static_configs"].append({"targets": [addresses[name]], "labels": {"__meta_dns_name": name}})
            # The addresses that DNS gives all have the port that the relabelling names; here each has its own.
            for step in job["relabel_configs"]:
                step["regex"] = step["regex"].replace(f":{lookup['port']}", r":\d+")
        if job["job_name"] == "gradserve":
            pods = [{"targets": [at], "labels": {"namespace": "local", "pod": pod}} for pod, at in more.items()]
            job["static_configs"] += pods
    return config


def moved_alertmanager(config: dict[str, Any], receiver: str) -> dict[str, Any]:
    """Alertmanager's configuration with shorter times, telling `receiver`, a URL that the receiver's name is put to."""
    config = copy.deepcopy(config)
    for route in (config["route"], *config["route"]["routes"]):
        for key in ("group_wait", "group_interval", "repeat_interval"):
            route[key] = scaled(route[key])
    for one in config["receivers"]:
        for webhook in one["webhook_configs"]:
            webhook["url"] = f"{receiver}/{one['name']}"
    return config
