"""The config of a flow stack, key `kardinal:flow`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from kardinal_infra.config.branches import option_problems
from kardinal_infra.config.forks import ContainerPatch, EnvValue, Image, VolumeChoice
from kardinal_infra.config.hooks import hook_problems
from kardinal_infra.config.reading import dotted, read_model
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.model.base import StrictModel, Text
from kardinal_infra.model.branch_options import BranchOptions
from kardinal_infra.model.egress import Egress
from kardinal_infra.model.hook import Hook
from kardinal_infra.model.names import FlowId, label_problem
from kardinal_infra.model.store import StoreMode
from kardinal_infra.model.topology import Handover, Migrations

KEY = "kardinal:flow"
"""Config key, the beginning of every path in messages."""

Isolation = Literal["services", "data", "full"]
"""What a flow keeps apart.

`services`: only what it requests is forked, data is shared. `data`: databases are branched and all their
users forked. `full`: every service and every database.
"""


class FlowService(StrictModel):
    """A service that the flow requests.

    Attributes:
        image: Image of the fork; default: the baseline's.
        env: Environment variables to add or replace: texts, which are kept secret, or references to a Secret
            or ConfigMap of the namespace.
        command: Replaces the container's command and drops its arguments.
        replicas: Pods of the fork; default 1, for a worker without ports 0.
        container: Container that image, env and command go to.
        containers: What changes in further containers and init containers, by name.
        volumes: What the fork gets instead of volumes of the baseline, by the volume's name.
    """

    image: Image | None = None
    env: dict[str, EnvValue] = Field(default_factory=dict, repr=False)
    command: tuple[Text, ...] | None = Field(default=None, min_length=1)
    replicas: int | None = Field(default=None, ge=0, le=100)
    container: Text | None = None
    containers: dict[Text, ContainerPatch] = Field(default_factory=dict)
    volumes: dict[Text, VolumeChoice] = Field(default_factory=dict)


class FlowDatabase(BranchOptions):
    """Settings of a branched database that differ from the baseline's; how it is branched as `BranchOptions`.

    Attributes:
        handover: How the forks get to the branch.
        migrations: Other migrations than the baseline's.
        skip_migrations: No migrations; written `migrations: false`.
    """

    handover: Handover | None = None
    migrations: Migrations | None = None
    skip_migrations: bool = False

    @model_validator(mode="before")
    @classmethod
    def _no_migrations(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("migrations") is False:
            return {**{k: v for k, v in value.items() if k != "migrations"}, "skipMigrations": True}
        return value


class FlowConfig(StrictModel):
    """What a flow is.

    Attributes:
        baseline: Stack with the application's topology, `organization/project/stack` or a bare stack name.
        id: Flow id; after `load_flow` never empty.
        services: Requested services by name.
        databases: Databases to branch besides those that the requested services reach, and settings.
        stores: What this flow does with stores: its own, new and empty (`fresh`), or production's (`share`).
        isolation: What is kept apart.
        hooks: Commands on the machine that runs Pulumi; one of the same name replaces the baseline's.
        skip_hooks: Names of the baseline's hooks that this flow does without.
        egress: Which connections the forks may open; default: what the baseline says.
        acknowledge: Names of safety rules whose findings this flow accepts.
    """

    baseline: Text
    id: Text = ""
    services: dict[str, FlowService] = Field(default_factory=dict)
    databases: dict[str, FlowDatabase] = Field(default_factory=dict)
    stores: dict[str, StoreMode] = Field(default_factory=dict)
    isolation: Isolation = "data"
    hooks: tuple[Hook, ...] = ()
    skip_hooks: tuple[Text, ...] = ()
    egress: Egress | None = None
    acknowledge: tuple[Text, ...] = ()

    @property
    def flow(self) -> FlowId:
        """The flow id."""
        return FlowId(self.id)


@dataclass(frozen=True)
class LoadedFlow:
    """A flow's config and what is wrong with it.

    Attributes:
        config: What could be read; None when that is nothing.
        problems: Everything found so far; hand it to `make_plan`, which names it with its own findings.
    """

    config: FlowConfig | None
    problems: tuple[Problem, ...]


def read_flow(value: object, stack_name: str, key: str = KEY) -> LoadedFlow:
    """Reads a flow's config and goes on after mistakes.

    Args:
        value: The config value, plain data.
        stack_name: Name of the Pulumi stack, the default of `id`.
        key: Config key for paths in messages.

    Returns:
        Config and problems.
    """
    config, problems = read_model(FlowConfig, value, key)
    if config is None:
        return LoadedFlow(None, tuple(problems))
    if config.id:
        problem = label_problem(config.id)
    else:
        problem = label_problem(stack_name)
        problem = problem and f"not set, and the stack's name cannot be used instead: {problem}"
        config = config.model_copy(update={"id": stack_name})
    if problem:
        problems.append(Problem(f"{key}.id", problem))
    if config.isolation == "services" and config.databases:
        problems.append(
            Problem(
                f"{key}.databases",
                'isolation "services" shares all data; use isolation "data" to branch databases',
            )
        )
    if config.isolation == "services":
        problems += [
            Problem(
                dotted(key, ["stores", name]),
                'isolation "services" shares all data; use isolation "data" for a fresh store',
            )
            for name, mode in config.stores.items()
            if mode == "fresh"
        ]
    if not config.services and config.isolation != "full" and not problems:
        problems.append(
            Problem(f"{key}.services", 'no service is requested; name one, or use isolation "full"')
        )
    problems += hook_problems(config.hooks, f"{key}.hooks")
    for name, database in config.databases.items():
        problems += option_problems(database, dotted(key, ["databases", name]))
    return LoadedFlow(config, tuple(problems))


def load_flow(value: object, stack_name: str, key: str = KEY) -> FlowConfig:
    """Reads a flow's config.

    Args:
        value: The config value, plain data.
        stack_name: Name of the Pulumi stack, the default of `id`.
        key: Config key for paths in messages.

    Returns:
        The config, with its id checked.

    Raises:
        ConfigError: With every problem and its path.
    """
    loaded = read_flow(value, stack_name, key)
    if loaded.problems or loaded.config is None:
        raise ConfigError(loaded.problems)
    return loaded.config
