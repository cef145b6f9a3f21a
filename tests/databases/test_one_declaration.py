"""A new option of a branch is one field: from there it reaches config, request, resource and provider."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import kardinal_infra
from kardinal_infra.databases.neon import inputs as neon
from kardinal_infra.databases.neon.resource import NeonBranchArgs
from kardinal_infra.databases.postgres import inputs as postgres
from kardinal_infra.databases.postgres.resource import PostgresBranchArgs
from kardinal_infra.model.branch_options import BranchOptions
from lab.demo_project import ROOT

FIELD = """
    archive_after: Annotated[
        Text | None, Option("archive idle branches", text_check(ttl_problem))
    ] = None
"""
PROGRAM = """
import json
from datetime import UTC, datetime

from kardinal_infra.components.branch_requests import branch_request
from kardinal_infra.config import load_baseline, read_flow
from kardinal_infra.databases.branching import BranchRequest, backend
from kardinal_infra.databases.neon import inputs
from kardinal_infra.errors import ConfigError
from tests.pure.samples import FLOW, TOPOLOGY, plan, topology

now = datetime.now(UTC)
plain = {name: value for name, value in TOPOLOGY.items() if name != "schemaVersion"}
votes = TOPOLOGY["databases"]["votes"]
try:
    load_baseline({**plain, "gateway": {}, "databases": {"votes": {**votes, "archiveAfter": "soon"}}})
    wrong = ""
except ConfigError as error:
    wrong = str(error)
[branch] = plan(databases={"votes": {"archiveAfter": "7d"}}).databases
request = BranchRequest.from_plain(json.loads(json.dumps(branch_request(branch).to_plain())))
props = {**request.to_plain(), "annotations": {"kardinal-stack": "s"}}
made = {**props, "endpoint_id": "e", "uri": "u"}
server = request.model_copy(update={"project": "db.internal", "parent": None})
print(json.dumps({
    "wrong": wrong,
    "neon": [str(problem) for problem in backend("neon").problems(request)],
    "postgres": [str(problem) for problem in backend("postgres").problems(server)],
    "check": inputs.problems({**props, "archive_after": "soon"}, lambda _: False, now),
    "changed": inputs.changed(made, {**props, "archive_after": "1d"}, now),
    "wanted": inputs.spec(props).archive_after,
}))
"""
SOON = '"soon" is not a life time; write minutes, hours or days like 90m, 24h or 7d'


def test_a_field_is_all_that_a_new_option_needs_to_reach_the_backend_that_takes_it(tmp_path: Path) -> None:
    package = Path(kardinal_infra.__file__).parent
    shutil.copytree(package, tmp_path / "kardinal_infra", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    options = tmp_path / "kardinal_infra" / "model" / "branch_options.py"
    before, marker, after = options.read_text().partition("\n    def overridden_by(")
    options.write_text(before + FIELD + marker + after)

    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "wrong": f"kardinal:baseline.databases.votes.archiveAfter: {SOON}",
        "neon": [],
        "postgres": ["archive_after: the branching backend postgres cannot archive idle branches"],
        "check": [["archive_after", SOON]],
        "changed": ["archive_after"],
        "wanted": "7d",
    }


def test_the_typed_arguments_are_those_that_the_resources_declare() -> None:
    # Typed by hand, because people and their editors read them.
    assert set(NeonBranchArgs.__annotations__) == set(neon.INPUTS)
    assert set(PostgresBranchArgs.__annotations__) == set(postgres.INPUTS)
    assert set(BranchOptions.model_fields) <= set(neon.INPUTS)
