"""What the pods start is understood by what they start: gradserve's own parser, and Ray's."""

import shlex
from pathlib import Path

import click
import pytest
from ray._private import ray_constants
from ray.autoscaler._private.kuberay import autoscaling_config
from ray.scripts import scripts

from gradserve.pools.ray.pool import WORKER_MEMORY
from gradserve.service.__main__ import settings_of
from gradserve.service.settings import Settings, Tls
from tests.deploy.chart import PRODUCTION, processes, render, the
from tests.deploy.kuberay import Process
from tests.deploy.matrix import SETS, rendered

pytestmark = pytest.mark.deploy
every_set = pytest.mark.parametrize("name", SETS)
OUTSIDE = {name: {"auth_token": "o" * 40} for name in ("our-token", "shared-token")}


def running(name, **more):
    return processes(rendered(name), secrets=OUTSIDE, **more)


def settings(name):
    program, command, *arguments = running(name).front_end.argv
    assert (program, command) == ("gradserve", "serve")
    return settings_of(arguments)


def ray_options(process):
    """The options of `ray start`, read by Ray's own parser."""
    program, command, *arguments = process.plain
    assert (program, command) == ("ray", "start")
    return scripts.start.make_context("start", arguments).params


@every_set
def test_front_ends_start_with_what_the_values_say(name):
    found = settings(name)
    assert found.host == "0.0.0.0"  # or nobody outside the pod would reach it
    assert found.workers
    assert not found.ray or found.ray_join
    assert found.grace == 30


def test_front_end_of_the_defaults():
    found, plain = settings("defaults"), Settings()
    assert found == Settings(
        address="0.0.0.0:50051",
        workers=1,
        max_workers=4,
        ray=True,
        ray_join="demo-gradserve-ray-head-svc.default.svc:6379",
        max_connection_age=300,
    )
    # Ports and limits that the chart states are the product's own.
    for name in ("metrics_port", "ray_metrics_port", "max_in_flight", "max_seconds", "grace", "log_level"):
        assert getattr(found, name) == getattr(plain, name)
    assert found.address.rpartition(":")[2] == plain.address.rpartition(":")[2]


def test_front_end_of_other_sets():
    alone = settings("no Ray")
    assert (alone.ray, alone.ray_join, alone.max_workers) == (False, None, None)
    assert settings("another Ray cluster").ray_join == "ray.shared:6379"
    assert settings("TLS by a secret").tls == Tls(
        Path("/etc/gradserve/tls/tls.crt"), Path("/etc/gradserve/tls/tls.key")
    )
    assert settings("TLS by values").tls == settings("TLS by a secret").tls
    moved = settings("ports and parameters")
    assert (moved.address, moved.metrics_port, moved.ray_metrics_port) == ("0.0.0.0:20051", 29464, 28080)
    assert moved.log_level == "DEBUG"  # extraArgs come last


def test_planted_unknown_option_is_found(capsys):
    found = processes(render({"frontend": {"extraArgs": ["--works=2"]}}))
    with pytest.raises(SystemExit):
        settings_of(found.front_end.argv[2:])
    assert "--works=2" in capsys.readouterr().err


@every_set
def test_ray_understands_its_commands(name):
    found = running(name)
    for process in (found.head, found.worker):
        if process:
            options = ray_options(process)
            assert options["block"]
            assert options["object_store_memory"] >= ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES
    if found.head and found.worker:
        assert ray_options(found.head)["head"]
        release = "derivatives" if name == "names of its own" else "demo-gradserve"
        assert ray_options(found.worker)["address"].startswith(f"{release}-ray-head-svc.default.svc.cluster.local:")


def test_planted_unknown_parameter_is_found():
    found = processes(render({"ray": {"worker": {"rayStartParams": {"num-cpu": "1"}}}}))
    with pytest.raises(click.NoSuchOption, match="num-cpu"):
        ray_options(found.worker)


