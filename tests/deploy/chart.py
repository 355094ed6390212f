"""The Helm chart as data: what it renders, and why it refuses.

manifests = render({"frontend": {"replicas": 3}}, PRODUCTION)      # values, left to right; files or mappings
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, Literal, TypeAlias

import helm_python
import yaml

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
    helm: HelmVersion = 4,
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


def pod_templates(manifest: Manifest) -> list[Manifest]:
    """The pods that a manifest starts, with metadata and spec: of a RayCluster the head's, then the workers'."""
    if manifest["kind"] == "Pod":
        return [manifest]
    if manifest["kind"] == "Deployment":
        return [manifest["spec"]["template"]]
    if manifest["kind"] == "RayCluster":
        spec = manifest["spec"]
        return [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]
    return []


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
