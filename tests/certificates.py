"""Certificates for services of tests."""

from __future__ import annotations

import datetime
import ipaddress
import tempfile
from pathlib import Path
from typing import Any

import pytest

from gradserve.service.configuration.identity import Tls


class Authority:
    """An authority of a test's own, which signs certificates of servers and clients."""

    def __init__(self, folder: Path) -> None:
        """Its certificate, and those that it signs, are files of the folder."""
        self._folder = folder
        self._x509 = pytest.importorskip("cryptography.x509")
        self._key = _new_key()
        self._name = self._named("gradserve test authority")
        limits = self._x509.BasicConstraints(ca=True, path_length=None)
        own = self._builder(self._name, self._key, in_days(1)).add_extension(limits, critical=True)
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(self._pem(own))

    def signed(self, name: str, until: datetime.datetime | None = None, since: datetime.datetime | None = None) -> Tls:
        """The files of a new certificate of that name, for 127.0.0.1, and of its key."""
        key = _new_key()
        names = [self._x509.DNSName(name), self._x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = self._builder(self._named(name), key, until or in_days(1), since)
        signed = self._pem(builder.add_extension(self._x509.SubjectAlternativeName(names), critical=False))
        place = Path(tempfile.mkdtemp(dir=self._folder))
        tls = Tls(place / "certificate.pem", place / "key.pem")
        tls.certificate.write_bytes(signed)
        tls.key.write_bytes(_key_pem(key))
        return tls

    def _named(self, name: str) -> Any:
        return self._x509.Name([self._x509.NameAttribute(self._x509.NameOID.COMMON_NAME, name)])

    def _builder(self, subject: Any, key: Any, until: datetime.datetime, since: datetime.datetime | None = None) -> Any:
        return (
            self._x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(self._x509.random_serial_number())
            .not_valid_before(since or in_days(-2))
            .not_valid_after(until)
        )

    def _pem(self, builder: Any) -> bytes:
        from cryptography.hazmat.primitives import hashes, serialization

        made: bytes = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        return made


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made: bytes = key.private_bytes(*encoding)
    return made


def in_days(days: float) -> datetime.datetime:
    """So many days from now."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)


def self_signed(folder: Path, name: str = "localhost", since: float = -1.0, until: float = 1.0) -> Tls:
    """The files of a certificate for 127.0.0.1 and for a name, and of its key; days from now that it is good for."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization

    key = _new_key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gradserve test")])
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(name)]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(in_days(since))
        .not_valid_after(in_days(until))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    tls = Tls(folder / "certificate.pem", folder / "key.pem")
    tls.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    tls.key.write_bytes(_key_pem(key))
    return tls
