from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from kardinal_neon_local.scram import SCRAM, SCRAM_PLUS, ClientSide, ScramError, ServerSide, Verifier

SALT, ITERATIONS = b"0123456789abcdef", 4096
BINDING = hashlib.sha256(b"a certificate").digest()


def keys(password: str) -> tuple[bytes, bytes]:
    """The client's and the server's key of a password (RFC 5802, section 3)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, ITERATIONS)
    return hmac.digest(salted, b"Client Key", "sha256"), hmac.digest(salted, b"Server Key", "sha256")


def verifier(password: str) -> Verifier:
    client, server = keys(password)
    stored = base64.b64encode(hashlib.sha256(client).digest()).decode()
    salt = base64.b64encode(SALT).decode()
    return Verifier.parse(f"SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{base64.b64encode(server).decode()}")


def test_the_right_key_is_let_in_and_learned() -> None:
    client, server = ClientSide(keys("right")[0]), ServerSide(verifier("right"), BINDING)
    key, answer = server.final(client.final(server.first(SCRAM, client.first())))
    assert key == keys("right")[0]
    assert answer.startswith("v=")


def test_a_wrong_key_and_an_unknown_role_look_the_same() -> None:
    messages = set()
    for known in (verifier("right"), Verifier.nobody()):
        client, server = ClientSide(keys("wrong")[0]), ServerSide(known, BINDING)
        final = client.final(server.first(SCRAM, client.first()))
        with pytest.raises(ScramError) as caught:
            server.final(final)
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_somebody_between_client_and_server_is_noticed() -> None:
    # Who takes the offer of channel binding away makes the client say "y".
    client = ClientSide(keys("right")[0])
    with pytest.raises(ScramError, match="channel binding"):
        ServerSide(verifier("right"), BINDING).first(SCRAM, client.first().replace("n,,", "y,,", 1))
    # Who passes the exchange on to another TLS connection has another certificate.
    server = ServerSide(verifier("right"), BINDING)
    opening = client.first().replace("n,,", "p=tls-server-end-point,,", 1)
    final = client.final(server.first(SCRAM_PLUS, opening))
    with pytest.raises(ScramError, match="authentication failed"):
        server.final(final)


@pytest.mark.parametrize("message", ["", "n,,", "n,,n=", "p=tls-server-end-point,,n=,r=x", "n"])
def test_malformed_messages_are_refused(message: str) -> None:
    with pytest.raises(ScramError):
        ServerSide(verifier("right"), BINDING).first(SCRAM, message)


@pytest.mark.parametrize("message", ["", "c=biws,r=x", "c=biws,r=x,p=???", "c=biws,r=x,p=YQ=="])
def test_malformed_proofs_are_refused(message: str) -> None:
    server = ServerSide(verifier("right"), BINDING)
    server.first(SCRAM, ClientSide(b"").first())
    with pytest.raises(ScramError):
        server.final(message)
