"""The service's certificate: self-signed, so it encrypts but proves nothing about the server."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kardinal_neon_local.identifiers import now

_NAME = "kardinal-neon-local"
_YEARS = 20


@dataclass(frozen=True)
class Tls:
    """What connections are encrypted with.

    Attributes:
        context: For the server's side.
        binding: Channel binding data `tls-server-end-point`: a hash of the certificate (RFC 5929).
    """

    context: ssl.SSLContext
    binding: bytes


def load_tls(directory: Path) -> Tls:
    """Returns the certificate in a directory; made when there is none.

    Args:
        directory: Where the key and the certificate are, in one file with mode 0600.
    """
    file = directory / "tls.pem"
    if not file.exists():
        unfinished = directory / ".tls.pem"
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(_make())
        unfinished.replace(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    return Tls(context, hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest())


def _make() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - datetime.timedelta(days=1))
        .not_valid_after(now() + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_NAME)]), critical=False)
        .sign(key, hashes.SHA256())  # the hash that channel binding uses as well
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
