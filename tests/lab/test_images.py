"""Images: the right files, and the same bytes for the same input."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import IO, cast

import pytest

from lab.containers import image_of, wanted_images
from lab.images import File, build_image, files_layer, reference
from lab.settings import Lab, LabError


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(name="t", cache=tmp_path / "cache", state=tmp_path / "state", prefix="10.9", ingress_port=1)


def members(layer: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return {entry.name: entry for entry in tar}


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("app:v1", "docker.io/library/app:v1"),
        ("team/app:v1", "docker.io/team/app:v1"),
        ("kardinal.lab/pause:1", "kardinal.lab/pause:1"),
        ("localhost/app:1", "localhost/app:1"),
        ("host:5000/app:1", "host:5000/app:1"),
    ],
)
def test_references_are_what_kubernetes_asks_for(short: str, full: str) -> None:
    assert reference(short) == full


@pytest.mark.parametrize("name", ["app", "host:5000/app", "team/app"])
def test_a_name_without_a_tag_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="give it a tag"):
        reference(name)


def test_a_layer_holds_files_folders_links_and_their_parents(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "pages").mkdir(parents=True)
    (source / "pages" / "a.html").write_text("a")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "x.pyc").write_bytes(b"")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    found = members(
        files_layer(
            {
                "/app": source,
                "/bin/program": program,
                "/etc/text": "text",
                "/run/link": File(link="/etc/text"),
                "/tmp/open": File(folder=True, mode=0o1777, owner=7),
            }
        )
    )
    assert sorted(found) == [
        *("app", "app/pages", "app/pages/a.html", "bin", "bin/program", "etc", "etc/text"),
        *("run", "run/link", "tmp", "tmp/open"),
    ]
    assert found["bin/program"].mode == 0o755
    assert found["etc/text"].mode == 0o644
    assert found["run/link"].linkname == "/etc/text"
    assert (found["tmp/open"].mode, found["tmp/open"].uid) == (0o1777, 7)
    assert {entry.mtime for entry in found.values()} == {0}


def test_a_layer_does_not_depend_on_order_or_times(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    first = files_layer({"/a": "1", "/b": file})
    file.write_text("x")
    assert files_layer({"/b": file, "/a": "1"}) == first


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"/app/x: .*nothing does not exist"):
        files_layer({"/app/x": tmp_path / "nothing"})


def test_an_archive_describes_its_image(lab: Lab) -> None:
    archive = build_image(
        "app:v1", files={"/app/x": "1"}, entrypoint=["/app/x"], environment={"A": "b"}, user="1:1", lab=lab
    )
    with tarfile.open(archive) as tar:
        (manifest,) = json.load(cast("IO[bytes]", tar.extractfile("manifest.json")))
        config = json.load(cast("IO[bytes]", tar.extractfile(manifest["Config"])))
        (layer,) = (cast("IO[bytes]", tar.extractfile(name)).read() for name in manifest["Layers"])
    assert manifest["RepoTags"] == ["docker.io/library/app:v1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/app/x"]
    assert config["config"]["User"] == "1:1"
    assert "A=b" in config["config"]["Env"]
    assert list(members(layer)) == ["app", "app/x"]


def test_an_image_is_built_once_and_its_contents_name_it(lab: Lab) -> None:
    first = build_image("app:v1", files={"/a": "1"}, lab=lab)
    made = first.stat().st_mtime_ns
    assert build_image("app:v1", files={"/a": "1"}, lab=lab) == first
    assert first.stat().st_mtime_ns == made
    assert build_image("app:v1", files={"/a": "2"}, lab=lab) != first
    assert build_image("app:v2", files={"/a": "1"}, lab=lab) != first


def test_a_new_version_of_a_required_image_is_not_undone_by_the_one_imported_before(lab: Lab) -> None:
    links = lab.state / "images"
    links.mkdir(parents=True)
    old, new = (build_image("proxy:1", files={"/a": text}, lab=lab) for text in ("old", "new"))
    app = build_image("app:1", files={"/a": "app"}, lab=lab)
    gone = build_image("gone:1", files={"/a": "gone"}, lab=lab)
    for archive in (old, app, gone):
        (links / image_of(archive)).symlink_to(archive)
    gone.unlink()
    assert wanted_images(lab, [new]) == [new, app]
