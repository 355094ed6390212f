"""The values explain themselves, and wrong ones are refused with a reason."""

import contextlib
import json
import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from gradserve.service.configuration.reading import SETTINGS
from gradserve.service.configuration.schema import schema
from tests.deploy.chart import CHART, PRODUCTION, Refused, merged, render

pytestmark = pytest.mark.deploy

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
TOKEN = "t" * 40

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

WRONG: dict[str, tuple[Any, ...]] = {
    "misspelt value": ({"frontend": {"replicsa": 2}}, "frontend", "replicsa", "not allowed"),
    "misspelt group": ({"fronted": {"replicas": 2}}, "", "fronted", "not allowed"),
    "no replicas": ({"frontend": {"replicas": 0}}, "frontend.replicas", "greater than or equal to 1|got 0, want 1"),
    "workers without end": ({"frontend": {"workers": 100000}}, "frontend.workers", "100,?000", "1,?024"),
    "processes without end": ({"frontend": {"processes": 100000}}, "frontend.processes", "100,?000", "256"),
    "number as text": ({"frontend": {"workers": "two"}}, "frontend.workers", "integer", "string"),
    "half a worker": ({"ray": {"worker": {"cpus": 0.5}}}, "ray.worker.cpus", "integer", "number"),
    "text for a switch": ({"networkPolicy": {"enabled": "yes"}}, "networkPolicy.enabled", "boolean", "string"),
    "port too high": ({"frontend": {"ports": {"grpc": 70000}}}, "frontend.ports.grpc", "65,?535"),
    "unknown level": ({"frontend": {"logLevel": "LOUD"}}, "frontend.logLevel", "DEBUG.*INFO.*WARNING.*ERROR"),
    "misspelt setting": (
        {"frontend": {"config": {"peak_byte": "4GiB"}}},
        "frontend.config",
        "peak_byte",
        "not allowed",
    ),
    "setting out of bounds": ({"frontend": {"config": {"max_in_flight": 0}}}, "max_in_flight", "equal to 1|want 1"),
    "setting in other units": ({"frontend": {"config": {"peak_bytes": "4XB"}}}, "frontend.config.peak_bytes", "gib"),
    "unknown service": ({"frontend": {"service": {"type": "Ingress"}}}, "frontend.service.type", "LoadBalancer"),
    "unknown upscaling": ({"ray": {"autoscaling": {"upscalingMode": "Fast"}}}, "upscalingMode", "Aggressive"),
    "unknown upgrade": ({"ray": {"upgradeStrategy": "Rolling"}}, "ray.upgradeStrategy", "Recreate.*None"),
    "memory in MB": ({"frontend": {"sharedMemory": "512MB"}}, "frontend.sharedMemory", "Ki|Mi|Gi"),
    "address without port": ({"ray": {"address": "ray.shared"}}, "ray.address", "pattern"),
    "version in short": ({"ray": {"version": "2.60"}}, "ray.version", "pattern"),
    "limit misspelt": ({"ray": {"head": {"resources": {"limit": {"cpu": 1}}}}}, "resources", "limit", "not allowed"),
    "no memory limit": ({"ray": {"worker": {"resources": {"limits": {"memory": None}}}}}, "limits", "memory"),
    "probe with a path": (
        {"frontend": {"probes": {"liveness": {"httpGet": {}}}}},
        "liveness",
        "httpGet",
        "not allowed",
    ),
    "variable without name": ({"frontend": {"extraEnv": [{"value": "1"}]}}, "frontend.extraEnv.0", "name"),
    "number for ray start": ({"ray": {"head": {"rayStartParams": {"port": 1}}}}, "rayStartParams.port", "string"),
    "no name servers": ({"networkPolicy": {"dns": []}}, "networkPolicy.dns", "1"),
    "tag within the name": ({"frontend": {"image": {"repository": "gradserve:1"}}}, "image.repository", "pattern"),
    "certificate by name": ({"frontend": {"tls": {"certificate": "my-cert"}}}, "tls.certificate", "BEGIN CERTIFICATE"),
    "tolerant budget": ({"frontend": {"podDisruptionBudget": {"maxUnavailable": 0}}}, "maxUnavailable", "1"),
}
"""Values, where the fault is, and words of the reason."""

