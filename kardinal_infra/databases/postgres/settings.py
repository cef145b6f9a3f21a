"""Which server, and as whom: the URI of an administrator.

The environment wins over the stack's configuration: Pulumi's engine hands a `destroy` or `refresh` the
configuration of the *last up*, so a password changed since then can only come from the environment.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from kardinal_infra.databases.postgres.errors import PostgresSettingsError
from kardinal_infra.model.base import ConfigReader

URI_VARIABLE = "KARDINAL_POSTGRES_URI"
CONFIG_NAMESPACE = "kardinal"
URI_CONFIG = "postgresUri"
DEFAULT_DATABASE = "postgres"
DEFAULT_PORT = 5432
SECRET_PARAMETERS = ("password", "sslpassword")

HOW_TO_SET_THE_URI = (
    f"set {URI_VARIABLE} or `pulumi config set --secret {CONFIG_NAMESPACE}:{URI_CONFIG}` to"
    " postgresql://admin:password@host/postgres, or to a JSON object of such URIs by `project`"
)


@dataclass(frozen=True)
class PostgresSettings:
    """How this machine logs in to a server as its administrator.

    Attributes:
        uri: As libpq takes it; shown by no repr.
    """

    uri: SecretStr

    @property
    def database(self) -> str:
        """The database that administration happens in; never one that is copied."""
        return unquote(urlsplit(self.uri.get_secret_value()).path).removeprefix("/") or DEFAULT_DATABASE

    @property
    def sslmode(self) -> str | None:
        """What the URI says about TLS; branches say the same."""
        return self._parameters().get("sslmode")

    def _parameters(self) -> dict[str, str]:
        query = urlsplit(self.uri.get_secret_value()).query
        return {name: values[-1] for name, values in parse_qs(query).items()}

    def redacted(self, text: str) -> str:
        """Returns a text without the URI and its passwords, on one line.

        Args:
            text: A message of the driver or of a program.
        """
        uri = self.uri.get_secret_value()
        password = urlsplit(uri).password or ""
        parameters = self._parameters()
        secrets = [
            uri,
            password,
            unquote(password),
            *(parameters.get(name, "") for name in SECRET_PARAMETERS),
        ]
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        return " ".join(text.split())


def resolve_settings(
    project: str, config: ConfigReader, environment: Mapping[str, str] | None = None
) -> PostgresSettings:
    """Picks the administrator's URI for a server: environment, then configuration.

    Args:
        project: The server, as its branches name it.
        config: The stack's configuration, by `namespace:key`.
        environment: Replaces the process environment in tests.

    Raises:
        PostgresSettingsError: There is none, or it is not a URI; no message shows it.
    """
    variables = os.environ if environment is None else environment
    text = (variables.get(URI_VARIABLE) or config(f"{CONFIG_NAMESPACE}:{URI_CONFIG}") or "").strip()
    if not text:
        raise PostgresSettingsError(f"no URI of a PostgreSQL administrator: {HOW_TO_SET_THE_URI}")
    if text.startswith("{"):
        text = _of_project(text, project)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"postgres", "postgresql"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number; the message of urlsplit would quote a part of the URI
        usable = False
    if not usable:
        raise PostgresSettingsError(
            "the URI of the PostgreSQL administrator is not one (characters such as / ? # @ in a password are"
            f" written percent-encoded): {HOW_TO_SET_THE_URI}"
        )
    return PostgresSettings(SecretStr(text))


def driver_problem() -> str | None:
    """Says what to install when the driver is missing."""
    if importlib.util.find_spec("psycopg") is None:
        return "needs psycopg, which is not installed: pip install 'kardinal-infra[postgres]'"
    return None


def require_driver() -> None:
    """Checks that the driver is there, before anything imports it.

    Raises:
        PostgresSettingsError: It is not; says what to install.
    """
    if problem := driver_problem():
        raise PostgresSettingsError(f"the branching backend postgres {problem}")


def _of_project(text: str, project: str) -> str:
    try:
        uris = json.loads(text)
    except ValueError:
        uris = None
    if not isinstance(uris, dict) or not all(isinstance(uri, str) for uri in uris.values()):
        raise PostgresSettingsError(
            f"the URIs of PostgreSQL administrators are not a JSON object of texts: {HOW_TO_SET_THE_URI}"
        )
    if project not in uris:
        known = ", ".join(sorted(uris)) or "none"
        raise PostgresSettingsError(
            f"no URI of a PostgreSQL administrator for project {project!r}, only for {known}:"
            f" {HOW_TO_SET_THE_URI}"
        )
    return str(uris[project])
