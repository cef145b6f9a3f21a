"""Hooks run by the real engine and the command plugin: when, with what, and what the state shows of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.demo_project import Project
from lab.settings import LabError
from tests.engine import engine_project, everything_stored

pytestmark = pytest.mark.engine

PASSWORD = "pa55-of-the-branch"
TOKEN = "t0ken-of-the-chat"
PROGRAM = f"""
    import json
    from pathlib import Path

    import pulumi

    from kardinal_infra.components.hooks import declare_hooks
    from kardinal_infra.databases.branching import Branch
    from tests.pure import samples

    def text(value: str) -> pulumi.Output[str]:
        return pulumi.Output.from_input(value)

    plan = samples.plan(hooks=json.loads(Path("hooks.json").read_text()))
    flow = pulumi.ComponentResource("test:index:Flow", "flow")
    uri = pulumi.Output.secret("postgresql://me:{PASSWORD}@branch.test/votes")
    branch = Branch(
        resource=flow,
        branch_id=text("br-1"),
        branch_name=text("b"),
        parent_id=text("br-0"),
        host=text("branch.test"),
        port=pulumi.Output.from_input(5432),
        database=text("votes"),
        role=text("me"),
        password=pulumi.Output.secret("{PASSWORD}"),
        uri=uri,
        pooled_uri=uri,
        expires_at=pulumi.Output.from_input(None),
    )
    after = []
    for moment in ("databases", "flow"):
        hooks = [hook for hook in plan.hooks if hook.after == moment]
        after += declare_hooks(plan, hooks, {{"votes": branch}}, flow, after).values()
"""


def note(what: str) -> str:
    """A command that leaves a line, and prints what nobody may see."""
    return f'echo "{what}" >> log; echo "$DATABASE_URL $TOKEN"'


def seed(**changes: Any) -> dict[str, Any]:
    return {
        "name": "seed",
        "after": "databases",
        "create": note("seed $KARDINAL_FLOW $DATABASE_URL"),
        "delete": note("clean $DATABASE_URL"),
        "uses": [{"database": "votes", "environment": {"DATABASE_URL": "uri"}}],
        **changes,
    }


def tell(**changes: Any) -> dict[str, Any]:
    return {
        "name": "tell",
        "create": 'echo "tell $KARDINAL_URL, $KARDINAL_HEADER" >> log; echo told',
        "update": 'echo "tell again after $PULUMI_COMMAND_STDOUT: $MORE" >> log',
        "delete": "echo bye >> log",
        **changes,
    }


class Hooked:
    """The project, and what its hooks left."""

    def __init__(self, project: Project) -> None:
        self.project = project

    def up(self, *hooks: dict[str, Any], options: tuple[str, ...] = ()) -> str:
        (self.project.folder / "hooks.json").write_text(json.dumps(hooks))
        return self.project.pulumi("up", "--yes", "--skip-preview", *options).output

    def log(self) -> list[str]:
        file = self.project.folder / "log"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def hooked(tmp_path: Path) -> Hooked:
    return Hooked(engine_project(tmp_path, PROGRAM, plugins=True))


SEEDED = f"seed dev postgresql://me:{PASSWORD}@branch.test/votes"
CLEANED = f"clean postgresql://me:{PASSWORD}@branch.test/votes"
TOLD = "tell http://dev.voting.localhost:8080, x-kardinal-flow: dev"


def test_a_life_of_hooks(hooked: Hooked) -> None:
    secret = tell(name="secret", create=note("secret $TOKEN"), environment={"TOKEN": TOKEN}, delete=None)
    said = hooked.up(tell(), seed(), secret)

    assert hooked.log() == [SEEDED, TOLD, f"secret {TOKEN}"]
    assert "told" in said
    assert PASSWORD not in said
    stored = everything_stored(hooked.project)
    assert "dev-hook-seed" in stored
    assert PASSWORD not in stored
    assert TOKEN not in stored

    hooked.up(tell(), seed(), secret, options=("--expect-no-changes",))
    assert hooked.log() == []

    hooked.up(tell(environment={"MORE": "x"}), seed(triggers=["v2"]), secret)
    # Another trigger undoes first; a changed environment is an update.
    assert sorted(hooked.log()) == sorted([CLEANED, SEEDED, "tell again after told: x"])

    hooked.project.pulumi("destroy", "--yes", "--skip-preview")
    assert hooked.log() == ["bye", CLEANED]
    assert PASSWORD not in everything_stored(hooked.project)


def test_a_preview_runs_nothing(hooked: Hooked) -> None:
    (hooked.project.folder / "hooks.json").write_text(json.dumps([seed(), tell()]))
    hooked.project.pulumi("preview")

    assert hooked.log() == []


def test_a_failed_hook_stops_what_comes_after_it_the_next_up_goes_on_and_one_taken_out_is_undone(
    hooked: Hooked,
) -> None:
    with pytest.raises(LabError, match="exit status 3") as caught:
        hooked.up(seed(create="echo no table votes >&2; exit 3"), tell())
    assert "no table votes" in str(caught.value)
    assert hooked.log() == []

    hooked.up(seed(), tell())
    assert hooked.log() == [SEEDED, TOLD]
    hooked.up(seed())
    assert hooked.log() == ["bye"]
