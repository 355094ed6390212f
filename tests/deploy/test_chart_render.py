"""Every set of values gives manifests that their readers take, by both versions of Helm alike."""

import copy
import shutil
import subprocess

import helm_python
import pytest
import yaml

from tests.deploy import schemas
from tests.deploy.chart import CHART, merged, render, the
from tests.deploy.matrix import SETS, rendered
from tests.deploy.tools import tool

pytestmark = pytest.mark.deploy
every_set = pytest.mark.parametrize("name", SETS)
both_helms = pytest.mark.parametrize("helm", [3, 4], ids=["helm3", "helm4"])


def without_random_token(manifests):
    """Sorted manifests, in which the token that each rendering makes anew is left out."""
    found = copy.deepcopy(manifests)
    for manifest in found:
        if manifest["kind"] == "Secret":
            manifest["data"].pop("auth_token", None)
    return sorted(found, key=lambda m: (m["kind"], m["metadata"]["name"]))


@every_set
def test_helm_3_finds_nothing_to_complain_of(name, tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(merged(SETS[name])))
    done = subprocess.run(
        [tool("helm"), "lint", "--strict", CHART, "--values", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@every_set
def test_helm_4_finds_nothing_to_complain_of(name):
    report = helm_python.lint(CHART, merged(SETS[name]), strict=True)
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@both_helms
@every_set
def test_every_manifest_has_the_right_fields(name, helm):
    for manifest in rendered(name, helm):
        schemas.check(manifest)


@every_set
def test_both_helms_render_the_same(name):
    assert without_random_token(rendered(name, 3)) == without_random_token(rendered(name, 4))


@both_helms
def test_planted_difference_between_the_helms_is_found(helm, tmp_path):
    chart = tmp_path / "gradserve"
    shutil.copytree(CHART, chart)
    differing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "helm"}}
    differing["data"] = {"version": "{{ .Capabilities.HelmVersion.Version }}"}
    chart.joinpath("templates", "version.yaml").write_text(yaml.safe_dump(differing))
    assert the(render(helm=helm, chart=chart), "ConfigMap")["data"]["version"].startswith(f"v{helm}.")


def test_names_are_unique_and_short_enough():
    manifests = render(*SETS["production"], release="a-release-with-a-name-of-fifty-three-characters-precisely"[:53])
    names = [(m["kind"], m["metadata"]["name"]) for m in manifests]
    assert len(set(names)) == len(names)
    assert max(len(name) for _, name in names) <= 63
    # KubeRay cuts longer names of clusters, and then looks for a Service that does not exist.
    assert all(len(name) <= 50 for kind, name in names if kind == "RayCluster")


def test_what_differs_by_set():
    kinds = {name: sorted(m["kind"] for m in rendered(name)) for name in SETS}
    assert kinds["defaults"] == [
        "Deployment",
        "Pod",
        "RayCluster",
        "Secret",
        "Service",
        "Service",
        "ServiceAccount",
    ]
    assert {"HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "PrometheusRule"} <= set(
        kinds["production"]
    )
    assert {"RayCluster", "Secret"}.isdisjoint(kinds["no Ray"])
    assert "RayCluster" not in kinds["another Ray cluster"]
    assert "Secret" not in kinds["token in a secret"]
    assert kinds["TLS by values"].count("Secret") == 2
    assert "ServiceAccount" not in kinds["names of its own"]
    assert "Pod" not in kinds["rules alone"]


def test_production_keeps_capacity():
    manifests = rendered("production")
    deployment, scaler = the(manifests, "Deployment"), the(manifests, "HorizontalPodAutoscaler")
    assert "replicas" not in deployment["spec"]  # or an upgrade would undo the autoscaler's work
    assert scaler["spec"]["minReplicas"] >= 3
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert the(manifests, "PodDisruptionBudget", "-ray-head")["spec"]["minAvailable"] == 1


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "replicsa"), 2),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "image"), 3),
        ("RayCluster", ("spec", "headGroupSpec", "rayStartParam"), {}),
        ("RayCluster", ("spec", "headGroupSpec", "rayStartParams", "num-cpus"), 0),
        ("RayCluster", ("spec", "headGroupSpec", "template", "spec", "volumess"), []),
        ("RayCluster", ("spec", "autoscalerOptions", "version"), "v3"),
        ("RayCluster", ("spec", "workerGroupSpecs", 0, "replicas"), "1"),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "prot"), "metrics"),
        ("NetworkPolicy", ("spec", "ingres"), []),
    ],
)
def test_planted_fault_is_found(kind, path, value):
    manifest = next(m for m in rendered("production") if m["kind"] == kind)
    at = manifest
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(schemas.InvalidManifest, match=str(path[-1])):
        schemas.check(manifest)
