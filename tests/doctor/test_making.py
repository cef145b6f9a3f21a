"""What happens when the cluster fails while a probe's objects are there."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.cluster.route_status import ACCEPTED_SECONDS
from kardinal_infra.doctor import making
from kardinal_infra.doctor.making import made
from kardinal_infra.doctor.marks import LIFE_SECONDS, new_key
from kardinal_infra.doctor.plan import ProbePlan, plan_probe
from kardinal_infra.doctor.run import ENTRY_SECONDS
from kardinal_infra.errors import ClusterError
from tests.pure import samples

CLIENT: Any = None
LONGEST_WAIT = 60
"""What `--wait` allows."""


class Refusing:
    """A cluster that stops answering at some point.

    Attributes:
        made: Kinds that it made.
        removed: Keys whose objects it was asked to remove.
        away: Whether it answers no more.
        fails_at: Kind that it refuses to make.
    """

    def __init__(self) -> None:
        self.made: list[str] = []
        self.removed: list[str] = []
        self.away = False
        self.fails_at = ""

    def create(self, _client: Any, manifest: Any, _owner: Any = None) -> Any:
        if manifest["kind"] == self.fails_at:
            self.away = True
            raise ClusterError(f"create {manifest['kind']}: connection refused")
        self.made.append(manifest["kind"])
        return {**manifest, "metadata": {**manifest["metadata"], "uid": "1"}}

    def remove(self, _client: Any, _namespaces: Any, key: str) -> list[str]:
        self.removed.append(key)
        if self.away:
            raise ClusterError("list httproutes: connection refused")
        return []


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    found = Refusing()
    monkeypatch.setattr(making, "_create", found.create)
    monkeypatch.setattr(making, "_remove", found.remove)
    monkeypatch.setattr(making, "_ready_pod", lambda *_: "pod-1")
    monkeypatch.setattr(making, "wait_until_accepted", lambda *_: None)
    return found


@pytest.fixture
def plan() -> ProbePlan:
    return plan_probe(samples.topology(), samples.live(), new_key(), "proxyv2")


def test_what_was_made_is_removed_and_the_cluster_s_own_error_is_the_one_that_is_told(
    cluster: Refusing, plan: ProbePlan, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.fails_at = "HTTPRoute"
    with (
        pytest.raises(ClusterError, match=r"^create HTTPRoute: connection refused$"),
        made(CLIENT, plan),
    ):
        pytest.fail("a probe without routes was used")
    assert cluster.made == ["Job", "Service"]
    assert cluster.removed == [plan.key]
    assert f"the cluster removes what is left within {LIFE_SECONDS // 60} minutes" in caplog.text


def test_a_diagnosis_is_kept_when_the_cluster_is_away_at_the_end(
    cluster: Refusing, plan: ProbePlan, caplog: pytest.LogCaptureFixture
) -> None:
    with made(CLIENT, plan) as pods:
        cluster.away = True
    assert pods == {samples.NAMESPACE: "pod-1"}
    assert cluster.removed == [plan.key]
    assert "list httproutes: connection refused" in caplog.text


def test_nothing_is_said_when_all_is_removed(
    cluster: Refusing, plan: ProbePlan, caplog: pytest.LogCaptureFixture
) -> None:
    with made(CLIENT, plan):
        pass
    assert cluster.removed == [plan.key]
    assert caplog.text == ""


def test_a_job_outlives_the_longest_run() -> None:
    # Both waits for the entry: a second one may begin at the last moment of the longest `--wait`.
    longest = 2 * making.READY_SECONDS + ACCEPTED_SECONDS + 2 * ENTRY_SECONDS + LONGEST_WAIT
    assert longest * 2 < LIFE_SECONDS
