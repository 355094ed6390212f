"""deploy/docker/compose.yaml: that it is valid, hardened, and says what the product and its neighbours say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from ray.scripts import scripts

from gradserve.service.configuration.command_line import settings_of
from gradserve.service.configuration.settings import Settings
from tests.deploy.compose import FILE, MissingVariableError, Service, compose, inner_port, seconds
from tests.deploy.images import ROOT, TARGETS

pytestmark = pytest.mark.deploy

TOKEN = {"RAY_AUTH_TOKEN": "a" * 64}
RAY = {"head", "worker", "service"}
RAY_ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN["RAY_AUTH_TOKEN"]}
NAMES = {*RAY, "prometheus", "alertmanager", "grafana"}

Services = dict[str, Service]


@pytest.fixture
def services() -> Services:
    return compose(TOKEN)


# ---- the file as such


def schema_errors(path: Path) -> str:
    """What is wrong by the schema of the Compose specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout if done.returncode else ""


def test_schema() -> None:
    assert schema_errors(FILE) == ""


def test_schema_errors_are_seen(tmp_path: Path) -> None:
    """A planted fault: a key that is misspelt."""
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("shm_size: 160m", "shm_sise: 160m"))
    assert "shm_sise" in schema_errors(wrong)


@pytest.mark.parametrize("variables", [{}, {"RAY_AUTH_TOKEN": ""}])
def test_without_a_token_it_says_how_to_make_one(variables: dict[str, str]) -> None:
    with pytest.raises(MissingVariableError, match="RAY_AUTH_TOKEN: make one with the command at the head"):
        compose(variables)
    assert re.search(r"^#   export RAY_AUTH_TOKEN=\$\(python3 -c ", FILE.read_text(), re.MULTILINE)


# ---- faults that no schema sees


def faults(services: Services) -> Iterator[str]:
    """What is wrong with each service."""
    if set(services) != NAMES:
        yield f"services are {', '.join(services)}"
    for name, service in services.items():
        for find in (unhardened, unpinned, missing_files, wrong_dependencies, open_ports, wrong_environment):
            yield from (f"{name}: {fault}" for fault in find(name, service, services))


def unhardened(name: str, service: Service, services: Services) -> Iterator[str]:
    hardened = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    yield from (f"{key} is not {value}" for key, value in hardened.items() if service.get(key) != value)
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    yield from (f"no limit of {what}" for what in ("cpus", "memory", "pids") if what not in limits)
    if service.get("privileged") or service.get("network_mode") or service.get("pid"):
        yield "shares what is the machine's"


def unpinned(name: str, service: Service, services: Services) -> Iterator[str]:
    if "build" in service:
        if service["build"]["target"] not in TARGETS:
            yield "no such target"
    elif not re.fullmatch(r"\S+/\S+:v?\d+\.\d+\.\d+", service["image"]):
        yield f"{service['image']} is not pinned"


def missing_files(name: str, service: Service, services: Services) -> Iterator[str]:
    """Mounted files that are not in the repository; what is ours is mounted read-only."""
    places = [volume.split(":") for volume in service.get("volumes", [])]
    places += [[service["build"]["context"], "", "ro"]] if "build" in service else []
    for place in places:
        if place[0].startswith("."):
            if not (FILE.parent / place[0]).exists():
                yield f"{place[0]} is not there"
            if place[2:] != ["ro"]:
                yield f"{place[0]} is not read-only"


def wrong_dependencies(name: str, service: Service, services: Services) -> Iterator[str]:
    """What is waited for must have a health check: its own, or that of the front end's image."""
    if "healthcheck" not in service and name != "service":
        yield "no health check"
    for other, how in service.get("depends_on", {}).items():
        if other not in services or how != {"condition": "service_healthy"}:
            yield f"cannot wait for {other}"


def open_ports(name: str, service: Service, services: Services) -> Iterator[str]:
    for port in service.get("ports", []):
        if not port.startswith("127.0.0.1:"):
            yield f"port {port} is open to other machines"


def wrong_environment(name: str, service: Service, services: Services) -> Iterator[str]:
    given = service.get("environment", {})
    if name in RAY and {key: given.get(key) for key in RAY_ENVIRONMENT} != RAY_ENVIRONMENT:
        yield "no token"
    if name in RAY and not any(place.startswith("/tmp:size=") for place in service["tmpfs"]):
        yield "no place for Ray's files"


def test_no_faults(services: Services) -> None:
    assert list(faults(services)) == []


