"""Settings, the program's options, and TLS."""

import contextlib
import difflib
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from unittest import mock

import grpc
import pytest
import yaml

from gradserve import wire
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.limits import GraphLimits
from gradserve.ir.quantities import Count, Quantity
from gradserve.jobs.sweeps.limits import Limits
from gradserve.runtime.memory import memory_limit
from gradserve.service.__main__ import main
from gradserve.service.configuration import described
from gradserve.service.configuration.command_line import configuration_of, settings_of
from gradserve.service.configuration.described import value_of
from gradserve.service.configuration.identity import Oidc, Tls
from gradserve.service.configuration.kinds import Switch, Words
from gradserve.service.configuration.reading import SETTINGS
from gradserve.service.configuration.settings import GROUPS, SERVED, Settings
from gradserve.service.identity.certificates import server_credentials
from gradserve.v1 import derivative_service_pb2 as pb
from tests.certificates import self_signed
from tests.service.support import Stubs, call_of, refusal


def test_defaults_serve_this_machine_alone():
    assert settings_of([]) == Settings(ray=True)
    assert Settings().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "host"),
    [("0.0.0.0:1", "0.0.0.0"), ("[::1]:50051", "::1"), ("localhost:0", "localhost"), ("unix:/tmp/x:y", "127.0.0.1")],
)
def test_metrics_are_on_the_same_host(address, host):
    assert Settings(address=address).host == host


def test_threads_are_enough_for_all_that_run_or_wait():
    assert Settings(max_in_flight=10, max_queued=5).handler_threads > 15
    assert Settings(threads=3).handler_threads == 3


def test_what_is_kept_fits_into_the_memory():
    small = Settings().within(1 << 30)
    kept = small.max_in_flight_bytes + small.max_unread_bytes + small.graph_store_bytes
    kept += 2 * small.plan_bytes + small.blob_store_bytes
    assert kept <= 1 << 29
    assert Settings().within(1 << 40) == Settings()


def test_options():
    words = (
        "--address 0.0.0.0:1 --metrics-port -1 --workers 3 --no-ray --ray-address auto --max-in-flight 5 --grace 1.5 "
        "--max-seconds 60 --log-level ERROR --tls-certificate c.pem --tls-key k.pem"
    )
    assert settings_of(words.split()) == Settings(
        address="0.0.0.0:1",
        metrics_port=None,
        workers=3,
        ray=False,
        ray_address="auto",
        max_in_flight=5,
        grace=1.5,
        max_seconds=60.0,
        log_level="ERROR",
        tls=Tls(Path("c.pem"), Path("k.pem")),
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--tls-key", "k.pem"],
        ["--workers", "many"],
        *map(
            str.split,
            ("--address 127.0.0.1:99999", "--address localhost", "--address :1", "--address http://h:1"),
        ),
        *map(str.split, ("--metrics-port 65536", "--max-in-flight 0", "--grace -1", "--max-seconds nan")),
        *map(
            str.split,
            ("--workers 0", "--workers 2 --max-workers 1", "--ray-address auto --ray-join h:1", "--frobnicate"),
        ),
    ],
)
def test_options_that_make_no_sense(options, capsys):
    with pytest.raises(SystemExit) as ended:
        settings_of(options)
    assert ended.value.code == 2
    assert "usage: gradserve serve" in capsys.readouterr().err


def test_a_taken_port_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--no-ray", "--address", "127.0.0.1:0", "--metrics-port", str(port)]) == 1
        assert f"the metrics page cannot be on 127.0.0.1:{port}: Address already in use" in capsys.readouterr().err
        assert main(["--no-ray", "--address", f"127.0.0.1:{port}", "--metrics-port", "-1"]) == 1
        assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["127.0.0.1:65536", "localhost", "50051", ":50051", "http://h:1", "h:1/", "", "[::]"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidRequest, match="no address to listen on; write host:port"):
        Settings(address=address)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::1]:65535", "unix:/tmp/x", "unix-abstract:x", "host.local:50051"])
def test_addresses(address):
    assert Settings(address=address).address == address


def test_certificate_that_cannot_be_read(capsys):
    missing = ["--tls-certificate", "/nowhere/c.pem", "--tls-key", "/nowhere/k.pem"]
    assert main(["--no-ray", "--address", "127.0.0.1:0", "--metrics-port", "-1", *missing]) == 1
    assert "/nowhere/" in capsys.readouterr().err


def other_key(tls, folder):
    return replace(tls, key=self_signed(folder).key)


