"""Objects of a release find each other: selectors select, ports exist, names are the same on both ends."""

import pytest

from tests.deploy.chart import merged, notes, render, the
from tests.deploy.kuberay import Cluster
from tests.deploy.matrix import SETS, rendered
from tests.deploy.schemas import pod_templates

pytestmark = pytest.mark.deploy
every_set = pytest.mark.parametrize("name", SETS)


def pods(manifests):
    """Labels and named ports of every pod, as they run: KubeRay adds labels to Ray's."""
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            yield described(manifest["spec"]["template"])
        elif manifest["kind"] == "RayCluster":
            for template in pod_templates(manifest):
                yield described(template, {"app.kubernetes.io/name": "kuberay", "ray.io/cluster": "x"})
        elif manifest["kind"] == "Pod":
            yield described(manifest)


def described(pod, more=None):
    ports = {p["name"]: p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports", [])}
    return {**(more or {}), **pod["metadata"]["labels"]}, ports


def selected(selector, things):
    """The things whose labels a selector fits."""
    exact = selector.get("matchLabels", {} if "matchExpressions" in selector else selector)
    wanted = {e["key"]: e["values"] for e in selector.get("matchExpressions", [])}
    return [
        (labels, content)
        for labels, content in things
        if exact.items() <= labels.items() and all(labels.get(key) in values for key, values in wanted.items())
    ]


def components(found):
    return sorted(labels["app.kubernetes.io/component"] for labels, _ in found)


@every_set
def test_services_and_budgets_select_their_pods(name):
    manifests = rendered(name)
    for manifest in manifests:
        if manifest["kind"] == "Service":
            found = selected(manifest["spec"]["selector"], pods(manifests))
            assert components(found) == ["front-end"]
            assert {port["targetPort"] for port in manifest["spec"]["ports"]} <= found[0][1].keys()
        elif manifest["kind"] in {"PodDisruptionBudget", "Deployment"}:
            component = manifest["metadata"]["labels"]["app.kubernetes.io/component"]
            assert components(selected(manifest["spec"]["selector"], pods(manifests))) == [component]


@pytest.mark.parametrize("name", ["production", "no Ray in production", "another Ray cluster behind policies"])
def test_monitors_select_every_metrics_page_once(name):
    manifests = rendered(name)
    services = [(m["metadata"]["labels"], m["spec"]["ports"]) for m in manifests if m["kind"] == "Service"]
    monitor = the(manifests, "ServiceMonitor")["spec"]
    ((_, ports),) = selected(monitor["selector"], services)
    (endpoint,) = monitor["endpoints"]
    assert [p["port"] for p in ports if p["name"] == endpoint["port"]] == [9464]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "gradserve"}]

    pages = []
    for manifest in manifests:
        if manifest["kind"] == "PodMonitor":
            for endpoint in manifest["spec"]["podMetricsEndpoints"]:
                assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "ray"}]
                found = selected(manifest["spec"]["selector"], pods(manifests))
                pages += [labels["app.kubernetes.io/component"] for labels, at in found if endpoint["port"] in at]
    ray = ["ray-head", "ray-worker"] if any(m["kind"] == "RayCluster" for m in manifests) else []
    assert sorted(pages) == ([] if name == "no Ray in production" else ["front-end", *ray])


def test_planted_wrong_selector_is_found():
    manifests = rendered("defaults")
    the(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"].pop("app.kubernetes.io/name")
    assert selected(the(manifests, "Service", "headless")["spec"]["selector"], pods(manifests)) == []


def test_front_ends_join_the_head_that_kuberay_makes():
    manifests = render(release="a", namespace="team")
    cluster = Cluster(the(manifests, "RayCluster"), "team", {})
    arguments = the(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--ray-join={cluster.hosts[1]}:6379" in arguments


@every_set
def test_secrets_that_pods_read_are_there_or_named_by_the_user(name):
    manifests = rendered(name)
    made = {m["metadata"]["name"] for m in manifests if m["kind"] == "Secret"}
    theirs = {"our-token", "shared-token", "our-certificate", "registry"} & set(str(merged(SETS[name])).split("'"))
    assert read_secrets(manifests) <= made | theirs
    assert read_secrets([{"secretName": "forgotten"}]) == {"forgotten"}


def read_secrets(thing):
    """Names of Secrets anywhere in it."""
    if isinstance(thing, list):
        return set().union(*map(read_secrets, thing))
    if not isinstance(thing, dict):
        return set()
    here = {thing["secretName"]} if "secretName" in thing else set()
    here |= {thing["secretKeyRef"]["name"]} if "secretKeyRef" in thing else set()
    return here.union(*map(read_secrets, thing.values()))


@every_set
def test_a_replica_has_time_to_drain(name):
    spec = the(rendered(name), "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    grace = next(int(a.partition("=")[2]) for a in container["args"] if a.startswith("--grace="))
    pause = int(container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])[1])
    assert spec["terminationGracePeriodSeconds"] >= pause + grace + 10


@every_set
def test_probes_are_the_charts_own(name):
    manifests = rendered(name)
    front = the(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    grpc = front["ports"][0]["containerPort"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if any("tls" in argument for argument in front["args"]):  # Kubernetes asks gRPC health without TLS only
            assert "grpc" not in front[probe]
        else:
            assert front[probe]["grpc"] == {"port": grpc}
    for manifest in manifests:
        if manifest["kind"] == "RayCluster":
            for template in pod_templates(manifest):
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    assert template["spec"]["containers"][0][probe]["httpGet"]["path"].endswith("healthz")


def test_a_changed_certificate_or_token_makes_new_pods():
    def checksums(*values):
        manifests = render(*values)
        front = the(manifests, "Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        head = pod_templates(the(manifests, "RayCluster"))[0]["metadata"]["annotations"]["checksum/token"]
        return front, head

    assert checksums() == checksums()
    (front, head), (other_front, other_head) = checksums(), checksums({"ray": {"auth": {"token": "x" * 32}}})
    assert front != other_front
    assert head != other_head
    assert checksums({"frontend": {"replicas": 2}}) == (front, head)


@every_set
def test_notes_teach_the_next_command(name):
    text = notes(*SETS[name], release="demo", namespace="team")
    assert "kubectl --namespace team port-forward service/" in text
    assert "value_and_grad" in text
    assert "-headless.team.svc:" in text
    assert ("helm test demo" in text) == any(m["kind"] == "Pod" for m in rendered(name))
    assert ("-head-svc 8265" in text or "-head-svc 28265" in text) == any(
        m["kind"] == "RayCluster" for m in rendered(name)
    )
    assert ("No dashboards yet" in text) == (not any(m["kind"] == "ConfigMap" for m in rendered(name)))


def test_the_notes_program_runs():
    text = notes()
    program = text.partition("python - <<'EOF'\n")[2].partition("EOF")[0]
    lines = [line.removeprefix("     ") for line in program.splitlines()]
    compile("\n".join(lines), "notes", "exec")
    assert "from gradserve.client import Client" in lines
