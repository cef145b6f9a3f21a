"""Pulumi's mocks, with what they leave out: dependencies, options and secrets of every registration."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import grpc
import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc, settings

ORGANIZATION = "organization"
PROJECT = "kardinal"

BRANCH = "pulumi-python:dynamic/neon:Branch"
PROBE = "pulumi-python:dynamic/probe:Probe"
LEFTOVERS = "pulumi-python:dynamic/leftovers:Leftovers"
ACCEPTANCE = "pulumi-python:dynamic/routing:Acceptance"
RULES = "pulumi-python:dynamic/routing:VirtualServiceRules"
SECRET = "kubernetes:core/v1:Secret"
JOB = "kubernetes:batch/v1:Job"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
SERVICE = "kubernetes:core/v1:Service"
HTTP_ROUTE = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"
GATEWAY = "kubernetes:gateway.networking.k8s.io/v1:Gateway"
COMMAND = "command:local:Command"
DRAIN = COMMAND

READ_OUTPUTS = "pulumi:pulumi:readStackOutputs"
UNKNOWN = "<unknown>"


class Hidden(str):
    """A value that the program marked as secret, as text."""

    __slots__ = ()

    def __new__(cls, value: Any) -> Hidden:
        return super().__new__(cls, value if isinstance(value, str) else json.dumps(value, sort_keys=True))


@dataclass(frozen=True)
class Declared:
    """One registered resource.

    Attributes:
        urn: Its URN.
        type: Its type token.
        name: Its Pulumi name.
        parent: URN of its parent.
        inputs: Plain data; secrets are `Hidden`, what is not known yet is `UNKNOWN`.
        dependencies: URNs.
        protect: The option.
        timeouts: The option's create and update time.
        secret_outputs: The option.
        provider: Reference of the explicit provider, empty for the default one.
        delete_before_replace: The option.
    """

    urn: str
    type: str
    name: str
    parent: str
    inputs: Any
    dependencies: frozenset[str]
    protect: bool
    timeouts: tuple[str, str]
    secret_outputs: frozenset[str]
    provider: str
    delete_before_replace: bool

    @property
    def object_name(self) -> str:
        """Name of the Kubernetes object."""
        return str(self.inputs["metadata"]["name"])


class Stack:
    """What a program declared and exported."""

    def __init__(self, declared: list[Declared], exports: Mapping[str, Any]) -> None:
        self.declared = declared
        self.exports = exports
        self._by_urn = {item.urn: item for item in declared}

    def all(self, type: str) -> list[Declared]:
        return [item for item in self.declared if item.type == type]

    def one(self, type: str, name: str | None = None) -> Declared:
        """The only resource of a type (and Pulumi name)."""
        found = [item for item in self.all(type) if name in (None, item.name)]
        assert len(found) == 1, [item.urn for item in found] or [item.urn for item in self.declared]
        return found[0]

    def waits_for(self, item: Declared, other: Declared) -> bool:
        """Whether a resource depends on another, directly or through others."""
        seen: set[str] = set()
        todo = list(item.dependencies)
        while todo:
            urn = todo.pop()
            if urn not in seen:
                seen.add(urn)
                todo.extend(self._by_urn[urn].dependencies)
        return other.urn in seen

    def objects(self) -> list[tuple[str, str]]:
        """Kind and name of every Kubernetes object, sorted."""
        return sorted(
            (item.type.rsplit(":", 1)[-1], item.object_name)
            for item in self.declared
            if item.type.startswith("kubernetes:")
        )


class Refused(grpc.RpcError):
    """What the engine answers to a call that failed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return self.text


class Cloud(mocks.Mocks):
    """Answers as the providers and the engine would.

    Args:
        stacks: Outputs by stack, for stack references.
        known: Whether the providers' own outputs are known, as after an update.
    """

    def __init__(self, stacks: Mapping[str, Mapping[str, Any]], *, known: bool) -> None:
        self.stacks = stacks
        self.known = known

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not (args.custom and self.known):
            return None, args.inputs
        if args.typ == BRANCH:
            return f"project-1/{args.name}", branch_outputs(args.name, args.inputs)
        if args.typ == RULES:
            return args.name, {**args.inputs, "metadata": {"uid": f"uid-{args.name}", "generation": 1}}
        if args.typ.startswith("kubernetes:"):
            metadata = {
                **rpc.unwrap_rpc_secret(args.inputs["metadata"]),
                "uid": f"uid-{args.name}",
                "generation": 1,
            }
            return f"ns/{metadata['name']}", {**args.inputs, "metadata": metadata}
        return args.name, args.inputs

    def call(self, args: mocks.MockCallArgs) -> Any:
        assert args.token == READ_OUTPUTS, args.token
        name = args.args["name"]
        if name not in self.stacks:
            raise Refused(f'invocation of {args.token} returned an error: unknown stack "{name}"\nmore')
        outputs = self.stacks[name]
        return {"name": name, "outputs": outputs, "secretOutputNames": ["connectionUris"]}


