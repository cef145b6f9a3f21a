"""Names and addresses of a lab."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from lab import configuration
from lab.ingress import first_free_port
from lab.settings import LabError, from_environment


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "STATE", "NAME", "PREFIX", "PORT"):
        monkeypatch.delenv(f"KARDINAL_LAB_{name}", raising=False)


def test_ranges_do_not_overlap() -> None:
    lab = from_environment()
    ranges = [
        ipaddress.ip_network(text) for text in (lab.pod_range, lab.service_range, lab.load_balancer_range)
    ]
    ranges.append(ipaddress.ip_network(f"{lab.host_address}/30", strict=False))
    assert not [(a, b) for a in ranges for b in ranges if a is not b and a.overlaps(b)]
    assert ipaddress.ip_address(lab.node_address) in ranges[-1]


def test_the_cache_follows_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert from_environment().cache == Path("/somewhere/kardinal-lab")
    monkeypatch.setenv("KARDINAL_LAB_CACHE", "/elsewhere")
    assert from_environment().cache == Path("/elsewhere")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PREFIX", "10"),
        ("PREFIX", "10.300"),
        ("PORT", "0"),
        ("PORT", "http"),
        ("NAME", "a-name-too-long-for"),
        ("NAME", "A"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"KARDINAL_LAB_{variable}", value)
    with pytest.raises(LabError, match=f"KARDINAL_LAB_{variable}: '{value}'"):
        from_environment()


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KARDINAL_LAB_STATE", str(tmp_path))
    lab = from_environment()
    first = configuration.secret(lab, "key")
    assert configuration.secret(lab, "key") == first
    assert len(first) >= 32
    assert (configuration.pki(lab) / "key").stat().st_mode & 0o077 == 0


def test_configuration_names_only_the_labs_own_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KARDINAL_LAB_STATE", str(tmp_path))
    monkeypatch.setenv("KARDINAL_LAB_NAME", "two")
    lab = from_environment()
    text = (
        configuration.containerd(lab)
        + json.dumps(configuration.kubelet(lab))
        + json.dumps(configuration.network(lab))
    )
    assert "/run/two/containerd.sock" in text
    assert "kardinal-lab" not in text


def test_another_port_is_taken_when_the_wished_one_is_in_use() -> None:
    import socket

    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert first_free_port(port) > port