AT_ODDS: dict[str, tuple[Any, str]] = {
    "cluster given and not wanted": ({"ray": {"enabled": False, "address": "ray:6379"}}, "ray.enabled=false.*choose"),
    "cluster without its token": ({"ray": {"address": "ray:6379"}}, "has a token of its own.*ray.auth.existingSecret"),
    "cluster out of reach": (
        {"ray": {"address": "ray:6379", "auth": {"enabled": False}}, "networkPolicy": {"enabled": True}},
        "cannot reach.*networkPolicy.rayPeers",
    ),
    "issuer out of reach": (
        {
            "frontend": {"auth": {"oidc": {"issuer": "https://i", "audience": "a"}}, "tls": {"existingSecret": "s"}},
            "networkPolicy": {"enabled": True},
        },
        "cannot reach https://i, which frontend.auth.oidc.issuer names: say how in networkPolicy.extraEgress",
    ),
    "collector out of reach": (
        {"frontend": {"config": {"traces": "http://c:4317"}}, "networkPolicy": {"enabled": True}},
        "cannot reach http://c:4317, which frontend.config.traces names",
    ),
    "store out of reach": (
        {"frontend": {"config": {"store": "s3://bucket/x"}}, "networkPolicy": {"enabled": True}},
        "cannot reach s3://bucket/x, which frontend.config.store names",
    ),
    "two tokens": ({"ray": {"auth": {"token": TOKEN, "existingSecret": "s"}}}, "existingSecret or token, not both"),
    "token to guess": ({"ray": {"auth": {"token": "secret"}}}, "has 6 characters.*at least 32"),
    "certificate without key": ({"frontend": {"tls": {"certificate": CERTIFICATE}}}, "go together"),
    "two certificates": (
        {"frontend": {"tls": {"certificate": CERTIFICATE, "existingSecret": "s"}}},
        "existingSecret, or certificate and key, not both",
    ),
    "tokens unencrypted": ({"frontend": {"auth": {"tokensSecret": "t"}}}, "would travel unencrypted.*frontend.tls"),
    "issuer unencrypted": (
        {"frontend": {"auth": {"oidc": {"issuer": "https://i"}}}},
        "would travel unencrypted.*allow_plain_tokens=true where a mesh encrypts",
    ),
    "certificates of clients without TLS": ({"frontend": {"tls": {"clientCaKey": "c"}}}, "which needs TLS"),
    "certificates of clients and a test": (
        {"frontend": {"tls": {"clientCaKey": "c", "existingSecret": "s"}}},
        "`helm test` has none: set test.enabled=false",
    ),
    "setting with a value": (
        {"frontend": {"config": {"max_in_flight": 3}}},
        "max_in_flight has a value of its own in this chart",
    ),
    "setting among the arguments": (
        {"frontend": {"config": {"lanes": 3}, "extraArgs": ["--lanes=4"]}},
        "lanes .* is among frontend.extraArgs",
    ),
    "no Ray by the file": ({"frontend": {"config": {"ray": True}}, "ray": {"enabled": False}}, "ray has a value"),
    "fewest above most": ({"frontend": {"autoscaling": {"minReplicas": 9}}}, r"minReplicas \(9\).*maxReplicas \(6\)"),
    "kept above grown": ({"frontend": {"workers": 5}}, r"workers \(5\) is more than frontend.maxWorkers \(4\)"),
    "pods outside bounds": ({"ray": {"worker": {"replicas": 9}}}, r"replicas \(9\) must lie between"),
    "worker too small": ({"ray": {"worker": {"cpus": 2}}}, "reserves 1Gi.*1536 Mi.*Raise"),
    "more front ends than workers": ({"frontend": {"replicas": 5}}, "5 front ends keep 1 Ray workers.*CPUs for 4"),
    "load without request": (
        {"frontend": {"autoscaling": {"enabled": True, "maxReplicas": 2}, "resources": {"requests": {"cpu": None}}}},
        "frontend.resources.requests.cpu",
    ),
    "name of the autoscaler's": (
        {"frontend": {"extraEnv": [{"name": "RAY_CLOUD_INSTANCE_ID", "value": "x"}]}},
        "RAY_CLOUD_INSTANCE_ID away",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_the_schema_refuses(fault):
    values, where, *words = WRONG[fault]
    with pytest.raises(Refused) as refusal:
        render(values)
    reason = str(refusal.value).replace("/", ".")
    assert "values don't meet the specifications of the schema" in reason
    for word in (re.escape(where), *words):
        assert re.search(word, reason), reason


@pytest.mark.parametrize("conflict", AT_ODDS)
def test_values_at_odds_are_refused_with_a_sentence(conflict):
    values, sentence = AT_ODDS[conflict]
    with pytest.raises(Refused, match=sentence):
        render(values)


def test_a_release_whose_name_is_no_host_name():
    with pytest.raises(Refused, match=r"must begin with a letter.*Set fullnameOverride"):
        render(release="2gradserve")
    assert render({"fullnameOverride": "gradserve"}, release="2gradserve")


@pytest.mark.parametrize(
    ("values", "lacking"),
    [
        ({}, "does not know RayCluster.*Install the KubeRay operator first.*ray.enabled=false"),
        (
            {"ray": {"enabled": False}, "monitoring": {"rules": {"enabled": True}}},
            "does not know ServiceMonitor and PrometheusRule.*Install the Prometheus operator first",
        ),
    ],
)
def test_a_cluster_that_lacks_an_operator_is_told(values, lacking):
    real, operators = ["apiregistration.k8s.io/v1"], ["ray.io/v1", "monitoring.coreos.com/v1"]
    with pytest.raises(Refused, match=lacking):
        render(values, helm=3, apis=real)
    assert render(values, helm=3, apis=real + operators)
    assert render(values)  # `helm template` knows of no cluster and must not complain


def documented():
    """The comment above each value, by its path."""
    found: dict[tuple[str, ...], str] = {}
    path: list[str] = []
    comment: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        words = line.strip()
        if words.startswith("#"):
            comment.append(words.removeprefix("#").strip())
        elif match := re.match(r"( *)([A-Za-z]+):", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            found[tuple(path)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def described(schema, path=()):
    """The groups and values of the schema, by path, until they are Kubernetes' own."""
    for name, part in schema.get("properties", {}).items():
        yield (*path, name), part
        if "properties" in part:
            yield from described(part, (*path, name))


OURS = {path: part for path, part in described(SCHEMA) if path != ("global",)}


def test_every_value_has_a_sentence_that_the_schema_repeats():
    comments = documented()
    told = {path: comments[path] for path in OURS}
    assert {path: part["description"] for path, part in OURS.items()} == told
    assert [path for path, sentence in told.items() if not sentence.endswith(".")] == []
    assert all(part["title"] for part in OURS.values())


def test_schema_and_values_name_the_same():
    def names(values, path=()):
        for name, value in values.items():
            yield (*path, name)
            if isinstance(value, dict) and "properties" in OURS.get((*path, name), {}):
                yield from names(value, (*path, name))

    assert set(names(VALUES)) == set(OURS)


@pytest.mark.parametrize("name", ["processes", "workers", "maxWorkers"])
def test_numbers_have_the_bounds_of_their_settings(name):
    kind: Any = SETTINGS[re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)].kind
    kind, part = getattr(kind, "of", kind), OURS["frontend", name]
    assert (part["minimum"], part["maximum"]) == (kind.least, kind.most)


def test_settings_are_those_of_the_service():
    told = "write what `python -m gradserve.service.configuration.schema` prints into values.schema.json"
    assert SCHEMA["properties"]["frontend"]["properties"]["config"]["patternProperties"] == schema(), told


GIVEN: list[Any] = [None, True, False, -1, 0, 1, 1.5, 65536, 2**62, 1e12, 1e31, [], ["RS256"], {}]
WRITTEN = [
    "",
    "no",
    "ON",
    "none",
    "-1",
    "1",
    "1.5",
    "1e3",
    "1_000",
    " 7 ",
    "4GiB",
    "4 gib",
    "30s",
    "1.5H",
    "4XB",
    "INFO",
]


@pytest.mark.parametrize("name", SETTINGS)
def test_the_schema_takes_what_the_service_takes(name):
    kind, validator = SETTINGS[name].kind, Draft7Validator(schema()[f"^{name}$"])
    taken = []
    for value in [*GIVEN, *WRITTEN]:
        with contextlib.suppress(ValueError):
            kind.read(value)
            taken.append(value)
    assert [value for value in taken if not validator.is_valid(value)] == []
    assert not validator.is_valid({})


def test_no_group_takes_names_that_it_does_not_know():
    groups = [SCHEMA, *(part for part in OURS.values() if "properties" in part)]
    assert all(group["additionalProperties"] is False for group in groups)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_production_changes_known_values_only():
    defaults, changed = merged([VALUES]), yaml.safe_load(PRODUCTION.read_text())

    def same(given, known):
        return [name for name in given if name not in known] + [
            deeper
            for name, value in given.items()
            if isinstance(value, dict) and isinstance(known.get(name), dict)
            for deeper in same(value, known[name])
        ]

    assert same(changed, defaults) == ["cpu"]  # of a worker's limits
    assert same({"fronted": {}}, defaults) == ["fronted"]


def test_versions_agree():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads(CHART.parents[2].joinpath("pyproject.toml").read_text())["project"]
    locked = CHART.parents[1].joinpath("docker", "requirements.txt").read_text()
    assert chart["appVersion"] == project["version"]
    assert f"\nray=={VALUES['ray']['version']} " in locked


def yamllint(*files):
    """What yamllint says of files, or of a text."""
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"
    command = [sys.executable, "-m", "yamllint", "--strict", "-d", rules, *files]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_yaml_is_tidy(tmp_path):
    assert yamllint(*(CHART / name for name in ("Chart.yaml", "values.yaml", "values-production.yaml"))) == ""
    untidy = tmp_path / "untidy.yaml"
    untidy.write_text("a:  1\na: 2\n")
    assert "duplication" in yamllint(untidy)


@pytest.mark.parametrize(
    ("config", "policy"),
    [
        ({"traces": "http://c:4317"}, {"enabled": True, "extraEgress": [{"to": [{"podSelector": {}}]}]}),
        ({"traces": "http://c:4317"}, {"enabled": False}),
        ({"traces": "console", "store": "file:///var/lib/x"}, {"enabled": True}),
    ],
)
def test_what_can_be_reached_is_not_refused(config, policy):
    """The planted fault of what is out of reach above."""
    assert render({"frontend": {"config": config}, "networkPolicy": policy})
