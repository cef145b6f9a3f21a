"""Everything the service can be told when it starts."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

# All of 127.0.0.0/8 is the machine's own on Linux; the lower part is what others like to use.
_LOOPBACK = IPv4Network("127.64.0.0/10")


class Settings(BaseModel):
    """Settings of one service.

    Attributes:
        host: Address of the API and of all branch endpoints.
        port: TCP port of the API.
        data_dir: Where metadata and data directories live.
        api_key: The key that callers send as `Authorization: Bearer`.
        project: Id and name of the project made at the first start.
        branch: Name of its default branch.
        database: Name of its database.
        role: Name of the database's owner.
        sslmode: `sslmode` of the URIs handed out; the wheel's PostgreSQL has no TLS.
        idle_timeout: Seconds without a connection after which an instance is stopped; 0 means never.
        postgres_bin: Directory of the PostgreSQL programs; None searches.
        run_as: System user of the instances when the service runs as root; None chooses.
        address_range: Addresses of which each endpoint gets one, with port 5432, such as `10.0.8.0/24`;
            `none` gives ports of the service's own address; None is 127.64.0.0/10 when the service listens
            on the loopback, and none otherwise.
        tls: Whether connections may be encrypted.
        history: Seconds of the default branch's past that are kept; None is a day where copies share blocks,
            and nothing where each would be a full copy.
        first_port: First port given to endpoints.
        last_port: Last port given to endpoints.
        shared_buffers: PostgreSQL's setting for every instance.
        fsync_default: Whether the default branch survives a crash of the machine.
        fsync_branches: The same for all other branches; off because they are throw-away.
        recovery_window: Seconds during which a deleted branch can be recovered.
        branches_limit: Branches per project.
        root_branches_limit: Branches without a parent per project.
        store_passwords: Whether passwords can be read back, as in the Neon project setting.
        operation_delay: Seconds that every operation takes at least.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    port: int = Field(ge=1, le=65535)
    data_dir: Path
    api_key: SecretStr
    project: str = Field(pattern=r"^[a-z0-9-]{1,60}$")
    branch: str = Field(default="main", min_length=1, max_length=256)
    database: str = Field(default="neondb", min_length=1, max_length=63)
    role: str = Field(default="neondb_owner", min_length=1, max_length=63)
    sslmode: Literal["disable", "allow", "prefer", "require"] = "prefer"
    idle_timeout: float = Field(default=300, ge=0)
    postgres_bin: Path | None = None
    run_as: str | None = None
    address_range: str | None = None
    tls: bool = True
    history: float | None = Field(default=None, ge=0, le=2592000)
    first_port: int = 15500
    last_port: int = 19999
    shared_buffers: str = "16MB"
    fsync_default: bool = True
    fsync_branches: bool = False
    recovery_window: float = Field(default=600, ge=0)
    branches_limit: int = Field(default=5000, ge=1)
    root_branches_limit: int = Field(default=25, ge=1)
    store_passwords: bool = True
    operation_delay: float = Field(default=0, ge=0)

    @field_validator("address_range")
    @classmethod
    def _check_range(cls, value: str | None) -> str | None:
        if value not in (None, "none"):
            IPv4Network(value)
        return value

    @property
    def advertised_host(self) -> str:
        """The address in connection URIs: a wildcard address cannot be connected to."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104

    @property
    def network(self) -> IPv4Network | None:
        """The addresses of endpoints; None when they share the service's."""
        if self.address_range == "none":
            return None
        if self.address_range is not None:
            return IPv4Network(self.address_range)
        return _LOOPBACK if self.host in ("127.0.0.1", "localhost") else None

    def hosts_of(self, address: str | None) -> list[str]:
        """Returns the addresses that an endpoint listens on.

        Args:
            address: Its own; None: the service's, and always the loopback.
        """
        if address is not None:
            return [address]
        loopback_included = self.host in ("0.0.0.0", "::", "127.0.0.1", "localhost", "")  # noqa: S104
        return [self.host] if loopback_included else [self.host, "127.0.0.1"]
