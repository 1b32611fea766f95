"""TLS of the host's API: trust and client certificate from memory, so that no key is written to a disk."""

import os
import re
import ssl

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)


def build_context(authorities: bytes, certificate: bytes = b"", key: bytes = b"") -> ssl.SSLContext:
    """Build the context for calls to a server.

    Args:
        authorities: Certificates of the CAs (PEM); none for those that this machine trusts.
        certificate: The caller's own certificate (PEM); empty for none.

    Raises:
        ssl.SSLError: One of them is not a certificate, or the key does not belong to it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As in Go: a listed CA is trusted although no listed one has signed it, and a common name is not a host name.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.hostname_checks_common_name = False
    if authorities:
        found = b"\n".join(_CERTIFICATE.findall(authorities))
        try:
            context.load_verify_locations(cadata=found.decode("ascii"))
        except ValueError:
            raise ssl.SSLError("no certificate") from None
    else:
        context.load_default_certs()
    if certificate:
        _load_certificate(context, certificate, key)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a certificate through a file in memory: OpenSSL's wrapper takes only paths."""
    descriptor = os.memfd_create("client-certificate")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(certificate + b"\n" + key)
        stream.flush()
        # With a password at hand, OpenSSL does not ask the terminal for one.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
