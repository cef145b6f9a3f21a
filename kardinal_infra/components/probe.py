"""The Pulumi resource that ends an `up` only when the flow really answers.

It is a dynamic resource and not a `local.Command`, because it runs in the program's own Python: no
interpreter path of one machine is stored in the state that another machine reads.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from kardinal_infra.cluster.probe import ProbeCheck, run_probe
from kardinal_infra.components.manifests import generation
from kardinal_infra.engine.dynamic import Provider, one_line_errors
from kardinal_infra.model.names import ANSWER_FLOW, HEADER_FORK
from kardinal_infra.model.topology import Gateway
from kardinal_infra.plan import FlowPlan
from kardinal_infra.routing.asking import question

PROBE_TIMEOUT_SECONDS = 60.0
"""How long a host may take to answer as expected after its routes were accepted."""


class ProbeArgs(TypedDict):
    """Arguments of `Probe`."""

    checks: list[dict[str, Any]]
    """Fields of `kardinal_infra.cluster.probe.ProbeCheck`, one mapping per check."""

    timeout: float
    """Seconds for all checks together."""

    authority: NotRequired[str]
    """PEM text of certificate authorities that are trusted besides those that are known everywhere."""

    triggers: pulumi.Input[list[pulumi.Input[str]]]
    """The probe runs again when one of these values changes."""


class ProbeProvider(Provider):
    """Runs the checks on create and on every change; there is nothing to delete.

    The import path of this class is part of every stack's state: do not move it.
    """

    @one_line_errors
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Runs the checks.

        Raises:
            ProbeError: A check did not hold in time.
        """
        self._run(props)
        return CreateResult("probe", outs=props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compares checks and triggers."""
        keys = ("checks", "timeout", "authority", "triggers")
        changed = any(
            json.dumps(_olds.get(k), sort_keys=True) != json.dumps(_news.get(k), sort_keys=True) for k in keys
        )
        return DiffResult(changes=changed)

    @one_line_errors
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Runs the checks again.

        Raises:
            ProbeError: A check did not hold in time.
        """
        self._run(_news)
        return UpdateResult(outs=_news)

    @staticmethod
    def _run(props: dict[str, Any]) -> None:
        checks = [ProbeCheck(**check) for check in props["checks"]]
        run_probe(checks, float(props["timeout"]), authority=props.get("authority") or "")


class Probe(Resource, module="probe", name="Probe"):
    """Waits until the public hosts answer as the flow wants it."""

    def __init__(self, name: str, args: ProbeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declares the probe.

        Args:
            name: Pulumi name.
            args: Checks, time limit and triggers.
            opts: Resource options; make it depend on the routes.
        """
        super().__init__(ProbeProvider(), name, dict(args), opts)


def flow_checks(plan: FlowPlan) -> list[dict[str, Any]]:
    """Asks every public host who answers: the flow on its own, production without it on production's.

    Args:
        plan: The flow.

    Returns:
        As for `probe_hosts`. A host whose rules all want more than a path is not asked: no request from here
        could tell.
    """
    checks: list[dict[str, Any]] = []
    for entry in plan.entries:
        if (asked := question(entry.route)) is None:
            continue
        marks = {ANSWER_FLOW: plan.flow, **({HEADER_FORK: asked.fork} if asked.fork else {})}
        checks.append({"url": entry.url + asked.path, "headers": marks})
        checks.append({"url": entry.production_url + asked.path, "absent": [ANSWER_FLOW, HEADER_FORK]})
    return checks


def probe_hosts(
    name: str,
    gateway: Gateway,
    checks: Sequence[Mapping[str, Any]],
    metadata: Sequence[pulumi.Output[Any]],
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> Probe:
    """Declares a probe that runs again whenever one of some Kubernetes objects changes.

    Args:
        name: Pulumi name.
        gateway: Where the hosts are.
        checks: Fields of `cluster.probe.ProbeCheck` without the address, one mapping per check.
        metadata: Metadata of the objects.
        parent: Component that the probe belongs to.
        after: What must be there before.

    Returns:
        The probe.
    """
    triggers: list[pulumi.Input[str]] = [item.apply(generation) for item in metadata]
    args: ProbeArgs = {
        "checks": [{**check, "address": gateway.address or ""} for check in checks],
        "timeout": PROBE_TIMEOUT_SECONDS,
        "triggers": triggers,
    }
    if gateway.certificate_authority:
        args["authority"] = gateway.certificate_authority
    return Probe(name, args, pulumi.ResourceOptions(parent=parent, depends_on=list(after)))
