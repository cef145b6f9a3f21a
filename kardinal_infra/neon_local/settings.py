"""Everything the service can be told when it starts."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr


class Settings(BaseModel):
    """Settings of one service.

    Attributes:
        host: Address of the API and of all branch endpoints.
        port: TCP port of the API.
        data_dir: Where metadata and data directories live.
        api_key: The key that callers send as ``Authorization: Bearer``.
        project: Id and name of the project made at the first start.
        branch: Name of its default branch.
        database: Name of its database.
        role: Name of the database's owner.
        sslmode: ``sslmode`` of the URIs handed out; the wheel's PostgreSQL has no TLS.
        idle_timeout: Seconds without a connection after which an instance is stopped; 0 means never.
        postgres_bin: Directory of the PostgreSQL programs; None searches.
        run_as: System user of the instances when the service runs as root; None chooses.
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
    port: int
    data_dir: Path
    api_key: SecretStr
    project: str
    branch: str = "main"
    database: str = "neondb"
    role: str = "neondb_owner"
    sslmode: str = "prefer"
    idle_timeout: float = 300
    postgres_bin: Path | None = None
    run_as: str | None = None
    first_port: int = 15500
    last_port: int = 19999
    shared_buffers: str = "16MB"
    fsync_default: bool = True
    fsync_branches: bool = False
    recovery_window: float = 600
    branches_limit: int = 5000
    root_branches_limit: int = 25
    store_passwords: bool = True
    operation_delay: float = 0

    @property
    def advertised_host(self) -> str:
        """The address in connection URIs: a wildcard address cannot be connected to."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104

    @property
    def listen_hosts(self) -> list[str]:
        """Addresses that the endpoints listen on: the chosen one and always the loopback."""
        loopback_included = self.host in ("0.0.0.0", "::", "127.0.0.1", "localhost", "")  # noqa: S104
        return [self.host] if loopback_included else [self.host, "127.0.0.1"]
