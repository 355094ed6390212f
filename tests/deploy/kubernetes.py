"""A Kubernetes API server as far as Helm needs one: it keeps objects and runs nothing.

With it `helm install`, `upgrade`, `rollback` and `uninstall` run for real, by either version of Helm. A pod that is
made has succeeded at once, as the hooks of `helm test` should.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

_RESOURCES = {
    "v1": ("Namespace", "Secret", "ConfigMap", "Service", "ServiceAccount", "Pod"),
    "apps/v1": ("Deployment",),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "policy/v1": ("PodDisruptionBudget",),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "apiregistration.k8s.io/v1": ("APIService",),
}
RAY = {"ray.io/v1": ("RayCluster",)}
MONITORING = {"monitoring.coreos.com/v1": ("ServiceMonitor", "PodMonitor", "PrometheusRule")}
"""What the operators add."""
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[0-9]+)/namespaces/(?P<ns>[^/]+)/(?P<rest>[^/]+(/.+)?)"
)


def plural(kind: str) -> str:
    """The kind as paths have it."""
    name = kind.lower()
    return name[:-1] + "ies" if name.endswith("y") else name + "s"


class Kubernetes:
    """The objects of a cluster, by namespace, kind in the plural, and name."""

    def __init__(self, resources: Mapping[str, tuple[str, ...]], folder: Path) -> None:
        self.resources = {**_RESOURCES, **resources}
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.lock = threading.Lock()
        self.kubeconfig = folder / "kubeconfig"

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """An object, as it is kept."""
        return self.objects[namespace, plural(kind), name]

    def names(self, kind: str) -> list[str]:
        """The names of all objects of a kind."""
        return sorted(name for _, plural_kind, name in self.objects if plural_kind == plural(kind))

    def discovery(self, path: str) -> dict[str, Any] | None:
        """What the server says of itself."""
        groups = {v for v in self.resources if "/" in v}
        if path == "/version":
            return {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}
        if path == "/openapi/v3":
            return {"paths": {}}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(v) for v in sorted(groups)]}
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version in self.resources:
            resources = [
                {
                    "name": plural(kind),
                    "kind": kind,
                    "namespaced": kind not in {"Namespace", "APIService"},
                    "verbs": _VERBS,
                }
                for kind in self.resources[version]
            ]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
        return None

    def list_of(self, kind: str) -> dict[str, Any]:
        """An empty list of a kind in the plural."""
        ((version, singular),) = ((v, k) for v, kinds in self.resources.items() for k in kinds if plural(k) == kind)
        return {"kind": f"{singular}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}}


@contextmanager
def kubernetes(folder: Path, *resources: Mapping[str, tuple[str, ...]]) -> Iterator[Kubernetes]:
    """A cluster with these resources besides Kubernetes' own, reachable through its `kubeconfig`."""
    cluster = Kubernetes({name: kinds for more in resources for name, kinds in more.items()}, folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": cluster}))
    address = f"http://127.0.0.1:{server.server_port}"
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [context],
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {}}],
    }
    cluster.kubeconfig.write_text(yaml.safe_dump(config))
    cluster.kubeconfig.chmod(0o600)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    cluster: Kubernetes
    protocol_version = "HTTP/1.1"
    # Answers go out as a whole: in two parts, each would wait 40 ms for the other's acknowledgement.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/openapi/v2":  # asked for in binary: an empty message knows no types, and so nothing is checked
            return self._send(200, b"", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
        if (found := self.cluster.discovery(url.path)) is not None:
            return self._answer(200, found)
        with self.cluster.lock:
            space, kind, name = self._at(url.path)
            if name:
                stored = self.cluster.objects.get((space, kind, name))
                return self._answer(200, stored) if stored else self._missing(kind, name)
            selector = parse_qs(url.query).get("labelSelector", [""])[0]
            fields = parse_qs(url.query).get("fieldSelector", [""])[0]
            items = [o for (s, k, _), o in self.cluster.objects.items() if (s, k) == (space, kind)]
            items = [o for o in items if _fits(o, selector) and (not fields or fields.endswith(o["metadata"]["name"]))]
            if "watch" in parse_qs(url.query):
                return self._events(items)
            return self._answer(200, {**self.cluster.list_of(kind), "items": items})

    def do_POST(self) -> None:
        created = self._body()
        with self.cluster.lock:
            space, kind, _ = self._at(urlsplit(self.path).path)
            self._keep(space, kind, created)
            self._answer(201, created)

    def do_PUT(self) -> None:
        changed = self._body()
        with self.cluster.lock:
            space, kind, _ = self._at(urlsplit(self.path).path)
            self._keep(space, kind, changed)
            self._answer(200, changed)

    def do_PATCH(self) -> None:
        patch = self._body()
        with self.cluster.lock:
            key = self._at(urlsplit(self.path).path)
            stored = self.cluster.objects.get(key)
            applied = "apply-patch" in self.headers["Content-Type"]
            if stored is None and not applied:
                return self._missing(*key[1:])
            self._keep(key[0], key[1], _merged(stored or {}, patch))
            return self._answer(200, self.cluster.objects[key])

    def do_DELETE(self) -> None:
        self._body()
        with self.cluster.lock:
            key = self._at(urlsplit(self.path).path)
            deleted = self.cluster.objects.pop(key, None)
            return self._answer(200, deleted) if deleted else self._missing(*key[1:])

    def _at(self, path: str) -> tuple[str, str, str]:
        """Namespace, kind and name of a path."""
        if match := _PATH.fullmatch(path):
            kind, _, name = match["rest"].partition("/")
            return match["ns"], kind, name
        return "", path.split("/")[-2], path.split("/")[-1]

    def _keep(self, space: str, kind: str, thing: dict[str, Any]) -> None:
        thing.setdefault("metadata", {}).update(namespace=space, uid="u", resourceVersion="1")
        if thing.get("kind") == "Pod":
            thing["status"] = {"phase": "Succeeded"}
        self.cluster.objects[space, kind, thing["metadata"]["name"]] = thing

    def _body(self) -> dict[str, Any]:
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body: dict[str, Any] = (json.loads(text) if text.lstrip().startswith(b"{") else yaml.safe_load(text)) or {}
        return body

    def _missing(self, kind: str, name: str) -> None:
        message = f'{kind} "{name}" not found'
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": 404}
        self._answer(404, {**status, "reason": "NotFound", "details": {"name": name, "kind": kind}})

    def _events(self, items: list[dict[str, Any]]) -> None:
        self._send(200, b"".join(json.dumps({"type": "ADDED", "object": o}).encode() + b"\n" for o in items))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, text: bytes, form: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", form)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _group(version: str) -> dict[str, Any]:
    versions = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [versions], "preferredVersion": versions}


def _fits(thing: dict[str, Any], selector: str) -> bool:
    labels = thing["metadata"].get("labels", {})
    return all(
        labels.get(key) == value for key, _, value in (part.partition("=") for part in selector.split(",") if part)
    )


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """A merge patch, applied."""
    both = copy.deepcopy(below)
    for name, value in above.items():
        if value is None:
            both.pop(name, None)
        elif isinstance(value, dict) and isinstance(both.get(name), dict):
            both[name] = _merged(both[name], value)
        else:
            both[name] = value
    return both
