"""A small engine in this process: what a backend declares is really made, by the provider that it declares.

The state, the previews and the process of the provider are the real engine's and tested with it; here every
backend goes through the same calls with the fewest parts.
"""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pulumi
from pulumi.dynamic import Config, ConfigureRequest, DiffResult, ResourceProvider

from kardinal_infra.databases.branching import Branch, BranchRequest, backend

STACK = "organization/kardinal/dev"


_providers: list[ResourceProvider] = []


def close() -> None:
    """Closes what the providers keep open between two calls of an engine."""
    while _providers:
        for client in getattr(_providers.pop(), "_clients", {}).values():
            client.close()


class CheckError(Exception):
    """What the engine shows at a preview."""


@dataclass
class Made:
    """A resource in the state.

    Attributes:
        provider: What made it.
        id: Its id.
        inputs: What was asked for.
        state: What was answered.
        branch: What the rest of a flow sees of it.
    """

    provider: ResourceProvider
    id: str
    inputs: dict[str, Any]
    state: dict[str, Any]
    branch: dict[str, Any] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return str(self.branch["uri"])

    def read(self) -> str | None:
        """A refresh; the id, None when it is gone."""
        found = self.provider.read(self.id, self.state)
        self.state = dict(found.outs or {})
        return found.id

    def diff(self, news: Mapping[str, Any]) -> DiffResult:
        return self.provider.diff(self.id, self.state, dict(news))

    def update(self, news: Mapping[str, Any]) -> None:
        self.state = dict(self.provider.update(self.id, self.state, dict(news)).outs or {})
        self.inputs = dict(news)

    def delete(self) -> None:
        self.provider.delete(self.id, self.state)


class _Engine(pulumi.runtime.Mocks):
    """Keeps what is declared, and answers with what is known of it."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = state
        self.inputs: dict[str, Any] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.inputs = {name: value for name, value in args.inputs.items() if value is not None}
        return "id", {**args.inputs, **self.state}

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise AssertionError(args.token)


def _declared(
    name: str, request: BranchRequest, stack: str, state: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a backend declares, and the branch that the rest of a flow sees when this is its state."""
    organization, project, short = stack.split("/")
    engine, seen = _Engine(state), dict[str, Any]()
    pulumi.runtime.set_mocks(engine, project=project, stack=short, organization=organization, preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def declare() -> pulumi.Output[None]:
        branch: Branch = backend(name).declare("votes", request)
        parts = {part: getattr(branch, part) for part in Branch.__dataclass_fields__ if part != "resource"}
        return pulumi.Output.all(**parts).apply(seen.update)

    declare()
    return engine.inputs, seen


def up(
    name: str, request: BranchRequest, stack: str = STACK, config: Mapping[str, str] | None = None
) -> Made:
    """Declares a branch as a flow does, and makes it.

    Args:
        name: Of the backend.
        request: What is asked for.
        stack: `organization/project/stack` that asks.
        config: Its configuration.
    """
    inputs, _ = _declared(name, request, stack, {})
    provider = cast("ResourceProvider", pickle.loads(base64.b64decode(inputs.pop("__provider"))))
    provider.configure(ConfigureRequest(Config(dict(config or {}), "kardinal")))
    _providers.append(provider)
    checked = provider.check({}, inputs)
    if checked.failures:
        raise CheckError([(item.property, item.reason) for item in checked.failures])
    created = provider.create(checked.inputs)
    made = Made(provider, created.id, dict(checked.inputs), dict(created.outs or {}))
    made.branch = _declared(name, request, stack, made.state)[1]
    return made
