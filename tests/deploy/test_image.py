"""The images, really built and really run.

The base is a stand-in with the tag of the true one: Debian bookworm with Debian's Python 3.11, as no registry of images
is asked. All else is what `docker build` makes of deploy/docker/Dockerfile.
"""

from __future__ import annotations

import json
import secrets
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.request import urlopen

import numpy as np
import pytest

from gradserve.client import Client, GradserveError
from tests.deploy import images
from tests.deploy.compose import Service, compose, health_command, podman_options
from tests.deploy.containers import CONFINED, Container, running, wait_until
from tests.deploy.images import ROOT, Store
from tests.deploy.locks import locked
from tests.deploy.scraping import Prometheus

pytestmark = [pytest.mark.deploy, pytest.mark.live]

PORTS = ("--publish", "127.0.0.1::50051", "--publish", "127.0.0.1::9464")
ALONE = ("serve", "--address", "0.0.0.0:50051", "--metrics-host", "0.0.0.0", "--no-ray")
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
FOLDER = "/opt/gradserve/lib/python3.11/site-packages"

Start: TypeAlias = Callable[..., Container]


@pytest.fixture(scope="module")
def store() -> Store:
    found = images.store()
    images.import_base(found)
    return found


@pytest.fixture(scope="module")
def image(store: Store) -> str:
    return images.build(store, "service", VERSION)


@pytest.fixture(scope="module")
def worker_image(store: Store) -> str:
    return images.build(store, "worker", VERSION)


@pytest.fixture(scope="module")
def service(store: Store, image: str) -> Iterator[Container]:
    """The front end as the image starts it by itself, with no right and little memory."""
    with running(store, image, options=[*CONFINED, *PORTS, "--memory", "512m", "--cpus", "1"]) as container:
        wait_until(container.healthy, 60, container)
        yield container


@pytest.fixture
def start(store: Store, image: str) -> Iterator[Start]:
    """Starts front ends of a test's own, with options of `podman run` and arguments of `serve`."""
    with ExitStack() as stack:

        def started(*arguments: str, options: tuple[str, ...] = (*CONFINED, *PORTS)) -> Container:
            container = stack.enter_context(running(store, image, *ALONE, *arguments, options=options))
            wait_until(container.healthy, 60, container)
            return container

        yield started


# ---- what is in them


def inspected(store: Store, image: str) -> dict[str, Any]:
    (found,) = json.loads(store.podman("image", "inspect", image))
    assert isinstance(found, dict)
    return found


def test_they_say_what_they_are(store: Store, image: str, worker_image: str) -> None:
    for name, what in ((image, "service"), (worker_image, "worker")):
        config = inspected(store, name)["Config"]
        assert (config["User"], config["WorkingDir"]) == ("10001:10001", "/home/gradserve")
        assert config["Entrypoint"] == [{"service": "gradserve", "worker": "ray"}[what]]
        assert config["Labels"]["org.opencontainers.image.title"] == f"gradserve-{what}"
        assert config["Labels"]["org.opencontainers.image.version"] == VERSION
    assert inspected(store, image)["Config"]["Cmd"] == list(ALONE)
    assert inspected(store, image)["Healthcheck"]["Test"][:3] == ["CMD", "gradserve", "ping"]


def test_they_share_all_layers(store: Store, image: str, worker_image: str) -> None:
    ours, theirs = (inspected(store, name)["RootFS"]["Layers"] for name in (image, worker_image))
    assert ours == theirs


def test_it_holds_what_the_lock_file_names_and_no_more(service: Container) -> None:
    script = "from importlib.metadata import distributions as found\n"
    script += "print(*sorted(f'{d.name.lower()}=={d.version}'.replace('_', '-') for d in found()))"
    found = service.execute("python", "-c", script).output.split()
    expected = locked(ROOT / "deploy/docker/requirements.txt") | {"gradserve": VERSION}
    assert found == sorted(f"{name}=={version}" for name, version in expected.items())


