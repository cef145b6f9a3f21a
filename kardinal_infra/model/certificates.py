"""Certificates of public hosts: what a config may hold of them, and what is said when one does not fit."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

_BEGIN = "-----BEGIN CERTIFICATE-----"

# OpenSSL's numbers of the reasons (x509_vfy.h); Python has no names for them.
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST = 9, 10, 62


def authority_problem(text: str) -> str | None:
    """Says why a text is not the certificate of an authority, or several.

    Args:
        text: What a config says.

    Returns:
        The end of a sentence about the value; None when it can be used.
    """
    if "PRIVATE KEY" in text:
        return "holds a private key: only the certificate belongs here, everybody who reads the stack sees it"
    if _BEGIN not in text:
        return (
            f'must be the PEM text of a certificate ("{_BEGIN}..."), not the path of a file or anything else'
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, TypeError, ValueError):
        return "is no readable certificate: it must be the whole PEM text, every line of it, in ASCII"
    return None


def refusal(error: ssl.SSLError | ConnectionResetError, host: str, names: Callable[[], Sequence[str]]) -> str:
    """Says why a TLS connection to a public host was refused, and the way out.

    Args:
        error: What connecting raised.
        host: The host that was asked for.
        names: Reads the names in the certificate; none where they cannot be read.

    Returns:
        A sentence.
    """
    if not isinstance(error, ssl.SSLCertVerificationError):
        # Envoy resets the connection when no listener has a certificate for the name.
        reason = getattr(error, "reason", None) or "connection reset"
        return (
            f"no TLS connection for {host} ({reason}): the Gateway needs an HTTPS listener with a certificate"
            " that takes this host, and gateway.address must lead to it"
        )
    if error.verify_code == _OTHER_HOST:
        found = ", ".join(names())
        theirs = f"is for {found} and " if found else ""
        wildcard = f"*.{host.partition('.')[2]}"
        return (
            f"the certificate shown for {host} {theirs}does not name it: give the Gateway's listener one for"
            f" {wildcard}"
        )
    if error.verify_code in {_EXPIRED, _NOT_YET_VALID}:
        return f"the certificate shown for {host} is not valid now ({error.verify_message}): renew it"
    return (
        f"the certificate shown for {host} is signed by no authority known here ({error.verify_message}):"
        " gateway.certificateAuthority of the baseline stack must be the PEM text of the one that signed it"
    )
