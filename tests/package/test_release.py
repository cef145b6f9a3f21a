"""What a release needs of this repository: who may publish, and what the distribution says of itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling.builders.sdist import SdistBuilder

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def release() -> dict[Any, Any]:
    return dict(yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text()))


def test_only_a_tag_releases_and_only_the_publishing_job_may_sign(release: dict[Any, Any]) -> None:
    # YAML 1.1 reads the key `on` as true.
    assert release[True] == {"push": {"tags": ["v*"]}}
    assert {name: job["permissions"] for name, job in release["jobs"].items()} == {
        "build": {"contents": "read"},
        "publish": {"id-token": "write", "attestations": "write"},
    }
    assert release["jobs"]["publish"]["needs"] == "build"


def test_what_is_published_was_attested_before(release: dict[Any, Any]) -> None:
    steps = release["jobs"]["publish"]["steps"]
    used = [step["uses"].partition("@")[0] for step in steps]

    assert used == [
        "actions/download-artifact",
        "actions/attest-build-provenance",
        "pypa/gh-action-pypi-publish",
        "pypa/gh-action-pypi-publish",
    ]
    assert [step["with"].get("packages-dir") for step in steps[2:]] == [
        "dist/kardinal-neon-local",
        "dist/kardinal-infra",
    ]
    # The package's version is that of its tag: a second release of it must fail.
    assert "skip-existing" not in steps[3]["with"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_no_rights_by_default_and_use_exact_actions(workflow: Path) -> None:
    text = workflow.read_text()
    used = re.findall(r"uses: (.*)", text)

    assert yaml.safe_load(text)["permissions"] == {}
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action)] == []


def test_the_distribution_names_its_pythons_and_where_it_lives() -> None:
    versions = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if ":: Python :: 3." in line]

    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert set(PROJECT["urls"]) == {"Documentation", "Source", "Issues", "Changelog", "Security"}
    assert [url for url in PROJECT["urls"].values() if not url.startswith(PROJECT["urls"]["Source"])] == []
    for page in ("docs/index.md", "CHANGELOG.md"):
        assert (ROOT / page).is_file()
        assert [url for url in PROJECT["urls"].values() if url.endswith(f"/main/{page}")] != []


def test_the_sources_hold_the_package_and_what_it_is_built_from() -> None:
    files = [file.relative_path for file in SdistBuilder(str(ROOT)).recurse_included_files()]

    # What hatchling puts in by itself, such as `pyproject.toml`, is not among them.
    assert {name for name in files if not name.startswith("kardinal_infra/")} == {
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
    }
    assert "kardinal_infra/py.typed" in files


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml"])
def test_issue_templates_are_forms_that_ask_for_versions(name: str) -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / name).read_text())
    asked = [item["id"] for item in form["body"] if item["type"] != "markdown"]

    assert set(form) == {"name", "description", "labels", "body"}
    assert len(asked) == len(set(asked))
    assert "versions" in asked
