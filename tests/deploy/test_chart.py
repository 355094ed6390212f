"""What the chart renders: as committed, fit for its readers, linked, and with no more power than it must have."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import pytest

from tests.deploy import golden, schemas
from tests.deploy.chart import CHART, Manifest, merged, pod_templates, render, the
from tests.deploy.golden import SETS, rendered

pytestmark = pytest.mark.deploy
every_set = pytest.mark.parametrize("name", SETS)


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(CHART, folder / "gradserve"))


# ---- as committed


@every_set
def test_the_render_is_the_committed_one(name):
    assert golden.text(name) == (golden.FOLDER / f"{name}.yaml").read_text(), "read the change, then: make golden"


def test_no_other_render_is_committed():
    committed = {path.name for path in golden.FOLDER.iterdir() if not path.name.endswith(".values.yaml")}
    assert committed == {f"{name}.yaml" for name in SETS}


@pytest.mark.parametrize(
    ("template", "right", "wrong"),
    [
        ("frontend/services.yaml", "targetPort: grpc", "targetPort: http-metrics"),
        ("frontend/services.yaml", "port: {{ int $front.ports.metrics }}", "port: 9090"),
        ("frontend/_container.tpl", '{{ include "gradserve.frontendProbes" . }}', ""),
        ("frontend/_container.tpl", "{{- toYaml $front.resources | nindent 2 }}", "{}"),
        ("networkpolicy.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]"),
        ("ray/cluster.yaml", "Autoscaling: {{ $ray.autoscaling.enabled }}", "Autoscaling: false"),
    ],
)
def test_a_planted_fault_changes_a_render(template, right, wrong, tmp_path):
    file = copied(tmp_path) / "templates" / template
    planted = file.read_text().replace(right, wrong)
    assert planted != file.read_text()
    file.write_text(planted)
    assert golden.text("everything", chart=tmp_path / "gradserve") != golden.text("everything")


# ---- fit for its readers


@every_set
def test_helm_3_renders_the_same(name):
    assert golden.text(name, 3) == golden.text(name)


@every_set
def test_helm_finds_nothing_to_complain_of(name):
    report = helm_python.lint(CHART, merged(SETS[name]), strict=True)
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@every_set
def test_every_manifest_has_the_right_fields(name):
    for manifest in rendered(name):
        schemas.check(manifest)


def changed(tree: Any, path: tuple[str | int, ...], value: Any) -> None:
    for step in path[:-1]:
        tree = tree[step]
    tree[path[-1]] = value


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
def test_a_planted_field_is_found(kind, path, value):
    manifest = next(m for m in rendered("production") if m["kind"] == kind)
    changed(manifest, path, value)
    with pytest.raises(schemas.InvalidManifest, match=str(path[-1])):
        schemas.check(manifest)


def test_names_are_unique_and_short_enough():
    manifests = render(*SETS["production"], release="a-release-with-a-name-of-fifty-three-characters-precisely"[:53])
    names = [(m["kind"], m["metadata"]["name"]) for m in manifests]
    assert len(set(names)) == len(names)
    assert max(len(name) for _, name in names) <= 63
    # KubeRay cuts longer names of clusters, and then looks for a Service that does not exist.
    assert all(len(name) <= 50 for kind, name in names if kind == "RayCluster")


# ---- linked


def astray(manifests: list[Manifest]) -> Iterator[str]:
    """What selects no pod of its release, or names a port that those have not."""
    pods = [pod for manifest in manifests for pod in pod_templates(manifest)]
    services = [manifest for manifest in manifests if manifest["kind"] == "Service"]
    for manifest in manifests:
        kind, spec = manifest["kind"], manifest.get("spec", {})
        selector = spec.get("podSelector") if kind == "NetworkPolicy" else spec.get("selector")
        if selector is None:
            continue
        chosen = [thing for thing in (services if kind == "ServiceMonitor" else pods) if fits(selector, thing)]
        there, asked = [port_names(thing) for thing in chosen], asked_ports(spec)
        if not there or asked - set().union(*there) or (asked and not all(asked & names for names in there)):
            yield f"{kind}/{manifest['metadata']['name']}"


def fits(selector: dict[str, Any], thing: Manifest) -> bool:
    labels = thing["metadata"]["labels"]
    exact = selector.get("matchLabels", {} if "matchExpressions" in selector else selector)
    words = {each["key"]: each["values"] for each in selector.get("matchExpressions", [])}
    return exact.items() <= labels.items() and all(labels.get(key) in values for key, values in words.items())


def asked_ports(spec: dict[str, Any]) -> set[str]:
    asked = [port["targetPort"] for port in spec.get("ports", [])]
    return {*asked, *(page["port"] for key in ("endpoints", "podMetricsEndpoints") for page in spec.get(key, []))}


def port_names(thing: Manifest) -> set[str]:
    owners = [thing["spec"], *thing["spec"].get("containers", [])]
    return {port["name"] for owner in owners for port in owner.get("ports", [])}


def read_secrets(tree: Any) -> set[str]:
    """Names of Secrets that anything in it reads."""
    if isinstance(tree, list):
        return set().union(*map(read_secrets, tree))
    if not isinstance(tree, dict):
        return set()
    here = {tree["secretName"]} if "secretName" in tree else set()
    here |= {tree["secretKeyRef"]["name"]} if "secretKeyRef" in tree else set()
    return here.union(*map(read_secrets, tree.values()))


@every_set
def test_selectors_find_their_pods_and_ports(name):
    assert list(astray(rendered(name))) == []


def test_a_planted_wrong_selector_or_port_is_found():
    manifests = rendered("production")
    pod = the(manifests, "Deployment")["spec"]["template"]
    pod["spec"]["containers"][0]["ports"][1]["name"] = "metrics"
    assert list(astray(manifests)) == ["Service/demo-gradserve-headless"]
    pod["metadata"]["labels"].pop("app.kubernetes.io/name")
    found = list(astray(manifests))
    assert {"Deployment/demo-gradserve", "Service/demo-gradserve", "PodDisruptionBudget/demo-gradserve"} <= set(found)


@every_set
def test_secrets_are_there_or_named_by_the_user(name):
    manifests = rendered(name)
    made = {m["metadata"]["name"] for m in manifests if m["kind"] == "Secret"}
    assert read_secrets(manifests) <= made | (
        {"our-token", "our-certificate", "our-tokens", "our-callers", "our-redis", "our-scraper"}
        & set(re.findall(r"[\w-]+", str(merged(SETS[name]))))
    )
    assert read_secrets([{"secretName": "forgotten"}]) == {"forgotten"}


def test_a_changed_certificate_or_token_makes_new_pods():
    def checksums(*values):
        manifests = render(*values)
        (front,), (head, _) = (pod_templates(the(manifests, kind)) for kind in ("Deployment", "RayCluster"))
        return [pod["metadata"]["annotations"][f"checksum/{of}"] for pod, of in ((front, "config"), (head, "token"))]

    assert checksums() == checksums({"frontend": {"replicas": 2}})
    changed = checksums({"ray": {"auth": {"token": "x" * 32}}})
    assert all(new != old for new, old in zip(changed, checksums(), strict=True))


# ---- an upgrade keeps what it finds


def upgraded(folder: Path, *values: dict[str, Any], token: str, workers: int) -> list[Manifest]:
    """The render where `lookup` finds a release's Secret and its RayCluster."""
    kept = {
        "Secret": {"data": {"auth_token": token}},
        "RayCluster": {"spec": {"workerGroupSpecs": [{"replicas": workers}]}},
    }
    for template in folder.joinpath("templates").rglob("*.*"):
        looked_up = r'lookup "\S+" "(\w+)" \.Release\.Namespace (?:\$name|\([^)]+\))'
        template.write_text(re.sub(looked_up, r"(index $.Values.global.kept `\1`)", template.read_text()))
    return render(*values, {"global": {"kept": kept}}, helm=3, apis=["ray.io/v1"], chart=folder)


