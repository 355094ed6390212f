"""What the KubeRay operator makes of a RayCluster: the command and the environment of its head and its workers.

The rules are those of KubeRay 1.6 and 1.7, written down from its behaviour: parameters of `ray start` that are missing
are filled in, flags are in alphabetical order, a parameter that is "true" is a flag without a value and one that is
"false" none at all; the whole is a line for bash. The rules that read CPUs and memory from a container's limits are
left out, as the chart states both itself; `_line` insists on it.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

DOMAIN = "cluster.local"
_VALUED = ("log-color", "include-dashboard", "include-log-monitor")
"""Parameters for which true and false are values."""

Secrets = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Process:
    """A command line and its environment, as a container has them."""

    argv: tuple[str, ...]
    env: dict[str, str]

    @property
    def plain(self) -> tuple[str, ...]:
        """The same without the shell around it: `ray start --head ...`."""
        if self.argv[0] != "/bin/bash":
            return self.argv
        return tuple(shlex.split(self.argv[-1].partition("; ")[2]))

    def moved(self, hosts: Iterable[str], to: str) -> Process:
        """The same with some host names replaced, everywhere."""

        def text(value: str) -> str:
            return reduce(lambda left, host: left.replace(host, to), hosts, value)

        return Process(tuple(map(text, self.argv)), {name: text(value) for name, value in self.env.items()})


@dataclass(frozen=True, slots=True)
class Cluster:
    """A RayCluster in a namespace, and the Secrets there."""

    manifest: dict[str, Any]
    namespace: str
    secrets: Secrets

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which pods find the head, the longest first."""
        service = f"{self.manifest['metadata']['name']}-head-svc.{self.namespace}.svc"
        return f"{service}.{DOMAIN}", service

    def head(self) -> Process:
        """The head's process."""
        group = self.manifest["spec"]["headGroupSpec"]
        params = {"dashboard-host": "0.0.0.0", **group["rayStartParams"]}
        added = {}
        if self.manifest["spec"].get("enableInTreeAutoscaling"):
            params["no-monitor"] = "true"
            version = self.manifest["spec"]["autoscalerOptions"]["version"]
            added["RAY_enable_autoscaler_v2"] = "true" if version == "v2" else "false"
        return self._process(group, f"ray start --head {_line(params)}", "127.0.0.1", added)

    def worker(self, more: Mapping[str, str]) -> Process:
        """A worker's process, with some parameters changed."""
        (group,) = self.manifest["spec"]["workerGroupSpecs"]
        host = self.hosts[0]
        params = {"address": f"{host}:{self._port}", **group["rayStartParams"], **more}
        return self._process(
            group, f"ray start {_line(params)}", host, {"FQ_RAY_IP": host, "RAY_IP": host.split(".")[0]}
        )

    @property
    def _port(self) -> str:
        return str(self.manifest["spec"]["headGroupSpec"]["rayStartParams"].get("port", "6379"))

    def _process(self, group: dict[str, Any], start: str, host: str, added: dict[str, str]) -> Process:
        (container,) = group["template"]["spec"]["containers"]
        cluster = self.manifest["metadata"]["name"]
        name = f"{cluster}-{group.get('groupName', 'head')}"
        theirs = {
            "RAY_CLUSTER_NAME": cluster,
            "RAY_CLUSTER_NAMESPACE": self.namespace,
            "RAY_CLOUD_INSTANCE_ID": name,
            "RAY_NODE_TYPE_NAME": group.get("groupName", "headgroup"),
            "KUBERAY_GEN_RAY_START_CMD": start,
            "RAY_PORT": self._port,
            "RAY_ADDRESS": f"{host}:{self._port}",
            "RAY_USAGE_STATS_KUBERAY_IN_USE": "1",
            "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE": "1",
            **self._token(),
            **added,
        }
        own = environment(container.get("env", []), self.secrets, fields_of(name, self.namespace))
        line = "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; " + start
        return Process(("/bin/bash", "-c", "--", line), {**theirs, **own})

    def _token(self) -> dict[str, str]:
        options = self.manifest["spec"].get("authOptions", {})
        if options.get("mode") != "token":
            return {}
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.secrets[options["secretName"]]["auth_token"]}


def secrets_of(manifests: Iterable[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The contents of all Secrets that are rendered."""
    return {
        m["metadata"]["name"]: {key: base64.b64decode(text).decode() for key, text in m.get("data", {}).items()}
        for m in manifests
        if m["kind"] == "Secret"
    }


def fields_of(pod: str, namespace: str) -> dict[str, str]:
    """What a pod's environment may ask of the pod itself."""
    return {
        "metadata.name": pod,
        "metadata.namespace": namespace,
        "status.podIP": "127.0.0.1",
        "spec.nodeName": "node",
    }


def environment(entries: Iterable[Mapping[str, Any]], secrets: Secrets, fields: Mapping[str, str]) -> dict[str, str]:
    """A container's environment, with secrets and fields of the pod looked up."""
    return {entry["name"]: _value(entry, secrets, fields) for entry in entries}


def _line(params: Mapping[str, str]) -> str:
    """The flags of `ray start`."""
    assert {"num-cpus", "memory"} <= params.keys()
    filled = {"metrics-export-port": "8080", "dashboard-agent-listen-port": "52365", **params, "block": "true"}
    return " ".join(_flag(name, filled[name]) for name in sorted(filled) if filled[name] != "false" or name in _VALUED)


def _flag(name: str, value: str) -> str:
    return f"--{name}" if value.lower() == "true" and name not in _VALUED else f"--{name}={value}"


def _value(entry: Mapping[str, Any], secrets: Secrets, fields: Mapping[str, str]) -> str:
    source = entry.get("valueFrom", {})
    if "secretKeyRef" in source:
        return secrets[source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]]
    if "fieldRef" in source:
        return fields[source["fieldRef"]["fieldPath"]]
    return str(entry.get("value", ""))
