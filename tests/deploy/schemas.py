"""Whether a manifest is what Kubernetes, KubeRay and the Prometheus operator take: no unknown field, no wrong type.

Kubernetes' own kinds are checked against its published schemas in their strict form. For custom resources there are the
lists of fields in `fields.py`, and pods within a RayCluster are checked as pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from kubernetes_validate import utils
from referencing import Registry, Resource

from tests.deploy import fields
from tests.deploy.chart import pod_templates

KUBERNETES = "1.33.0"
_FOLDER = f"v{KUBERNETES}-local-strict"


class InvalidManifest(Exception):
    """What is wrong with a manifest, fault by fault."""


def check(manifest: dict[str, Any]) -> None:
    """Nothing if the manifest is right.

    Raises:
        InvalidManifest: it is not.
    """
    if faults := list(faults_of(manifest)):
        name = f"{manifest.get('kind')}/{manifest.get('metadata', {}).get('name')}"
        raise InvalidManifest(f"{name}: " + "; ".join(faults))


def faults_of(manifest: dict[str, Any]) -> Iterator[str]:
    """Each fault, with the path to it."""
    if manifest["kind"] in fields.KINDS:
        yield from _errors(_custom(manifest["kind"]), manifest)
    else:
        yield from _errors(_builtin(manifest["kind"], manifest["apiVersion"]), manifest)
    if manifest["kind"] == "RayCluster":
        for template in pod_templates(manifest):
            pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {}, "template": template}
            yield from _errors(_builtin("PodTemplate", "v1"), pod)


def _errors(validator: Draft202012Validator, manifest: dict[str, Any]) -> Iterator[str]:
    for error in validator.iter_errors(manifest):
        yield f"{'.'.join(map(str, error.absolute_path)) or 'the whole'}: {error.message}"


@cache
def _custom(kind: str) -> Draft202012Validator:
    return Draft202012Validator(fields.schema(kind))


@cache
def _builtin(kind: str, api_version: str) -> Draft202012Validator:
    group = api_version.split("/")[0].split(".")[0] + "-" if "/" in api_version else ""
    name = f"kubernetes-json-schema/{_FOLDER}/{kind.lower()}-{group}{api_version.rpartition('/')[2]}.json"
    return Draft202012Validator(utils.schema_contents(name, KUBERNETES), registry=_definitions())


@cache
def _definitions() -> Registry[Any]:
    contents = utils.schema_contents(f"kubernetes-json-schema/{_FOLDER}/_definitions.json", KUBERNETES)
    return Resource.from_contents(contents) @ Registry()
