"""The Helm chart as data: what it renders, why it refuses, and the processes that its pods start.

    manifests = render({"frontend": {"replicas": 3}}, PRODUCTION)      # values, left to right; files or mappings
    running = processes(manifests, head_host="127.0.0.1")
    subprocess.Popen(running.head.argv, env={**os.environ, **running.head.env})

`processes` gives the command lines and environments of the Ray head, a Ray worker and a front end as the pods have
them: for Ray those that KubeRay makes of the RayCluster (see `kuberay.py`), with the token out of the rendered Secret.
Nothing of the machine is in them: whoever starts them adds PATH, and chooses ports and addresses by values, such as

    {"frontend": {"ports": {"grpc": 20051, "metrics": 29464}},
     "ray": {"ports": {"gcs": 26379, "metrics": 28080, "agent": 25236, "dashboard": 28265},
             "head": {"rayStartParams": {"node-ip-address": "127.0.0.1", "min-worker-port": "0", ...}},
             "worker": {"rayStartParams": {...}}}}

`head_host` takes the place of the host names by which pods find the head. Ray's nodes share one machine in such a test,
so that each needs ports of its own: `worker_params` overrides parameters of `ray start` for one more worker.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal, TypeAlias

import helm_python
import yaml

from tests.deploy import kuberay
from tests.deploy.kuberay import Process
from tests.deploy.tools import tool

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "gradserve"
PRODUCTION = CHART / "values-production.yaml"
KUBERNETES = "1.33.0"
"""The version of Kubernetes that Helm 3 is told of; Helm 4 knows a recent one by itself."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Dashboards are long, and the loader in Python takes half a second over them."""

Manifest: TypeAlias = dict[str, Any]
Values: TypeAlias = Mapping[str, Any]
HelmVersion: TypeAlias = Literal[3, 4]


class Refused(Exception):
    """Helm renders nothing, for the reason that it gives."""


def render(
    *values: Values | Path,
    release: str = "demo",
    namespace: str = "default",
    helm: HelmVersion = 3,
    apis: Iterable[str] = (),
    chart: Path = CHART,
) -> list[Manifest]:
    """The manifests, hooks included, in the order in which Helm applies them (Helm 4: in that of the files).

    `values` are files or mappings, the later ones win. `apis` are what a real cluster says it has, for Helm 3 alone.

    Raises:
        Refused: the values are wrong.
    """
    texts = (
        _render_3(values, release, namespace, apis, chart)
        if helm == 3
        else _render_4(values, release, namespace, chart)
    )
    return [document for text in texts for document in yaml.load_all(text, _Loader) if document]


def notes(*values: Values | Path, release: str = "demo", namespace: str = "default") -> str:
    """What the chart tells its user after installing."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(merged(values), name=release, namespace=namespace)
    return rendered["gradserve/templates/NOTES.txt"]


def merged(values: Iterable[Values | Path]) -> dict[str, Any]:
    """Values one over the other, as Helm lays them."""
    return reduce(_over, map(_loaded, values), {})


def the(manifests: Iterable[Manifest], kind: str, name_end: str = "") -> Manifest:
    """The one manifest of a kind whose name ends so."""
    (found,) = (m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(name_end))
    return found


@dataclass(frozen=True, slots=True)
class Processes:
    """What the pods of a release run."""

    front_end: Process
    head: Process | None
    """The Ray head; None if the release makes no Ray cluster."""
    worker: Process | None
    """A Ray worker."""


def processes(
    manifests: list[Manifest],
    *,
    head_host: str | None = None,
    worker_params: Mapping[str, str] | None = None,
    secrets: Mapping[str, Mapping[str, str]] | None = None,
    namespace: str = "default",
) -> Processes:
    """The processes of a release in a namespace. `secrets` are those not rendered: `{name: {key: text}}`."""
    known = {**kuberay.secrets_of(manifests), **(secrets or {})}
    container = the(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    env = kuberay.environment(container.get("env", []), known, kuberay.fields_of("front-end", namespace))
    front_end = Process((*container["command"], *container["args"]), env)
    clusters = [m for m in manifests if m["kind"] == "RayCluster"]
    if not clusters:
        return Processes(front_end, None, None)
    cluster = kuberay.Cluster(clusters[0], namespace, known)
    found = (front_end, cluster.head(), cluster.worker(worker_params or {}))
    moved = [process.moved(cluster.hosts, head_host) if head_host else process for process in found]
    return Processes(*moved)


def _render_3(
    values: Iterable[Values | Path], release: str, namespace: str, apis: Iterable[str], chart: Path
) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "values.yaml")
        file.write_text(yaml.safe_dump(merged(values)))
        command = [str(tool("helm")), "template", release, str(chart), "--namespace", namespace, "--values", str(file)]
        command += ["--kube-version", KUBERNETES, *(f"--api-versions={api}" for api in apis)]
        done = subprocess.run(command, capture_output=True, text=True, env=_quiet(scratch), check=False)
    if done.returncode:
        raise Refused(done.stderr)
    yield done.stdout


def _render_4(values: Iterable[Values | Path], release: str, namespace: str, chart: Path) -> Iterator[str]:
    try:
        with helm_python.Chart.load(chart) as loaded:
            rendered = loaded.render(merged(values), name=release, namespace=namespace)
    except (helm_python.HelmValuesError, helm_python.HelmRenderError) as error:
        raise Refused(str(error)) from None
    yield from (text for path, text in rendered.items() if not path.endswith("NOTES.txt"))


def _quiet(scratch: str) -> dict[str, str]:
    """An environment in which helm sees no cluster and none of its user's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
    return {**kept, "HOME": scratch, "KUBECONFIG": f"{scratch}/none"}


def _loaded(values: Values | Path) -> dict[str, Any]:
    return dict(yaml.safe_load(values.read_text()) if isinstance(values, Path) else values)


def _over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for name, value in above.items():
        old = both.get(name)
        both[name] = _over(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return both
