"""The command is ended by a signal: what it has made is removed all the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from kardinal_infra.cli import doctor as command
from kardinal_infra.doctor import Diagnosis
from kardinal_infra.doctor.verdict import trace
from tests.doctor.test_verdict import WHOLE, topology

ENDINGS = (signal.SIGTERM, signal.SIGHUP)
URL = "http://doctor-a.shop.example"


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    # Whoever runs the tests may ignore some of them, as `nohup` does.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDINGS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Runs the command; what it is given happens instead of a diagnosis."""

    def command_with(happens: Callable[[], None]) -> None:
        def diagnose(*_: Any, **__: Any) -> Diagnosis:
            happens()
            return Diagnosis("doctor-a", URL, "web", 1, (trace(topology(), "web", WHOLE),), {}, ())

        project = SimpleNamespace(topology=lambda _: topology(), settings=lambda _: lambda _: None)
        monkeypatch.setattr(command, "Project", lambda _: project)
        monkeypatch.setattr(command, "project_folder", lambda _: None)
        monkeypatch.setattr(command, "diagnose", diagnose)
        command.doctor(wait=1.0)

    return command_with


def end(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.05)


@pytest.mark.parametrize("number", ENDINGS)
def test_a_polite_end_leaves_the_time_to_clean_up(
    run: Callable[[Callable[[], None]], None], number: signal.Signals
) -> None:
    removed: list[str] = []

    def happens() -> None:
        try:
            end(number)
            pytest.fail("the run went on")
        finally:
            # A closed terminal hangs up twice, once by the kernel and once by the shell.
            for again in ENDINGS:
                end(again)
            removed.append("everything")

    with pytest.raises(SystemExit) as caught:
        run(happens)
    assert caught.value.code == 128 + number
    assert removed == ["everything"]


def test_under_nohup_a_closed_terminal_ends_nothing(run: Callable[[Callable[[], None]], None]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with pytest.raises(typer.Exit) as caught:
        run(lambda: end(signal.SIGHUP))
    assert caught.value.exit_code == 0