def test_ports_of_ray_are_those_it_uses_by_itself():
    found = running("defaults")
    head, worker = ray_options(found.head), ray_options(found.worker)
    plain = scripts.start.make_context("start", []).params
    assert head["port"] == ray_constants.DEFAULT_PORT
    assert head["dashboard_port"] == ray_constants.DEFAULT_DASHBOARD_PORT
    assert head["dashboard_agent_listen_port"] == plain["dashboard_agent_listen_port"]
    assert worker["dashboard_agent_listen_port"] == plain["dashboard_agent_listen_port"]


def test_the_head_does_no_work_and_shows_its_dashboard_to_itself():
    head = ray_options(running("production").head)
    assert (head["num_cpus"], int(head["memory"]), head["dashboard_host"]) == (0, 0, "127.0.0.1")


@every_set
def test_everybody_has_the_same_token(name):
    found = running(name)
    if found.front_end.env.get("RAY_AUTH_MODE") == "token":
        tokens = {p.env["RAY_AUTH_TOKEN"] for p in (found.front_end, found.head, found.worker) if p}
        assert len(tokens) == 1
        assert len(tokens.pop()) >= 32
    else:
        for process in (found.front_end, found.head, found.worker):
            assert process is None or "RAY_AUTH_TOKEN" not in process.env
    for process in (found.head, found.worker):
        assert process is None or process.env["RAY_USAGE_STATS_ENABLED"] == "0"


def test_front_ends_are_strangers_to_the_autoscaler():
    """A Ray node with the name of a pod that is not KubeRay's would stop Ray's autoscaler."""
    assert "RAY_CLOUD_INSTANCE_ID" not in running("production").front_end.env
    labels = the(rendered("production"), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert not any(label.startswith("ray.io/") for label in labels)


@pytest.mark.parametrize("values", [{}, PRODUCTION], ids=["defaults", "production"])
def test_rays_autoscaler_reads_what_a_pod_offers(values):
    """The chart's RayCluster, read by the code that decides how many pods there are."""
    cluster = the(render(values), "RayCluster")
    cluster["metadata"]["namespace"] = "default"
    config = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    types = config["available_node_types"]
    assert types["headgroup"]["resources"] == {"CPU": 0, "memory": 0}
    group, offered = cluster["spec"]["workerGroupSpecs"][0], types["workers"]["resources"]
    assert (types["workers"]["min_workers"], types["workers"]["max_workers"]) == (
        group["minReplicas"],
        group["maxReplicas"],
    )
    assert offered["memory"] // WORKER_MEMORY >= offered["CPU"] >= 1  # so that every CPU can have its worker
    assert config["idle_timeout_minutes"] == 2


def test_the_schema_knows_what_a_worker_reserves():
    values = {"ray": {"worker": {"resources": {"limits": {"memory": "1536Mi"}}}}}
    offered = ray_options(processes(render(values)).worker)["memory"]
    assert int(offered) == WORKER_MEMORY == 1 << 30


def test_processes_as_a_live_test_wants_them():
    """The interface that `tests/deploy/chart.py` promises."""
    found = processes(render({}), head_host="10.0.0.1", worker_params={"metrics-export-port": "0"})
    assert found.head
    assert found.worker
    assert "--ray-join=10.0.0.1:6379" in found.front_end.argv
    assert {"--address=10.0.0.1:6379", "--metrics-export-port=0"} <= set(found.worker.plain)
    assert found.worker.env["RAY_ADDRESS"] == "10.0.0.1:6379"
    assert found.head.argv[:3] == ("/bin/bash", "-c", "--")
    assert found.head.plain == tuple(shlex.split(found.head.argv[3].partition("; ")[2]))
    assert processes(render({"ray": {"enabled": False}})).head is None
    assert Process(("a", "b"), {"HOST": "x.y"}).moved(["x.y"], "z") == Process(("a", "b"), {"HOST": "z"})
