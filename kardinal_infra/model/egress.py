"""Which connections the pods of flows may open, as baselines and flows say it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from kardinal_infra.model.base import StrictModel, Text

_SERVICE = re.compile(r"([a-z0-9][a-z0-9-]*/)?[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_HOST = re.compile(r"((https?)://)?([a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+)(?::([0-9]{1,5}))?")
_ADDRESS = re.compile(r"tcp://([0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?):([0-9]{1,5})")


class Destination(StrictModel):
    """What forks with the egress lock may connect to.

    Written as one text: `redis` (a Service of the namespace), `cache/redis` (of another one),
    `api.example.com` or `https://api.example.com:8443` (by TLS server name), `http://internal.example.com`
    (by HTTP host), `tcp://10.1.2.3:6379` (an address; a network as in `10.1.0.0/16` is allowed).

    Attributes:
        kind: How it is told apart.
        host: Service, host name or address.
        namespace: Of a Service; empty for the application's own.
        port: 0 for all ports of a Service.
    """

    kind: Literal["service", "tls", "http", "tcp"]
    host: str
    namespace: str = ""
    port: int = Field(default=0, ge=0, le=65535)


def parse_destination(text: str) -> Destination:
    """Reads one destination of an allow list.

    Args:
        text: As `Destination` explains.

    Raises:
        ValueError: It is none; the message says what is.
    """
    if _SERVICE.fullmatch(text):
        namespace, _, name = text.rpartition("/")
        return Destination(kind="service", host=name, namespace=namespace)
    if match := _ADDRESS.fullmatch(text):
        return Destination(kind="tcp", host=match[1], port=int(match[2]))
    # A numeric last label is an address, and addresses need their protocol said.
    if (match := _HOST.fullmatch(text)) and not match[3].rpartition(".")[2].isdigit():
        plain = match[2] == "http"
        port = int(match[4]) if match[4] else 80 if plain else 443
        return Destination(kind="http" if plain else "tls", host=match[3], port=port)
    raise ValueError(
        f'"{text}" is no destination; write a Service as "redis" or "cache/redis", a host as'
        ' "api.example.com", "https://api.example.com:8443" or "http://api.example.com", an address as'
        ' "tcp://10.1.2.3:6379"'
    )


def _destination(text: str) -> str:
    parse_destination(text)
    return text


class Egress(StrictModel):
    """Which connections the pods of a flow's forks may open.

    Written `egress: locked`, `egress: open`, or as a mapping.

    Attributes:
        mode: `open`: whatever the baseline's may; `locked`: the application's services, the flow's branches,
            and what is allowed by name, never a branched database's parent.
        allow: Further destinations under `locked`.
    """

    mode: Literal["open", "locked"] = "open"
    allow: tuple[Annotated[Text, AfterValidator(_destination)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"mode": value} if isinstance(value, str) else value

    @property
    def locked(self) -> bool:
        """The lock is wanted."""
        return self.mode == "locked"

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """The allow list, read."""
        return tuple(map(parse_destination, self.allow))