def test_an_upgrade_keeps_the_token_and_the_autoscalers_pods(tmp_path):
    chart = copied(tmp_path)

    def token_and_workers(*values):
        manifests = upgraded(chart, *values, token="a2VwdA==", workers=3)
        (group,) = the(manifests, "RayCluster")["spec"]["workerGroupSpecs"]
        return the(manifests, "Secret", "-token")["data"]["auth_token"], group["replicas"]

    assert token_and_workers({}) == ("a2VwdA==", 3)
    assert token_and_workers({"ray": {"worker": {"maxReplicas": 2}}}) == ("a2VwdA==", 2)
    fixed = {"ray": {"autoscaling": {"enabled": False}, "worker": {"replicas": 4}}}
    assert token_and_workers(fixed) == ("a2VwdA==", 4)


def test_a_random_token_is_long_and_differs():
    tokens = [the(render(), "Secret")["data"]["auth_token"] for _ in range(2)]
    assert tokens[0] != tokens[1]
    assert min(map(len, tokens)) > 80  # 64 characters in base64


# ---- no more power than needed


def powers(spec: dict[str, Any]) -> Iterator[str]:
    """What a pod could do that it should not."""
    context = spec.get("securityContext", {})
    if not context.get("runAsNonRoot") or context.get("runAsUser") != 10001 or context.get("fsGroup") != 10001:
        yield "runs as another user"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "makes any system call"
    for container in spec["containers"]:
        yield from container_powers(container.get("securityContext", {}))
        memory = container.get("resources", {})
        if "memory" not in memory.get("limits", {}) or "memory" not in memory.get("requests", {}):
            yield "takes any amount of memory"
    for volume in spec.get("volumes", []):
        if "hostPath" in volume or ("emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]):
            yield f"fills the machine's disk ({volume['name']})"


def container_powers(context: dict[str, Any]) -> Iterator[str]:
    if not context.get("readOnlyRootFilesystem"):
        yield "writes to its image"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "has capabilities"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "gains privileges"


@every_set
def test_pods_can_do_no_more_than_they_must(name):
    for manifest in rendered(name):
        scaled = manifest.get("spec", {}).get("enableInTreeAutoscaling")
        for number, pod in enumerate(pod_templates(manifest)):
            assert list(powers(pod["spec"])) == []
            if scaled and number == 0:  # KubeRay puts the account of its autoscaler into the head
                assert not {"serviceAccountName", "automountServiceAccountToken"} & pod["spec"].keys()
            else:
                assert pod["spec"]["automountServiceAccountToken"] is False
        if scaled:
            assert list(container_powers(manifest["spec"]["autoscalerOptions"]["securityContext"])) == []


@pytest.mark.parametrize(
    ("path", "value", "power"),
    [
        (("securityContext", "runAsUser"), 0, "runs as another user"),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "makes any system call"),
        (("containers", 0, "securityContext", "readOnlyRootFilesystem"), False, "writes to its image"),
        (("containers", 0, "securityContext", "capabilities"), {"add": ["NET_RAW"]}, "has capabilities"),
        (("containers", 0, "resources", "limits"), {}, "takes any amount of memory"),
        (("volumes", 0, "emptyDir"), {}, "fills the machine's disk (tmp)"),
    ],
)
def test_a_planted_power_is_found(path, value, power):
    spec = the(rendered("defaults"), "Deployment")["spec"]["template"]["spec"]
    changed(spec, path, value)
    assert list(powers(spec)) == [power]


def test_the_token_is_a_secret_everywhere():
    token = "unmistakable-" * 3
    manifests = render({"ray": {"auth": {"token": token}}}, *SETS["production"])
    assert token not in str([m for m in manifests if m["kind"] != "Secret"])
