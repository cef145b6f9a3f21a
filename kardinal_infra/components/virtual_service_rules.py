"""The Pulumi resource of a flow's rules in a VirtualService that belongs to somebody else."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from kardinal_infra.cluster.client import connect
from kardinal_infra.cluster.virtual_services import (
    flow_rules_of,
    insert_rules,
    read_virtual_service,
    remove_rules,
)
from kardinal_infra.components.leftovers import cluster_is_gone
from kardinal_infra.engine.dynamic import Provider, one_line_errors


class VirtualServiceRulesArgs(TypedDict):
    """Arguments of `VirtualServiceRules`."""

    namespace: str
    """Namespace of the VirtualService."""

    virtual_service: str
    """Its name."""

    flow: str
    """Flow id; the rules are named after it."""

    rules: Sequence[Mapping[str, Any]]
    """Items of `spec.http`, as `kardinal_infra.routing.flow_insertion` makes them."""

    lost_at: NotRequired[str]
    """The object's resourceVersion when it was seen without the rules; each new one writes them again."""

    kubeconfig: NotRequired[str | None]
    """Content or path; default: the environment's. Kept secret."""

    context: NotRequired[str | None]
    """Context of the kubeconfig; default: its current one."""


class VirtualServiceRulesProvider(Provider):
    """Inserts the rules, writes them again when somebody removed them, and takes exactly them out.

    The import path of this class is part of every stack's state: do not move it.
    """

    @one_line_errors
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Inserts the rules; those that a killed run left are replaced.

        Raises:
            ClusterError: The VirtualService is gone, or the cluster refuses.
        """
        return CreateResult(
            f"{props['namespace']}/{props['virtual_service']}/{props['flow']}", outs=self._write(props)
        )

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compares what is wanted with what was written last, or seen by a refresh."""
        replaces = [
            key for key in ("namespace", "virtual_service", "flow") if _olds.get(key) != _news.get(key)
        ]
        lost = bool(_news.get("lost_at")) and _news["lost_at"] != _olds.get("lost_at")
        changed = any(_olds.get(key) != _news.get(key) for key in ("rules", "kubeconfig", "context"))
        return DiffResult(
            changes=bool(replaces) or lost or changed,
            replaces=replaces,
            # Both may be the same object under another key, and the old rules must not outlive the new.
            delete_before_replace=bool(replaces),
        )

    @one_line_errors
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Reads the rules as they are, and says so when somebody removed or changed them.

        Raises:
            ClusterError: The cluster cannot be read.
        """
        namespace, name, flow = props["namespace"], props["virtual_service"], props["flow"]
        with self._client(props) as client:
            item = read_virtual_service(client, namespace, name)
        if item is None:
            _notice(f"VirtualService {namespace}/{name} is gone, and with it the routes of flow {flow}")
            return ReadResult(None, {})
        there = flow_rules_of(item, flow)
        if not there:
            _notice(
                f"somebody removed the rules of flow {flow} from VirtualService {namespace}/{name} (kubectl"
                " apply, Helm and Argo CD do that); its requests reach production until the next pulumi up"
            )
            return ReadResult(None, {})
        if there != props["rules"]:
            _notice(f"somebody changed the rules of flow {flow} in VirtualService {namespace}/{name}")
        return ReadResult(id_, {**props, "rules": there})

    @one_line_errors
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Writes the rules anew.

        Raises:
            ClusterError: The VirtualService is gone, or the cluster refuses.
        """
        return UpdateResult(outs=self._write(_news))

    @one_line_errors
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Takes the rules out; a VirtualService that is gone is a success.

        Raises:
            ClusterError: The cluster cannot be reached or refuses.
        """
        if cluster_is_gone():
            return
        with self._client(_props) as client:
            remove_rules(client, _props["namespace"], _props["virtual_service"], _props["flow"])

    def _write(self, props: dict[str, Any]) -> dict[str, Any]:
        with self._client(props) as client:
            written = insert_rules(
                client, props["namespace"], props["virtual_service"], props["flow"], props["rules"]
            )
        # As of an object of the Kubernetes provider, so that a probe runs again after every write.
        metadata = {key: written["metadata"].get(key) for key in ("uid", "generation")}
        return {**props, "metadata": metadata}

    @staticmethod
    def _client(props: dict[str, Any]) -> Any:
        return connect(props["namespace"], kubeconfig=props.get("kubeconfig"), context=props.get("context"))


def _notice(text: str) -> None:
    # What a dynamic provider prints, the engine shows beside the resource.
    print(f"kardinal: {text}")  # noqa: T201


class VirtualServiceRules(Resource, module="routing", name="VirtualServiceRules"):
    """A flow's rules in a VirtualService of the baseline's.

    Attributes:
        metadata: `uid` and `generation` of the object when the rules were written last.
    """

    metadata: pulumi.Output[dict[str, Any]]

    def __init__(
        self, name: str, args: VirtualServiceRulesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declares the rules.

        Args:
            name: Pulumi name.
            args: Object, flow and rules.
            opts: Resource options.
        """
        kubeconfig = args.get("kubeconfig")
        props: dict[str, Any] = {
            "namespace": args["namespace"],
            "virtual_service": args["virtual_service"],
            "flow": args["flow"],
            "rules": [dict(rule) for rule in args["rules"]],
            "lost_at": args.get("lost_at", ""),
            "kubeconfig": kubeconfig and pulumi.Output.secret(kubeconfig),
            "context": args.get("context"),
            "metadata": None,
        }
        super().__init__(VirtualServiceRulesProvider(), name, props, opts)
