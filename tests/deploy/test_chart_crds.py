"""The operators' own definitions: what the chart renders fits them, and so do the lists of fields in `fields.py`.

GRADSERVE_CRDS names a folder with their CRD files in YAML, wherever in it they lie: KubeRay's `ray.io_rayclusters.yaml`
and the Prometheus operator's `monitoring.coreos.com_*.yaml`, out of their releases.
"""

import os
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.deploy import fields, schemas
from tests.deploy.matrix import SETS, rendered

pytestmark = [pytest.mark.deploy, pytest.mark.crds]


@cache
def definitions():
    """The strict schema of every kind, by name and version."""
    found = {}
    for file in Path(os.environ["GRADSERVE_CRDS"]).rglob("*.yaml"):
        for crd in yaml.safe_load_all(file.read_text()):
            if isinstance(crd, dict) and crd.get("kind") == "CustomResourceDefinition":
                spec = crd["spec"]
                for version in spec["versions"]:
                    schema = schemas.strict(version["schema"]["openAPIV3Schema"])
                    schema["properties"]["metadata"] = {"type": "object"}
                    found[spec["names"]["kind"], f"{spec['group']}/{version['name']}"] = schema
    return found


def definition(kind):
    return definitions()[kind, fields.KINDS[kind][0]]


@pytest.mark.parametrize("name", SETS)
def test_custom_resources_fit(name):
    for manifest in rendered(name):
        if manifest["kind"] in fields.KINDS:
            assert schemas.errors(definition(manifest["kind"]), manifest) == []


@pytest.mark.parametrize("kind", fields.KINDS)
def test_fields_are_the_operators(kind):
    assert list(differences(fields.schema(kind), definition(kind), kind)) == []


def differences(ours, theirs, path):
    """Where a list of fields says something else than the definition."""
    if "x-kubernetes-int-or-string" in theirs:
        return
    types = set(one_or_many(ours.get("type", "string")))
    if theirs.get("type") not in types:
        yield f"{path}: {theirs.get('type')}, not {types}"
    if not set(ours.get("enum", [])) <= set(theirs.get("enum", ours.get("enum", []))):
        yield f"{path}: {theirs['enum']}, not {ours['enum']}"
    for name, part in ours.get("properties", {}).items():
        if name in {"apiVersion", "kind", "metadata"}:
            continue
        if name in theirs.get("properties", {}):
            yield from differences(part, theirs["properties"][name], f"{path}.{name}")
        else:
            yield f"{path}.{name}: unknown"
    if "properties" in ours and not set(theirs.get("required", [])) <= {*ours["required"], "apiVersion", "kind"}:
        yield f"{path}: {theirs['required']} must be there, not {ours['required']} alone"
    if "items" in ours:
        yield from differences(ours["items"], theirs["items"], f"{path}[]")


def one_or_many(types):
    return [types] if isinstance(types, str) else types


def test_planted_faults_are_found():
    (cluster,) = (m for m in rendered("defaults") if m["kind"] == "RayCluster")
    cluster["spec"]["headGroupSpec"]["template"]["spec"]["contaners"] = []
    cluster["spec"]["workerGroupSpecs"][0]["replicas"] = "1"
    faults = "; ".join(schemas.errors(definition("RayCluster"), cluster))
    assert "contaners" in faults
    assert "replicas" in faults

    wrong = fields.schema("RayCluster")
    wrong["properties"]["spec"]["properties"] |= {"rayVersion": {"type": "integer"}, "headGroup": {"type": "object"}}
    found = list(differences(wrong, definition("RayCluster"), "RayCluster"))
    assert found == ["RayCluster.spec.rayVersion: string, not {'integer'}", "RayCluster.spec.headGroup: unknown"]
