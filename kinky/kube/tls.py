"""TLS of the host's API: CA and client certificate come from memory, so no key is written to a disk."""

import os
import re
import ssl

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)


def build_context(cas: bytes, certificate: bytes = b"", key: bytes = b"") -> ssl.SSLContext:
    """Build the context for calls to a server.

    Args:
        cas: Certificates of the CAs (PEM); empty for the CAs that this machine trusts.
        certificate: The caller's own certificate (PEM); empty for none.

    Raises:
        ssl.SSLError: One of them is not a certificate, or the key does not belong to it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As in Go: a listed CA is trusted even if no other listed CA signed it, and a common name is not a host name.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.hostname_checks_common_name = False
    if cas:
        found = b"\n".join(_CERTIFICATE.findall(cas))
        try:
            context.load_verify_locations(cadata=found.decode("ascii"))
        except ValueError:
            raise ssl.SSLError("no certificate") from None
    else:
        context.load_default_certs()
    if certificate:
        _load_certificate(context, certificate, key)
    return context


def check_certificate(certificate: bytes, key: bytes) -> None:
    """Raise ssl.SSLError when the first is not a certificate, or the key does not belong to it; empty ones are right.

    No server is verified, so the CAs of this machine are not loaded: that takes some 20 ms.
    """
    if certificate:
        _load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key)


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a certificate through a file in memory: OpenSSL's wrapper takes only paths."""
    descriptor = os.memfd_create("client-certificate")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(certificate + b"\n" + key)
        stream.flush()
        # With a given password, OpenSSL does not ask for one on the terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
