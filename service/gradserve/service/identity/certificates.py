"""The server's certificate, read again when its files change."""

from __future__ import annotations

import threading

import grpc

from gradserve.service.identity.watched import Watched
from gradserve.service.settings import Tls


def server_credentials(tls: Tls) -> grpc.ServerCredentials:
    """Credentials by which each new connection gets the certificate that is in the files then.

    With a `client_ca` clients must show a certificate that it has signed.

    Raises:
        OSError: a file cannot be read.
    """
    paths = tuple(path for path in (tls.certificate, tls.key, tls.client_ca) if path is not None)
    files = Watched(paths, lambda: _read(tls))
    given, lock = [files.value], threading.Lock()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        with lock:
            found = files.value
            if found is given[0]:
                return None
            given[0] = found
            return found

    mutual = tls.client_ca is not None
    return grpc.dynamic_ssl_server_credentials(given[0], renewed, mutual)  # type: ignore[arg-type]  # None: as before


def _read(tls: Tls) -> grpc.ServerCertificateConfiguration:
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    authority = tls.client_ca.read_bytes() if tls.client_ca is not None else None
    return grpc.ssl_server_certificate_configuration([pair], authority)