@pytest.mark.parametrize(
    ("what", "search"),
    [
        ("compilers", "type -P gcc cc g++ c++ make ld as"),
        ("tests", f"find {FOLDER} -type d -name tests"),
        ("downloads", "find / -xdev -path '*/.cache/*' -type f"),
        ("files that others may write", "find /opt /home /usr -xdev -perm -o+w -not -type l"),
        ("sources without bytecode", f"""python -c '
from pathlib import Path
here = Path("{FOLDER}")
print(*(p for p in here.rglob("*.py") if not [*p.parent.glob(f"__pycache__/{{p.stem}}.cpython-311.pyc")]))'"""),
    ],
)  # fmt: skip
def test_it_holds_no(what: str, search: str, service: Container) -> None:
    found = service.execute("bash", "-c", f"{search} 2>/dev/null; true").output.split()
    assert found == [], what


def test_a_search_can_find_something(service: Container) -> None:
    """A planted fault: a name that is there."""
    assert f"{FOLDER}/numpy" in service.execute("bash", "-c", f"find {FOLDER} -name numpy").output.split()


# ---- what it may do


def rights(container: Container) -> dict[str, str]:
    """What the kernel lets the front end do."""
    status = container.execute("cat", "/proc/1/status").output
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    found = {name: fields[name].split()[0] for name in ("Uid", "Gid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}
    places = ("/", "/opt/gradserve", "/home/gradserve", "/run", "/var/tmp")
    return {**found, "writable": " ".join(place for place in places if can_write(container, place))}


def can_write(container: Container, where: str) -> bool:
    return container.execute("touch", f"{where}/written").status == 0


NOTHING = {"Uid": "10001", "Gid": "10001", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}


def test_it_needs_no_rights(service: Container) -> None:
    assert rights(service) == {**NOTHING, "writable": ""}
    assert can_write(service, "/tmp")


def test_rights_would_be_seen(start: Start) -> None:
    """A planted fault: root, with what an engine gives by default."""
    found = rights(start(options=("--user", "0", *PORTS)))
    assert all(found[name] != value for name, value in NOTHING.items() if name != "Seccomp")
    assert "/opt/gradserve" in found["writable"]


@pytest.mark.parametrize(("limit", "status"), [("256m", 137), ("2g", 0)])
def test_memory_is_limited(store: Store, image: str, limit: str, status: int) -> None:
    options = [*CONFINED, "--memory", limit, "--entrypoint", "python"]
    with running(store, image, "-c", "print(len(bytearray(1 << 30)))", options=options) as container:
        assert container.status() == status


# ---- what it does


def test_gradient_from_outside(service: Container) -> None:
    data = np.arange(12.0).reshape(4, 3)
    with Client(service.address(50051)) as client:
        value, gradient = client.function(lambda w: np.sum((data @ w) ** 2)).value_and_grad(np.ones(3))
    assert value == 1494.0
    np.testing.assert_array_equal(gradient, 2 * data.T @ data @ np.ones(3))


def test_health(service: Container) -> None:
    said = service.execute("gradserve", "ping", "--address", "127.0.0.1:50051")
    assert said.status == 0
    assert " SERVING " in said.output
    assert service.execute("gradserve", "ping", "--address", "127.0.0.1:50052").status == 1  # a planted fault


def test_prometheus_scrapes_it(service: Container, tmp_path: Path) -> None:
    with Client(service.address(50051)) as client:
        client.function(lambda w: np.sum(w * w)).grad(np.ones(3))
    targets = {"gradserve": service.address(9464), "nobody": "127.0.0.1:1"}  # a planted fault beside it
    with Prometheus(tmp_path, targets) as prometheus:
        prometheus.wait_for('up{job="gradserve"}', 1)
        prometheus.wait_for('up{job="nobody"}', 0)
        calls = prometheus.value('sum(gradserve_calls_total{method="DerivativeService/Gradient",code="OK"})')
        assert calls is not None
        assert calls >= 1
        assert prometheus.value("gradserve_calls_totals") is None  # a planted fault


def slow(steps: int) -> Callable[[Any], Any]:
    """A loss that takes tens of milliseconds for each step."""
    matrix = np.eye(700)

    def loss(w: Any) -> Any:
        for _ in range(steps):
            w = matrix @ w
        return np.sum(w)

    return loss


def in_flight(container: Container) -> bool:
    with urlopen(f"http://{container.ip}:9464/metrics", timeout=10) as page:
        return b"gradserve_in_flight 1.0" in page.read()


@pytest.mark.parametrize("grace", ["60", "0.1"])
def test_stop_drains(start: Start, grace: str) -> None:
    """A call that is in flight gets its answer, unless (a planted fault) it has no time to."""
    container = start("--grace", grace)
    with Client(container.address(50051)) as client, ThreadPoolExecutor() as pool:
        call = pool.submit(client.function(slow(200)), np.eye(700))
        wait_until(lambda: in_flight(container), 30, container)
        assert container.stop(90) == 0
        if grace == "0.1":
            with pytest.raises(GradserveError):
                call.result(60)
        else:
            assert call.result(60) == 700.0
    assert "cutting off" not in container.logs() or grace == "0.1"


# ---- the cluster of compose.yaml


@pytest.fixture(scope="module")
def cluster(store: Store, image: str, worker_image: str) -> Iterator[dict[str, Container]]:
    """Head, worker and front end with the commands, rights and limits that compose.yaml gives them."""
    services = compose({"RAY_AUTH_TOKEN": secrets.token_hex(32)})
    containers: dict[str, Container] = {}
    with ExitStack() as stack:
        for name, which in (("head", worker_image), ("worker", worker_image), ("service", image)):
            options = podman_options(services[name], published=name == "service")
            hosts = {name: container.ip for name, container in containers.items()}
            container = running(store, which, *services[name]["command"], options=options, hosts=hosts)
            containers[name] = stack.enter_context(container)
            wait_until(partial(is_healthy, containers[name], services[name]), 90, containers[name])
        yield containers


def is_healthy(container: Container, service: Service) -> bool:
    """Whether the health check says so: that of the file, or else the image's own."""
    return container.execute(*health_command(service)).status == 0 if "healthcheck" in service else container.healthy()


def test_cluster_answers(cluster: dict[str, Container]) -> None:
    w = np.linspace(0.0, 1.0, 500)
    with Client(cluster["service"].address(50051)) as client, Client() as here:
        functions = [each.function(lambda w: np.sum(np.tanh(w) ** 2)) for each in (client, here)]
        functions[0].placement = "cluster"
        theirs, ours = (function.grad(w) for function in functions)
        report = functions[0].last_report
    assert report
    assert report.placement == "cluster"
    np.testing.assert_array_equal(theirs, ours)


def test_cluster_needs_no_rights(cluster: dict[str, Container]) -> None:
    for container in cluster.values():
        assert rights(container) == {**NOTHING, "writable": ""}


@pytest.mark.parametrize("token", ["0" * 64, ""])
def test_cluster_refuses_a_worker_without_the_token(
    store: Store, worker_image: str, cluster: dict[str, Container], token: str
) -> None:
    service = compose({"RAY_AUTH_TOKEN": "unused"})["worker"]
    service["environment"] = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {}
    hosts = {"head": cluster["head"].ip}
    with running(store, worker_image, *service["command"], options=podman_options(service), hosts=hosts) as container:
        assert container.status() != 0
        assert "InvalidAuthToken" in container.logs()


def test_cluster_drains(cluster: dict[str, Container]) -> None:
    """The last test: it ends the cluster, front end first, as `docker compose down` does."""
    service = cluster["service"]
    with Client(service.address(50051)) as client, ThreadPoolExecutor() as pool:
        f = client.function(slow(200))
        f.placement = "cluster"
        call = pool.submit(f, np.eye(700))
        wait_until(lambda: in_flight(service), 30, service)
        assert service.stop(90) == 0
        assert call.result(60) == 700.0
