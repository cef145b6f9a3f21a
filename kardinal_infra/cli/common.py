"""What the commands share."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from kardinal_infra.errors import KardinalError


class UsageError(KardinalError):
    """The command's arguments do not fit together."""


ProjectDir = Annotated[
    Path | None, typer.Option(help="Folder of the Pulumi project. Default: the nearest one upward.")
]
Baseline = Annotated[str, typer.Option(help="Stack that exports the application's topology.")]


def project_folder(given: Path | None) -> Path:
    """Finds the project's folder.

    Args:
        given: The user's word; None looks upward from the working directory.

    Raises:
        UsageError: There is no Pulumi project.
    """
    start = (given or Path.cwd()).absolute()
    candidates = [start] if given else [start, *start.parents]
    for folder in candidates:
        if (folder / "Pulumi.yaml").is_file():
            return folder
    where = f"in {start}" if given else f"in {start} or above it"
    raise UsageError(f"there is no Pulumi.yaml {where}: go to the project's folder, or give --project-dir")


def age(since: datetime) -> str:
    """Time since then in its largest unit, such as `3h`.

    Args:
        since: A moment; UTC when it does not say.
    """
    seconds = int((datetime.now(UTC) - since.replace(tzinfo=since.tzinfo or UTC)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"