def no_certificate(tls, folder):
    (folder / "words.pem").write_text("words")
    return replace(tls, certificate=folder / "words.pem")


def locked_key(tls, folder):
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(tls.key.read_bytes(), None)
    lock = serialization.BestAvailableEncryption(b"secret")
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    (folder / "locked.pem").write_bytes(key.private_bytes(*encoding))
    return replace(tls, key=folder / "locked.pem")


def no_authority(tls, folder):
    return replace(tls, client_ca=tls.key)


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (other_key, "are no certificate with its own key"),
        (no_certificate, "are no certificate with its own key"),
        (locked_key, "the key not encrypted"),
        (no_authority, "holds no certificates of authorities in PEM"),
    ],
)
def test_files_that_are_no_certificates_are_named(certificate, spoilt, told, tmp_path):
    """gRPC would say that it cannot listen."""
    server_credentials(certificate)
    with pytest.raises(InvalidRequest, match=told) as refused:
        server_credentials(spoilt(certificate, tmp_path))
    assert "tls_" in refused.value.message
    assert str(tmp_path) in refused.value.message or spoilt is no_authority


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--address nohost.invalid:0", "cannot listen on nohost.invalid:0: "),
        ("--address 192.0.2.1:0", "cannot listen on 192.0.2.1:0: Cannot assign requested address"),
        ("--address unix:/nowhere/s", "/nowhere is no folder for a Unix socket of ours: No such file"),
        ("--metrics-port 0 --metrics-host nohost.invalid", "give another --metrics-host"),
        ("--traces nope://collector:4317", "traces: 'nope://collector:4317' is no place of a collector"),
        ("--traces http://", "traces: 'http://' is no place of a collector"),
        ("--store s3:/bucket", "the store 's3:/bucket' is half a URL: write s3://bucket, or ./s3:/bucket for a folder"),
        ("--store memory:bucket/x", "write memory://bucket/x, or ./memory:bucket/x"),
        ("--store file:/srv/store", "write file:///srv/store, or ./file:/srv/store"),
        ("--store ~nobody-knows-him/store", "cannot be kept in ~nobody-knows-him/store: "),
    ],
)
def test_one_line_says_where_nothing_can_be(words, told, capfd):
    """Without gRPC's own lines, which it would write of some."""
    plain = "--no-ray --address 127.0.0.1:0 --metrics-port -1 --store none"
    assert main([*plain.split(), *words.split()]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("gradserve: ")
    assert told in line


def test_help_names_every_option():
    command = [sys.executable, "-m", "gradserve.service", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for option in ("--address", "--metrics-port", "--workers", "--no-ray", "--grace", "--tls-key"):
        assert option in text
    assert "(default: None)" not in text
    assert "(default: 127.0.0.1:50051)" in " ".join(text.split())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_tls(start, certificate):
    server, plain = start(tls=certificate)
    request = pb.GradientRequest(call=call_of())
    trusted = grpc.ssl_channel_credentials(certificate.certificate.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{server.port}", trusted) as channel:
        reply = Stubs(channel).derivatives.Gradient(request, timeout=10)
        assert wire.decode_tensor(reply.value) == 14.0
    assert refusal(lambda: plain.derivatives.Gradient(request, timeout=10)).code is grpc.StatusCode.UNAVAILABLE
    with grpc.secure_channel(f"127.0.0.1:{server.port}", grpc.ssl_channel_credentials()) as channel:
        refused = refusal(lambda: Stubs(channel).derivatives.Gradient(request, timeout=10))
        assert refused.code is grpc.StatusCode.UNAVAILABLE


# ---- one description, four places


SECTIONS = {Limits: "", GraphLimits: "graph_", Tls: "tls_", Oidc: "oidc_"}


def test_every_field_is_a_setting_and_explained():
    own = {field.name for field in fields(Settings)} - {"limits", "graph_limits", "tls", "oidc"}
    nested = {prefix + field.name for cls, prefix in SECTIONS.items() for field in fields(cls)}
    assert set(SETTINGS) == own | nested
    assert len(SETTINGS) == len(own) + sum(len(fields(cls)) for cls in SECTIONS)  # no two share a name
    assert [name for name, setting in SETTINGS.items() if not setting.help or not setting.group] == []


def test_planted_fields_that_cannot_be_settings_are_found():
    @dataclass
    class Planted:
        unexplained: int = 3
        unbounded: Count = 3

    with pytest.raises(TypeError, match="a setting cannot be <class 'int'>"):
        described.settings_of(Planted, ())
    del Planted.__annotations__["unexplained"], Planted.__dataclass_fields__["unexplained"]
    assert described.settings_of(Planted, ())["unbounded"].help == ""


def text_of(setting):
    """Some value that is not the default, as a text, and what it means."""
    if isinstance(setting.kind, Switch):
        return ("no", False) if SERVED.get(setting.name, setting.default) else ("yes", True)
    if isinstance(setting.kind, Words):
        return ("RS512, ES512", ("RS512", "ES512"))
    kind = getattr(setting.kind, "of", setting.kind)
    if isinstance(kind, Quantity):
        return ("0.5", 0.5) if kind.most == 1 else ("77", 77)
    if kind.choices:
        return (kind.choices[0], kind.choices[0])
    return ("127.0.0.1:77", "127.0.0.1:77") if kind.made is str else ("a.pem", Path("a.pem"))


COMPANIONS = {
    **{name: "tls_certificate tls_key" for name in SETTINGS if name.startswith("tls_")},
    **{name: "oidc_issuer oidc_audience" for name in SETTINGS if name.startswith("oidc_")},
}
"""What a setting cannot be without."""


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_in_every_place(name, tmp_path):
    setting, file = SETTINGS[name], tmp_path / "settings.yaml"
    text, value = text_of(setting)
    word = [setting.flag.replace("--", "--no-") if text == "no" else setting.flag]
    word += [] if isinstance(setting.kind, Switch) else [text]
    with_it = dict.fromkeys(set(COMPANIONS.get(name, "").split()) - {name}, "b.pem")
    file.write_text("".join(f"{key}: {each}\n" for key, each in {name: text, **with_it}.items()))
    environment = {SETTINGS[key].variable: each for key, each in {name: text, **with_it}.items()}
    more = [each for key, path in with_it.items() for each in (SETTINGS[key].flag, path)]
    for found in (
        configuration_of([*word, *more], {}),
        configuration_of([], environment),
        configuration_of(["--config", str(file)], {}),
        configuration_of([], {"GRADSERVE_CONFIG": str(file)}),
    ):
        assert value_of(found.settings, setting) == value
        assert found.sources[name] != "default"
        assert {found.sources[key] for key in SETTINGS if key != name and key not in with_it} == {"default"}


def test_flags_before_environment_before_file_before_defaults(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("lanes: 5\nprobes: 5\npoints: 5\n")
    environment = {"GRADSERVE_LANES": "6", "GRADSERVE_PROBES": "6", "PATH": "/bin", "GRADSERVE_DATA": "/data"}
    found = configuration_of(["--config", str(file), "--lanes=7"], environment)
    assert (found.settings.lanes, found.settings.limits.probes, found.settings.limits.points) == (7, 6, 5)
    names = ("lanes", "probes", "points", "directions")
    assert [found.sources[name] for name in names] == ["flag", "environment", str(file), "default"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("peak_bytes", "64MiB", 64 << 20),
        ("peak_bytes", "64 mib", 64 << 20),
        ("peak_bytes", "64Mi", 64 << 20),
        ("peak_bytes", "1GB", 10**9),
        ("peak_bytes", "1.5KiB", 1536),
        ("peak_bytes", "1_000", 1000),
        ("peak_bytes", "9007199254740993", 2**53 + 1),
        ("grace", "30s", 30.0),
        ("grace", "1.5h", 5400.0),
        ("grace", "250ms", 0.25),
        ("grace", "2", 2.0),
        ("flops", "2e15", 2e15),
        ("points", "1e6", 10**6),
        ("max_connection_age", "none", None),
        ("metrics_port", "-1", None),
        ("ray", "off", False),
    ],
)
def test_numbers_with_units(name, text, value, tmp_path):
    found = value_of(configuration_of([], {SETTINGS[name].variable: text}).settings, SETTINGS[name])
    assert found == value
    assert type(found) is type(value)
    file = tmp_path / "settings.yaml"
    file.write_text(f"{name}: {text}\n")  # where YAML itself makes numbers of some
    assert value_of(configuration_of(["--config", str(file)], {}).settings, SETTINGS[name]) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_in_fligth: 3", "'max_in_fligth' is no setting; the nearest is max_in_flight"),
        ("lanes: many", "lanes: 'many' is no number from 1"),
        ("lanes: 1.5", "lanes: 1.5 is not a whole number from 1"),
        ("lanes: true", "lanes: True is no number from 1"),
        ("lanes: [1]", "lanes: [1] is no number from 1"),
        ("lanes: null", "lanes: None is no number from 1"),
        ("lanes: 0", "lanes: 0 is out of bounds: a number from 1 is at least 1"),
        ("workers: 100000", "workers: 100000 is out of bounds: a number from 1 is from 1 to 1024"),
        ("processes: 257", "processes: 257 is out of bounds: a number from 1 is from 1 to 256"),
        ("lanes: 2\nlanes: 3", "'lanes' is there twice"),
        ("grace: 3parsecs", "grace: '3parsecs' is no number of seconds, such as 30s"),
        ("peak_bytes: .inf", "peak_bytes: inf is no number of bytes"),
        ("address: 7", "address: 7 is no text"),
        ("log_level: LOUD", "log_level: 'LOUD' is none of DEBUG, INFO, WARNING, ERROR"),
        ("ray: perhaps", "ray: 'perhaps' is neither true nor false"),
        ("tls_key: k.pem", "tls_key is there without tls_certificate: they go together"),
        ("metrics_port: 65536", "65536 is out of bounds: a port is from 0 to 65535"),
        ("- 1", "is no mapping from names of settings"),
        ("{", "is no YAML"),
        ("address: !!python/object/apply:os.getcwd []", "is no YAML"),
        ("1: 2", "1 is no setting"),
        ("[" * 3000, "nests too deep"),
        ("lanes: " + "9" * 5000, "is no YAML: Exceeds the limit"),
        ("lanes: &a [*a]", "the alias *a stands where a value should"),
        (f"lanes: [&l0 [1, 1], {', '.join(f'&l{k + 1} [*l{k}, *l{k}]' for k in range(40))}]", "the alias *l0"),
    ],
)
def test_one_line_says_what_is_wrong_in_a_file(text, told, tmp_path, capsys):
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    said = refused_line(["--config", str(file)], {}, capsys)
    assert told in said
    assert str(file) in said or "go together" in told


def test_a_file_of_unknown_names_is_read_up_to_the_first(tmp_path, capsys, monkeypatch):
    made = mock.Mock(wraps=yaml.SafeLoader.compose_scalar_node)
    compared = mock.Mock(wraps=difflib.get_close_matches)
    monkeypatch.setattr(yaml.SafeLoader, "compose_scalar_node", lambda *given: made(*given))
    monkeypatch.setattr(difflib, "get_close_matches", compared)
    file = tmp_path / "settings.yaml"
    file.write_text("lanes: 2\n" + "".join(f"lanes{k}: 1\n" for k in range(100_000)))
    assert "'lanes0' is no setting; the nearest is lanes" in refused_line(["--config", str(file)], {}, capsys)
    assert (made.call_count, compared.call_count) == (3, 1)


def test_names_within_a_value_are_compared_with_few_others(tmp_path, capsys, monkeypatch):
    compared = []

    class Name(str):
        def __eq__(self, other):
            compared.append(1)
            return str(self) == str(other)

        __hash__ = str.__hash__

    read = yaml.SafeLoader.construct_scalar
    monkeypatch.setattr(yaml.SafeLoader, "construct_scalar", lambda *given: Name(read(*given)))
    file, count = tmp_path / "settings.yaml", 3000
    file.write_text("address: {" + ", ".join(f"a{k}: b" for k in range(count)) + "}")
    assert "is no text" in refused_line(["--config", str(file)], {}, capsys)
    assert len(compared) < 2 * count


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["--max-inflight=3"], {}, "--max-inflight=3 is no option; the nearest is --max-in-flight"),
        (["--max-in", "3"], {}, "--max-in is no option"),  # no abbreviations: another setting may come to begin so
        (["lanes"], {}, "lanes is no option"),
        (["--lanes"], {}, "--lanes: expected one argument"),
        (["--lanes", "x"], {}, "--lanes: 'x' is no number from 1"),
        (["--threads", "1e400"], {}, "--threads: '1e400' is out of bounds: a number from 1 is from 1 to 32768"),
        (["--threads", "9" * 400], {}, "is out of bounds"),
        (["--grace", "9" * 400], {}, "is out of bounds"),
        (["--grace", "1e300d"], {}, "--grace: '1e300d' is out of bounds: a number of seconds is from 0 to 1e+09"),
        (["--flops", "1e400"], {}, "--flops: '1e400' is out of bounds"),
        (["--quota-flops", "0"], {}, "--quota-flops: '0' is out of bounds: a number from 1 is at least 1"),
        (["--quota-bytes", "0.5"], {}, "--quota-bytes: '0.5' is out of bounds"),
        (["--max-message-bytes", "2GiB"], {}, "--max-message-bytes: '2GiB' is out of bounds"),
        (["--max-connection-age", "0"], {}, "a number of seconds is at least 0.001"),
        (["--max-seconds", "0"], {}, "a number of seconds is at least 0.001"),
        (["--log-level", "x" * 5000], {}, f"'{'x' * 63}…' is none of DEBUG"),
        (["--metrics-host", "a\nb"], {}, r"--metrics-host: 'a\nb' holds a control character"),
        (["--tls-key", "a\0b"], {}, r"--tls-key: 'a\x00b' holds a control character"),
        (["--workers", "100000"], {}, "--workers: '100000' is out of bounds: a number from 1 is from 1 to 1024"),
        ([], {"GRADSERVE_MAX_WORKERS": "1025"}, "GRADSERVE_MAX_WORKERS: '1025' is out of bounds"),
        ([], {"GRADSERVE_PROCESSES": "100000"}, "'100000' is out of bounds: a number from 1 is from 1 to 256"),
        (["--lanes", "32769"], {}, "--lanes: '32769' is out of bounds"),
        ([], {"GRADSERVE_ADDRESS": "x" * 5000}, f"'{'x' * 63}…' is no address to listen on"),
        ([], {"GRADSERVE_LANES": ""}, "GRADSERVE_LANES: '' is no number from 1"),
        ([], {"GRADSERVE_MAX_INFLIGHT": "3"}, "GRADSERVE_MAX_INFLIGHT is no setting; the nearest is GRADSERVE_MAX_IN_"),
        (["--config", "/nowhere/s.yaml"], {}, "/nowhere/s.yaml cannot be read"),
    ],
)
def test_one_line_says_what_is_wrong(arguments, environment, told, capsys):
    assert told in refused_line(arguments, environment, capsys)


