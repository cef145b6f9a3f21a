"""What a fork is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from kardinal_infra.config import ContainerPatch, EnvValue, VolumeChoice
from kardinal_infra.model.base import ConnectionField
from kardinal_infra.model.names import LABEL_FORK, Owner
from kardinal_infra.model.topology import Handover
from kardinal_infra.observed.live import Object


class SecretText(str):
    """An env value in a manifest that may be a secret and must be marked as one before Pulumi sees it.

    A `str` in all respects, but no repr shows it. Baselines often carry passwords as literal env values, and
    so do the env values that a flow sets.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretText('***')"


class BranchSecret(str):
    """Stands in a fork's manifest for the name of the Secret with a branch's connection.

    Nobody knows the name before the Secret is made; `name_secrets` puts it in. As a text it is no name that a
    Secret can have.

    Attributes:
        database: Key in the topology's `databases`.
    """

    __slots__ = ("database",)

    database: str

    def __new__(cls, database: str) -> Self:  # noqa: D102 - the class says it
        self = super().__new__(cls, f"(the branch of {database})")
        self.database = database
        return self

    def __getnewargs__(self) -> tuple[str]:
        return (self.database,)  # for copies


@dataclass(frozen=True)
class DatabaseEnv:
    """How a fork gets to one branched database.

    Attributes:
        database: Key in the topology's `databases`.
        handover: `env`: the variables are replaced; `sidecar`: they are left as they are.
        environment: Environment variable to the part of the branch's connection.
    """

    database: str
    handover: Handover
    environment: Mapping[str, ConnectionField]


@dataclass(frozen=True)
class StoreEnv:
    """How a fork gets to one fresh store.

    Attributes:
        store: Key in the topology's `stores`.
        environment: Environment variable to its value.
    """

    store: str
    environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class ForkSpec:
    """One fork.

    Attributes:
        owner: Stack, namespace and flow.
        service: Name of the baseline service.
        name: Name of the fork's workload and Service.
        workload: The live Deployment or StatefulSet, with its `kind`.
        live_service: The live Service; None for a worker without one.
        container: Container that image, env and command go to.
        image: Image; None keeps the baseline's.
        env: Variables to add or replace in the container.
        command: Replaces the container's command, and drops its arguments.
        patches: What changes in further containers and init containers, by name.
        volumes: What the fork gets instead of volumes of the baseline, by the volume's name.
        replicas: Pods.
        databases: Branched databases that the service uses.
        stores: Fresh stores that the service uses.
        selected_keys: Label keys by which anything in the namespace counts or reaches pods; no fork keeps
            such a label.
        locked: The fork's pods get the egress lock.
    """

    owner: Owner
    service: str
    name: str
    workload: Object = field(repr=False)
    live_service: Object | None = field(repr=False)
    container: str
    image: str | None = None
    env: Mapping[str, EnvValue] = field(default_factory=dict, repr=False)
    command: tuple[str, ...] | None = None
    patches: Mapping[str, ContainerPatch] = field(default_factory=dict, repr=False)
    volumes: Mapping[str, VolumeChoice] = field(default_factory=dict)
    replicas: int = 1
    databases: tuple[DatabaseEnv, ...] = ()
    stores: tuple[StoreEnv, ...] = ()
    selected_keys: frozenset[str] = frozenset()
    locked: bool = False

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which the fork's workload and Service select its pods, and nothing else does."""
        return {LABEL_FORK: self.name}
