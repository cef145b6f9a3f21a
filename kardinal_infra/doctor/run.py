"""Asks an application with a key of its own, and tells how far the key came."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lightkube import Client

from kardinal_infra.cluster.client import ask, connect
from kardinal_infra.cluster.probe import ProbeCheck, run_probe
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.doctor.collector import CONTAINER, Sighting, read_log
from kardinal_infra.doctor.entry import GATEWAY, calls_only
from kardinal_infra.doctor.making import PODS, list_objects, made, remove_dead
from kardinal_infra.doctor.marks import new_key
from kardinal_infra.doctor.plan import ProbePlan, plan_probe
from kardinal_infra.doctor.pods import addresses, proxy_image, services_of, without_sidecar
from kardinal_infra.doctor.verdict import Diagnosis, Trace, callees, seen_calls, trace, undeclared_calls
from kardinal_infra.errors import ClusterError
from kardinal_infra.model.names import ANSWER_FLOW
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects, Object
from kardinal_infra.routing.key import DEFAULT_KEY, Carrier, Key

ENTRY_SECONDS = 30.0
"""Longest wait until the probe's host answers."""

PAUSE_SECONDS = 0.5
"""From an answer to the look at the collector, which writes its log every 0.1 s."""


@dataclass(frozen=True)
class Question:
    """What to look at.

    Attributes:
        topology: The application.
        forks: Fork by service, of the flow to look at; none for the baseline.
        entry: Service to enter by; default: the topology's first entry.
        paths: Paths to ask for, each with its query.
        seconds: How long to ask again while a declared call has not been seen with the key.
        key: On which carriers the key is watched.
    """

    topology: Topology
    forks: Mapping[str, str] = field(default_factory=dict)
    entry: str | None = None
    paths: Sequence[str] = ("/",)
    seconds: float = 8.0
    key: Key = DEFAULT_KEY


def diagnose(question: Question, *, kubeconfig: str | None = None, context: str | None = None) -> Diagnosis:
    """Sends a tagged request through an application and tells how far its key came.

    Only GET requests are sent, all with a key that no flow has. What is made for them is removed at the end,
    also after an error; what killed runs have left is removed first.

    Args:
        question: What to look at.
        kubeconfig: As for `read_live`.
        context: As for `read_live`.

    Returns:
        The diagnosis.

    Raises:
        ClusterError: The cluster cannot be reached or refuses, no pod of the application has a sidecar, or
            mirrored requests do not reach the collector.
        ConfigError: There is no such entry, or its host cannot be routed.
        ProbeError: The probe's host does not answer.
    """
    topology = question.topology
    namespaces = topology.namespaces
    with connect(topology.namespace, kubeconfig=kubeconfig, context=context) as client:
        remove_dead(client, namespaces)
        live = read_live(*namespaces, kubeconfig=kubeconfig, context=context)
        pods: dict[str, list[Object]] = {}
        for snapshot in live.everywhere():
            pods |= _by_service(list_objects(client, PODS, snapshot.namespace), question, snapshot)
        image = proxy_image(pod for group in pods.values() for pod in group)
        if image is None:
            listed = ", ".join(namespaces)
            raise ClusterError(f"no pod of the application in namespace {listed} has a sidecar")
        plan = plan_probe(
            topology,
            live,
            new_key(),
            image,
            forks=question.forks,
            entry=question.entry,
            routing_key=question.key,
        )
        with made(client, plan) as collectors:
            return _Watch(client, plan, question, pods, collectors).diagnosis()


class _Watch:
    """Asks until every declared call has been seen with the key, or the time is over."""

    def __init__(
        self,
        client: Client,
        plan: ProbePlan,
        question: Question,
        pods: Mapping[str, Sequence[Object]],
        collectors: Mapping[str, str],
    ) -> None:
        self._client = client
        self._plan = plan
        self._question = question
        self._services = addresses(pods)
        self._collectors = collectors
        self._deaf = {
            name: f"pods without a sidecar: {', '.join(found)}"
            for name, group in pods.items()
            if (found := without_sidecar(group))
        }

    def diagnosis(self) -> Diagnosis:
        gateway = self._question.topology.gateway
        url = gateway.url(self._plan.host)
        marks = {ANSWER_FLOW: self._plan.key}
        checks = [
            ProbeCheck(url + path, address=gateway.address or "", headers=marks)
            for path in self._question.paths
        ]
        requests = 0
        deadline: float | None = None
        while True:
            run_probe(checks, ENTRY_SECONDS, authority=gateway.certificate_authority or "")
            requests += len(checks)
            # The time counts from the first answer: the way through the Gateway is in effect.
            deadline = deadline or time.monotonic() + self._question.seconds
            time.sleep(PAUSE_SECONDS)
            sightings = self._sightings()
            traces = tuple(self._trace(sightings, carrier) for carrier in self._question.key.asked)
            if all(found.state == "passed" for found in traces) or time.monotonic() > deadline:
                break
        if not any(item.service == GATEWAY for item in sightings):
            raise ClusterError(
                f"nothing can be told: what the Gateway mirrors for {url} does not reach the collector; a"
                " redirect of the Gateway's own answers there, or a NetworkPolicy or DestinationRule is in"
                " the way"
            )
        topology = self._question.topology
        calls = {call for carrier in self._question.key.asked for call in self._calls(sightings, carrier)}
        reached = topology.downstream([self._plan.entry.service])
        unseen = {
            **{name: reason for name, reason in self._deaf.items() if callees(topology, name)},
            **self._plan.mute,
        }
        return Diagnosis(
            key=self._plan.key,
            url=url,
            entry=self._plan.entry.service,
            requests=requests,
            traces=traces,
            unseen={name: reason for name, reason in sorted(unseen.items()) if name in reached},
            undeclared=undeclared_calls(topology, calls),
        )

    def _trace(self, sightings: Sequence[Sighting], carrier: Carrier) -> Trace:
        return trace(
            self._question.topology,
            self._plan.entry.service,
            self._calls(sightings, carrier),
            carrier=carrier,
            deaf=self._deaf,
            mute=self._plan.mute,
        )

    def _calls(self, sightings: Sequence[Sighting], carrier: Carrier) -> set[tuple[str, str]]:
        return seen_calls(self._question.topology, calls_only(sightings), self._services, carrier)

    def _sightings(self) -> list[Sighting]:
        return [
            sighting
            for namespace, pod in self._collectors.items()
            for sighting in read_log(self._log(namespace, pod), self._plan.key, self._question.key)
        ]

    def _log(self, namespace: str, pod: str) -> list[str]:
        lines = ask(
            self._client,
            "read the collector's log",
            lambda: list(self._client.log(pod, namespace=namespace, container=CONTAINER)),
        )
        return lines or []


def _by_service(pods: Iterable[Object], question: Question, live: LiveObjects) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for pod in pods:
        for service in services_of(pod, question.topology, live, question.forks):
            found.setdefault(service, []).append(pod)
    return found
