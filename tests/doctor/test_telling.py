"""What the command prints."""

from __future__ import annotations

import pytest

from kardinal_infra.cli.doctor import tell
from kardinal_infra.doctor import Diagnosis
from kardinal_infra.doctor.verdict import trace
from tests.doctor.test_verdict import WHOLE, topology


def told(calls: set[tuple[str, str]], capsys: pytest.CaptureFixture[str], **unseen: str) -> str:
    found = trace(topology(), "web", calls, deaf=unseen)
    url = "http://doctor-a.shop.example"
    tell(Diagnosis("doctor-a", url, "web", 3, (found,), unseen, (("10.0.0.9", "[cart]"),)))
    return capsys.readouterr().out


def test_the_dropping_service_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(WHOLE - {("votes", "stock"), ("stock", "web")}, capsys)
    assert "votes received the key and sent it to none of the services that it calls" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["votes", "stock", "not", "seen"] in lines
    assert ["stock", "web", "key", "came", "not", "so", "far"] in lines
    assert "10.0.0.9 calls [cart], which is not declared" in text


def test_a_whole_way_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Every declared call behind web carried the key." in told(WHOLE, capsys)


def test_what_cannot_be_seen_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    text = told({("web", "cart"), ("web", "votes")}, capsys, votes="pods without a sidecar: votes-1")
    assert "votes: pods without a sidecar: votes-1" in text
    assert "Some calls were not seen with the key" in text
