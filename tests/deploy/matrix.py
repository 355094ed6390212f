"""Sets of values that the chart is rendered with, each for one way of running it."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

from tests.deploy.chart import PRODUCTION, HelmVersion, Manifest, Values, render

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
TOKEN = "t" * 40

_SCHEDULED: dict[str, Any] = {
    "podAnnotations": {"example.com/a": "1"},
    "podLabels": {"team": "gradients"},
    "nodeSelector": {"pool": "compute"},
    "tolerations": [{"key": "compute", "operator": "Exists", "effect": "NoSchedule"}],
    "priorityClassName": "high",
    "extraEnv": [
        {"name": "EXTRA", "value": "1"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
}
_SPREAD = [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}]
_AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "arch", "operator": "In", "values": ["amd64"]}]}]
        }
    }
}
_OTHER_TEAM = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "team"}}}
_RAY_PEER = {"podSelector": {"matchLabels": {"ray.io/cluster": "shared"}}}

SETS: dict[str, tuple[Values | Path, ...]] = {
    "defaults": (),
    "production": (PRODUCTION,),
    "no Ray": ({"ray": {"enabled": False}},),
    "no Ray in production": (PRODUCTION, {"ray": {"enabled": False}}),
    "another Ray cluster": ({"ray": {"address": "ray.shared:6379", "auth": {"existingSecret": "shared-token"}}},),
    "another Ray cluster without token": ({"ray": {"address": "ray.shared:6379", "auth": {"enabled": False}}},),
    "another Ray cluster behind policies": (
        {
            "ray": {"address": "ray.shared:6379", "auth": {"token": TOKEN}},
            "networkPolicy": {"enabled": True, "rayPeers": [_RAY_PEER]},
            "monitoring": {"scrape": {"enabled": True}},
        },
    ),
    "token in a secret": ({"ray": {"auth": {"existingSecret": "our-token"}}},),
    "token in the values": ({"ray": {"auth": {"token": TOKEN}}},),
    "no token": ({"ray": {"auth": {"enabled": False}}},),
    "fixed number of workers": ({"ray": {"autoscaling": {"enabled": False}, "worker": {"replicas": 3}}},),
    "TLS by a secret": ({"frontend": {"tls": {"existingSecret": "our-certificate"}}},),
    "TLS by values": ({"frontend": {"tls": {"certificate": CERTIFICATE, "key": KEY, "ca": CERTIFICATE}}},),
    "TLS that signs itself": ({"frontend": {"tls": {"certificate": CERTIFICATE, "key": KEY}}},),
    "front ends by load": (
        {
            "frontend": {"autoscaling": {"enabled": True, "minReplicas": 1, "maxReplicas": 4, "targetInFlight": 16}},
            "monitoring": {"scrape": {"enabled": True, "labels": {"release": "prometheus"}}},
        },
    ),
    "policies": (
        {
            "networkPolicy": {
                "enabled": True,
                "clients": [_OTHER_TEAM],
                "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 443}]}],
                "apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]},
            }
        },
    ),
    "policies that let nobody in": ({"networkPolicy": {"enabled": True, "clients": [], "monitoring": []}},),
    "everything scheduled": (
        {
            "imagePullSecrets": [{"name": "registry"}],
            "frontend": {**_SCHEDULED, "affinity": _AFFINITY, "topologySpread": _SPREAD},
            "ray": {
                "head": {**_SCHEDULED, "affinity": _AFFINITY},
                "worker": {**_SCHEDULED, "antiAffinity": "hard", "topologySpread": []},
            },
        },
    ),
    "images of a registry": (
        {
            "imageRegistry": "registry.example.com/team/",
            "frontend": {"image": {"tag": "1.2.3", "pullPolicy": "Always"}},
            "ray": {"image": {"digest": "sha256:" + "0" * 64}},
        },
    ),
    "names of its own": (
        {
            "fullnameOverride": "derivatives",
            "nameOverride": "gradients",
            "commonLabels": {"team": "gradients", "app.kubernetes.io/part-of": "ours"},
            "serviceAccount": {"create": False, "name": "shared"},
        },
    ),
    "ports and parameters": (
        {
            "frontend": {
                "ports": {"grpc": 20051, "metrics": 29464},
                "service": {"type": "LoadBalancer", "port": 443, "annotations": {"example.com/lb": "internal"}},
                "extraArgs": ["--log-level=DEBUG"],
                "preStopSeconds": 0,
            },
            "ray": {
                "ports": {"gcs": 26379, "dashboard": 28265, "metrics": 28080, "agent": 25236},
                "head": {"rayStartParams": {"dashboard-host": "0.0.0.0"}},
                "worker": {"rayStartParams": {"resources": "'{\"fast\": 1}'", "disable-usage-stats": "true"}},
            },
        },
    ),
    "dashboards alone": ({"monitoring": {"dashboards": {"enabled": True, "namespace": "monitoring"}}},),
    "rules alone": ({"monitoring": {"rules": {"enabled": True}}, "test": {"enabled": False}},),
}


def rendered(name: str, helm: HelmVersion = 3) -> list[Manifest]:
    """The manifests of a set, the reader's own to change."""
    return copy.deepcopy(_rendered(name, helm))


@cache
def _rendered(name: str, helm: HelmVersion) -> list[Manifest]:
    return render(*SETS[name], helm=helm)