def branch_outputs(name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the Neon provider adds to a branch's inputs."""
    password = f"pa'ss-of-{name}"
    at = f"{inputs['role']}:pa%27ss-of-{name}@ep-{name}"
    where = f"example.test:5433/{inputs['database']}?sslmode=require"
    return {
        **inputs,
        "branch_id": f"br-{name}",
        "branch_name": inputs["name"],
        "project_id": "project-1",
        "parent_id": "br-main",
        "parent_lsn": "0/1DE2850",
        "endpoint_id": f"ep-{name}",
        "host": f"ep-{name}.example.test",
        "port": 5433.0,
        "password": password,
        "uri": f"postgresql://{at}.{where}",
        "pooled_uri": f"postgresql://{at}-pooler.{where}",
        "expires_at": "2026-12-01T00:00:00Z" if inputs.get("ttl") else None,
        "adopted": False,
    }


class Monitor(mocks.MockMonitor):
    """Keeps each registration as the engine would get it, and keeps secret outputs secret."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.declared: list[Declared] = []

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type == "pulumi:pulumi:Stack":
            return response
        for name in request.additionalSecretOutputs:
            if name in response.object.fields:
                value = json_format.MessageToDict(response.object.fields[name])
                json_format.ParseDict(rpc.wrap_rpc_secret(value), response.object.fields[name])
        self.declared.append(
            Declared(
                urn=response.urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                inputs=_plain(json_format.MessageToDict(request.object)),
                dependencies=frozenset(request.dependencies),
                protect=request.protect,
                timeouts=(request.customTimeouts.create, request.customTimeouts.update),
                secret_outputs=frozenset(request.additionalSecretOutputs),
                provider=request.provider,
                delete_before_replace=request.deleteBeforeReplace,
            )
        )
        return response


def run(
    program: Callable[[], Any],
    *,
    preview: bool = False,
    project: str = PROJECT,
    stack: str = "dev",
    config: Mapping[str, Any] | None = None,
    stacks: Mapping[str, Mapping[str, Any]] | None = None,
) -> Stack:
    """Runs a program.

    Args:
        program: Declares resources and exports.
        preview: As a preview: what only the providers know is not known.
        project: Name of its project.
        stack: Name of its stack.
        config: Its config; objects as plain data.
        stacks: Outputs of other stacks.

    Raises:
        Exception: What the program raised.
    """
    monitor = prepare(preview=preview, project=project, stack=stack, config=config, stacks=stacks)
    root = cast("Any", settings.get_root_resource())
    root.outputs.clear()
    exports: dict[str, Any] = {}

    async def serialise() -> None:
        # As for the engine: the only form that shows what is secret and what is not known.
        for name, value in root.outputs.items():
            exports[name] = _plain(await rpc.serialize_property(value, [], None))

    def body() -> Any:
        program()
        return serialise()

    pulumi.runtime.test(body)()  # type: ignore[no-untyped-call]
    return Stack(monitor.declared, exports)


def prepare(
    *,
    preview: bool = False,
    project: str = PROJECT,
    stack: str = "dev",
    config: Mapping[str, Any] | None = None,
    stacks: Mapping[str, Mapping[str, Any]] | None = None,
) -> Monitor:
    """Sets Pulumi's runtime up; what is declared from then on is in the result."""
    cloud = Cloud(stacks or {}, known=not preview)
    monitor = Monitor(cloud)
    pulumi.runtime.set_mocks(
        cloud, project=project, stack=stack, preview=preview, monitor=monitor, organization=ORGANIZATION
    )
    texts = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in (config or {}).items()
    }
    pulumi.runtime.set_all_config(texts, secret_keys=[])
    return monitor


def _plain(value: Any) -> Any:
    """The wire format as data: numbers that are whole as `int`, secrets as `Hidden`."""
    if isinstance(value, Mapping):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            inner = _plain(value["value"])
            return UNKNOWN if inner == UNKNOWN else Hidden(inner)
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return UNKNOWN if value == rpc.UNKNOWN else value
