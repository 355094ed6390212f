"""The metrics page: who may read it, and that nobody can keep it from others for long."""

import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry, Gauge

from gradserve.ir.errors import InvalidRequest
from gradserve.service.configuration.settings import Settings
from gradserve.service.identity.watched import LOOK_SECONDS
from gradserve.service.monitoring import page


@pytest.fixture
def shown():
    """Starts pages that end with the test; answers their addresses."""
    with ExitStack() as running:

        def begin(**more):
            registry = CollectorRegistry()
            Gauge("answer", "The answer.", registry=registry).set(42)
            settings = Settings(metrics_port=0, **more)
            return f"http://127.0.0.1:{page.start_page(running, settings, registry)}/metrics"

        yield begin


def read(url, token=None, scheme="Bearer"):
    headers = {} if token is None else {"Authorization": f"{scheme} {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_page_is_for_this_machine_alone_unless_told():
    assert Settings(address="0.0.0.0:50051").metrics_host == "127.0.0.1"


def test_who_reads_is_asked_nothing_unless_told(shown):
    status, text = read(shown())
    assert status == 200
    assert "answer 42.0" in text


def test_who_does_not_bear_the_token_is_told_to(shown, tmp_path):
    file = tmp_path / "token"
    file.write_text("secret\n")
    url = shown(metrics_token_file=file)
    assert read(url, "secret")[0] == 200
    assert "answer 42.0" in read(url, "secret", "bearer")[1]
    for wrong in (None, "", "secre", "secret2", "SECRET", "ä"):
        status, text = read(url, wrong and wrong.encode().decode("latin-1"))
        assert (status, "answer" in text, "secret" in text) == (401, False, False)
    assert read(url, "secret", "Basic")[0] == 401
    assert read(url.replace("/metrics", page.ALIVE)) == (200, "OK\n")  # for probes, which know no secrets
    file.write_text("another")
    until = time.monotonic() + 10 * LOOK_SECONDS
    while read(url, "another")[0] != 200 and time.monotonic() < until:
        time.sleep(0.05)
    assert (read(url, "another")[0], read(url, "secret")[0]) == (200, 401)


def test_a_token_that_is_not_there_is_told_at_once(shown, tmp_path):
    with pytest.raises(InvalidRequest, match="cannot be read"):
        shown(metrics_token_file=tmp_path / "none")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InvalidRequest, match="holds no token"):
        shown(metrics_token_file=tmp_path / "empty")


def test_a_host_that_is_none_is_told(shown):
    with pytest.raises(OSError, match=r"the metrics page cannot be on nohost\.invalid:0"):
        shown(metrics_host="nohost.invalid")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6(shown, host):
    url = shown(metrics_host=host)
    assert read(url.replace("127.0.0.1", "[::1]"))[0] == 200


def test_the_silent_hold_it_for_a_while_alone(shown, monkeypatch):
    monkeypatch.setattr(page._Handler, "timeout", 1.0)
    url = shown()
    port = int(url.rpartition(":")[2].partition("/")[0])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(4 * page.MOST_AT_ONCE)]
    until = time.monotonic() + 20
    status = 0
    while status != 200 and time.monotonic() < until:
        try:
            status, _ = read(url)
        except OSError:  # cut off: all are taken
            time.sleep(0.1)
    assert status == 200
    for each in silent:
        each.close()


def test_those_who_ask_letter_by_letter_are_in_nobodys_way(shown):
    """They are never silent for long, and held the page for as long as they liked."""
    url = shown()
    port = int(url.rpartition(":")[2].partition("/")[0])
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(page.MOST_AT_ONCE)]
    for each in slow:
        each.sendall(b"GET / HTTP/1.1\r\nX: a")
    assert [read(url)[0] for _ in range(3)] == [200] * 3
    for each in slow:
        each.close()


@pytest.mark.parametrize("version", ["a", "1" * 5000, "1.0.0;escaping=?", "\xff"], ids=len)
def test_what_is_accepted_may_make_no_sense(shown, version):
    asked = urllib.request.Request(shown(), headers={"Accept": f"application/openmetrics-text;version={version}"})
    with urllib.request.urlopen(asked, timeout=10) as reply:
        assert (reply.status, b"answer" in reply.read()) == (200, True)
