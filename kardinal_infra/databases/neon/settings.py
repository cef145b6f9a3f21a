"""Where Neon is and which key opens it.

The environment wins over the stack's configuration: Pulumi's engine hands a `destroy` or `refresh` the
configuration of the *last up*, so a key rotated since then can only come from the environment.

Fact: docs/facts/pulumi.md#a-destroy-sees-the-config-of-the-last-up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from kardinal_infra.databases.neon.errors import NeonKeyError, NeonSettingsError

KEY_VARIABLE = "NEON_API_KEY"
HOST_VARIABLE = "NEON_API_HOST"
CONFIG_NAMESPACE = "kardinal"
KEY_CONFIG = "neonApiKey"
HOST_CONFIG = "neonApiHost"
DEFAULT_HOST = "https://console.neon.tech/api/v2"
API_PATH = "/api/v2"

HOW_TO_SET_THE_KEY = f"set {KEY_VARIABLE} or `pulumi config set --secret kardinal:{KEY_CONFIG}`"

HOW_TO_REPLACE_THE_KEY = (
    f"{HOW_TO_SET_THE_KEY} to a key that may use this project (a destroy or refresh uses the key of the last"
    f" `pulumi up`, unless {KEY_VARIABLE} is set)"
)


@dataclass(frozen=True)
class NeonSettings:
    """Address and key of a Neon API.

    Attributes:
        api_key: Sent as a bearer token; shown by no repr.
        base_url: Ends with `/api/v2`, without a slash after it.
        key_source: Where the key was found, for messages.
    """

    api_key: SecretStr
    base_url: str = DEFAULT_HOST
    key_source: str = KEY_VARIABLE


def resolve_settings(
    *,
    config_key: str | None = None,
    config_host: str | None = None,
    argument_host: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> NeonSettings:
    """Picks key and host: environment, then the resource's argument, then configuration, then the default.

    Args:
        config_key: `kardinal:neonApiKey` of the stack.
        config_host: `kardinal:neonApiHost` of the stack.
        argument_host: `api_host` of one resource.
        environment: Replaces the process environment in tests.

    Raises:
        NeonKeyError: There is no key, or it holds characters that no header can carry.
        NeonSettingsError: The host is not an http(s) address.
    """
    variables = os.environ if environment is None else environment
    # Keys are often stored with a line break at the end.
    from_environment = variables.get(KEY_VARIABLE)
    key = (from_environment or config_key or "").strip()
    host = variables.get(HOST_VARIABLE) or argument_host or config_host or DEFAULT_HOST
    if not key:
        raise NeonKeyError(f"no Neon API key: {HOW_TO_SET_THE_KEY}")
    if not key.isascii() or not key.isprintable() or " " in key:
        # Checked here because the HTTP library would put the whole key into its own message.
        raise NeonKeyError(f"the Neon API key holds characters that no key has: {HOW_TO_SET_THE_KEY}")
    source = KEY_VARIABLE if from_environment else f"{CONFIG_NAMESPACE}:{KEY_CONFIG}"
    return NeonSettings(api_key=SecretStr(key), base_url=normal_host(host), key_source=source)


def normal_host(host: str) -> str:
    """Brings the address of an API into one form.

    Args:
        host: With or without `/api/v2` and a trailing slash, for example `http://127.0.0.1:9095`.

    Raises:
        NeonSettingsError: It is not an http(s) address, or holds credentials.
    """
    parts = urlsplit(host.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NeonSettingsError(
            f"the Neon API host {host!r} is not an http(s) address: set {HOST_VARIABLE} or"
            f" kardinal:{HOST_CONFIG} to one like {DEFAULT_HOST}"
        )
    if parts.username or parts.password:
        raise NeonSettingsError(f"the Neon API host must not hold credentials: {HOW_TO_SET_THE_KEY}")
    path = parts.path.rstrip("/")
    if not path.endswith(API_PATH):
        path += API_PATH
    return f"{parts.scheme}://{parts.netloc}{path}"
