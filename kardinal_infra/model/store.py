"""Stores: what an application keeps its state in and nobody can branch, such as a Redis or a RabbitMQ.

A store is a workload of the cluster. A flow shares production's, or gets a new, empty one made from the same
workload.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from kardinal_infra.model.base import DatabaseUse, StrictModel, Text

StoreMode = Literal["share", "fresh"]
"""What a flow does with a store: use production's, or get a new empty one."""

PLACEHOLDERS = ("host", "port")
"""What a template of `StoreUse.environment` may name, in braces."""


class Store(StrictModel):
    """A store that runs on the cluster.

    Attributes:
        service: Key in `services`; default: the store's own name.
        port: Port that the application connects to; default: the service's only port.
        flows: What flows do with it that say nothing themselves; without it such a flow is refused.
    """

    service: Text | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    flows: StoreMode | None = None


class StoreUse(StrictModel):
    """A service uses a store.

    Attributes:
        store: Key in `stores`.
        environment: Environment variable to what it holds when the store is a fresh one: a text with `{host}`
            and `{port}`.
    """

    store: Text
    environment: dict[str, Text] = Field(default_factory=dict)

    def rendered(self, host: str, port: int) -> dict[str, str]:
        """Fills the templates in.

        Args:
            host: Name under which the store is reached.
            port: Its port there.

        Returns:
            Value by environment variable.
        """
        return {
            name: text.replace("{host}", host).replace("{port}", str(port))
            for name, text in self.environment.items()
        }


_DATABASE, _STORE = "(database)", "(store)"

USE_TAGS = frozenset({_DATABASE, _STORE})
"""What pydantic adds to the path of a mistake inside of a `Use`; no key of a config looks like that."""


def _tag(value: Any) -> str | None:
    if isinstance(value, Mapping):
        named = [tag for key, tag in (("database", _DATABASE), ("store", _STORE)) if key in value]
        return named[0] if len(named) == 1 else None
    return _STORE if isinstance(value, StoreUse) else _DATABASE


Use = Annotated[
    Annotated[DatabaseUse, Tag(_DATABASE)] | Annotated[StoreUse, Tag(_STORE)],
    Discriminator(
        _tag,
        custom_error_type="one_use",
        custom_error_message="exactly one of database and store",
    ),
]
"""What a service uses: a database or a store."""
