"""The images of the demo's voting app, made from the Dockerfiles that a user's own build follows.

The lab has no Docker. Of a Dockerfile it understands what the voting app's need: one `apt-get install`,
`COPY folder/ target/`, `USER` and `CMD`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from lab.containers import import_image
from lab.images import build_image
from lab.report import Report
from lab.settings import Lab, from_environment

VOTING_APP = Path(__file__).resolve().parent.parent / "examples" / "voting-app"


@dataclass(frozen=True)
class DemoImage:
    """One image: its name and tag, the Dockerfile it follows, and the release baked in."""

    name: str
    dockerfile: str
    release: str = "1.0"


DEMO_IMAGES = (
    DemoImage("voting-app-ui:1.0", "ui/Dockerfile"),
    DemoImage("voting-app-ui-dev:latest", "ui/Dockerfile", release="dev"),
    DemoImage("votes-api:1.0", "api/Dockerfile"),
    DemoImage("kardinal-pgbouncer:lab", "../pooler/Dockerfile"),
)


def build_demo_images(lab: Lab | None = None, report: Report | None = None) -> list[Path]:
    """Builds the demo's images; those that are in the cache already cost nothing.

    Args:
        lab: Whose cache is used; default: the environment's.
        report: Where progress goes.

    Returns:
        The archives, in the order of `DEMO_IMAGES`.

    Raises:
        LabError: A package cannot be had.
    """
    archives = []
    for image in DEMO_IMAGES:
        steps = dict(instructions(image))
        archives.append(
            build_image(
                image.name,
                packages=packages(image),
                files=dict(contents(image)),
                command=json.loads(steps["CMD"]),
                user=steps["USER"],
                lab=lab,
                report=report,
            )
        )
    return archives


def load_demo_images(lab: Lab | None = None, report: Report | None = None) -> None:
    """Builds the demo's images and imports them into the running lab; safe to run again.

    Args:
        lab: The lab; default: the environment's.
        report: Where progress goes.

    Raises:
        LabError: A package cannot be had, or containerd refuses an image.
    """
    lab = lab or from_environment()
    for archive in build_demo_images(lab, report):
        import_image(lab, archive)


def instructions(image: DemoImage) -> list[tuple[str, str]]:
    """Reads an image's Dockerfile.

    Args:
        image: One of the demo's images.

    Returns:
        Its instructions in order, as (name, rest of the line), with the release put in.
    """
    text = (VOTING_APP / image.dockerfile).read_text().replace("\\\n", " ")
    lines = [line.partition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest.strip().replace("${RELEASE}", image.release)) for name, _, rest in lines]


def packages(image: DemoImage) -> list[str]:
    """Lists the Debian packages that an image's Dockerfile installs."""
    runs = " ".join(rest for name, rest in instructions(image) if name == "RUN")
    found = re.search(r"apt-get install ([^&]+)", runs)
    return [word for word in found[1].split() if not word.startswith("-")] if found else []


def contents(image: DemoImage) -> dict[str, Path]:
    """Lists what an image's COPY instructions put into it.

    Args:
        image: One of the demo's images.

    Returns:
        Path in the image -> the file here; later instructions win, as in the image.
    """
    found: dict[str, Path] = {}
    for name, rest in instructions(image):
        if name == "COPY":
            source, target = rest.split()
            folder = VOTING_APP / source
            for file in sorted(folder.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    found[target + file.relative_to(folder).as_posix()] = file
    return found
