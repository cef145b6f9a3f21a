"""The network to the cluster fails in the middle of a run: what is told, and what is left."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from kardinal_infra.cluster.client import connect
from kardinal_infra.doctor import Question, diagnose
from kardinal_infra.doctor.making import remove_dead
from kardinal_infra.doctor.marks import LIFE_SECONDS
from kardinal_infra.errors import ClusterError
from tests.doctor.probed_api import Ask, ProbedApi, running
from tests.pure.samples import NAMESPACE

CLEAN_UP = f"the cluster removes what is left within {LIFE_SECONDS // 60} minutes"
MOMENTS: dict[str, tuple[str, str]] = {
    "a route is made": ("POST", "/httproutes"),
    "the collector's log is read": ("GET", "/log"),
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ProbedApi, Question]]:
    with running(monkeypatch) as found:
        yield found


def when(method: str, end: str, *, stays: bool) -> Ask:
    """The network fails with this request, and comes back after it unless it stays away."""
    failed = False

    def cut(asked: str, path: str) -> bool:
        nonlocal failed
        now = asked == method and path.endswith(end)
        failed = failed or now
        return now or (stays and failed)

    return cut


def remove_later(api: ProbedApi) -> list[str]:
    """What the next run does first, after the probe's life."""
    with connect(NAMESPACE, kubeconfig=api.kubeconfig()) as client:
        return remove_dead(client, [NAMESPACE], now=datetime.now(UTC) + timedelta(days=365))


def test_a_whole_run_leaves_nothing_and_reads_the_collector_s_own_container(
    world: tuple[ProbedApi, Question], caplog: pytest.LogCaptureFixture
) -> None:
    api, question = world
    found = diagnose(question, kubeconfig=api.kubeconfig())
    assert [(edge.caller, edge.callee, edge.state) for edge in found.traces[0].edges] == [
        ("voting-app-ui", "votes-api", "passed")
    ]
    assert api.probes == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_network_that_comes_back_costs_the_diagnosis_alone(
    world: tuple[ProbedApi, Question], moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    api, question = world
    api.cut = when(*MOMENTS[moment], stays=False)
    with pytest.raises(ClusterError) as caught:
        diagnose(question, kubeconfig=api.kubeconfig())
    assert str(caught.value) == f"the cluster at {api.url} cannot be reached: Connection refused"
    assert any(line.startswith("DELETE") and "/jobs/" in line for line in api.seen)
    assert api.probes == []
    assert CLEAN_UP not in caplog.text


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_network_that_stays_away_is_told_and_the_rest_goes_later(
    world: tuple[ProbedApi, Question], moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    api, question = world
    method, end = MOMENTS[moment]
    api.cut = when(method, end, stays=True)
    with pytest.raises(ClusterError) as caught:
        diagnose(question, kubeconfig=api.kubeconfig())
    assert str(caught.value) == f"the cluster at {api.url} cannot be reached: Connection refused"
    assert any(not line.endswith(end) for line in api.tried), "nobody tried to clean up"
    [warning] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning == f"the clean-up failed: {caught.value}; {CLEAN_UP}"

    api.cut = lambda *_: False
    left = api.probes
    assert any(name.startswith("jobs ") for name in left)
    assert len(remove_later(api)) == len([name for name in left if not name.startswith("pods ")])
    assert api.probes == []


def test_a_network_that_fails_at_the_end_costs_no_diagnosis(
    world: tuple[ProbedApi, Question], caplog: pytest.LogCaptureFixture
) -> None:
    api, question = world
    api.cut = lambda method, _: method == "DELETE"
    found = diagnose(question, kubeconfig=api.kubeconfig())
    assert found.traces[0].state == "passed"
    assert CLEAN_UP in caplog.text

    api.cut = lambda *_: False
    assert api.probes != []
    remove_later(api)
    assert api.probes == []
