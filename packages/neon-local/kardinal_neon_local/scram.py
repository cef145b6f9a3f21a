"""SCRAM-SHA-256 (RFC 5802, RFC 7677) for a server in the middle.

With TLS ending at the gateway, channel binding must end there too. The gateway therefore checks the client
itself, by the verifier that the instance has of the role. From the client's proof it learns the key that a
second exchange, with the instance, needs; the password is never known.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass

SCRAM, SCRAM_PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
_BINDING = "p=tls-server-end-point"


class ScramError(Exception):
    """The exchange breaks the protocol, or the password is wrong."""


@dataclass(frozen=True)
class Verifier:
    """What a server keeps of a password."""

    iterations: int
    salt: str
    stored_key: bytes
    server_key: bytes

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Reads PostgreSQL's `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

        Args:
            text: As PostgreSQL keeps it.
        """
        _, parameters, keys = text.split("$")
        iterations, salt = parameters.split(":")
        stored, server = keys.split(":")
        return cls(int(iterations), salt, base64.b64decode(stored), base64.b64decode(server))

    @classmethod
    def nobody(cls) -> Verifier:
        """Makes one that no password fits: an unknown role must look like a wrong password."""
        salt = base64.b64encode(secrets.token_bytes(16)).decode()
        return cls(4096, salt, secrets.token_bytes(32), secrets.token_bytes(32))


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _fields(message: str) -> dict[str, str]:
    return {part[:1]: part[2:] for part in message.split(",") if part[1:2] == "="}


class ServerSide:
    """The exchange with a client.

    Args:
        verifier: Of the role.
        binding: Channel binding data of the connection.
    """

    def __init__(self, verifier: Verifier, binding: bytes) -> None:
        self._verifier = verifier
        self._binding = binding
        self._header = ""
        self._transcript = ""
        self._nonce = ""

    def first(self, mechanism: str, message: str) -> str:
        """Takes the client's first message and gives the answer.

        Args:
            mechanism: The one that the client chose.
            message: Its message.

        Raises:
            ScramError: It asks for what was not offered.
        """
        parts = message.split(",", 2)
        if len(parts) != 3 or (mechanism == SCRAM_PLUS) != (parts[0] == _BINDING):
            raise ScramError("malformed SCRAM message")
        if mechanism not in (SCRAM, SCRAM_PLUS) or parts[0] not in ("n", _BINDING):
            # "y" means that somebody on the way has removed the offer of channel binding.
            raise ScramError("channel binding was offered, but the client has not seen it")
        self._header = f"{parts[0]},{parts[1]},"
        nonce = _fields(parts[2]).get("r")
        if not nonce:
            raise ScramError("malformed SCRAM message")
        self._nonce = nonce + secrets.token_urlsafe(18)
        answer = f"r={self._nonce},s={self._verifier.salt},i={self._verifier.iterations}"
        self._transcript = f"{parts[2]},{answer}"
        return answer

    def final(self, message: str) -> tuple[bytes, str]:
        """Takes the client's last message.

        Args:
            message: The message.

        Returns:
            The client's key, and the answer.

        Raises:
            ScramError: The password or the channel is not the right one.
        """
        bare, _, proof = message.rpartition(",p=")
        fields = _fields(bare)
        bound = self._binding if self._header.startswith(_BINDING) else b""
        channel = base64.b64encode(self._header.encode() + bound).decode()
        transcript = f"{self._transcript},{bare}"
        try:
            signature = _mac(self._verifier.stored_key, transcript)
            key = _xor(base64.b64decode(proof, validate=True), signature)
        except (binascii.Error, ValueError):
            raise ScramError("malformed SCRAM message") from None
        right = hmac.compare_digest(hashlib.sha256(key).digest(), self._verifier.stored_key)
        if fields.get("c") != channel or fields.get("r") != self._nonce or not right:
            raise ScramError("password authentication failed")
        answer = base64.b64encode(_mac(self._verifier.server_key, transcript)).decode()
        return key, f"v={answer}"


class ClientSide:
    """The exchange with the instance, without channel binding: a Unix socket has none.

    Args:
        key: The client's key that `ServerSide` learned.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._bare = f"n=,r={secrets.token_urlsafe(18)}"

    def first(self) -> str:
        """Returns the first message."""
        return f"n,,{self._bare}"

    def final(self, message: str) -> str:
        """Answers the server's first message.

        Args:
            message: The message.
        """
        without_proof = f"c=biws,r={_fields(message)['r']}"
        signature = _mac(hashlib.sha256(self._key).digest(), f"{self._bare},{message},{without_proof}")
        return f"{without_proof},p={base64.b64encode(_xor(self._key, signature)).decode()}"
