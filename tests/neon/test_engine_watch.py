"""When the provider process ends itself."""

import socket
import sys
import threading

import pytest

from kardinal_infra.databases import engine_watch
from kardinal_infra.databases.engine_watch import exit_with_engine, reachable, watch


@pytest.mark.parametrize(
    ("looks", "expected"),
    [([False, False], 2), ([True, False, True, False, False], 5), ([False, True, True, False, False], 5)],
)
def test_it_ends_after_two_refusals_in_a_row(looks: list[bool], expected: int) -> None:
    answers, pauses, ends = list(looks), [], []
    watch(lambda: answers.pop(0), lambda: ends.append(len(pauses)), pauses.append)
    assert ends == [expected]


def test_only_a_refusal_is_a_dead_engine() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert not reachable("127.0.0.1", port)
        listener.listen()
        assert reachable("127.0.0.1", port)
    assert reachable("no-such-host.invalid", 1)


@pytest.mark.parametrize("arguments", [[], ["serve"], ["a:b"], ["127.0.0.1:1", "more"]])
def test_no_engine_means_no_watch(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    before = threading.active_count()
    exit_with_engine()
    assert threading.active_count() == before
    assert not engine_watch._started.is_set()
