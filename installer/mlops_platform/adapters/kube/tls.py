"""TLS of a client with many threads."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from urllib3.util.ssl_ import ALPN_PROTOCOLS


class SharedTls(ssl.SSLContext):
    """TLS of a client, for connections that several threads open.

    urllib3 sets the ALPN list again for each connection. OpenSSL frees the old list, while another thread
    copies it into its first message without Python's lock: the server then refuses with a "decode error".
    https://docs.openssl.org/3.0/man3/SSL_CTX_set_alpn_select_cb/
    """

    _protocols: tuple[str, ...] = ()

    @classmethod
    def of_client(cls, authorities: str | Path | None) -> Self:
        """A context that verifies certificate and name of a server, by a file or by the system's authorities.

        Raises OSError, also for a file without a certificate.
        """
        tls = cls(ssl.PROTOCOL_TLS_CLIENT)
        tls.set_alpn_protocols(ALPN_PROTOCOLS)
        if authorities:
            tls.load_verify_locations(authorities)
        else:
            tls.load_default_certs()
        return tls

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        wanted = tuple(alpn_protocols)
        if wanted != self._protocols:
            super().set_alpn_protocols(wanted)
            self._protocols = wanted
