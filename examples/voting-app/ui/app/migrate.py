"""Brings the database at `DATABASE_URL` to what this release of the app needs; safe to run again.

Run by whoever deploys the release, before its pods: `python3 /app/migrate.py`.
"""

import os
import sys

import psycopg2
from database import connect, migrate


def main() -> None:
    """Applies the release's steps and says which were new."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("migrate: set DATABASE_URL to the PostgreSQL database, e.g. postgresql://user@host/votes")
    try:
        connection = connect(url, "voting-app-migrate")
        try:
            applied = migrate(connection)
        finally:
            connection.close()
    except psycopg2.Error as error:
        sys.exit(f"migrate: {str(error).strip()}")
    print("migrate: " + (f"applied {', '.join(applied)}" if applied else "nothing to do"))


if __name__ == "__main__":
    main()
