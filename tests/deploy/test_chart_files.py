"""Files that the chart carries into the cluster: rules and dashboards unchanged, and a test that really tests."""

import datetime
import ipaddress
import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest
import yaml

from gradserve.client import Client
from gradserve.service.configuration.identity import Tls
from gradserve.service.configuration.settings import Settings
from gradserve.service.server import Server
from tests.deploy.chart import CHART, notes, render, the

pytestmark = pytest.mark.deploy
DASHBOARDS = {"monitoring": {"dashboards": {"enabled": True}}}


def test_dashboards_arrive_as_they_are():
    maps = [m for m in render(DASHBOARDS) if m["kind"] == "ConfigMap"]
    files = sorted((CHART / "files" / "dashboards").glob("*.json"))
    assert len(files) == len(maps) > 0
    for file in files:
        (found,) = (m for m in maps if file.name in m["data"])
        assert found["data"] == {file.name: file.read_text().strip()}
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert len(str(found)) < 1 << 20  # more does not fit into a ConfigMap


def test_braces_of_grafana_and_prometheus_survive(tmp_path):
    chart = tmp_path / "gradserve"
    shutil.copytree(CHART, chart)
    legend = {"legendFormat": "{{pod}} {{ .Values.ray }} {{ fail `no` }}"}
    (chart / "files" / "dashboards" / "Braces_test.json").write_text(json.dumps(legend))
    rule = {"alert": "Braces", "expr": "1", "annotations": {"summary": "{{ $labels.pod }}"}}
    (chart / "files" / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "braces", "rules": [rule]}]}))
    manifests = render(DASHBOARDS, {"monitoring": {"rules": {"enabled": True}}}, chart=chart)
    assert json.loads(the(manifests, "ConfigMap", "-braces-test")["data"]["Braces_test.json"]) == legend
    assert the(manifests, "PrometheusRule")["spec"]["groups"][0]["rules"] == [rule]


def test_rules_arrive_as_they_are():
    spec = the(render({"monitoring": {"rules": {"enabled": True}}}), "PrometheusRule")["spec"]
    assert spec == yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    assert spec["groups"]


def run_helm_test(values, address, placements=None, authority=None):
    """The command of the pod of `helm test`, run here against the service at `address`."""
    (container,) = the(render(values), "Pod", "-test")["spec"]["containers"]
    python, *arguments = container["command"]
    assert python == "python"
    env = {e["name"]: e["value"] for e in container["env"]}
    env |= {"GRADSERVE_ADDRESS": address}
    if placements:
        env["GRADSERVE_PLACEMENTS"] = placements
    if authority:
        env["GRADSERVE_CA"] = str(authority)
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def service():
    running = Server(Settings(address="127.0.0.1:0", metrics_port=0, workers=2)).start()
    yield f"127.0.0.1:{running.port}"
    running.stop(5)


def test_helm_test_passes_where_gradients_are_right(service):
    done = run_helm_test({"ray": {"enabled": False}}, service)
    assert done.returncode == 0, done.stderr
    assert "computed 8 gradients (front-end): correct" in done.stdout


def test_helm_test_fails_where_there_is_no_cluster(service):
    done = run_helm_test({}, service)  # with Ray it asks for the cluster too
    assert "(front-end): correct" in done.stdout
    assert done.returncode != 0


def test_helm_test_fails_where_nobody_answers():
    done = run_helm_test({"ray": {"enabled": False}}, "127.0.0.1:1")
    assert done.returncode != 0
    assert "127.0.0.1:1" in done.stderr


def test_helm_test_fails_where_gradients_are_wrong(service, monkeypatch):
    right = Client.function

    def slightly_wrong(client, function, /, *examples, **named):
        return right(client, lambda w: function(w) * (1 + 1e-9), *examples, **named)

    monkeypatch.setattr(Client, "function", slightly_wrong)
    monkeypatch.setenv("GRADSERVE_ADDRESS", service)
    monkeypatch.setenv("GRADSERVE_PLACEMENTS", "front-end")
    with pytest.raises(SystemExit, match="computes wrong gradients"):
        exec((CHART / "files" / "first_gradient.py").read_text(), {"__name__": "test"})


def test_helm_test_trusts_the_authority_of_the_secret(tmp_path):
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    sign_itself(certificate, key)
    settings = Settings(address="127.0.0.1:0", metrics_port=0, workers=1, tls=Tls(certificate, key))
    values = {
        "ray": {"enabled": False},
        "frontend": {"tls": {"certificate": certificate.read_text(), "key": key.read_text()}},
    }
    pod = the(render(values), "Pod", "-test")["spec"]
    assert {"name": "GRADSERVE_CA", "value": "/etc/gradserve/tls/tls.crt"} in pod["containers"][0]["env"]
    assert pod["volumes"][1]["secret"]["items"] == [{"key": "tls.crt", "path": "tls.crt"}]  # and not the key
    running = Server(settings).start()
    try:
        done = run_helm_test(values, f"127.0.0.1:{running.port}", authority=certificate)
    finally:
        running.stop(5)
    assert done.returncode == 0, done.stderr


def sign_itself(certificate, key):
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gradserve test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def test_the_program_of_the_notes_runs(service, capsys):
    program = notes().partition("python - <<'EOF'\n")[2].partition("EOF")[0].replace("localhost:50051", service)
    exec(textwrap.dedent(program), {"__name__": "notes"})
    assert capsys.readouterr().out == "[2. 4. 6.]\n"