PLANTED: dict[str, Callable[[Services], Any]] = {
    "services are": lambda s: s.pop("grafana"),
    "head: read_only is not True": lambda s: s["head"].pop("read_only"),
    "worker: cap_drop is not ['ALL']": lambda s: s["worker"].update(cap_drop=["NET_RAW"]),
    "service: no limit of memory": lambda s: s["service"]["deploy"]["resources"]["limits"].pop("memory"),
    "grafana: shares what is the machine's": lambda s: s["grafana"].update(network_mode="host"),
    "head: no such target": lambda s: s["head"]["build"].update(target="server"),
    "prometheus: docker.io/prom/prometheus is not": lambda s: s["prometheus"].update(image="docker.io/prom/prometheus"),
    "grafana: ./none is not there": lambda s: s["grafana"]["volumes"].append("./none:/none:ro"),
    "prometheus: .. is not read-only": lambda s: s["prometheus"]["volumes"].append("..:/all"),
    "head: no health check": lambda s: s["head"].pop("healthcheck"),
    "service: cannot wait for router": lambda s: s["service"]["depends_on"].update(router={}),
    "head: port 8265:8265 is open": lambda s: s["head"].update(ports=["8265:8265"]),
    "worker: no token": lambda s: s["worker"]["environment"].pop("RAY_AUTH_TOKEN"),
    "service: no place for Ray's files": lambda s: s["service"].update(tmpfs=[]),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_faults_are_seen(services: Services, fault: str) -> None:
    """Planted faults, each of which is told, and nothing else."""
    PLANTED[fault](services)
    assert [found.startswith(fault) for found in faults(services)] == [True]


# ---- agreement with the product


def front_end(services: Services) -> Settings:
    serve, *arguments = services["service"]["command"]
    assert serve == "serve"
    return settings_of(arguments)


def test_front_end_is_told_what_it_understands(services: Services) -> None:
    settings = front_end(services)
    assert [inner_port(port) for port in services["service"]["ports"]] == [int(settings.address.rpartition(":")[2])]
    assert settings.host == "0.0.0.0"
    assert settings.ray_join == f"head:{ray_options(services, 'head')['port']}"
    assert settings.workers
    assert settings.max_workers
    assert settings.max_workers > settings.workers


def test_wrong_options_are_refused(services: Services) -> None:
    """A planted fault: an option that the front end has not."""
    services["service"]["command"].append("--replicas=2")
    with pytest.raises(SystemExit):
        front_end(services)


def test_everything_may_end_in_peace(services: Services) -> None:
    assert seconds(services["service"]["stop_grace_period"]) >= front_end(services).grace + 5
    for name in ("head", "worker"):
        assert seconds(services[name]["stop_grace_period"]) > 30  # what `ray start --block` may take


def ray_options(services: Services, name: str) -> dict[str, Any]:
    """The options of `ray start`, as Ray itself reads them."""
    start, *arguments = services[name]["command"]
    assert start == "start"
    return dict(scripts.start.make_context("start", [*arguments]).params)


def test_ray_is_told_what_it_understands(services: Services) -> None:
    head, worker = ray_options(services, "head"), ray_options(services, "worker")
    assert (head["head"], head["num_cpus"], head["memory"]) == (True, 0, 0)
    assert worker["address"] == f"head:{head['port']}"
    assert worker["num_cpus"] >= 1
    assert head["block"]
    assert worker["block"]


def test_wrong_options_of_ray_are_refused(services: Services) -> None:
    """A planted fault: an option that Ray has not."""
    services["head"]["command"].append("--num-cores=2")
    with pytest.raises(Exception, match="No such option"):
        ray_options(services, "head")


def mebibytes(size: str) -> int:
    return int(size[:-1]) * {"m": 1, "g": 1024}[size[-1]]


def test_memory_holds_what_ray_is_told_of(services: Services) -> None:
    """Ray's store lies in shared memory; workers, store, files and 512 MiB of Ray itself fit the limit."""
    for name in ("head", "worker"):
        options = ray_options(services, name)
        store, work = (int(options[key]) >> 20 for key in ("object_store_memory", "memory"))
        files = mebibytes(re.search(r"size=(\w+)", services[name]["tmpfs"][0])[1])  # type: ignore[index]
        assert store < mebibytes(services[name]["shm_size"])
        assert store + work + files + 512 <= mebibytes(services[name]["deploy"]["resources"]["limits"]["memory"])


# ---- agreement with the monitoring


def test_prometheus_scrapes_what_is_there(services: Services) -> None:
    mounted = mounts(services["prometheus"])
    config = yaml.safe_load(mounted["/etc/prometheus/prometheus.yml"].read_text())
    assert set(config["rule_files"]) <= set(mounted)
    ray = {name: int(ray_options(services, name)["metrics_export_port"]) for name in ("head", "worker")}
    settings = front_end(services)
    expected = {f"service:{settings.metrics_port}", f"service:{settings.ray_metrics_port}", f"head:{ray['head']}"}
    assert scraped(config) == {*expected, f"worker:{ray['worker']}"}
    (alerts,) = config["alerting"]["alertmanagers"]
    assert alerts["static_configs"] == [{"targets": ["alertmanager:9093"]}]


def scraped(config: dict[str, Any]) -> set[str]:
    """The pages that a configuration of Prometheus names."""
    jobs = config["scrape_configs"]
    static = (target for job in jobs for group in job.get("static_configs", []) for target in group["targets"])
    looked_up = (f"{name}:{by['port']}" for job in jobs for by in job.get("dns_sd_configs", []) for name in by["names"])
    return {*static, *looked_up}


def test_alertmanager_finds_its_configuration(services: Services) -> None:
    service = services["alertmanager"]
    assert [f"--config.file={path}" for path in mounts(service)] == service["command"][:1]


def test_grafana_finds_its_sources_and_dashboards(services: Services) -> None:
    mounted = mounts(services["grafana"])
    provisioning = mounted["/etc/grafana/provisioning"]
    providers = yaml.safe_load((provisioning / "dashboards/gradserve.yaml").read_text())["providers"]
    for provider in providers:
        assert [*mounted[provider["options"]["path"]].glob("*.json")]
    sources = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    for source in sources:
        url = urlsplit(source["url"])
        assert url.port in [inner_port(port) for port in services[url.hostname or ""]["ports"]]


def mounts(service: Service) -> dict[str, Path]:
    """The repository's files and folders by where a container finds them."""
    parts = (volume.split(":") for volume in service["volumes"] if volume.startswith("."))
    return {inside: (FILE.parent / outside).resolve() for outside, inside, _ in parts}


def test_mounts_are_of_this_repository(services: Services) -> None:
    for name in ("prometheus", "alertmanager", "grafana"):
        assert all(path.is_relative_to(ROOT) for path in mounts(services[name]).values())