@pytest.mark.parametrize("age", [1e-3, 3e6, 1e9])
def test_connections_of_any_age(start, age):
    """gRPC counts their milliseconds by 32 bits."""
    server, _ = start(max_connection_age=age)
    assert server.port


def refused_line(arguments, environment, capsys):
    with pytest.raises(SystemExit) as ended:
        configuration_of(arguments, environment)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_printed_settings_are_a_file_of_the_same_settings(tmp_path):
    words = "--peak-bytes 1000000001 --grace 1.25 --tls-certificate c.pem --tls-key k.pem --flops 3e14 --no-ray"
    command = [sys.executable, "-m", "gradserve.service", *words.split(), "--print-config"]
    environment = {**os.environ, "GRADSERVE_PROBES": "7"}
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment).stdout
    for line in ("peak_bytes: 1000000001  # flag", "probes: 7  # environment", "points: 1000000  # default"):
        assert line in text.splitlines()
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    memory = memory_limit()
    expected = settings_of([*words.split(), "--probes", "7"]).within(memory)
    assert settings_of(["--config", str(file)]) == expected
    unset = {line.removeprefix("# ").removesuffix(": not set") for line in text.splitlines() if "not set" in line}
    assert set(yaml.safe_load(text)) | unset == set(SETTINGS)
    assert unset == {name for name in SETTINGS if name.startswith("oidc_")}


