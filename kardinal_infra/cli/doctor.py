"""`kardinal doctor`: which service does not send the routing key on."""

import json
import signal
import sys
from dataclasses import asdict, replace
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kardinal_infra.automation import Project
from kardinal_infra.cli.common import Baseline, ProjectDir, UsageError, project_folder
from kardinal_infra.doctor import Diagnosis, Question, Trace, diagnose
from kardinal_infra.model.topology import Topology
from kardinal_infra.routing.key import DEFAULT_KEY

DROPPED = 3
"""Exit code when a service got the key and sent it to none of those that it calls."""

UNCLEAR = 4
"""Exit code when some declared calls were not seen with the key, and it is not certain why."""

EXIT_CODES = {"passed": 0, "dropped": DROPPED, "unclear": UNCLEAR}
STYLES = {"passed": "green", "missing": "red", "unseen": "yellow", "unreached": "dim"}
WORDS = {
    "passed": "passed on",
    "missing": "not seen",
    "unseen": "cannot be seen",
    "unreached": "key came not so far",
}


def doctor(
    flow: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Flow id. Default: look at the baseline.")
    ] = None,
    path: Annotated[
        list[str] | None, typer.Option("--path", help="Path to ask for; repeatable. Default: /")
    ] = None,
    entry: Annotated[
        str | None, typer.Option(metavar="SERVICE", help="Entry to go through. Default: the first one.")
    ] = None,
    baggage: Annotated[bool, typer.Option("--baggage", help="Look at the baggage too.")] = False,
    wait: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds to ask again while a call is missing.")
    ] = 8.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    baseline: Baseline = "baseline",
    project_dir: ProjectDir = None,
) -> None:
    """Send a tagged request through the application and name the first service that drops the key.

    Exit code 0: every declared call carried the key. 3: a service dropped it. 4: some calls were not seen
    with it, and it is not certain why. 1: the question could not be asked.
    """
    paths = tuple(path or ["/"])
    if wrong := [text for text in paths if not text.startswith("/")]:
        raise UsageError(f"--path {wrong[0]}: a path starts with /")
    project = Project(project_folder(project_dir))
    topology = project.topology(baseline)
    forks = _forks(project, flow, topology) if flow else {}
    key = replace(DEFAULT_KEY, asked=("header", "baggage")) if baggage else DEFAULT_KEY
    question = Question(topology, forks, entry, paths, wait, key)
    config = project.settings(baseline)
    _clean_up_when_ended()
    found = diagnose(
        question, kubeconfig=config("kubernetes:kubeconfig"), context=config("kubernetes:context")
    )
    if as_json:
        typer.echo(json.dumps(_plain(found, flow), indent=2))
    else:
        tell(found)
    raise typer.Exit(EXIT_CODES[found.traces[0].state])


def _clean_up_when_ended() -> None:
    """Makes a polite end, by a CI job's time limit or a closed terminal, remove what the run has made."""
    # What is ignored stays so: that is how `nohup` keeps a command from ending with its terminal.
    endings = [item for item in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(item) != signal.SIG_IGN]

    def end(number: int, _: object) -> NoReturn:
        # A closed terminal hangs up twice, once by the kernel and once by the shell: once is enough.
        for item in endings:
            signal.signal(item, signal.SIG_IGN)
        sys.exit(128 + number)

    for item in endings:
        signal.signal(item, end)


def _forks(project: Project, flow: str, topology: Topology) -> dict[str, str]:
    outputs = project.flow(flow)
    application = outputs.topology["application"]
    if application != topology.application:
        raise UsageError(
            f'flow "{flow}" is one of {application}, not of {topology.application}: give its --baseline'
        )
    return {name: service.fork for name, service in outputs.services.items()}


def tell(found: Diagnosis) -> None:
    """Prints a diagnosis.

    Args:
        found: The diagnosis.
    """
    console = Console()
    for item in found.traces:
        table = Table(box=None, title=f"The key in the {item.carrier}", title_justify="left")
        for column in ("CALLER", "CALLEE", "KEY"):
            table.add_column(column, overflow="fold")
        for edge in item.edges:
            table.add_row(edge.caller, edge.callee, WORDS[edge.state], style=STYLES[edge.state])
        console.print(table)
        console.print(Text(_sentence(item, found)), soft_wrap=True)
    for name, reason in found.unseen.items():
        console.print(Text(f"{name}: {reason}", style="yellow"), soft_wrap=True)
    for caller, callee in found.undeclared:
        console.print(Text(f"{caller} calls {callee}, which is not declared", style="dim"), soft_wrap=True)


def _sentence(item: Trace, found: Diagnosis) -> str:
    if item.state == "passed":
        return f"Every declared call behind {found.entry} carried the key."
    if item.state == "dropped":
        return (
            f"{item.first_drop} received the key and sent it to none of the services that it calls. If"
            " this request makes it call nobody, ask for a path that does (--path)."
        )
    return "Some calls were not seen with the key: they were not made, lost it, or cannot be seen."


def _plain(found: Diagnosis, flow: str | None) -> dict[str, Any]:
    return {
        "flow": flow,
        "key": found.key,
        "url": found.url,
        "entry": found.entry,
        "requests": found.requests,
        "traces": [
            {
                "carrier": item.carrier,
                "state": item.state,
                "firstDrop": item.first_drop,
                "edges": [asdict(edge) for edge in item.edges],
            }
            for item in found.traces
        ],
        "unseen": dict(found.unseen),
        "undeclared": [{"caller": caller, "callee": callee} for caller, callee in found.undeclared],
    }
