"""The address of a server as its branches' users reach it: `project` of a request.

The administrator's URI says how the machine that runs Pulumi gets there, which may be another way: through a
tunnel, by a public name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from kardinal_infra.databases.postgres.settings import DEFAULT_PORT

_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?))(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Name or IP address.
        port: TCP port.
    """

    host: str
    port: int = DEFAULT_PORT

    def uri(self, *, role: str, password: SecretStr, database: str, sslmode: str | None) -> str:
        """Builds a connection URI.

        Args:
            role: Role name.
            password: Its password.
            database: Database name.
            sslmode: As libpq knows it; None leaves it to the client.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        login = f"{quote(role, safe='')}:{quote(password.get_secret_value(), safe='')}"
        query = f"?{urlencode({'sslmode': sslmode})}" if sslmode else ""
        return f"postgresql://{login}@{host}:{self.port}/{quote(database, safe='')}{query}"


def parse_address(text: str) -> Address:
    """Reads `host`, `host:port` or `[IPv6]:port`.

    Args:
        text: The text.

    Raises:
        ValueError: It is none of these; the message says so.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"] or DEFAULT_PORT) < 65536:
        raise ValueError(
            f"{text!r} is not the address of a PostgreSQL server: host or host:port, as the users of the"
            " branch reach it"
        )
    return Address(match["v6"] or match["host"], int(match["port"] or DEFAULT_PORT))
