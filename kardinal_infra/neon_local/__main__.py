"""``kardinal-neon-local`` and ``python -m``: the command, or what to install before there is one."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("cryptography", "psycopg", "starlette", "uvicorn")
"""What the extra ``local-neon`` brings, by the names of its packages; PostgreSQL may come from elsewhere."""


def main() -> None:
    """Run the command; without the extra it is one line on stderr and exit code 1."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(
            f"kardinal-neon-local: not installed: {', '.join(missing)};"
            " run: pip install 'kardinal-infra[local-neon]'"
        )
    from kardinal_infra.neon_local.command import main as run

    run()


if __name__ == "__main__":
    main()
