"""The resource that is made before everything else of a flow and deleted after it.

Its making only checks that there are credentials. Its deletion looks for what the flow's marks say belongs to
it and the state does not know, on the cluster and among the database branches, and removes that too: after
`pulumi destroy` nothing of a flow is left, even when an `up` before it was killed.
"""

import json
import os
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from kardinal_infra.cluster.client import connect
from kardinal_infra.cluster.sweep import sweep
from kardinal_infra.databases.branching import BranchRequest, backend
from kardinal_infra.engine.dynamic import Provider, one_line_errors

DELETE_UNREACHABLE = "PULUMI_K8S_DELETE_UNREACHABLE"
"""The Kubernetes provider's own switch for a cluster that is gone for good."""


def cluster_is_gone() -> bool:
    """Says whether the user gave the cluster up, so that nothing of it is to be deleted any more."""
    return os.environ.get(DELETE_UNREACHABLE, "").lower() in {"true", "1"}


class BranchMark(TypedDict):
    """How to find a branch that the state may not know."""

    backend: str
    """Name of the branching backend."""

    request: BranchRequest
    """What was asked for; name and annotations identify the branch."""


class LeftoversArgs(TypedDict):
    """Arguments of `Leftovers`."""

    namespaces: Sequence[str]
    """All namespaces of the application."""

    flow: str
    """Flow id."""

    stack: str
    """Owner, `organization/project/stack`."""

    branches: Sequence[BranchMark]
    """The flow's branches."""

    kubeconfig: NotRequired[str | None]
    """Content or path; default: the environment's. Kept secret."""

    context: NotRequired[str | None]
    """Context of the kubeconfig; default: its current one."""


class LeftoversProvider(Provider):
    """Removes what a flow left behind.

    The import path of this class is part of every stack's state: do not move it.
    """

    @one_line_errors
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Only checks for credentials: without them nothing is begun, so that nothing has to be removed.

        Raises:
            BranchingError: There are none.
        """
        for mark in props["branches"]:
            backend(mark["backend"]).require_credentials(
                BranchRequest.from_plain(mark["request"]), self.config.get
            )
        return CreateResult("leftovers", outs=props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compares what identifies the flow's objects."""
        keys = ("flow", "stack", "branches", "kubeconfig", "context")
        # Of another flow id everything is replaced, and so the sweep of the old one takes place. Another
        # namespace is no reason: the branches keep their marks, and the old guard would delete them.
        replaces = [key for key in ("flow", "stack") if _olds.get(key) != _news.get(key)]
        changed = any(_olds.get(key) != _news.get(key) for key in keys)
        changed = changed or _namespaces(_olds) != _namespaces(_news)
        return DiffResult(changes=changed, replaces=replaces)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Remembers what is to be looked for, and what was: an update that was killed may have made it."""
        remembered = {"former": _former(_olds, _news), "former_namespaces": _former_namespaces(_olds, _news)}
        return UpdateResult(outs={**_news, **{key: value for key, value in remembered.items() if value}})

    @one_line_errors
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Removes what is left.

        Raises:
            ClusterError: The cluster cannot be read or refuses.
            BranchingError: A branch cannot be removed.
        """
        if not cluster_is_gone():
            namespaces = [*_namespaces(_props), *_props.get("former_namespaces", ())]
            with connect(
                namespaces[0], kubeconfig=_props.get("kubeconfig"), context=_props.get("context")
            ) as client:
                for item in sweep(client, namespaces, _props["flow"], _props["stack"]):
                    print(f"kardinal: removed {item}, which the stack's state did not know")  # noqa: T201
        for mark in [*_props["branches"], *_props.get("former", ())]:
            request = BranchRequest.from_plain(mark["request"])
            if backend(mark["backend"]).discard(request, self.config.get):
                print(f"kardinal: removed branch {request.name}, which the stack's state did not know")  # noqa: T201


def _former(olds: dict[str, Any], news: dict[str, Any]) -> list[dict[str, Any]]:
    """The marks of an earlier program that the present one does not have, each once."""
    former = {_identity(mark): mark for mark in [*olds.get("former", ()), *olds["branches"]]}
    present = {_identity(mark) for mark in news["branches"]}
    return [mark for identity, mark in former.items() if identity not in present]


def _namespaces(props: dict[str, Any]) -> list[str]:
    """The namespaces to look at; what the first version of this package made knows one."""
    return list(props["namespaces"]) if "namespaces" in props else [props["namespace"]]


def _former_namespaces(olds: dict[str, Any], news: dict[str, Any]) -> list[str]:
    """The namespaces of earlier programs, without the present ones, each once."""
    former = dict.fromkeys([*olds.get("former_namespaces", ()), *_namespaces(olds)])
    return [namespace for namespace in former if namespace not in _namespaces(news)]


def _identity(mark: dict[str, Any]) -> str:
    request = mark["request"]
    parts = [mark["backend"], *(request.get(key) for key in ("api_host", "project", "name", "annotations"))]
    return json.dumps(parts, sort_keys=True)


class Leftovers(Resource, module="leftovers", name="Leftovers"):
    """Guards a flow: depends on nothing, and everything of the flow depends on it."""

    def __init__(self, name: str, args: LeftoversArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declares the guard.

        Args:
            name: Pulumi name.
            args: The flow's marks.
            opts: Resource options.
        """
        kubeconfig = args.get("kubeconfig")
        props: dict[str, Any] = {
            "namespaces": list(args["namespaces"]),
            "flow": args["flow"],
            "stack": args["stack"],
            "branches": [
                {"backend": mark["backend"], "request": mark["request"].to_plain()}
                for mark in args["branches"]
            ],
            "kubeconfig": kubeconfig and pulumi.Output.secret(kubeconfig),
            "context": args.get("context"),
        }
        super().__init__(LeftoversProvider(), name, props, opts)
