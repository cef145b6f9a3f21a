"""`kardinal reap`: database branches, and flows on the cluster, that nobody will delete any more."""

import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from kardinal_infra.automation import AutomationError, Project, PulumiStacks, StateBackend
from kardinal_infra.cli.common import Baseline, ProjectDir, UsageError, age, project_folder
from kardinal_infra.cluster.flows import ClusterFlows
from kardinal_infra.databases.branching import backend
from kardinal_infra.databases.reaping import Finding, Target
from kardinal_infra.databases.reaping import reap as deal_with
from kardinal_infra.databases.staleness import Action
from kardinal_infra.model.base import ConfigReader
from kardinal_infra.model.durations import parse_duration

FOUND = 3
"""Exit code of a dry run that has found something."""

STYLES = {Action.DELETE: "red", Action.LEAVE: "yellow", Action.KEEP: "dim"}


def reap(
    delete: Annotated[bool, typer.Option("--delete", help="Delete them, after a question.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete them without a question.")] = False,
    grace: Annotated[str, typer.Option(help="What is younger than this stays.")] = "1h",
    all_projects: Annotated[
        bool, typer.Option("--all-projects", help="Also branches of other Pulumi projects.")
    ] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--in",
            metavar="BACKEND:PROJECT",
            help="Look there, e.g. in neon:voting; repeatable. Default: where the baseline's databases are.",
        ),
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Also flows in the application's namespaces.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    baseline: Baseline = "baseline",
    project_dir: ProjectDir = None,
) -> None:
    """Find the database branches whose stack is gone or whose time is over; delete them if told so.

    Exit code 0: nothing is left to delete. 3: a dry run has found something. 1: something could not be read,
    and nothing was deleted, or a deletion failed.
    """
    if as_json and delete and not yes:
        raise UsageError("--json cannot ask: give --yes instead of --delete, or neither of them")
    patience = _grace(grace)
    folder = project_folder(project_dir)
    stacks = PulumiStacks(folder)
    state = stacks.backend()
    targets, config = _targets(Project(folder), where or [], baseline, cluster=cluster)

    def agree(findings: Sequence[Finding]) -> bool:
        return yes or (delete and _agreed(findings, state))

    findings = deal_with(
        targets,
        stacks,
        config,
        agree=agree,
        grace=patience,
        only_project=None if all_projects else state.project,
    )
    if as_json:
        typer.echo(json.dumps({"stateBackend": state.url, "branches": list(map(_plain, findings))}, indent=2))
    else:
        _print(findings, state)
    if any(finding.done == "failed" for finding in findings):
        raise typer.Exit(1)
    if any(finding.verdict.action is Action.DELETE and not finding.done for finding in findings):
        raise typer.Exit(FOUND)


def _targets(
    project: Project, where: Sequence[str], baseline: str, *, cluster: bool
) -> tuple[list[Target], ConfigReader]:
    """Where to look, and the configuration with the credentials for it."""
    pairs = [text.partition(":") for text in where]
    if wrong := [text for text, (name, _, place) in zip(where, pairs, strict=True) if not (name and place)]:
        raise UsageError(f"--in {wrong[0]}: expected BACKEND:PROJECT, e.g. neon:voting")
    targets = [Target(backend(name), place) for name, _, place in pairs]
    if where and not cluster:
        try:
            return targets, project.settings(baseline)
        except AutomationError:
            # Without a baseline the credentials come from the environment.
            return targets, lambda _: None
    topology = project.topology(baseline)
    if not where:
        places = sorted({(database.backend, database.project) for database in topology.databases.values()})
        targets = [Target(backend(name), place) for name, place in places]
    if cluster:
        # First what uses the branches.
        targets = [Target(ClusterFlows(topology.namespaces[1:]), topology.namespace), *targets]
    return targets, project.settings(baseline)


def _grace(text: str) -> timedelta:
    try:
        return parse_duration(text, "a grace period", "90m, 24h or 7d", units="smhd")
    except ValueError as error:
        raise UsageError(f"--grace: {error}") from None


def _agreed(findings: Sequence[Finding], state: StateBackend) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to answer: give --yes to delete without a question")
    _print(findings, state)
    number = sum(finding.verdict.action is Action.DELETE for finding in findings)
    what = "this branch" if number == 1 else f"these {number} branches"
    return typer.confirm(f"Are all stacks that use these databases kept in {state.url}, and shall {what} go?")


def _print(findings: Sequence[Finding], state: StateBackend) -> None:
    console = Console()
    if not findings:
        console.print("Nothing carries the mark of a stack.")
        return
    table = Table(box=None)
    for column in ("BRANCH", "STACK", "AGE", "SIZE", "REASON", "DONE"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        branch = finding.branch
        size = "-" if branch.size_bytes is None else decimal(branch.size_bytes)
        done = f"{finding.done}: {finding.error}" if finding.error else finding.done
        row = (
            branch.name,
            branch.stack,
            age(branch.created_at) if branch.created_at else "-",
            size,
            finding.verdict.reason,
            done
            or {Action.DELETE: "to delete", Action.LEAVE: "left", Action.KEEP: "kept"}[
                finding.verdict.action
            ],
        )
        # Names and messages are other people's text, not markup.
        table.add_row(*map(Text, row), style=STYLES[finding.verdict.action])
    console.print(table)
    console.print(f"Stacks as listed by {state.url}.", style="dim", soft_wrap=True, markup=False)


def _plain(finding: Finding) -> dict[str, Any]:
    branch = finding.branch
    return {
        "backend": finding.backend.name,
        "project": branch.project,
        "id": branch.branch_id,
        "name": branch.name,
        "stack": branch.stack,
        "annotations": dict(branch.annotations),
        "createdAt": branch.created_at and branch.created_at.isoformat(),
        "expiresAt": branch.expires_at and branch.expires_at.isoformat(),
        "sizeBytes": branch.size_bytes,
        "action": finding.verdict.action.value,
        "reason": finding.verdict.reason,
        "done": finding.done,
        "error": finding.error,
    }
