"""The voting app's page, as one HTML document without outside assets."""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Release:
    """What one release of the page is called and looks like; read from `release.json`."""

    version: str
    title: str
    tagline: str
    theme: str  # "production" or "development": the colours, in style.css

    @classmethod
    def load(cls, path: Path = HERE / "release.json") -> "Release":
        """Reads the release that this image is of."""
        return cls(**json.loads(path.read_text()))


def render(release: Release, counts: dict[str, int], flow: str | None, voted: str | None = None) -> str:
    """Renders the page.

    Args:
        release: The release that renders.
        counts: Votes per option, in the order to show them.
        flow: The flow that the request belongs to; None in production.
        voted: The option that the visitor has just voted for.

    Returns:
        The document.
    """
    total = sum(counts.values())
    options = "".join(
        _option(index, name, votes, total) for index, (name, votes) in enumerate(counts.items())
    )
    thanks = (
        f'<p class="thanks" role="status">Thank you for your vote for {escape(voted)}.</p>' if voted else ""
    )
    return _document(
        release,
        flow,
        f'<main class="options">{options}</main>'
        f'<p class="total"><strong>{total:,}</strong> {"vote" if total == 1 else "votes"} so far</p>{thanks}',
    )


def render_error(release: Release, message: str, flow: str | None) -> str:
    """Renders the page that says what went wrong; arguments as for `render`."""
    return _document(
        release,
        flow,
        f'<main class="problem"><p>{escape(message)}</p><p><a href="/">Try again</a></p></main>',
    )


def _option(index: int, name: str, votes: int, total: int) -> str:
    share = 100 * votes / total if total else 0.0
    label = escape(name)
    return f"""
<section class="option tone-{index % 6}" data-option="{label}" data-votes="{votes}">
  <div class="icon">{_icon(name)}</div>
  <h2>{label}</h2>
  <p class="count">{votes:,}</p>
  <div class="bar" role="img" aria-label="{share:.1f} percent"><span style="width: {share:.2f}%"></span></div>
  <p class="share">{share:.1f} %</p>
  <form method="post" action="/vote"><button name="option" value="{label}">Vote for {label}</button></form>
</section>"""


def _icon(name: str) -> str:
    # Looked up among the files that are there, so that no name from outside becomes a path.
    icons = {path.stem: path for path in (HERE / "icons").glob("*.svg")}
    return icons.get(name.lower(), icons["any"]).read_text().strip()


def _document(release: Release, flow: str | None, content: str) -> str:
    place = f"flow: {flow}" if flow else "production"
    return f"""<!doctype html>
<html lang="en" data-theme="{escape(release.theme)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(release.title)} - {escape(place)}</title>
<link rel="icon" href="data:,">
<style>{(HERE / "style.css").read_text()}</style>
</head>
<body>
<header>
  <p class="badge">{escape(place)}</p>
  <h1>{escape(release.title)}</h1>
  <p class="tagline">{escape(release.tagline)}</p>
</header>
{content}
<footer>
  voting-app-ui <b id="version">{escape(release.version)}</b><i></i><span id="flow">{escape(place)}</span>
</footer>
</body>
</html>
"""
