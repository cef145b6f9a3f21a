"""A database's schema as SQL or JSON, the difference between two branches, and a copy without data."""

from __future__ import annotations

import asyncio
import difflib
from typing import Any

import psycopg

from kardinal_neon_local.postmaster import ADMIN
from kardinal_neon_local.records import Branch
from kardinal_neon_local.service import Service


async def schema_sql(service: Service, branch: Branch, database: str) -> str:
    """Returns what `pg_dump --schema-only` says about a database, without what differs on every call.

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
    """Returns the unified diff from `base` to `branch`; empty when their schemas are the same.

    Args:
        service: The service.
        base: A branch.
        branch: Another branch.
        database: Name of a database of both.
    """
    before = await schema_sql(service, base, database)
    after = await schema_sql(service, branch, database)
    return "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"a/{database}",
            f"b/{database}",
        )
    )


async def copy(service: Service, source: Branch, target: Branch) -> None:
    """Loads the source's roles, databases and schemas, but no data, into the target's empty cluster.

    Args:
        service: The service.
        source: Any branch.
        target: A root branch that has just been initialised.

    Raises:
        LocalNeonError: If pg_dumpall or psql fails.
    """
    async with service.instances.using(source) as postmaster:
        dump = await asyncio.to_thread(postmaster.command, "pg_dumpall", "--schema-only")
    own = f"CREATE ROLE {ADMIN};\n"  # the service's superuser is in every cluster
    script = "".join(line for line in dump.splitlines(keepends=True) if line != own)
    options = ("--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", "postgres")
    async with service.instances.using(target) as postmaster:
        await asyncio.to_thread(postmaster.command, "psql", *options, stdin=script)


# Kinds of pg_class: ordinary and partitioned tables. Neon lists these three kinds of constraints.
_TABLES = """
SELECT coalesce(json_agg(json_build_object(
  'schema', n.nspname, 'name', c.relname,
  'columns', (
    SELECT coalesce(json_agg(json_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'nullable', NOT a.attnotnull, 'generated', a.attgenerated <> '') ORDER BY a.attnum), '[]')
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (
    SELECT coalesce(json_agg(json_strip_nulls(json_build_object(
      'type', CASE k.contype WHEN 'p' THEN 'primary_key' WHEN 'u' THEN 'unique' ELSE 'foreign_key' END,
      'name', k.conname,
      'columns', (
        SELECT json_agg(a.attname ORDER BY p.place) FROM unnest(k.conkey) WITH ORDINALITY p (number, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.number),
      'referenced_table', CASE WHEN k.contype = 'f' THEN json_build_object(
        'schema', fn.nspname, 'table', f.relname,
        'columns', (
          SELECT json_agg(a.attname ORDER BY p.place) FROM unnest(k.confkey) WITH ORDINALITY p (number, place)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.number)) END
      )) ORDER BY k.conname), '[]')
    FROM pg_constraint k LEFT JOIN pg_class f ON f.oid = k.confrelid
    LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
    WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f'))
  ) ORDER BY n.nspname, c.relname), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


async def schema_json(service: Service, branch: Branch, database: str) -> dict[str, Any]:
    """Returns a database's tables, columns and keys in Neon's JSON form.

    Args:
        service: The service.
        branch: The branch.
        database: Name of an existing database.
    """

    def read(connection: psycopg.Connection[tuple[Any, ...]]) -> list[Any]:
        row = connection.execute(_TABLES).fetchone()
        assert row is not None
        return list(row[0])

    return {"tables": await service.instances.execute(branch, read, database)}
