"""deploy/docker/compose.yaml as data: variables filled in, and a service as podman's options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "docker" / "compose.yaml"

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?P<kind>:-|:\?)(?P<rest>[^}]*)\}")

Service: TypeAlias = dict[str, Any]


class MissingVariableError(Exception):
    """A variable that the file requires has no value."""


def compose(variables: Mapping[str, str], text: str | None = None) -> dict[str, Service]:
    """The services of the file by name, merged and with variables filled in.

    Raises:
        MissingVariableError: one that is required (`:?`) is not among `variables`, or empty.
    """
    filled = _VARIABLE.sub(lambda match: _value(match, variables), text or FILE.read_text())
    services: dict[str, Service] = yaml.safe_load(filled)["services"]
    return {name: deepcopy(service) for name, service in services.items()}  # of its own, where they share anchors


def podman_options(service: Service, *, published: bool = False) -> list[str]:
    """What `podman run` is told, so that a container is what the file says, all but its network.

    `published` opens the service's ports to this machine, on numbers that are free.
    """
    limits = service["deploy"]["resources"]["limits"]
    options = ["--memory", limits["memory"], "--cpus", limits["cpus"], "--pids-limit", str(limits["pids"])]
    if service.get("read_only"):
        options += ["--read-only", "--read-only-tmpfs=false"]
    options += _repeated("--cap-drop", service.get("cap_drop", []))
    options += _repeated("--security-opt", (option.split(":")[0] for option in service.get("security_opt", [])))
    options += _repeated("--tmpfs", service.get("tmpfs", []))
    options += _repeated("--env", (f"{name}={value}" for name, value in service.get("environment", {}).items()))
    options += _repeated("--publish", (f"127.0.0.1::{inner_port(p)}" for p in service["ports"]) if published else ())
    return [*options, "--shm-size", service["shm_size"]]


def health_command(service: Service) -> list[str]:
    """The command whose exit status is 0 while a service is healthy."""
    test: list[str] = service["healthcheck"]["test"]
    assert test[0] == "CMD"
    return test[1:]


def inner_port(published: str) -> int:
    """The port in the container of `[address:]outer:inner`."""
    return int(published.rpartition(":")[2])


def seconds(duration: str) -> float:
    """A duration of the file, which writes all of them in seconds."""
    assert duration.endswith("s"), duration
    return float(duration[:-1])


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    given = variables.get(match["name"], "")
    if not given and match["kind"] == ":?":
        raise MissingVariableError(f"{match['name']}: {match['rest']}")
    return given or match["rest"]


def _repeated(option: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield from (option, value)
