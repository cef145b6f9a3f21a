"""The endpoints' TCP ports: each passes its connections on to the instance's socket and wakes it when needed.

The service holds the ports, so an endpoint keeps its address while its instance sleeps, restarts or is
replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from .errors import LocalNeonError

log = logging.getLogger("kardinal.neon_local")

_BLOCK = 1 << 16
_SSL_REQUEST = 80877103
_GSS_REQUEST = 80877104
_STARTUP_TIMEOUT = 10.0

Opener = Callable[[str], contextlib.AbstractAsyncContextManager[Path]]
"""Takes an endpoint id; keeps its instance running and gives its socket. Raises LocalNeonError to refuse."""


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


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: str) -> None:
    """Answer a connection attempt with PostgreSQL's FATAL message (protocol: ErrorResponse)."""
    async with asyncio.timeout(_STARTUP_TIMEOUT):
        while True:
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            if code not in (_SSL_REQUEST, _GSS_REQUEST):
                break
            writer.write(b"N")
        await reader.readexactly(max(0, min(length, 10000) - 8))
        fields = b"SFATAL\0VFATAL\0C57P03\0M" + message.encode() + b"\0\0"
        writer.write(b"E" + struct.pack("!i", len(fields) + 4) + fields)
        await writer.drain()


class Gateway:
    """The listening ports of all endpoints.

    Args:
        hosts: Addresses to listen on.
        opener: See :data:`Opener`.
    """

    def __init__(self, hosts: list[str], opener: Opener) -> None:
        self._hosts = hosts
        self._opener = opener
        self._servers: dict[str, asyncio.Server] = {}
        self._connections: dict[str, set[asyncio.Task[None]]] = {}

    def free(self, port: int) -> bool:
        """Whether nobody listens on the port, on any of the addresses."""
        for host in self._hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind((host, port))
                except OSError:
                    return False
        return True

    async def open(self, endpoint_id: str, port: int) -> None:
        """Listen for an endpoint, if not yet.

        Raises:
            LocalNeonError: If the port is taken.
        """
        if endpoint_id in self._servers:
            return

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accept(endpoint_id, reader, writer)

        try:
            self._servers[endpoint_id] = await asyncio.start_server(
                accept, self._hosts, port, reuse_address=True
            )
        except OSError as error:
            raise LocalNeonError(
                f"cannot listen on port {port} of endpoint {endpoint_id}: {error}"
            ) from error

    async def close(self, endpoint_id: str) -> None:
        """Give the port up and cut its connections."""
        server = self._servers.pop(endpoint_id, None)
        if server is not None:
            server.close()
        await self.cut(endpoint_id)

    async def cut(self, endpoint_id: str) -> None:
        """Cut the connections of an endpoint."""
        tasks = self._connections.pop(endpoint_id, set())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close_all(self) -> None:
        """Give everything up."""
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
            async with self._opener(endpoint_id) as path:
                await self._relay(reader, writer, path)
        except LocalNeonError as error:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                await _refuse(reader, writer, str(error))
        except OSError as error:
            log.debug("endpoint %s: connection ended: %s", endpoint_id, error)
        except asyncio.CancelledError:
            pass  # cut() wants the connection to end, and nothing awaits this task but cut()
        finally:
            tasks.discard(task)
            writer.close()

    @staticmethod
    async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: Path) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(str(path))
        upstream = asyncio.create_task(_upstream(reader, inner_writer))
        try:
            await _pump(inner_reader, writer)  # ends with the server's session
        finally:
            upstream.cancel()
            inner_writer.close()
