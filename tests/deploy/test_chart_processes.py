"""What the pods start is understood by what they start: gradserve's own parser, and Ray's."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import pytest
from ray._private import ray_constants
from ray.autoscaler._private.kuberay import autoscaling_config
from ray.scripts import scripts

from gradserve.ir.quantities import Quantity
from gradserve.pools.ray.pool import WORKER_MEMORY
from gradserve.service.configuration.command_line import settings_of
from gradserve.service.configuration.described import value_of
from gradserve.service.configuration.identity import Oidc
from gradserve.service.configuration.reading import SETTINGS
from gradserve.service.configuration.settings import GROUPS, Settings
from tests.deploy.chart import PRODUCTION, Manifest, render, the
from tests.deploy.golden import SETS, rendered

pytestmark = pytest.mark.deploy
LIMITS = {title for name, title in GROUPS if name in ("limits", "graph_limits", "max_in_flight", "max_message_bytes")}
"""The groups of settings that bound what is done."""
every_set = pytest.mark.parametrize("name", SETS)


def front_end(manifests: list[Manifest]) -> dict[str, Any]:
    container: dict[str, Any] = the(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return container


def settings(manifests: list[Manifest]) -> Settings:
    container = front_end(manifests)
    program, command, *arguments = [str(word) for word in (*container["command"], *container["args"])]
    assert (program, command) == ("gradserve", "serve")
    with tempfile.TemporaryDirectory() as folder:
        return settings_of([in_folder(word, manifests, Path(folder)) for word in arguments])


def in_folder(argument: str, manifests: list[Manifest], folder: Path) -> str:
    """An argument that names the file of settings, with what the pod would find there in a folder of ours."""
    if not argument.startswith("--config="):
        return argument
    spec = the(manifests, "Deployment")["spec"]["template"]["spec"]
    path = Path(argument.removeprefix("--config="))
    (mount,) = (each for each in spec["containers"][0]["volumeMounts"] if each["mountPath"] == str(path.parent))
    (volume,) = (each for each in spec["volumes"] if each["name"] == mount["name"])
    data = the(manifests, "ConfigMap", volume["configMap"]["name"])["data"]
    (folder / path.name).write_text(data[path.name])
    return f"--config={folder / path.name}"


def ray_options(group: dict[str, Any], *more: str) -> dict[str, Any]:
    """The options of `ray start` that KubeRay makes of a group's parameters, read by Ray's own parser."""
    flags = [f"--{name}" if value == "true" else f"--{name}={value}" for name, value in group["rayStartParams"].items()]
    return dict(scripts.start.make_context("start", [*flags, *more]).params)


def groups(manifests: list[Manifest]) -> list[dict[str, Any]]:
    """The groups of the RayClusters, head first."""
    clusters = [m["spec"] for m in manifests if m["kind"] == "RayCluster"]
    return [group for spec in clusters for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


@every_set
def test_front_ends_start_with_what_the_values_say(name):
    found = settings(rendered(name))
    assert found.host == "0.0.0.0"  # or nobody outside the pod would reach it
    assert found.workers
    assert not found.ray or found.ray_join
    spec = the(rendered(name), "Deployment")["spec"]["template"]["spec"]
    pause = front_end(rendered(name)).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])
    assert spec["terminationGracePeriodSeconds"] >= int(pause[1]) + found.grace + 10


def test_front_end_of_the_defaults():
    found, plain = settings(rendered("defaults")), Settings()
    assert found == Settings(
        address="0.0.0.0:50051",
        workers=1,
        max_workers=4,
        ray=True,
        ray_join="demo-gradserve-ray-head-svc.default.svc:6379",
        max_connection_age=300,
        metrics_host="0.0.0.0",
    )
    # Ports and limits that the chart states are the product's own.
    for name in ("metrics_port", "ray_metrics_port", "max_in_flight", "max_seconds", "grace", "log_level"):
        assert getattr(found, name) == getattr(plain, name)
    assert found.address.rpartition(":")[2] == plain.address.rpartition(":")[2]


def test_settings_of_the_file_reach_the_front_end():
    found = settings(rendered("everything"))
    assert found.limits.peak_bytes == 4 << 30
    assert (found.max_in_flight_bytes, found.queue_seconds) == (1 << 28, 0.5)


def test_who_may_call_reaches_the_front_end():
    found = settings(rendered("fixed-size"))
    folder = "/etc/gradserve"
    assert found.tls
    assert (str(found.tls.client_ca), str(found.token_file)) == (
        f"{folder}/tls/clients.crt",
        f"{folder}/tokens/tokens.yaml",
    )
    assert found.oidc == Oidc("https://login.example.com", "gradients", role="gradients")
    mesh = {"frontend": {"auth": {"tokensSecret": "t"}, "config": {"allow_plain_tokens": True}}}
    assert settings(render(mesh)).allow_plain_tokens


def test_large_numbers_reach_the_front_end():
    for helm in (3, 4):
        rendering = render({"frontend": {"config": {"value_bytes": (1 << 40) + 1}}}, helm=helm)
        assert settings(rendering).limits.value_bytes == (1 << 40) + 1


def test_every_limit_reaches_the_front_end():
    """But for those that the chart has values for, which are among the arguments."""
    own = {str(word).partition("=")[0] for word in front_end(rendered("defaults"))["args"]}
    kinds = {s: getattr(s.kind, "of", s.kind) for s in SETTINGS.values() if s.flag not in own}
    limits = {s: kind for s, kind in kinds.items() if s.group in LIMITS and isinstance(kind, Quantity)}
    given = {s.name: 0.5 if kind.most == 1 else 77 for s, kind in limits.items()}
    found = settings(render({"frontend": {"config": given}}))
    assert {s.name: value_of(found, s) for s in limits} == given
    assert {"peak_bytes", "graph_nodes", "quota_flops", "queue_seconds", "plan_bytes"} < given.keys()


def test_planted_unknown_setting_is_found(capsys):
    """In the file that the chart has made: Helm itself takes none."""
    manifests = render({"frontend": {"config": {"peak_bytes": 1}}})
    for each in manifests:
        if each["kind"] == "ConfigMap":
            each["data"] = {name: text.replace("peak_bytes", "peak_byte") for name, text in each["data"].items()}
    with pytest.raises(SystemExit):
        settings(manifests)
    assert "'peak_byte' is no setting; the nearest is peak_bytes" in capsys.readouterr().err


def test_planted_unknown_option_is_found(capsys):
    with pytest.raises(SystemExit):
        settings(render({"frontend": {"extraArgs": ["--works=2"]}}))
    assert "--works=2" in capsys.readouterr().err


@every_set
def test_ray_understands_its_parameters(name):
    for group in groups(rendered(name)):
        assert ray_options(group)["object_store_memory"] >= ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES


def test_planted_unknown_parameter_is_found():
    _, worker = groups(render({"ray": {"worker": {"rayStartParams": {"num-cpu": "1"}}}}))
    with pytest.raises(click.NoSuchOption, match="num-cpu"):
        ray_options(worker)


def test_the_head_does_no_work_and_shows_its_dashboard_to_itself():
    head = ray_options(groups(rendered("production"))[0])
    assert (head["num_cpus"], int(head["memory"]), head["dashboard_host"]) == (0, 0, "127.0.0.1")
    plain = scripts.start.make_context("start", []).params
    assert head["dashboard_agent_listen_port"] == plain["dashboard_agent_listen_port"]
    assert head["dashboard_port"] == ray_constants.DEFAULT_DASHBOARD_PORT


@every_set
def test_everybody_has_the_same_token(name):
    manifests = rendered(name)
    containers = [front_end(manifests), *(group["template"]["spec"]["containers"][0] for group in groups(manifests))]
    environments = [{entry["name"]: entry for entry in each.get("env", [])} for each in containers]
    tokens = [env["RAY_AUTH_TOKEN"]["valueFrom"] for env in environments if "RAY_AUTH_TOKEN" in env]
    assert all(token == tokens[0] for token in tokens)
    assert len(tokens) in (0, len(containers))
    modes = [env.get("RAY_AUTH_MODE", {}).get("value") == "token" for env in environments]
    assert modes == [bool(tokens)] * len(containers)
    for cluster in (m["spec"] for m in manifests if m["kind"] == "RayCluster"):
        asked = cluster.get("authOptions", {})
        assert asked.get("secretName") == (tokens[0]["secretKeyRef"]["name"] if tokens else None)


def test_front_ends_are_strangers_to_the_autoscaler():
    """A Ray node with the name of a pod that is not KubeRay's would stop Ray's autoscaler."""
    pod = the(rendered("production"), "Deployment")["spec"]["template"]
    assert "RAY_CLOUD_INSTANCE_ID" not in {entry["name"] for entry in front_end(rendered("production"))["env"]}
    assert not any(label.startswith("ray.io/") for label in pod["metadata"]["labels"])


@pytest.mark.parametrize("values", [{}, PRODUCTION], ids=["defaults", "production"])
def test_rays_autoscaler_reads_what_a_pod_offers(values):
    """The chart's RayCluster, read by the code that decides how many pods there are."""
    cluster = the(render(values), "RayCluster")
    cluster["metadata"]["namespace"] = "default"
    config = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    types = config["available_node_types"]
    assert types["headgroup"]["resources"] == {"CPU": 0, "memory": 0}
    group, offered = cluster["spec"]["workerGroupSpecs"][0], types["workers"]["resources"]
    bounds = types["workers"]["min_workers"], types["workers"]["max_workers"]
    assert bounds == (group["minReplicas"], group["maxReplicas"])
    assert offered["memory"] // WORKER_MEMORY >= offered["CPU"] >= 1  # so that every CPU can have its worker
    assert config["idle_timeout_minutes"] == 2


def test_the_schema_knows_what_a_worker_reserves():
    _, worker = groups(render({"ray": {"worker": {"resources": {"limits": {"memory": "1536Mi"}}}}}))
    assert int(ray_options(worker)["memory"]) == WORKER_MEMORY == 1 << 30
