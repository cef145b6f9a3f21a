"""PostgreSQL's start of a session, as far as the gateway takes part in it.

Protocol: https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kardinal_neon_local.scram import SCRAM, SCRAM_PLUS, ClientSide, ScramError, ServerSide, Verifier
from kardinal_neon_local.tls import Tls

_SSL_REQUEST = 80877103
_GSS_REQUEST = 80877104
_CANCEL_REQUEST = 80877102
_LONGEST_START = 10000
_SASL, _SASL_CONTINUE, _SASL_FINAL = 10, 11, 12
_LONGEST_MESSAGE = 65536
_ACCEPTED = 5  # bytes of a message's head

FindVerifier = Callable[[str], Awaitable[str | None]]
"""Takes a role's name; gives PostgreSQL's verifier of its password, if it has one."""


class ProtocolError(Exception):
    """The other side does not speak PostgreSQL's protocol."""


@dataclass(frozen=True)
class Start:
    """The first message of a connection.

    Attributes:
        message: As it was received.
        user: The role; None for a request to cancel a query.
        encrypted: Whether it came through TLS.
    """

    message: bytes
    user: str | None
    encrypted: bool


async def read_start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: Tls | None) -> Start:
    """Reads the start of a connection, with TLS if the client wishes so and there is a certificate.

    Args:
        reader: From the client.
        writer: To the client.
        tls: The certificate; None refuses encryption.

    Raises:
        ProtocolError: It is none of PostgreSQL's.
        asyncio.IncompleteReadError: The client has gone.
        OSError: TLS has failed.
    """
    encrypted = False
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!ii", head)
        if code == _SSL_REQUEST and tls is not None and not encrypted:
            writer.write(b"S")
            await writer.start_tls(tls.context)
            encrypted = True
        elif code in (_SSL_REQUEST, _GSS_REQUEST):
            writer.write(b"N")
        else:
            break
    if not 8 <= length <= _LONGEST_START:
        raise ProtocolError(f"the first message has {length} bytes")
    rest = await reader.readexactly(length - 8)
    if code == _CANCEL_REQUEST:
        return Start(head + rest, None, encrypted)
    words = rest.decode(errors="replace").split("\0")
    options = dict(zip(words[::2], words[1::2], strict=False))
    return Start(head + rest, options.get("user", ""), encrypted)


def refusal(message: str, code: str = "57P03") -> bytes:
    """Makes PostgreSQL's FATAL message.

    Args:
        message: What the client reads.
        code: PostgreSQL's error code.
    """
    fields = f"SFATAL\0VFATAL\0C{code}\0M{message}\0\0".encode()
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The kind and the content of the next message."""
    kind, length = struct.unpack("!ci", await reader.readexactly(_ACCEPTED))
    if not 4 <= length <= _LONGEST_MESSAGE:
        raise ProtocolError(f"a message has {length} bytes")
    return kind, await reader.readexactly(length - 4)


def _framed(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!i", len(content) + 4) + content


def _request(code: int, content: bytes) -> bytes:
    return _framed(b"R", struct.pack("!i", code) + content)


async def authenticate(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    user: str,
    binding: bytes,
    verifier_of: FindVerifier,
) -> bool:
    """Checks an encrypted client's password, with channel binding, and logs it in to the instance.

    Args:
        client: Both directions to the client, which waits for a request to authenticate itself.
        server: Both directions to the instance, which has the client's first message.
        user: The role.
        binding: Channel binding data.
        verifier_of: Finds the role's verifier.

    Returns:
        Whether the session goes on; if not, the client has been told why.

    Raises:
        ProtocolError: One of them does not keep to the protocol.
        ScramError: The client is refused.
    """
    reader, writer = client
    inner_reader, inner_writer = server
    while True:
        kind, content = await _message(inner_reader)
        if kind == b"R":
            break
        writer.write(_framed(kind, content))  # the version is negotiated, or there is an error
        if kind == b"E":
            return False
    if struct.unpack_from("!i", content)[0] != _SASL:
        raise ProtocolError("the instance does not ask for SCRAM")
    verifier = await verifier_of(user)
    exchange = ServerSide(Verifier.parse(verifier) if verifier else Verifier.nobody(), binding)
    writer.write(_request(_SASL, f"{SCRAM_PLUS}\0{SCRAM}\0\0".encode()))
    mechanism, _, first = (await _answer(reader)).partition(b"\0")
    writer.write(_request(_SASL_CONTINUE, exchange.first(mechanism.decode(), first[4:].decode()).encode()))
    key, final = exchange.final((await _answer(reader)).decode())
    inner = ClientSide(key)
    opening = inner.first().encode()
    inner_writer.write(_framed(b"p", SCRAM.encode() + b"\0" + struct.pack("!i", len(opening)) + opening))
    challenge = await _sasl(inner_reader, writer, _SASL_CONTINUE)
    if challenge is None:
        return False
    inner_writer.write(_framed(b"p", inner.final(challenge.decode()).encode()))
    if await _sasl(inner_reader, writer, _SASL_FINAL) is None:
        return False
    writer.write(_request(_SASL_FINAL, final.encode()))
    return True


async def _answer(reader: asyncio.StreamReader) -> bytes:
    kind, content = await _message(reader)
    if kind != b"p":
        raise ScramError("expected a password message")
    return content


async def _sasl(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, code: int) -> bytes | None:
    """The instance's next part of SCRAM; None when it refuses, which the client then knows."""
    kind, content = await _message(reader)
    if kind == b"E":
        writer.write(_framed(kind, content))
        return None
    if kind != b"R" or struct.unpack_from("!i", content)[0] != code:
        raise ProtocolError("the instance leaves the exchange of SCRAM")
    return content[4:]
