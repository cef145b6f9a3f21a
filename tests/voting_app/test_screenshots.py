"""Pictures of real pages by a real browser."""

import struct
from pathlib import Path

import pytest

from lab import screenshots
from lab.settings import LabError
from tests.voting_app.harness import Start, Upstream

with_browser = pytest.mark.skipif(screenshots._chromium() is None, reason="no Chromium on PATH")


@with_browser
def test_a_page_becomes_a_picture_of_the_asked_size(start: Start, upstream: Upstream, tmp_path: Path) -> None:
    upstream.answers.append((200, {"options": ["Cats"], "counts": {"Cats": 1}, "total": 1}))
    ui = start("voting-app-ui:1.0", VOTES_API_URL=upstream.url)
    page = f"http://votes.example:{ui.client.base_url.port}/"

    picture = screenshots.capture(
        page, tmp_path / "deep" / "page.png", size=(640, 480), resolve={"*.example": "127.0.0.1"}
    )

    content = picture.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (640, 480)
    assert upstream.seen, "the browser never asked for the page"


@with_browser
def test_a_page_that_cannot_be_loaded_is_an_error_and_no_picture(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"^http://nobody\.invalid/: net::ERR_NAME_NOT_RESOLVED$"):
        screenshots.capture("http://nobody.invalid/", tmp_path / "page.png")

    assert not (tmp_path / "page.png").exists()


def test_without_a_browser_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LabError, match="apt-get install chromium"):
        screenshots.capture("http://127.0.0.1/", tmp_path / "page.png")
