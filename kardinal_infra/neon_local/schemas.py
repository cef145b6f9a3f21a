"""A database's schema as SQL, and the difference between two branches."""

from __future__ import annotations

import asyncio
import difflib

from .records import Branch
from .service import Service


async def schema_sql(service: Service, branch: Branch, database: str) -> str:
    """What ``pg_dump --schema-only`` says about a database, without the parts that differ on every call.

    Args:
        service: The service.
        branch: The branch; it is woken if necessary.
        database: Name of an existing database.

    Raises:
        LocalNeonError: If pg_dump fails.
    """
    async with service.instances.using(branch) as postmaster:
        dump = await asyncio.to_thread(postmaster.command, "pg_dump", "--schema-only", "--dbname", database)
    # A key made up on each run guards psql against restoring hostile dumps (CVE-2025-8714).
    return "".join(
        line
        for line in dump.splitlines(keepends=True)
        if not line.startswith(("\\restrict ", "\\unrestrict "))
    )


async def compare(service: Service, base: Branch, branch: Branch, database: str) -> str:
    """The unified diff from ``base`` to ``branch``; empty when their schemas are the same."""
    before = await schema_sql(service, base, database)
    after = await schema_sql(service, branch, database)
    return "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True),
            f"a/{database}", f"b/{database}",
        )
    )  # fmt: skip
