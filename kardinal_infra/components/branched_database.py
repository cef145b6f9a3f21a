"""A database branch of a flow, handed to the flow's pods as Secrets, and brought to the flow's schema."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from kardinal_infra.components.manifests import content_name, owned
from kardinal_infra.databases.branching import Branch, BranchRequest, backend
from kardinal_infra.databases.sidecar import server_sslmode
from kardinal_infra.engine.program_errors import message_alone
from kardinal_infra.model.topology import DEFAULT_BACKEND

# To Pulumi's schema analyser a request is any data: it knows neither literals nor tuples.
if TYPE_CHECKING:
    Request = BranchRequest
else:
    Request = Any

MIGRATION_TIMEOUT = "10m"
"""Longest run of the migrations."""


class MigrationArgs(TypedDict):
    """The container that brings the branch to the flow's schema."""

    image: str
    """Image to run."""

    command: list[str]
    """Command of the container."""

    environment: Mapping[str, str]
    """Environment variable to the part of the branch's connection that it gets."""

    pod: NotRequired[Mapping[str, Any]]
    """Further fields of the pod's specification, e.g. imagePullSecrets."""

    image_pull_policy: NotRequired[str]
    """As in Kubernetes; default: its own."""

    namespace: NotRequired[str]
    """Where it runs; default: the metadata's namespace."""


class BranchedDatabaseArgs(TypedDict):
    """Arguments of `BranchedDatabase`."""

    request: Request
    """The branch: name, project, parent, database, role, life time, ownership marks."""

    metadata: Mapping[str, Any]
    """Namespace, labels and annotations of the Kubernetes objects."""

    consumers: Mapping[str, Mapping[str, str]]
    """One Secret per consumer: key of the Secret to part of the connection (uri, pooledUri, host, port, user,
    password, database, sslmode)."""

    homes: NotRequired[Mapping[str, str]]
    """Namespace by consumer; those that are not in it are in the metadata's namespace."""

    mesh_port: NotRequired[int]
    """Port that consumers connect to instead of the branch's own: under an egress lock the mesh leads it to
    the branch. Default: the branch's own."""

    backend: NotRequired[str]
    """Name of the branching backend. Default: as in a baseline."""

    migrations: NotRequired[MigrationArgs]
    """Migrations to run before anything uses the branch."""


