"""Installing packages without starting services."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import debian
from lab.debian import missing_packages
from lab.settings import LabError


def test_missing_packages_are_found_out_from_dpkg() -> None:
    assert missing_packages(["dpkg", "no-such-package-anywhere"]) == ["no-such-package-anywhere"]


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "policy-rc.d"
    monkeypatch.setattr(debian, "_POLICY", path)
    return path


def test_services_are_kept_down_only_during_an_installation(policy: Path) -> None:
    with debian._services_kept_down():
        assert "exit 101" in policy.read_text()
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()


def test_an_installation_that_fails_leaves_no_policy(policy: Path) -> None:
    with pytest.raises(LabError), debian._services_kept_down():
        raise LabError("apt-get failed")
    assert not policy.exists()


def test_a_policy_of_the_machines_own_stays(policy: Path) -> None:
    policy.write_text("#!/bin/sh\nexit 0\n")
    with debian._services_kept_down():
        assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert policy.exists()


def test_a_policy_left_by_a_killed_run_goes(policy: Path) -> None:
    policy.write_text(debian._NO)
    with debian._services_kept_down():
        assert "exit 101" in policy.read_text()
    assert not policy.exists()