@pytest.mark.parametrize("setting", ["config", "token-file", "metrics-token-file"])
def test_a_file_without_an_end_is_told(setting):
    """It was read until the machine had no memory left."""
    command = [sys.executable, "-m", "gradserve.service", "--no-ray", "--address", "127.0.0.1:0", "--metrics-port", "0"]
    command += ["--store", "none", f"--{setting}", "/dev/zero"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in {1, 2}
    assert "it has more than 32 MiB, or no end: '/dev/zero'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", [["serve", "--print-config"], ["token", "new", "--name", "dora"]])
def test_commands_take_no_modules_from_the_folder_that_they_are_started_in(tmp_path, command):
    """Where anybody may write to it, anybody's code would run as the service's user."""
    for name in ("http", "token", "queue", "socket", "yaml", "grpc", "numpy", "asyncio"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('code of a stranger')")
    script = Path(sys.executable).with_name("gradserve")
    done = subprocess.run([script, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "stranger" in done.stderr) == (0, False), done.stderr


def test_other_variables_are_left_alone():
    words = "CA COMPILE DATA IMAGES KERNELS PLACEMENTS TAG BIND SERVICE_HOST PORT_50051_TCP_ADDR HEADLESS_SERVICE_PORT "
    words += "CLIENT_TOKEN CLIENT_TOKEN_FILE CLIENT_TLS CLIENT_CA CLIENT_CERTIFICATE CLIENT_KEY CLIENT_SERVER_NAME "
    words += "CLIENT_ALLOW_PLAIN_TOKEN"
    assert settings_of([], {f"GRADSERVE_{word}": "x" for word in words.split()}) == settings_of([])


def test_what_the_memory_lowers_is_told():
    found = configuration_of(["--blob-store-bytes", "4GiB"], {}).within(1 << 30)
    assert found.settings.blob_store_bytes == 3 << 26
    assert "blob_store_bytes: 192MiB  # flag, lowered to fit into the memory" in found.text().splitlines()


def test_help_teaches_in_groups():
    command = [sys.executable, "-m", "gradserve.service", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert [title for _, title in GROUPS if f"\n{title}:\n" not in text] == []
    assert [setting.flag for setting in SETTINGS.values() if setting.flag not in text] == []


WRONG = [-1, 0.5, float("nan"), float("inf"), 10**30, "1GiB", "", "a\nb", b"x", True, [], {}, object()]


def of_type(value, hint):
    """Whether a value is of a field's type: by the standard library alone, which knows nothing of bounds."""
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    choices = get_args(bare)
    if get_origin(bare) is Literal:
        return value in choices
    if choices and get_origin(bare) is not tuple:
        return any(of_type(value, choice) for choice in choices)
    if bare in (int, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, get_origin(bare) or bare)


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_settings_of_a_program_are_looked_at_as_well(name):
    hint: Any = get_type_hints(Settings, include_extras=True)[name]
    for value in WRONG:
        made: Settings | None = None
        with contextlib.suppress(InvalidRequest):
            given: dict[str, Any] = {name: value}
            made = Settings(**given)
        assert made is None or of_type(value, hint), value
    Settings(**{name: getattr(Settings(), name)})


made: Any = Settings
"""As a program makes them whom no checker of types has looked at."""


def _oidc(**more: Any) -> Oidc:
    return Oidc("http://a", "b", **more)


@pytest.mark.parametrize(
    ("made_of", "told"),
    [
        (lambda: made(metrics_port=-1), "metrics_port: -1 is out of bounds: a port is"),
        (lambda: made(metrics_port=65536), "metrics_port: 65536 is out of bounds"),
        (lambda: made(metrics_host=""), "metrics_host: it is empty; write 127.0.0.1, or 0.0.0.0"),
        (lambda: made(metrics_host="localhost:9464"), "metrics_host: 'localhost:9464' is no host; write 127.0.0.1"),
        (lambda: made(metrics_host="no such host"), "metrics_host: 'no such host' is no host; write"),
        (lambda: made(metrics_host="[::1"), "metrics_host: '[::1' is no host"),
        (lambda: made(metrics_host="http://h"), "metrics_host: 'http://h' is no host"),
        (lambda: made(grace=float("nan")), "grace: nan is no number of seconds, such as 30s"),
        (lambda: made(store_bytes=float("inf")), "store_bytes: inf is no number of bytes"),
        (lambda: made(lanes=1.5), "lanes: 1.5 is not a whole number"),
        (lambda: made(traces=""), "traces: it is empty; None is nothing"),
        (lambda: made(tls=7), "tls: 7 is no Tls"),
        (lambda: made(limits=Limits(points=-1)), "points: -1 is out of bounds"),
        (
            lambda: made(oidc=_oidc(algorithms=("none",))),
            "oidc_algorithms: 'none' is none of RS256",
        ),
        (lambda: made(oidc=_oidc(leeway=1e12)), "oidc_leeway: 1000000000000.0 is out of bounds"),
    ],
)
def test_one_line_says_what_is_wrong_in_a_program(made_of, told):
    with pytest.raises(InvalidRequest) as caught:
        made_of()
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


EMPTY = ["ray_join", "token_file", "traces", "metrics_token_file", "metrics_host", "tls_client_ca", "oidc_role"]


@pytest.mark.parametrize("name", EMPTY)
def test_variables_that_are_empty_are_told(name, capsys):
    with pytest.raises(SystemExit):
        configuration_of([], {f"GRADSERVE_{name.upper()}": ""})
    assert name in capsys.readouterr().err.lower()
