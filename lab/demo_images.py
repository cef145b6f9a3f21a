"""The images of the example applications, made from the Dockerfiles that a user's own build follows.

The lab has no Docker. Of a Dockerfile it understands what these need: `ARG`, one `apt-get install`,
`COPY folder/ target/`, `USER` and `CMD`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from lab.containers import import_image
from lab.images import build_image
from lab.report import Report
from lab.settings import Lab, from_environment

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
VOTING_APP, SHOP = EXAMPLES / "voting-app", EXAMPLES / "shop"


@dataclass(frozen=True)
class DemoImage:
    """One image, as `docker build -f DOCKERFILE -t NAME --build-arg ... FOLDER` would make it.

    Attributes:
        name: Name and tag.
        dockerfile: The Dockerfile it follows, in the folder.
        arguments: Build arguments; those that are left out have the Dockerfile's defaults.
        folder: What COPY copies from.
    """

    name: str
    dockerfile: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    folder: Path = VOTING_APP


DEMO_IMAGES = (
    DemoImage("voting-app-ui:1.0", "ui/Dockerfile"),
    DemoImage("voting-app-ui-dev:latest", "ui/Dockerfile", {"RELEASE": "dev"}),
    DemoImage("votes-api:1.0", "api/Dockerfile"),
    DemoImage("kardinal-pgbouncer:lab", "../pooler/Dockerfile"),
)
"""What the demo needs."""

SHOP_IMAGES = (
    *(
        DemoImage(f"shop-{service}:1.0", "Dockerfile", {"SERVICE": service}, SHOP)
        for service in ("web", "admin", "orders", "catalog", "fulfilment")
    ),
    *(
        DemoImage(f"shop-{service}:dev", "Dockerfile", {"SERVICE": service, "RELEASE": "dev"}, SHOP)
        for service in ("catalog", "fulfilment")
    ),
    DemoImage("shop-queue:1.0", "queue/Dockerfile", folder=SHOP),
)
"""What examples/shop needs."""


def build_demo_images(
    lab: Lab | None = None, report: Report | None = None, images: Sequence[DemoImage] = DEMO_IMAGES
) -> list[Path]:
    """Builds images; those that are in the cache already cost nothing.

    Args:
        lab: Whose cache is used; default: the environment's.
        report: Where progress goes.
        images: Which; default: the demo's.

    Returns:
        The archives, in the order of `images`.

    Raises:
        LabError: A package cannot be had.
    """
    archives = []
    for image in images:
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


def load_demo_images(
    lab: Lab | None = None, report: Report | None = None, images: Sequence[DemoImage] = DEMO_IMAGES
) -> None:
    """Builds images and imports them into the running lab; safe to run again.

    Args:
        lab: The lab; default: the environment's.
        report: Where progress goes.
        images: Which; default: the demo's.

    Raises:
        LabError: A package cannot be had, or containerd refuses an image.
    """
    lab = lab or from_environment()
    for archive in build_demo_images(lab, report, images):
        import_image(lab, archive)


def instructions(image: DemoImage) -> list[tuple[str, str]]:
    """Reads an image's Dockerfile.

    Args:
        image: The image.

    Returns:
        Its instructions in order, as (name, rest of the line), with the build arguments put in.
    """
    text = (image.folder / image.dockerfile).read_text().replace("\\\n", " ")
    found: list[tuple[str, str]] = []
    arguments: dict[str, str] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name == "ARG":
            argument, _, default = rest.partition("=")
            arguments[argument] = image.arguments.get(argument, default)
        if line and not line.startswith("#"):
            found.append((name, Template(rest.strip()).safe_substitute(arguments)))
    return found


def packages(image: DemoImage) -> list[str]:
    """Lists the Debian packages that an image's Dockerfile installs."""
    runs = " ".join(rest for name, rest in instructions(image) if name == "RUN")
    found = re.search(r"apt-get install ([^&]+)", runs)
    return [word for word in found[1].split() if not word.startswith("-")] if found else []


def contents(image: DemoImage) -> dict[str, Path]:
    """Lists what an image's COPY instructions put into it.

    Args:
        image: The image.

    Returns:
        Path in the image -> the file here; later instructions win, as in the image.
    """
    found: dict[str, Path] = {}
    for name, rest in instructions(image):
        if name == "COPY":
            source, target = rest.split()
            folder = image.folder / source
            for file in sorted(folder.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    found[target + file.relative_to(folder).as_posix()] = file
    return found