class BranchedDatabase(pulumi.ComponentResource):
    """A copy-on-write branch with its Secrets and migrations.

    Attributes:
        branch: The branch; its `uri`, `pooled_uri` and `password` are secret.
        secrets: Secret by consumer. Their names change with their content, so that pods roll.
        ready: What to depend on before using the branch: the migrations, else the branch.
    """

    @message_alone
    def __init__(
        self, name: str, args: BranchedDatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declares branch, Secrets and migrations.

        Args:
            name: Pulumi name, a prefix of the children's names.
            args: The branch and who uses it.
            opts: Resource options.

        Raises:
            ConfigError: The backend is unknown or cannot do what is asked.
        """
        super().__init__("kardinal:index:BranchedDatabase", name, None, opts)
        # Not declared on the class: what is declared there counts as an output of the component's schema.
        self.branch: Branch = backend(args.get("backend", DEFAULT_BACKEND)).declare(
            name,
            args["request"],
            pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None),
        )
        self._parts = connection_parts(self.branch)
        mesh_port = args.get("mesh_port")
        consumed = through_port(self._parts, mesh_port) if mesh_port is not None else self._parts
        self._metadata = owned(args["metadata"])
        # The dot keeps consumers apart from each other and from the migrations: their names have none.
        homes = args.get("homes", {})
        self.secrets: dict[str, k8s.core.v1.Secret] = {
            consumer: self._secret(f"{name}.{consumer}", keys, consumed, homes.get(consumer))
            for consumer, keys in args["consumers"].items()
        }
        self.ready: pulumi.Resource = self.branch.resource
        if "migrations" in args:
            self.ready = self._migrate(f"{name}-migrations", args["migrations"])
        self.register_outputs({"branchId": self.branch.branch_id})

    def _secret(
        self,
        name: str,
        keys: Mapping[str, str],
        parts: Mapping[str, pulumi.Output[str]],
        namespace: str | None = None,
    ) -> k8s.core.v1.Secret:
        data = {key: parts[part] for key, part in keys.items()}
        return k8s.core.v1.Secret(
            name,
            metadata=cast("Any", {**self._metadata_in(namespace), "name": content_name(name, data)}),
            string_data=data,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _metadata_in(self, namespace: str | None) -> dict[str, Any]:
        return {**self._metadata, "namespace": namespace} if namespace else self._metadata

    def _migrate(self, name: str, args: MigrationArgs) -> k8s.batch.v1.Job:
        # The Job has no sidecar that would lead it elsewhere.
        secret = self._secret(name, args["environment"], self._parts, args.get("namespace"))
        environment = [
            {"name": key, "valueFrom": {"secretKeyRef": {"name": secret.metadata.name, "key": key}}}
            for key in args["environment"]
        ]
        container: dict[str, Any] = {
            "name": "migrations",
            "image": args["image"],
            "command": list(args["command"]),
            "env": environment,
        }
        if "image_pull_policy" in args:
            container["imagePullPolicy"] = args["image_pull_policy"]
        template = {
            # A sidecar without native support would keep the Job from ending.
            "metadata": {"labels": {**self._metadata["labels"], "sidecar.istio.io/inject": "false"}},
            "spec": {**args.get("pod", {}), "restartPolicy": "Never", "containers": [container]},
        }
        metadata = {**self._metadata_in(args.get("namespace")), "name": content_name(name, template)}
        # A failed Job stays failed: the next `up` makes a new one instead of waiting for it again.
        metadata["annotations"] = {**self._metadata["annotations"], "pulumi.com/replaceUnready": "true"}
        return k8s.batch.v1.Job(
            name,
            metadata=cast("Any", metadata),
            # A migration that failed half-way is for a person to look at, not for a second blind try.
            spec=cast("Any", {"backoffLimit": 0, "template": template}),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[self.branch.resource],
                custom_timeouts=pulumi.CustomTimeouts(create=MIGRATION_TIMEOUT, update=MIGRATION_TIMEOUT),
            ),
        )


def connection_parts(branch: Branch) -> dict[str, pulumi.Output[str]]:
    """Takes a branch's connection apart.

    Args:
        branch: The branch.

    Returns:
        The parts by the names that environments use; those with a password are secret.
    """
    return {
        "uri": branch.uri,
        "pooledUri": branch.pooled_uri,
        "host": branch.host,
        "port": branch.port.apply(_whole_number),
        "user": branch.role,
        "password": branch.password,
        "database": branch.database,
        "sslmode": branch.uri.apply(server_sslmode),
    }


def through_port(parts: Mapping[str, pulumi.Output[str]], port: int) -> dict[str, pulumi.Output[str]]:
    """Replaces the port of a connection; host and TLS stay, so that certificates still fit.

    Args:
        parts: As `connection_parts` returns them.
        port: The port.

    Returns:
        The parts; the pooled URI is the direct one, because the port leads to one host.
    """
    uri = parts["uri"].apply(lambda text: with_port(text, port))
    return {**parts, "port": pulumi.Output.from_input(str(port)), "uri": uri, "pooledUri": uri}


def with_port(uri: str, port: int) -> str:
    """Replaces the port of a URI.

    Args:
        uri: A connection URI with one host.
        port: The port.
    """
    split = urlsplit(uri)
    credentials, at, host = split.netloc.rpartition("@")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return split._replace(netloc=f"{credentials}{at}{name}:{port}").geturl()


def _whole_number(port: float) -> str:
    return str(int(port))
