"""A private certificate authority, as companies and test clusters have one."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates.

    Attributes:
        pem: Its own certificate.
    """

    def __init__(self, name: str = "Private CA of the tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            **dict.fromkeys(
                (
                    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
                    *("key_agreement", "encipher_only", "decipher_only"),
                ),
                False,
            ),
            key_cert_sign=True,
            crl_sign=True,
        )
        builder = self._builder(self._name, self._key.public_key(), DAY).add_extension(usage, critical=True)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.pem = _pem(
            builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        ).decode()

    def certificate(self, *hosts: str, age: datetime.timedelta = DAY) -> tuple[str, str]:
        """Makes a certificate that is valid for two days, of which `age` are over.

        Args:
            hosts: Names in it; wildcards too.
            age: How long it has been valid.

        Returns:
            Certificate and private key, PEM.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = self._builder(subject, key.public_key(), age).add_extension(names, critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _pem(builder.sign(self._key, hashes.SHA256())).decode(), private.decode()

    def server(self, folder: Path, hosts: Sequence[str], age: datetime.timedelta = DAY) -> ssl.SSLContext:
        """Makes the server's side of TLS with a new certificate.

        Args:
            folder: Where the certificate and its key may be written.
            hosts: As for `certificate`.
            age: As for `certificate`.
        """
        file = folder / "server.pem"
        file.write_text("".join(self.certificate(*hosts, age=age)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, age: datetime.timedelta
    ) -> x509.CertificateBuilder:
        begin = datetime.datetime.now(datetime.UTC) - age
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + 2 * DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
