"""The server's certificate: how long it holds, in the log and among the metrics."""

from __future__ import annotations

import math
import time

import pytest

from gradserve.service.identity.validity import validity_of
from tests.certificates import Authority, in_days
from tests.service.test_identity import until


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(
    ("begins", "ends", "level", "told"),
    [
        (-400, -2, "ERROR", "ended on {ends}: clients refuse it"),
        (2, 400, "ERROR", "begins on {begins}: clients refuse it until then"),
        (-80, 6.9, "WARNING", "ends on {ends}: clients will refuse it"),
        (-1, 0.1, "WARNING", "ends on {ends}: clients will refuse it"),
        (-1, 0.2, None, None),
        (-80, 7.1, None, None),
        (-4000, 8, None, None),
    ],
)
def test_a_certificate_that_clients_refuse_or_soon_will_is_told(start, authority, caplog, begins, ends, level, told):
    tls = authority.signed("server", in_days(ends), in_days(begins))
    start(tls=tls)
    lines = [record for record in caplog.records if "tls_certificate" in record.getMessage()]
    if told is None:
        assert not lines
        return
    (line,) = lines
    days = {"begins": f"{in_days(begins):%Y-%m-%d %H:%M} UTC", "ends": f"{in_days(ends):%Y-%m-%d %H:%M} UTC"}
    assert line.levelname == level
    assert line.getMessage().startswith(f"tls_certificate, {tls.certificate}, {told.format(**days)}")


def test_when_the_certificate_ends_is_a_metric_that_follows_the_file(start, authority, caplog):
    tls, renewed = authority.signed("server", in_days(-1)), authority.signed("server", in_days(90))
    server, _ = start(tls=tls)

    def told(name):
        return server.metrics.registry.get_sample_value(f"gradserve_certificate_{name}_timestamp_seconds")

    def ends():
        return told("not_after") - time.time()

    assert ends() == pytest.approx(-86_400, abs=60)
    assert time.time() - told("not_before") == pytest.approx(2 * 86_400, abs=60)
    tls.certificate.write_bytes(renewed.certificate.read_bytes() + authority.certificate.read_bytes())
    tls.key.write_bytes(renewed.key.read_bytes())
    until(lambda: ends() > 0)
    assert ends() == pytest.approx(86_400, abs=60)  # of the authority, whose certificate is in the chain
    assert sum("clients refuse it" in record.getMessage() for record in caplog.records) == 1


def test_without_a_certificate_there_is_no_metric_of_it(start):
    server, _ = start()
    assert server.metrics.registry.get_sample_value("gradserve_certificate_not_after_timestamp_seconds") is None


def test_what_is_no_certificate_ends_at_no_time():
    found = validity_of(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert math.isnan(found.ends)
    assert found.fault(time.time()) == ""
