"""A real Prometheus that scrapes a few pages."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.deploy.tools import tool

_READY_SECONDS = 30.0


class Prometheus:
    """Scrapes every second while the `with` block runs."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        """`targets` are `host:port` by job; Prometheus keeps its data below `folder`."""
        jobs = [{"job_name": job, "static_configs": [{"targets": [page]}]} for job, page in targets.items()]
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
        self._folder, self._port = folder, _free_port()
        self._command = [str(tool("prometheus")), f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
        self._command += [f"--web.listen-address=127.0.0.1:{self._port}"]

    def value(self, query: str) -> float | None:
        """The value of the one series that a query finds, None if it finds none."""
        with urlopen(f"http://127.0.0.1:{self._port}/api/v1/query?{urlencode({'query': query})}", timeout=10) as reply:
            found = json.load(reply)["data"]["result"]
        assert len(found) <= 1, f"{query}: {found}"
        return float(found[0]["value"][1]) if found else None

    def wait_for(self, query: str, expected: float, seconds: float = _READY_SECONDS) -> None:
        """Waits until a query has a value; fails if it does not get it in time."""
        until = time.monotonic() + seconds
        while (found := self._try(query)) != expected:
            assert time.monotonic() < until, f"{query} is {found}, not {expected}"
            time.sleep(0.2)

    def _try(self, query: str) -> float | None:
        try:
            return self.value(query)
        except OSError:  # not up yet
            return None

    def __enter__(self) -> Prometheus:
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(self._command, stderr=log, stdout=log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(30)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
