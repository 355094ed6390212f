"""The fields of the custom resources that the chart makes, as far as it may need them.

Written down from the APIs of KubeRay 1.6 and 1.7 (ray.io/v1) and of the Prometheus operator (monitoring.coreos.com/v1).
A field is a type, a tuple
of the words it may be, a list of such a thing, or a mapping of fields; `ANY` is a mapping that others look at, `TEXTS`
one from text to text. A name that ends in ! must be there.
"""

from __future__ import annotations

from typing import Any

ANY: Any = object()
TEXTS: Any = object()
INT_OR_TEXT: Any = object()

_SELECTOR = {
    "matchLabels": TEXTS,
    "matchExpressions": [{"key!": str, "operator!": str, "values": [str]}],
}
_RELABELING = {
    "sourceLabels": [str],
    "separator": str,
    "targetLabel": str,
    "regex": str,
    "modulus": int,
    "replacement": str,
    "action": str,
}
_ENDPOINT = {
    "port": str,
    "targetPort": INT_OR_TEXT,
    "path": str,
    "scheme": str,
    "interval": str,
    "scrapeTimeout": str,
    "honorLabels": bool,
    "relabelings": [_RELABELING],
    "metricRelabelings": [_RELABELING],
}
_GROUP = {
    "rayStartParams": TEXTS,
    "resources": TEXTS,
    "labels": TEXTS,
    "template!": ANY,
}

_CREDENTIAL: dict[str, Any] = {"value": str, "valueFrom": ANY}

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "RayCluster": (
        "ray.io/v1",
        {
            "rayVersion": str,
            "suspend": bool,
            "upgradeStrategy": {"type": ("Recreate", "None")},
            "authOptions": {"mode": ("disabled", "token"), "secretName": str},
            "gcsFaultToleranceOptions": {
                "redisAddress!": str,
                "redisUsername": _CREDENTIAL,
                "redisPassword": _CREDENTIAL,
                "externalStorageNamespace": str,
            },
            "enableInTreeAutoscaling": bool,
            "autoscalerOptions": {
                "version": ("v1", "v2"),
                "idleTimeoutSeconds": int,
                "upscalingMode": ("Default", "Aggressive", "Conservative"),
                "image": str,
                "imagePullPolicy": str,
                "env": [ANY],
                "envFrom": [ANY],
                "resources": ANY,
                "securityContext": ANY,
                "volumeMounts": [ANY],
            },
            "headServiceAnnotations": TEXTS,
            "headGroupSpec!": {**_GROUP, "serviceType": str, "headService": ANY},
            "workerGroupSpecs": [
                {
                    **_GROUP,
                    "groupName!": str,
                    "replicas": int,
                    "minReplicas!": int,
                    "maxReplicas!": int,
                    "numOfHosts": int,
                    "idleTimeoutSeconds": int,
                }
            ],
        },
    ),
    "ServiceMonitor": (
        "monitoring.coreos.com/v1",
        {
            "jobLabel": str,
            "targetLabels": [str],
            "selector!": _SELECTOR,
            "namespaceSelector": {"any": bool, "matchNames": [str]},
            "endpoints!": [_ENDPOINT],
        },
    ),
    "PodMonitor": (
        "monitoring.coreos.com/v1",
        {
            "jobLabel": str,
            "podTargetLabels": [str],
            "selector!": _SELECTOR,
            "namespaceSelector": {"any": bool, "matchNames": [str]},
            "podMetricsEndpoints": [_ENDPOINT],
        },
    ),
    "PrometheusRule": (
        "monitoring.coreos.com/v1",
        {
            "groups": [
                {
                    "name!": str,
                    "interval": str,
                    "limit": int,
                    "labels": TEXTS,
                    "rules": [
                        {
                            "record": str,
                            "alert": str,
                            "expr!": INT_OR_TEXT,
                            "for": str,
                            "keep_firing_for": str,
                            "labels": TEXTS,
                            "annotations": TEXTS,
                        }
                    ],
                }
            ]
        },
    ),
}
"""The API version of a kind, and the fields of its spec."""

_METADATA = {"name!": str, "namespace": str, "labels": TEXTS, "annotations": TEXTS}


def schema(kind: str) -> dict[str, Any]:
    """The fields of a kind as a JSON Schema that allows no others."""
    version, spec = KINDS[kind]
    return _schema({"apiVersion!": (version,), "kind!": (kind,), "metadata!": _METADATA, "spec!": spec})


def _schema(field: Any) -> dict[str, Any]:
    if isinstance(field, dict):
        names = {name.rstrip("!"): _schema(part) for name, part in field.items()}
        required = [name.rstrip("!") for name in field if name.endswith("!")]
        return {"type": "object", "properties": names, "required": required, "additionalProperties": False}
    if isinstance(field, list):
        return {"type": "array", "items": _schema(field[0])}
    if isinstance(field, tuple):
        return {"enum": list(field)}
    if field is ANY:
        return {"type": "object"}
    if field is TEXTS:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if field is INT_OR_TEXT:
        return {"type": ["integer", "string"]}
    return {"type": {str: "string", int: "integer", bool: "boolean"}[field]}
