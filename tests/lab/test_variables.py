"""The variables by which programs use the lab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import lifecycle
from lab.settings import Lab, LabError
from lab.toolchain import pulumi_folder
from lab.variables import environment


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return Lab(name="t", cache=tmp_path / "cache", state=tmp_path / "state", prefix="10.9", ingress_port=8080)


def test_the_labs_programs_come_first_and_twice_is_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    path = environment(lab)["PATH"]
    assert path.split(os.pathsep) == [str(lab.programs), "/usr/bin", "/bin"]
    monkeypatch.setenv("PATH", path)
    assert environment(lab)["PATH"] == path


def test_a_pulumi_of_the_users_own_is_used(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.cache / "toolchain").mkdir(parents=True)
    assert pulumi_folder(lab) == lab.cache / "toolchain"
    own = tmp_path / "own"
    own.mkdir()
    (own / "pulumi").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{own}:/usr/bin")
    assert pulumi_folder(lab) is None
    assert str(lab.cache) not in environment(lab)["PATH"]


def test_a_proxy_is_not_asked_for_the_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "NO_PROXY" not in environment(lab)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "intranet")
    excepted = environment(lab)["NO_PROXY"].split(",")
    assert {"10.9.0.1", "10.9.0.2", "127.0.0.1", "intranet"} <= set(excepted)


def test_everything_that_keeps_the_lab_from_running_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(LabError, match=r"x86-64 only; .* run it as root"):
        lifecycle.require_machine()
