"""The demo's own judgement: what it takes for a difference, for a failure, and for a missing piece."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lab.__main__ import app
from lab.demo_cluster import differences, stable
from lab.demo_production import BASELINE
from lab.demo_story import settings_kept
from lab.demo_telling import CheckFailedError, Telling, wait_for
from lab.settings import LabError


def obj(**changes: Any) -> dict[str, Any]:
    metadata = {"name": "web", "uid": "1", "resourceVersion": "7", "managedFields": [{}], "generation": 2}
    return {"metadata": metadata, "spec": {"replicas": 1}, "status": {"ready": 1}, **changes}


def test_stable_drops_what_changes_by_itself_and_keeps_identity_and_content() -> None:
    assert stable(obj()) == {
        "metadata": {"name": "web", "uid": "1", "generation": 2},
        "spec": {"replicas": 1},
    }


def test_differences_name_objects_and_fields_but_no_content() -> None:
    before: dict[str, dict[str, Any]] = {
        "Secret/a": {"data": {"key": "hidden"}},
        "Service/b": {"spec": {"ports": [1], "type": "ClusterIP"}},
        "Pod/c": {},
    }
    after: dict[str, dict[str, Any]] = {
        "Secret/a": {"data": {"key": "other"}},
        "Service/b": {"spec": {"ports": [1], "type": "ClusterIP"}},
        "Pod/d": {},
    }
    assert differences(before, after) == [
        "Pod/c is gone",
        "Pod/d was not there before",
        "Secret/a differs in .data.key",
    ]
    assert differences(before, before) == []


def test_an_object_made_anew_is_a_difference() -> None:
    again = obj(metadata={"name": "web", "uid": "2", "generation": 1})
    assert differences({"Deployment/web": stable(obj())}, {"Deployment/web": stable(again)}) == [
        "Deployment/web differs in .metadata.generation",
        "Deployment/web differs in .metadata.uid",
    ]


def test_a_check_shows_its_figures_and_a_failed_one_says_what_was_expected_and_seen() -> None:
    text = io.StringIO()
    telling = Telling(Console(file=text, width=200))
    telling.check("votes are counted", {"Cats": 2}, {"Cats": 2})
    telling.check_none("nothing is left", [])
    assert "✓ votes are counted: Cats 2" in text.getvalue()
    assert telling.checks == 2
    with pytest.raises(CheckFailedError) as failed:
        telling.check("votes are counted", {"Cats": 3}, {"Cats": 2})
    assert str(failed.value) == "✗ votes are counted\n  expected: Cats 3\n  seen:     Cats 2"
    with pytest.raises(CheckFailedError, match="Pod/x is gone"):
        telling.check_none("nothing is left", ["Pod/x is gone"])


def test_waiting_in_vain_says_for_what() -> None:
    assert wait_for(lambda: "found", "something") == "found"
    with pytest.raises(LabError, match="in vain for an address"):
        wait_for(lambda: None, "an address", seconds=0.1)


def test_settings_files_are_kept_when_only_the_salt_was_added(tmp_path: Path) -> None:
    file = tmp_path / f"Pulumi.{BASELINE}.yaml"
    file.write_text("# A comment.\nconfig: {}\n")
    with settings_kept(tmp_path, (BASELINE,)):
        file.write_text("# A comment.\nconfig: {}\nencryptionsalt: v1:x\n")
    assert file.read_text() == "# A comment.\nconfig: {}\n"
    with settings_kept(tmp_path, (BASELINE,)):
        file.write_text("config: {a: b}\nencryptionsalt: v1:x\n")
    assert file.read_text() == "config: {a: b}\nencryptionsalt: v1:x\n"


def test_on_ones_own_cluster_everything_missing_is_listed_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "mine"))
    monkeypatch.delenv("NEON_API_KEY", raising=False)
    ran = CliRunner().invoke(app, ["demo", "--ui-image", "registry.example/ui:1"])
    assert isinstance(ran.exception, LabError)
    told = str(ran.exception).splitlines()
    assert [line.split(":")[0].strip() for line in told] == [
        "the demo on your own cluster needs",
        "NEON_API_KEY",
        "--neon-project",
        "--ui-dev-image",
        "--api-image",
    ]
