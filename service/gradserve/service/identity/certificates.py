"""The server's certificate, read again when its files change."""

from __future__ import annotations

import ssl
import threading

import grpc
from prometheus_client import CollectorRegistry

from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass
from gradserve.service.configuration.files import contents
from gradserve.service.configuration.identity import Tls
from gradserve.service.identity.validity import Validity, publish, tell, validity_of
from gradserve.service.identity.watched import Watched


def server_credentials(tls: Tls, registry: CollectorRegistry | None = None) -> grpc.ServerCredentials:
    """Credentials by which each new connection gets the certificate that is in the files then.

    With a `client_ca` clients must show a certificate that it has signed. The `registry` shows how long it holds.

    Raises:
        InvalidRequest: a file cannot be read, or holds something else.
    """
    paths = tuple(path for path in (tls.certificate, tls.key, tls.client_ca) if path is not None)
    files = Watched(paths, lambda: _read(tls))
    given, lock = [files.value], threading.Lock()
    if registry is not None:
        publish(registry, lambda: files.value.validity)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        with lock:
            found = files.value
            if found is given[0]:
                return None
            given[0] = found
            return found.configuration

    mutual = tls.client_ca is not None
    return grpc.dynamic_ssl_server_credentials(given[0].configuration, renewed, mutual)  # type: ignore[arg-type]  # None: as before


@dataclass(frozen=True)
class _Found:
    """What is in the files."""

    configuration: grpc.ServerCertificateConfiguration
    validity: Validity


def _read(tls: Tls) -> _Found:
    key, certificate, authority = found = _contents(tls)
    _require_certificates(tls)
    if _contents(tls) != found:  # what was looked at may be none of what is handed on
        raise InvalidRequest("the TLS files change while they are read")
    validity = validity_of(certificate)
    tell(tls.certificate, validity)
    return _Found(grpc.ssl_server_certificate_configuration([(key, certificate)], authority), validity)


def _contents(tls: Tls) -> tuple[bytes, bytes, bytes | None]:
    """The key, the certificate, and the authorities if there are any."""
    try:
        authority = contents(tls.client_ca) if tls.client_ca is not None else None
        return contents(tls.key), contents(tls.certificate), authority
    except OSError as error:
        raise InvalidRequest(f"the TLS file {error.filename} cannot be read: {error.strerror}") from None


def _require_certificates(tls: Tls) -> None:
    """Sees that the files hold what they should: gRPC says of others that it cannot listen, if it says anything.

    Raises:
        InvalidRequest: one does not; names its setting.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # how strong they have to be is gRPC's to say
    try:
        # gRPC asks nobody for the password of a key.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except ssl.SSLError as error:
        text = f"tls_certificate, {tls.certificate}, and tls_key, {tls.key}, are no certificate with its own key"
        raise InvalidRequest(
            f"{text}, both in PEM and the key not encrypted: {error.reason or 'not readable'}"
        ) from None
    try:
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
    except ssl.SSLError as error:
        text = f"tls_client_ca, {tls.client_ca}, holds no certificates of authorities in PEM: {error.reason}"
        raise InvalidRequest(text) from None
