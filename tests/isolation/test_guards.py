"""What guards the baseline's pods guards the fork's: every caller gets the same answer of both."""

from __future__ import annotations

import json

import pytest

from kardinal_infra.names import LABEL_FORK
from tests.isolation.guarded import KEY, Answer, Place, settles

pytestmark = pytest.mark.lab

FORKS = {"desk": "desk-dev", "rows": "rows-dev"}
NOBODYS_TOKEN = ("authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmVk")

CASES = {
    "who may": ("friend", "GET", "/open", (), 200),
    "another method": ("friend", "POST", "/open", (), 403),
    "another path": ("friend", "GET", "/closed", (), 403),
    "another caller": ("consumer", "GET", "/open", (), 403),
    "a path for all": ("consumer", "GET", "/common", (), 200),
    "a token of nobody": ("friend", "GET", "/open", (NOBODYS_TOKEN,), 401),
    "no token": ("friend", "GET", "/open/secret", (), 403),
}


def by_both(place: Place, caller: str, path: str, *headers: tuple[str, str], method: str = "GET") -> set[int | str]:
    """Asks baseline and fork, by the key; the statuses of both, which must have answered for themselves."""
    target = f"desk.{place.mesh.namespace}:{9000 if method == 'GRPC' else 80}"
    statuses = set()
    for key, deployment in (((), "desk"), ((KEY,), "desk-dev")):
        answer = place.ask(caller, target, path, (*headers, *key), method)
        assert answer.by == (deployment if answer.status == 200 else "")
        statuses.add(answer.status)
    return statuses


@pytest.mark.parametrize("case", list(CASES))
def test_callers_methods_paths_and_tokens(guarded: Place, case: str) -> None:
    caller, method, path, headers, status = CASES[case]
    assert by_both(guarded, caller, path, *headers, method=method) == {status}


def test_a_token_of_the_issuer_opens_what_needs_one(guarded: Place) -> None:
    token = ("authorization", f"Bearer {guarded.token}")
    assert by_both(guarded, "friend", "/open/secret", token) == {200}


def test_grpc_callers(guarded: Place) -> None:
    assert by_both(guarded, "friend", "", method="GRPC") == {200}
    assert by_both(guarded, "consumer", "", method="GRPC") == {"PERMISSION_DENIED"}


def test_a_caller_without_mutual_tls_gets_no_answer(guarded: Place) -> None:
    answers = {
        name: guarded.ask("outsider", f"{name}:{port}", "/common").status
        for name, port in (("desk", 80), ("desk-dev", 80), ("rows-dev", 8000), ("allowed", 80))
    }
    assert answers == {"desk": 0, "desk-dev": 0, "rows-dev": 0, "allowed": 200}


def test_what_the_pods_may_call(guarded: Place) -> None:
    for caller in ("desk", *FORKS.values()):
        answers = [guarded.ask(caller, target).status for target in ("allowed:80", "other:80")]
        assert answers == [200, 502], caller


def test_network_policies_are_made_again_which_the_lab_does_not_enforce(guarded: Place) -> None:
    """Its pods are on a plain bridge: nobody acts on a NetworkPolicy, so that its content is all there is to see."""
    made = {item["metadata"]["name"]: item["spec"] for item in guarded.mesh.objects("networkpolicies")}
    friend = {"podSelector": {"matchLabels": {"app": "friend"}}}
    for fork in FORKS.values():
        assert made[f"friends-{fork}"] == {
            "podSelector": {"matchLabels": {LABEL_FORK: fork}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [friend]}],
        }
    # The policy of the baseline lets only friends in; this answer says that it has no effect.
    assert guarded.ask("consumer", f"desk.{guarded.mesh.namespace}:80", "/common") .status == 200


def test_without_its_own_policies_the_fork_would_be_open(guarded: Place) -> None:
    mesh = guarded.mesh
    own = [item for item in mesh.objects("authorizationpolicies") if item["metadata"]["name"].endswith("-desk-dev")]
    assert {item["metadata"]["name"] for item in own} == {"readers-desk-dev", "named-desk-dev"}
    mesh.delete("authorizationpolicy", *(item["metadata"]["name"] for item in own))
    try:
        ask = ("consumer", f"desk.{mesh.namespace}:80", "/open", (KEY,))
        assert settles(lambda: guarded.ask(*ask).by, "desk-dev") == "desk-dev"
    finally:
        for item in own:
            item["metadata"] = {key: item["metadata"][key] for key in ("name", "labels", "annotations")}
        mesh.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": own}))
    assert settles(lambda: guarded.ask(*ask), Answer(403, "")) == Answer(403, "")
