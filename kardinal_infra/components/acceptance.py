"""The Pulumi resource that waits until all parents of some routes have accepted them.

The Kubernetes provider can wait for a condition too (`pulumi.com/waitFor`), but of one parent, for ten
minutes, and without a word about the reason
(docs/facts/kubernetes-plugin.md#conditions-are-waited-for-by-annotation).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from kardinal_infra.cluster.client import connect
from kardinal_infra.cluster.route_status import KINDS, wait_until_accepted
from kardinal_infra.components.manifests import generation
from kardinal_infra.engine.dynamic import Provider, one_line_errors


class AcceptanceArgs(TypedDict):
    """Arguments of `Acceptance`."""

    routes: Sequence[Mapping[str, Any]]
    """`kind` and `metadata` (namespace and name) of HTTPRoutes and GRPCRoutes."""

    triggers: pulumi.Input[list[pulumi.Input[str]]]
    """It waits again when one of these values changes."""

    kubeconfig: NotRequired[str | None]
    """Content or path; default: the environment's. Kept secret."""

    context: NotRequired[str | None]
    """Context of the kubeconfig; default: its current one."""


class AcceptanceProvider(Provider):
    """Waits on create and on every change; there is nothing to delete.

    The import path of this class is part of every stack's state: do not move it.
    """

    @one_line_errors
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Waits.

        Raises:
            ClusterError: A parent did not accept a route; names both, with the reason.
        """
        self._wait(props)
        return CreateResult("accepted", outs=props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compares routes and triggers."""
        keys = ("routes", "triggers", "kubeconfig", "context")
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in keys))

    @one_line_errors
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Waits again.

        Raises:
            ClusterError: A parent did not accept a route; names both, with the reason.
        """
        self._wait(_news)
        return UpdateResult(outs=_news)

    @staticmethod
    def _wait(props: dict[str, Any]) -> None:
        routes = props["routes"]
        with connect(
            routes[0]["metadata"]["namespace"],
            kubeconfig=props.get("kubeconfig"),
            context=props.get("context"),
        ) as client:
            wait_until_accepted(client, routes)


class Acceptance(Resource, module="routing", name="Acceptance"):
    """Routes that are accepted by all their parents."""

    def __init__(self, name: str, args: AcceptanceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declares the wait.

        Args:
            name: Pulumi name.
            args: The routes.
            opts: Resource options; make it depend on the routes.
        """
        kubeconfig = args.get("kubeconfig")
        props: dict[str, Any] = {
            "routes": list(args["routes"]),
            "triggers": args["triggers"],
            "kubeconfig": kubeconfig and pulumi.Output.secret(kubeconfig),
            "context": args.get("context"),
        }
        super().__init__(AcceptanceProvider(), name, props, opts)


def accepted(
    name: str,
    manifests: Sequence[Mapping[str, Any]],
    resources: Sequence[Any],
    parent: pulumi.Resource,
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
) -> list[pulumi.Resource]:
    """Declares the wait for some routes, and again whenever one of them changes.

    Args:
        name: Pulumi name.
        manifests: What was declared.
        resources: The resources of the manifests, in the same order.
        parent: Component that the wait belongs to.
        kubeconfig: Content or path; default: the environment's.
        context: Context of the kubeconfig; default: its current one.

    Returns:
        The wait; nothing where no manifest is of a kind whose status tells.
    """
    routes = [
        (manifest, made)
        for manifest, made in zip(manifests, resources, strict=True)
        if manifest["kind"] in KINDS
    ]
    if not routes:
        return []
    named = [
        {
            "kind": manifest["kind"],
            "metadata": {key: manifest["metadata"][key] for key in ("namespace", "name")},
        }
        for manifest, _ in routes
    ]
    args: AcceptanceArgs = {
        "routes": named,
        "triggers": [made.metadata.apply(generation) for _, made in routes],
        "kubeconfig": kubeconfig,
        "context": context,
    }
    made = [made for _, made in routes]
    return [Acceptance(name, args, pulumi.ResourceOptions(parent=parent, depends_on=made))]
