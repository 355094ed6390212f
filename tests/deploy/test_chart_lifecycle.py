"""Installing, upgrading, rolling back and removing, by both versions of Helm, in a stand-in for a cluster."""

import re
import shutil
import subprocess

import helm_python
import pytest
import yaml

from tests.deploy.chart import CHART, PRODUCTION, merged
from tests.deploy.kubernetes import MONITORING, RAY, kubernetes
from tests.deploy.tools import tool

pytestmark = pytest.mark.deploy


class Helm3:
    def __init__(self, cluster, folder):
        self.kubeconfig, self.folder = cluster.kubeconfig, folder

    def install(self, values, chart=CHART):
        self("install", "demo", chart, "--values", self.file(values))

    def upgrade(self, values, chart=CHART):
        self("upgrade", "demo", chart, "--values", self.file(values))

    def rollback(self, revision):
        self("rollback", "demo", str(revision))

    def uninstall(self):
        self("uninstall", "demo")

    def file(self, values):
        path = self.folder / "values.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    def __call__(self, *command):
        where = ("--kubeconfig", self.kubeconfig, "--namespace", "default")
        done = subprocess.run([tool("helm"), *command, *where], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout


class Helm4:
    def __init__(self, cluster, _):
        # Its own records are kept in memory: it would send them in protobuf, which the stand-in does not read.
        self.config = helm_python.Config(
            kubeconfig_path=cluster.kubeconfig, namespace="default", storage_driver="memory"
        )

    def install(self, values, chart=CHART):
        self.call(self.config.install, chart, "demo", values)

    def upgrade(self, values, chart=CHART):
        self.call(self.config.upgrade, chart, "demo", values)

    def rollback(self, revision):
        self.call(self.config.rollback, "demo", version=revision)

    def uninstall(self):
        self.call(self.config.uninstall, "demo")

    def call(self, action, *arguments, **named):
        try:
            action(*arguments, **named)
        except helm_python.HelmError as error:
            raise RuntimeError(str(error)) from None


@pytest.fixture(params=[Helm3, Helm4], ids=["helm3", "helm4"])
def begin(request, tmp_path):
    """A cluster with some operators, and a Helm for it."""
    running = []

    def start(*operators):
        running.append(kubernetes(tmp_path, *operators))
        cluster = running[-1].__enter__()
        return cluster, request.param(cluster, tmp_path)

    yield start
    for each in running:
        each.__exit__(None, None, None)


def token(cluster):
    return cluster.get("Secret", "demo-gradserve-ray-token")["data"]["auth_token"]


def replicas(cluster):
    return cluster.get("RayCluster", "demo-gradserve-ray")["spec"]["workerGroupSpecs"][0]["replicas"]


def test_the_token_survives_upgrades_and_rollbacks(begin):
    cluster, helm = begin(RAY)
    helm.install({})
    first = token(cluster)
    helm.upgrade({"frontend": {"replicas": 2}})
    assert cluster.get("Deployment", "demo-gradserve")["spec"]["replicas"] == 2
    assert token(cluster) == first
    helm.rollback(1)
    assert cluster.get("Deployment", "demo-gradserve")["spec"]["replicas"] == 1
    assert token(cluster) == first
    helm.uninstall()
    assert not {name for name in cluster.objects if "demo" in name[2] and not name[2].startswith("sh.helm")}


def test_planted_chart_that_forgets_loses_token_and_workers(begin, tmp_path):
    forgetful = tmp_path / "gradserve"
    shutil.copytree(CHART, forgetful)
    for template in forgetful.joinpath("templates").rglob("*"):
        if template.is_file():
            template.write_text(re.sub(r'lookup "[^"]+" "[^"]+" \S+ (\$name|\([^)]+\))', "dict", template.read_text()))
    cluster, helm = begin(RAY)
    helm.install({}, forgetful)
    first = token(cluster)
    cluster.get("RayCluster", "demo-gradserve-ray")["spec"]["workerGroupSpecs"][0]["replicas"] = 3
    helm.upgrade({"ray": {"worker": {"maxReplicas": 5}}}, forgetful)
    assert token(cluster) != first
    assert replicas(cluster) == 1


def test_an_upgrade_leaves_the_autoscaler_its_pods(begin):
    cluster, helm = begin(RAY)
    helm.install({})
    assert replicas(cluster) == 1
    cluster.get("RayCluster", "demo-gradserve-ray")["spec"]["workerGroupSpecs"][0]["replicas"] = 3
    helm.upgrade({"ray": {"worker": {"maxReplicas": 5}}})
    assert replicas(cluster) == 3
    helm.upgrade({"ray": {"worker": {"maxReplicas": 2}}})
    assert replicas(cluster) == 2
    fixed = {"ray": {"autoscaling": {"enabled": False}, "worker": {"replicas": 4}}}
    helm.upgrade(fixed)
    assert replicas(cluster) == 4


def test_a_cluster_without_operators_gets_nothing(begin):
    cluster, helm = begin()
    with pytest.raises(RuntimeError, match=r"does not know RayCluster.*Install the KubeRay operator first"):
        helm.install({})
    assert cluster.objects == {}
    helm.install({"ray": {"enabled": False}})
    assert cluster.names("Deployment") == ["demo-gradserve"]


def test_production_is_installed_where_all_operators_are(begin):
    cluster, helm = begin(RAY)
    with pytest.raises(RuntimeError, match="Install the Prometheus operator first"):
        helm.install(merged([PRODUCTION]))
    assert cluster.objects == {}
    cluster, helm = begin(RAY, MONITORING)
    helm.install(merged([PRODUCTION]))
    assert len(cluster.names("NetworkPolicy")) == 4
    assert cluster.names("PrometheusRule") == ["demo-gradserve"]


def test_helm_test_runs_its_pod(tmp_path):
    """Helm 3 alone: Helm 4 watches the pod for longer than the stand-in keeps a connection."""
    with kubernetes(tmp_path, RAY) as cluster:
        helm = Helm3(cluster, tmp_path)
        helm.install({})
        report = helm("test", "demo")
        assert re.search(r"TEST SUITE:\s+demo-gradserve-test", report)
        assert "Succeeded" in report
        assert cluster.names("Pod") == []  # it is gone once it has passed
