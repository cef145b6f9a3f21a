"""The endpoints' addresses: each passes its connections on to the instance's socket and wakes it when needed.

The service holds the addresses, so an endpoint keeps its own while its instance sleeps, restarts or is
replaced. TLS ends here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from kardinal_neon_local.errors import LocalNeonError
from kardinal_neon_local.login import ProtocolError, Start, authenticate, read_start, refusal
from kardinal_neon_local.scram import ScramError
from kardinal_neon_local.tls import Tls

log = logging.getLogger("kardinal_neon_local")

_BLOCK = 1 << 16
_STARTUP_TIMEOUT = 60.0
_INVALID_PASSWORD = "28P01"  # noqa: S105 - a code of PostgreSQL's errors

Opener = Callable[[str], contextlib.AbstractAsyncContextManager[Path]]
"""Takes an endpoint id; keeps its instance running and gives its socket. Raises LocalNeonError to refuse."""

FindVerifier = Callable[[str, str], Awaitable[str | None]]
"""Takes an endpoint id and a role; gives the verifier of the role's password."""


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(_BLOCK):
        writer.write(block)
        await writer.drain()


async def _upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Client to server, until the client ends or breaks; the server then ends its session."""
    try:
        await _pump(reader, writer)
        writer.write_eof()
    except OSError:
        writer.close()


class Gateway:
    """The listening addresses of all endpoints.

    Args:
        opener: See `Opener`.
        verifier_of: See `FindVerifier`.
        tls: The certificate; None refuses encryption.
    """

    def __init__(self, opener: Opener, verifier_of: FindVerifier, tls: Tls | None) -> None:
        self._opener = opener
        self._verifier_of = verifier_of
        self._tls = tls
        self._servers: dict[str, asyncio.Server] = {}
        self._connections: dict[str, set[asyncio.Task[None]]] = {}

    @staticmethod
    def free(hosts: Sequence[str], port: int) -> bool:
        """Says whether nobody listens on the port, on any of the addresses, and the machine has them.

        Args:
            hosts: The addresses.
            port: The TCP port.
        """
        for host in hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind((host, port))
                except OSError:
                    return False
        return True

    async def open(self, endpoint_id: str, hosts: Sequence[str], port: int) -> None:
        """Listens for an endpoint, if not yet.

        Args:
            endpoint_id: Id of the endpoint.
            hosts: The addresses.
            port: The TCP port.

        Raises:
            LocalNeonError: If the address is taken.
        """
        if endpoint_id in self._servers:
            return

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accept(endpoint_id, reader, writer)

        try:
            self._servers[endpoint_id] = await asyncio.start_server(
                accept, list(hosts), port, reuse_address=True
            )
        except OSError as error:
            raise LocalNeonError(
                f"cannot listen on {hosts[0]} port {port} for endpoint {endpoint_id}: {error}"
            ) from error

    async def close(self, endpoint_id: str) -> None:
        """Gives the port of an endpoint up and cuts its connections.

        Args:
            endpoint_id: Id of the endpoint.
        """
        server = self._servers.pop(endpoint_id, None)
        if server is not None:
            server.close()
        await self.cut(endpoint_id)

    async def cut(self, endpoint_id: str) -> None:
        """Cuts the connections of an endpoint.

        Args:
            endpoint_id: Id of the endpoint.
        """
        tasks = self._connections.pop(endpoint_id, set())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close_all(self) -> None:
        """Gives everything up."""
        for endpoint_id in list(self._servers):
            await self.close(endpoint_id)

    async def _accept(
        self, endpoint_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks = self._connections.setdefault(endpoint_id, set())
        tasks.add(task)
        try:
            async with asyncio.timeout(_STARTUP_TIMEOUT):
                start = await read_start(reader, writer, self._tls)
            await self._serve(endpoint_id, start, reader, writer)
        except (OSError, EOFError, TimeoutError, ProtocolError) as error:
            log.debug("endpoint %s: connection ended: %s", endpoint_id, error)
        except asyncio.CancelledError:
            pass  # cut() wants the connection to end, and nothing awaits this task but cut()
        finally:
            tasks.discard(task)
            writer.close()

    async def _serve(
        self, endpoint_id: str, start: Start, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with self._opener(endpoint_id) as path:
                inner_reader, inner_writer = await asyncio.open_unix_connection(str(path))
                try:
                    inner_writer.write(start.message)
                    if start.encrypted and start.user is not None and self._tls is not None:
                        async with asyncio.timeout(_STARTUP_TIMEOUT):
                            accepted = await authenticate(
                                (reader, writer),
                                (inner_reader, inner_writer),
                                start.user,
                                self._tls.binding,
                                lambda user: self._verifier_of(endpoint_id, user),
                            )
                        if not accepted:
                            return
                    await self._relay(reader, writer, inner_reader, inner_writer)
                finally:
                    inner_writer.close()
        except LocalNeonError as error:
            writer.write(refusal(str(error)))
        except ScramError:
            message = f'password authentication failed for user "{start.user}"'
            writer.write(refusal(message, _INVALID_PASSWORD))

    @staticmethod
    async def _relay(
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inner_reader: asyncio.StreamReader,
        inner_writer: asyncio.StreamWriter,
    ) -> None:
        upstream = asyncio.create_task(_upstream(reader, inner_writer))
        try:
            await _pump(inner_reader, writer)  # ends with the server's session
        finally:
            upstream.cancel()
