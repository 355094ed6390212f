"""No pod can do more than it must, and nobody reaches Ray who is not of the release."""

import copy

import pytest

from tests.deploy.chart import render, the
from tests.deploy.matrix import SETS, rendered
from tests.deploy.network import Peer, allowed
from tests.deploy.schemas import pod_templates

pytestmark = pytest.mark.deploy
every_set = pytest.mark.parametrize("name", SETS)


def pods(manifests):
    """The spec of every pod that a release starts, by what starts it."""
    found = {}
    for manifest in manifests:
        if manifest["kind"] == "Pod":
            found["test"] = manifest["spec"]
        elif manifest["kind"] == "Deployment":
            found["front-end"] = manifest["spec"]["template"]["spec"]
        elif manifest["kind"] == "RayCluster":
            head, worker = pod_templates(manifest)
            found |= {"ray-head": head["spec"], "ray-worker": worker["spec"]}
    return found


def powers(spec):
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


def container_powers(context):
    if not context.get("readOnlyRootFilesystem"):
        yield "writes to its image"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "has capabilities"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "gains privileges"


@every_set
def test_pods_can_do_no_more_than_they_must(name):
    manifests = rendered(name)
    found = pods(manifests)
    assert {pod: list(powers(spec)) for pod, spec in found.items()} == {pod: [] for pod in found}
    for pod, spec in found.items():
        mounts = {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
        assert "/tmp" in mounts
        assert pod == "test" or "/dev/shm" in mounts


@every_set
def test_the_head_alone_may_talk_to_kubernetes(name):
    manifests = rendered(name)
    scaled = any(m.get("spec", {}).get("enableInTreeAutoscaling") for m in manifests)
    for pod, spec in pods(manifests).items():
        if pod == "ray-head" and scaled:  # KubeRay puts the account of its autoscaler there
            assert "serviceAccountName" not in spec
            assert "automountServiceAccountToken" not in spec
        else:
            assert spec["automountServiceAccountToken"] is False
    for manifest in manifests:
        if manifest["kind"] == "ServiceAccount":
            assert manifest["automountServiceAccountToken"] is False
        if manifest["kind"] == "RayCluster" and scaled:
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
def test_planted_power_is_found(path, value, power):
    spec = pods(rendered("defaults"))["front-end"]
    at = spec
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert list(powers(spec)) == [power]


def test_the_token_is_a_secret_everywhere():
    token = "unmistakable-" * 3
    manifests = render({"ray": {"auth": {"token": token}}}, SETS["production"][0])
    assert token not in str([m for m in manifests if m["kind"] != "Secret"])
    for pod, spec in pods(manifests).items():
        env = {e["name"]: e for e in spec["containers"][0]["env"]}
        if pod == "test":
            assert "RAY_AUTH_TOKEN" not in env
        else:
            assert env["RAY_AUTH_MODE"]["value"] == "token"
            secret = env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
            assert secret == {"name": the(manifests, "Secret")["metadata"]["name"], "key": "auth_token"}


def test_a_random_token_is_long_and_differs():
    tokens = [the(render(), "Secret")["data"]["auth_token"] for _ in range(2)]
    assert tokens[0] != tokens[1]
    assert min(map(len, tokens)) > 80  # 64 characters in base64


# Who is who in the tests of NetworkPolicies.
def labels(component):
    of = {"app.kubernetes.io/instance": "demo", "app.kubernetes.io/part-of": "gradserve"}
    named = {"app.kubernetes.io/name": "gradserve"} if component in {"front-end", "test"} else {}
    return {**of, **named, "app.kubernetes.io/component": component}


FRONT, HEAD, WORKER, TEST = (Peer(labels(c)) for c in ("front-end", "ray-head", "ray-worker", "test"))
OTHER_RELEASE = Peer({**labels("front-end"), "app.kubernetes.io/instance": "other"})
NEIGHBOUR = Peer({"app": "web"})
STRANGER = Peer({"app": "web"}, namespace="elsewhere")
TEAM = Peer({"app": "web"}, namespace="team")
PROMETHEUS = Peer({"app": "prometheus"}, namespace="monitoring")
DNS = Peer({"k8s-app": "kube-dns"}, namespace="kube-system")
API, INTERNET = Peer(address="10.0.0.1"), Peer(address="93.184.216.34")
GRPC, METRICS, RAY_METRICS, GCS, DASHBOARD, ANY_PORT = 50051, 9464, 8080, 6379, 8265, 34567

REACHABLE = [
    *((peer, FRONT, GRPC) for peer in (NEIGHBOUR, TEST, WORKER)),
    *((PROMETHEUS, FRONT, port) for port in (METRICS, RAY_METRICS)),
    *((PROMETHEUS, peer, RAY_METRICS) for peer in (HEAD, WORKER)),
    *((FRONT, HEAD, port) for port in (GCS, ANY_PORT)),
    *((a, b, ANY_PORT) for a in (FRONT, HEAD, WORKER) for b in (FRONT, HEAD, WORKER)),
    (HEAD, API, 443),
    (HEAD, API, 6443),
]
CLOSED = [
    (STRANGER, FRONT, GRPC),
    (NEIGHBOUR, FRONT, METRICS),
    (NEIGHBOUR, FRONT, RAY_METRICS),
    (PROMETHEUS, FRONT, GRPC),
    (PROMETHEUS, HEAD, GCS),
    (PROMETHEUS, HEAD, DASHBOARD),
    *((peer, HEAD, port) for peer in (NEIGHBOUR, STRANGER, OTHER_RELEASE, TEST) for port in (GCS, DASHBOARD)),
    *((peer, WORKER, ANY_PORT) for peer in (NEIGHBOUR, STRANGER, OTHER_RELEASE, TEST)),
    (NEIGHBOUR, FRONT, ANY_PORT),
    (NEIGHBOUR, TEST, GRPC),
    *((peer, INTERNET, 80) for peer in (FRONT, HEAD, WORKER, TEST)),
    *((peer, INTERNET, 443) for peer in (FRONT, WORKER, TEST)),
    *((peer, NEIGHBOUR, 80) for peer in (FRONT, HEAD, WORKER, TEST)),
    (WORKER, API, 443),
    (FRONT, API, 443),
]


def policies(name):
    return [m for m in rendered(name) if m["kind"] == "NetworkPolicy"]


@pytest.mark.parametrize(("source", "target", "port"), REACHABLE)
def test_reachable_in_production(source, target, port):
    assert allowed(policies("production"), source, target, port)


@pytest.mark.parametrize(("source", "target", "port"), CLOSED)
def test_closed_in_production(source, target, port):
    assert not allowed(policies("production"), source, target, port)
    assert allowed([], source, target, port)  # so it is the policies that close it


@pytest.mark.parametrize("source", [FRONT, HEAD, WORKER, TEST])
def test_names_are_looked_up(source):
    for protocol in ("UDP", "TCP"):
        assert allowed(policies("production"), source, DNS, 53, protocol)
    assert not allowed(policies("production"), source, NEIGHBOUR, 53, "UDP")


def test_clients_are_whom_the_values_name():
    only_team = policies("policies")
    assert allowed(only_team, TEAM, FRONT, GRPC)
    assert not allowed(only_team, NEIGHBOUR, FRONT, GRPC)
    assert allowed(only_team, TEST, FRONT, GRPC)
    nobody = policies("policies that let nobody in")
    assert not any(allowed(nobody, peer, FRONT, port) for peer in (NEIGHBOUR, PROMETHEUS) for port in (GRPC, METRICS))
    assert allowed(nobody, TEST, FRONT, GRPC)


def test_egress_is_what_the_values_name():
    narrow = policies("policies")
    assert allowed(narrow, HEAD, API, 6443)
    assert not allowed(narrow, HEAD, API, 443)
    assert not allowed(narrow, HEAD, INTERNET, 6443)
    assert allowed(narrow, WORKER, Peer(address="10.1.2.3"), 443)


def test_a_cluster_of_others_is_reached():
    theirs = Peer({"ray.io/cluster": "shared"})
    joined = policies("another Ray cluster behind policies")
    assert allowed(joined, FRONT, theirs, GCS)
    assert allowed(joined, theirs, FRONT, ANY_PORT)
    assert not allowed(joined, NEIGHBOUR, FRONT, ANY_PORT)


def test_planted_hole_is_found():
    torn = copy.deepcopy(policies("production"))
    the(torn, "NetworkPolicy", "-ray")["spec"]["ingress"].append({"ports": [{"port": GCS}]})
    assert allowed(torn, NEIGHBOUR, HEAD, GCS)
    the(torn, "NetworkPolicy", "-front-end")["spec"]["policyTypes"].remove("Egress")
    assert allowed(torn, FRONT, INTERNET, 443)
