"""Everything at once on loopback: a Ray cluster, front ends, Prometheus, Alertmanager and whoever is told of alerts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import psutil
import yaml

from tests.certificates import self_signed
from tests.deploy.known_metrics import REPOSITORY, RULES
from tests.deploy.scaling import moved_alertmanager, moved_prometheus, scaled_rules
from tests.deploy.tools import tool

START_SECONDS = 90.0
_ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
    "RAY_USAGE_STATS_ENABLED": "0",
    "OPENBLAS_NUM_THREADS": "1",
}
_RAY = (sys.executable, "-m", "ray.scripts.scripts", "start", "--disable-usage-stats", "--block")
_SMALL = ("--object-store-memory=100000000",)
_UP = "Ray runtime started"
# A container finds its limit in a file of its control group; here the file is ours.
_LIMITED = (
    "import sys; from gradserve.runtime import memory; memory._CGROUP_LIMITS = (sys.argv.pop(1),); "
    "from gradserve.service.__main__ import main; sys.exit(main())"
)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Waits until a condition holds; fails if it does not in time."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, f"not within {seconds:g} s: {what}"
        time.sleep(0.25)


def kill_tree(pid: int) -> None:
    """Sends SIGKILL to a process and all that it started."""
    try:
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            process.kill()
    except psutil.NoSuchProcess:
        pass


class Notified:
    """A webhook that keeps what Alertmanager tells it."""

    def __init__(self) -> None:
        """Listens at once."""
        self.messages: list[tuple[str, dict[str, Any]]] = []
        """Receiver and alert, in the order in which they came."""
        kept = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                kept.extend((self.path.strip("/"), alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Writes nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def told(self, name: str, severity: str, status: str = "firing") -> list[dict[str, Any]]:
        """The messages on an alert to the receiver of its severity."""
        return [
            alert
            for receiver, alert in self.messages
            if receiver == severity
            and alert["labels"]["alertname"] == name
            and alert["labels"]["severity"] == severity
            and alert["status"] == status
        ]

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()


class Stack:
    """The processes, each with its log in `folder`. Ends them all when left, and whatever they have started."""

    def __init__(self, folder: Path) -> None:
        """Starts nothing yet."""
        self.folder = folder
        self.notified = Notified()
        names = ("gcs", "head", "worker", "ray", "service", "metrics", "spare", "spare-metrics", "prometheus", "alerts")
        self.ports = {name: free_port() for name in names}
        # A short name, because those of sockets may not be long.
        self._ray_folder = Path(tempfile.gettempdir(), f"gm-{self.ports['gcs']}")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._started: list[int] = []

    def at(self, name: str) -> str:
        """The address of a port."""
        return f"127.0.0.1:{self.ports[name]}"

    def start(self, name: str, *command: str | Path) -> subprocess.Popen[bytes]:
        """Starts a process under a name."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,
            )
        self.processes[name] = process
        self._started.append(process.pid)
        return process

    def start_head(self) -> None:
        """The head, without processors for work."""
        options = ("--head", f"--port={self.ports['gcs']}", "--num-cpus=0", "--include-dashboard=false")
        self._start_node("head", *options, f"--temp-dir={self._ray_folder}")

    def start_worker(self) -> None:
        """A Ray node with two processors."""
        self._start_node("worker", f"--address={self.at('gcs')}", "--num-cpus=2", f"--memory={3 << 30}")

    def _start_node(self, name: str, *options: str) -> None:
        """Starts a node and waits until it is up. On a busy machine it may need a second try."""
        log = self.folder / f"{name}.log"
        for _ in range(3):
            node = self.start(name, *_RAY, *options, f"--metrics-export-port={self.ports[name]}", *_SMALL)
            give_up = time.monotonic() + START_SECONDS
            while node.poll() is None and time.monotonic() < give_up:
                if _UP in log.read_text():
                    return
                time.sleep(0.25)
        raise AssertionError(f"the node does not start: {log.read_text()[-2000:]}")

    def start_service(self) -> None:
        """The front end that has joined the cluster; four calls at once are all that it takes."""
        options = ["--address", self.at("service"), "--metrics-port", str(self.ports["metrics"])]
        options += ["--ray-join", self.at("gcs"), "--ray-metrics-port", str(self.ports["ray"])]
        options += ["--workers", "2", "--max-in-flight", "4", "--grace", "5"]
        self.start("service", sys.executable, "-m", "gradserve.service", *options)

    def start_spare(self, memory_limit: int | None = None) -> None:
        """A front end without Ray and with a certificate, in a container of so many bytes."""
        limit = self.folder / "memory.max"
        limit.write_text("max" if memory_limit is None else str(memory_limit))
        tls = self_signed(self.folder)
        command = (sys.executable, "-c", _LIMITED, limit, "--address", self.at("spare"), "--no-ray")
        files = ("--tls-certificate", tls.certificate, "--tls-key", tls.key)
        self.start("spare", *command, *files, "--metrics-port", str(self.ports["spare-metrics"]), "--workers", "1")

    def start_monitoring(self) -> None:
        """Prometheus with the committed rules, and Alertmanager, both sixty times as fast."""
        deploy = REPOSITORY / "deploy" / "prometheus"
        addresses = {
            "service:9464": self.at("metrics"),
            "service:8080": self.at("ray"),
            "head:8080": self.at("head"),
            "worker": self.at("worker"),
        }
        rules = self._write("rules.yaml", scaled_rules(yaml.safe_load(RULES.read_text())))
        config = yaml.safe_load((deploy / "prometheus.yml").read_text())
        spare = {"spare": self.at("spare-metrics")}
        moved = moved_prometheus(config, str(rules), self.at("alerts"), addresses, spare)
        alerts = moved_alertmanager(yaml.safe_load((deploy / "alertmanager.yml").read_text()), self.notified.url)
        self.start(
            "alertmanager",
            *_with_its_templates(tool("alertmanager")),
            f"--config.file={self._write('alertmanager.yml', alerts)}",
            f"--storage.path={self.folder / 'alerts'}",
            f"--web.listen-address={self.at('alerts')}",
            "--cluster.listen-address=",
        )
        self.start(
            "prometheus",
            tool("prometheus"),
            f"--config.file={self._write('prometheus.yml', moved)}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.at('prometheus')}",
        )

    def _write(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    def kill(self, name: str) -> None:
        """Sends SIGKILL to a process and all that it has started."""
        kill_tree(self.processes[name].pid)
        self.processes[name].wait()

    def close(self) -> None:
        """Ends everything."""
        for name in ("service", "spare"):
            if name in self.processes and self.processes[name].poll() is None:
                self.processes[name].send_signal(signal.SIGTERM)
        for name in ("service", "spare"):
            if name in self.processes:
                try:
                    self.processes[name].wait(20)
                except subprocess.TimeoutExpired:
                    continue
        for pid in self._started:
            kill_tree(pid)
        for process in self.processes.values():
            process.wait()
        shutil.rmtree(self._ray_folder, ignore_errors=True)
        self.notified.close()

    def ask(self, path: str, **parameters: str) -> Any:
        """What Prometheus answers."""
        return _get(f"http://{self.at('prometheus')}/api/v1/{path}?{urlencode(parameters)}")["data"]

    def alertmanager(self) -> Any:
        """The alerts that Alertmanager knows, inhibited ones too."""
        return _get(f"http://{self.at('alerts')}/api/v2/alerts")

    def query(self, expr: str, at: float | None = None) -> list[dict[str, Any]]:
        """The series of an instant query."""
        found = self.ask("query", query=expr, **({} if at is None else {"time": f"{at:.3f}"}))
        assert found["resultType"] in {"vector", "scalar"}, expr
        result: list[dict[str, Any]] = found["result"]
        return result


def _get(url: str) -> Any:
    with urlopen(url, timeout=20) as reply:
        return json.load(reply)


def answers(address: str, page: str = "/metrics") -> bool:
    """Whether a page is there; `/-/ready` of Prometheus and Alertmanager is when they have read their files."""
    try:
        with urlopen(f"http://{address}{page}", timeout=2):
            return True
    except (URLError, OSError):
        return False


def _with_its_templates(program: Path) -> Sequence[str | Path]:
    """The command for a program of Debian, which looks for templates in one place: it sees there what came with it."""
    place = Path("/usr/share/prometheus/alertmanager")
    unpacked = program.resolve().parents[1] / place.relative_to("/usr")
    if place.exists() or not unpacked.exists():
        return [program]
    see = f'mount -t tmpfs none /usr/share && mkdir {place.parent} && ln -s "$0" {place} && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", see, unpacked, program]
