"""Which workloads can be forked, and that nothing selects a fork."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.forking import (
    fork_problems,
    fork_workload,
)
from kardinal_infra.forking.containers import pick_container
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.observed.selectors import matches
from kardinal_infra.plan.forks import selected_keys
from kardinal_infra.safety import prove
from tests.pure.forked import VOTES, case, pod, spec
from tests.pure.samples import MANY, NAMESPACE, live, service, workload


@pytest.mark.parametrize(
    ("names", "annotated", "wanted", "picked"),
    [
        (["main"], None, None, "main"),
        (["web", "other"], None, None, "web"),
        (["a", "b"], "b", None, "b"),
        (["web", "b"], "b", None, "b"),
        (["main", "istio-proxy", "cloud-sql-proxy"], None, None, "main"),
        (["web", "other"], None, "other", "other"),
    ],
)
def test_the_application_container_is_picked(
    names: list[str], annotated: str | None, wanted: str | None, picked: str
) -> None:
    annotations = {"kubectl.kubernetes.io/default-container": annotated} if annotated else {}
    template = {
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"name": n} for n in names]},
    }
    assert pick_container(template, wanted, "web") == picked


@pytest.mark.parametrize(
    ("names", "wanted", "message"),
    [
        (
            ["a", "b"],
            None,
            "it is not clear which container is the application (a, b): set `container`",
        ),
        (["a", "b"], "c", 'there is no container "c" (there is: a, b)'),
    ],
)
def test_an_unclear_choice_is_refused(names: list[str], wanted: str | None, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        pick_container({"spec": {"containers": [{"name": n} for n in names]}}, wanted, "web")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("modes", "refused"),
    [(["ReadWriteOnce"], True), (["ReadWriteMany"], False), (["ReadOnlyMany"], False), (None, True)],
)
def test_a_volume_of_one_node_is_not_shared(modes: list[str] | None, refused: bool) -> None:
    item = workload("web")
    pod(item)["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "uploads"}}]
    claims = [] if modes is None else [{"metadata": {"name": "uploads"}, "spec": {"accessModes": modes}}]
    problems = fork_problems(spec(item), live(claims=claims))
    assert bool(problems) is refused
    if refused:
        assert 'Deployment web mounts PersistentVolumeClaim "uploads"' in problems[0]


@pytest.mark.parametrize(
    ("secrets", "refused"), [({"s": frozenset({"DB"})}, False), ({"s": frozenset()}, True), (None, False)]
)
def test_keys_of_envfrom_are_looked_up_with_their_prefix(secrets: Any, refused: bool) -> None:
    item = workload("web")
    pod(item)["containers"][0]["envFrom"] = [{"prefix": "MY_", "secretRef": {"name": "s"}}]
    use = replace(VOTES, environment={"MY_DB": "uri"})
    problems = fork_problems(spec(item, databases=(use,)), live(secret_keys=secrets))
    assert bool(problems) is refused


keys = st.sampled_from(("app", "tier", "version", "app.kubernetes.io/name", "kardinal.dev/fork", "team"))
values = st.sampled_from(("a", "b", "web-dev"))
labels = st.dictionaries(keys, values, max_size=4)


@MANY
@given(labels, st.lists(st.dictionaries(keys, values, min_size=1, max_size=3), max_size=4), st.data())
def test_no_service_or_workload_ever_selects_a_fork(
    own: dict[str, str], selectors: list[dict[str, str]], data: st.DataObject
) -> None:
    items = []
    for index, selector in enumerate(selectors):
        if data.draw(st.booleans()):
            items.append(("Service", service(f"s{index}", selector=selector)))
        else:
            other = workload(f"w{index}")
            other["spec"]["selector"] = {"matchLabels": selector}
            items.append(("Deployment", other))
    snapshot = LiveObjects(
        NAMESPACE,
        services=[item for kind, item in items if kind == "Service"],
        deployments=[item for kind, item in items if kind == "Deployment"],
    )
    item = workload("web")
    item["spec"]["template"]["metadata"]["labels"] = own
    made = spec(item, selected_keys=selected_keys(snapshot))
    result = fork_workload(made, {})["spec"]["template"]["metadata"]["labels"]
    selected = [selector for selector in selectors if matches({"matchLabels": selector}, result)]
    # Only a selector by our own label can still hold, and then the flow is refused (rule fork-selected).
    assert all(selector == {"kardinal.dev/fork": "web-dev"} for selector in selected)
    findings = [item for item in prove(case(snapshot, made)) if item.rule == "fork-selected"]
    assert bool(findings) is bool(selected)
    free = own.keys() - {key for selector in selectors for key in selector} - {"kardinal.dev/fork"}
    assert {key: result[key] for key in free} == {key: own[key] for key in free}
