"""What guards the baseline's pods guards the fork's: every caller gets the same answer of both."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kardinal_infra.model.names import LABEL_FORK
from tests.isolation.guarded import KEY, Answer, Ask, Place, settles

pytestmark = pytest.mark.lab

FORKS = {"desk": "desk-dev", "rows": "rows-dev"}
NOBODYS_TOKEN = ("authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmVk")

TO_GRPC = Ask("desk:9000", method="GRPC")


def by_both(place: Place, caller: str, *asked: Ask) -> list[int | str]:
    """Asks baseline and fork, by the key; the status of both, which must have answered for themselves."""
    there = [replace(ask, target=ask.target.replace(":", f".{place.mesh.namespace}:")) for ask in asked]
    baseline = place.ask(caller, *there)
    fork = place.ask(caller, *(replace(ask, headers=(*ask.headers, KEY)) for ask in there))
    statuses = [answer.status for answer in baseline]
    assert [answer.status for answer in fork] == statuses
    for answers, deployment in ((baseline, "desk"), (fork, "desk-dev")):
        assert [answer.by for answer in answers] == [
            deployment if status == 200 else "" for status in statuses
        ]
    return statuses


def test_callers_paths_methods_and_tokens(guarded: Place) -> None:
    of_nobody = ("authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmVk")
    of_issuer = ("authorization", f"Bearer {guarded.token}")
    friend = {
        Ask("desk:80"): 200,
        Ask("desk:80", method="POST"): 403,
        Ask("desk:80", "/closed"): 403,
        Ask("desk:80", headers=(of_nobody,)): 401,
        Ask("desk:80", "/open/secret"): 403,
        Ask("desk:80", "/open/secret", (of_issuer,)): 200,
        TO_GRPC: 200,
    }
    consumer = {Ask("desk:80"): 403, Ask("desk:80", "/common"): 200, TO_GRPC: "PERMISSION_DENIED"}
    assert by_both(guarded, "friend", *friend) == list(friend.values())
    assert by_both(guarded, "consumer", *consumer) == list(consumer.values())


def test_a_caller_without_mutual_tls_gets_no_answer(guarded: Place) -> None:
    asked = [Ask(target, "/common") for target in ("desk:80", "desk-dev:80", "rows-dev:8000", "allowed:80")]
    assert [answer.status for answer in guarded.ask("outsider", *asked)] == [0, 0, 0, 200]


def test_what_the_pods_may_call(guarded: Place) -> None:
    for caller in ("desk", *FORKS.values()):
        answers = guarded.ask(caller, Ask("allowed:80"), Ask("other:80"))
        assert [answer.status for answer in answers] == [200, 502], caller


def test_network_policies_are_made_again_which_the_lab_does_not_enforce(guarded: Place) -> None:
    """Its pods are on a plain bridge: nobody acts on a NetworkPolicy, so its content is all there is."""
    made = {item["metadata"]["name"]: item["spec"] for item in guarded.mesh.objects("networkpolicies")}
    friend = {"podSelector": {"matchLabels": {"app": "friend"}}}
    for fork in FORKS.values():
        assert made[f"friends-{fork}"] == {
            "podSelector": {"matchLabels": {LABEL_FORK: fork}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [friend]}],
        }
    # The policy of the baseline lets only friends in; this answer says that it has no effect.
    assert guarded.by("consumer", Ask(f"desk.{guarded.mesh.namespace}:80", "/common")) == ["desk"]


def test_without_its_own_policies_the_fork_would_be_open(guarded: Place) -> None:
    mesh = guarded.mesh
    own = [
        item
        for item in mesh.objects("authorizationpolicies")
        if item["metadata"]["name"].endswith("-desk-dev")
    ]
    assert {item["metadata"]["name"] for item in own} == {"readers-desk-dev", "named-desk-dev"}
    mesh.delete("authorizationpolicy", *(item["metadata"]["name"] for item in own))
    try:
        asked = Ask(f"desk.{mesh.namespace}:80", headers=(KEY,))
        assert settles(lambda: guarded.by("consumer", asked), ["desk-dev"]) == ["desk-dev"]
    finally:
        for item in own:
            item["metadata"] = {key: item["metadata"][key] for key in ("name", "labels", "annotations")}
        guarded.apply(own)
    assert settles(lambda: guarded.ask("consumer", asked), [Answer(403, "")]) == [Answer(403, "")]
