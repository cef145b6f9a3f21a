"""Typed readers of the stacks' outputs, for other programs.

A program that deploys something beside a flow, or a bot that comments on a pull request, reads a flow with
`FlowOutputs.from_stack("organization/kardinal/dev")`. The names and shapes are a contract: its version
changes only when one is removed or changes its meaning.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, cast

import pulumi

from kardinal_infra.engine.program_errors import message_alone
from kardinal_infra.engine.stack_outputs import FLOW_SCHEMA_VERSION, StackOutputs, read_stack_outputs
from kardinal_infra.errors import OutputsError
from kardinal_infra.model.topology import Topology

Item = TypeVar("Item")


@dataclass(frozen=True)
class ServiceOutput:
    """A service that a flow forked.

    Attributes:
        image: Image of the fork.
        fork: Name of the fork's Deployment and Service.
        reason: Why it was forked: `requested`, `uses-database`, `uses-store`, `fresh-store` or `full`.
        namespace: Namespace of both; empty in outputs of earlier versions.
    """

    image: str
    fork: str
    reason: str
    namespace: str = ""


@dataclass(frozen=True)
class DatabaseOutput:
    """A database that a flow branched.

    Attributes:
        branch_id: The backend's id of the branch.
        branch_name: The branch's name.
        parent_id: The branch it was made from.
        host: Host of the branch, without the port.
        expires_at: RFC 3339 time of the branch's end, or None.
    """

    branch_id: str
    branch_name: str
    parent_id: str
    host: str
    expires_at: str | None


@dataclass(frozen=True)
class StoreOutput:
    """A store that a flow touches.

    Attributes:
        mode: `fresh`: the flow's own; `share`: production's.
        host: Name under which the pods of the cluster reach it.
        port: Its port.
        fork: Name of the fork that is the fresh one, None for a shared one.
    """

    mode: str
    host: str
    port: int
    fork: str | None


@dataclass(frozen=True)
class FlowOutputs:
    """What a flow's stack exports.

    Attributes:
        flow: The flow id, the value of the routing key.
        url: URL of the first entry.
        hosts: Public host of the flow per entry service.
        header: Name and value of the routing header.
        baggage: The W3C baggage member that carries the flow.
        services: Forked services by name.
        databases: Branched databases by name.
        topology: Nodes with versions and edges, as `kardinal topology` draws them.
        expires_at: RFC 3339 time of the flow's end, or None.
        baseline_version: What the baseline was when the flow was last brought up.
        connection_uris: Secret; the branch's connection URI per database.
        acknowledged: Names of the safety rules whose errors the flow accepts, sorted.
        stores: Stores that the flow touches, by name.
    """

    flow: str
    url: str | None
    hosts: Mapping[str, str]
    header: Mapping[str, str]
    baggage: str
    services: Mapping[str, ServiceOutput]
    databases: Mapping[str, DatabaseOutput]
    topology: Mapping[str, Any]
    expires_at: str | None
    baseline_version: str
    connection_uris: pulumi.Output[Mapping[str, str]] | None = field(repr=False, default=None)
    acknowledged: tuple[str, ...] = ()
    stores: Mapping[str, StoreOutput] = field(default_factory=dict)

    @classmethod
    @message_alone
    def from_stack(cls, name: str) -> Self:
        """Reads a flow's stack from within another Pulumi program.

        Args:
            name: `stack`, `project/stack` or `organization/project/stack`.

        Raises:
            OutputsError: No such stack, not a flow, or made by another version of this library.
        """
        outputs = read_stack_outputs(name)
        _check_version(outputs, "flow")
        uris = cast("pulumi.Output[Mapping[str, str]]", outputs.secret("connectionUris"))
        return cls.from_values(outputs, uris)

    @classmethod
    def from_values(cls, outputs: StackOutputs, uris: pulumi.Output[Mapping[str, str]] | None = None) -> Self:
        """Reads outputs that were obtained in another way, for example by the Automation API.

        Args:
            outputs: The outputs.
            uris: The secret connection URIs, where they are wanted.

        Raises:
            OutputsError: Not a flow's outputs, or of another version.
        """
        _check_version(outputs, "flow")
        return cls(
            flow=outputs.require("flow"),
            url=outputs.values.get("url"),
            hosts=outputs.require("hosts"),
            header=outputs.require("header"),
            baggage=outputs.require("baggage"),
            services=_items(outputs, "services", _service),
            databases=_items(outputs, "databases", _database),
            topology=outputs.require("topology"),
            expires_at=outputs.values.get("expiresAt"),
            baseline_version=outputs.require("baselineVersion"),
            connection_uris=uris,
            acknowledged=_acknowledged(outputs),
            stores=_items(outputs, "stores", _store) if "stores" in outputs.values else {},
        )


@dataclass(frozen=True)
class BaselineOutputs:
    """What a baseline's stack exports.

    Attributes:
        stack: The baseline stack's full name.
        topology: The adopted application.
    """

    stack: str
    topology: Topology

    @classmethod
    @message_alone
    def from_stack(cls, name: str) -> Self:
        """Reads a baseline's stack from within another Pulumi program.

        Args:
            name: `stack`, `project/stack` or `organization/project/stack`.

        Raises:
            OutputsError: No such stack, not a baseline, or made by another version of this library.
        """
        outputs = read_stack_outputs(name)
        return cls(outputs.stack, Topology.from_plain(outputs.require("topology"), outputs.stack))


def _items(outputs: StackOutputs, name: str, read: Callable[[Any], Item]) -> dict[str, Item]:
    try:
        return {key: read(value) for key, value in outputs.require(name).items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise _unusable(outputs, name, error) from None


def _acknowledged(outputs: StackOutputs) -> tuple[str, ...]:
    try:
        return tuple(sorted({str(item["rule"]) for item in outputs.values.get("acknowledged", ())}))
    except (KeyError, TypeError) as error:
        raise _unusable(outputs, "acknowledged", error) from None


def _unusable(outputs: StackOutputs, name: str, error: Exception) -> OutputsError:
    return OutputsError(
        f'the output "{name}" of stack "{outputs.stack}" is not usable ({type(error).__name__}: {error}):'
        " run `pulumi up` on it with this version of kardinal-infra"
    )


# Only what is known here is taken: a later version of the same schema may tell more.


def _service(value: Any) -> ServiceOutput:
    return ServiceOutput(value["image"], value["fork"], value["reason"], value.get("namespace", ""))


def _database(value: Any) -> DatabaseOutput:
    return DatabaseOutput(
        value["branchId"], value["branchName"], value["parentId"], value["host"], value.get("expiresAt")
    )


def _store(value: Any) -> StoreOutput:
    # Pulumi's numbers are floats.
    return StoreOutput(value["mode"], value["host"], int(value["port"]), value.get("fork"))


def _check_version(outputs: StackOutputs, key: str) -> None:
    if key not in outputs.values:
        raise OutputsError(f'stack "{outputs.stack}" is not a flow: it exports no "{key}"')
    version = outputs.values.get("schemaVersion")
    if version != FLOW_SCHEMA_VERSION:
        raise OutputsError(
            f'stack "{outputs.stack}" has outputs of version {version}, this library reads'
            f" {FLOW_SCHEMA_VERSION}: run `pulumi up` on it with the same version of kardinal-infra"
        )
