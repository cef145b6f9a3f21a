"""The shop's programs as their images hold them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lab.demo_images import SHOP_IMAGES
from tests.voting_app.harness import lay_out

Load = Callable[..., ModuleType]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder /app of each image, by the image's name."""
    return {
        image.name: lay_out(image, tmp_path_factory.mktemp(image.name.replace(":", "-")))
        for image in SHOP_IMAGES
    }


@pytest.fixture
def load(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a module of an image, its program by default; every test gets modules of its own."""
    names = {file.stem for folder in folders.values() for file in folder.glob("*.py")}

    def find(image: str, name: str = "main") -> ModuleType:
        monkeypatch.syspath_prepend(folders[image])
        return importlib.import_module(name)

    yield find
    for name in names:
        sys.modules.pop(name, None)
