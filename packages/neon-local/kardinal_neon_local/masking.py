"""Masking the data of an instance: rules checked against the catalogue, then tables rewritten. Blocking.

Nothing of the old rows may be left where somebody could read it. An UPDATE alone leaves them as dead rows, in
statistics (`pg_stats` shows frequent values), in materialized views and in the WAL. So each table is
rewritten (VACUUM FULL) and analysed, materialized views are made anew, the tables of statistics are rewritten
as well, and the caller throws the WAL away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from kardinal_neon_local.masking_calls import parse_call
from kardinal_neon_local.masking_functions import MOMENT, NUMBER, TEXT, UUID, MaskingError, Source
from kardinal_neon_local.records import MaskingRule

Connection = psycopg.Connection[tuple[Any, ...]]

_CATEGORIES = {"S": TEXT, "N": NUMBER, "D": MOMENT}
_NULL = "NULL"

_COLUMN = """
SELECT c.oid, c.relkind::text AS kind, a.attname AS name, a.attnotnull OR t.typnotnull AS required,
  a.attgenerated <> '' AS generated, a.attidentity = 'a' AS identity, t.typcategory::text AS category,
  coalesce(b.typname, t.typname)::text AS base, format_type(a.atttypid, a.atttypmod) AS type,
  EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND (
    (k.conrelid = c.oid AND a.attnum = ANY (k.conkey))
    OR (k.confrelid = c.oid AND a.attnum = ANY (k.confkey)))) AS foreign_key,
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
    AS is_unique,
  CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 END AS longest
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a
  ON a.attrelid = c.oid AND a.attname = %(column)s AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
"""


class Table(NamedTuple):
    """A table that is masked."""

    schema: str
    name: str

    @property
    def identifier(self) -> Identifier:
        """Its name for a statement."""
        return Identifier(self.schema, self.name)


Masks = dict[Table, list[Composed]]
"""Assignments of an UPDATE by table."""


def plan(connection: Connection, rules: Sequence[MaskingRule], salt: str) -> tuple[Masks, list[str]]:
    """Says what the rules of one database do to its tables.

    Args:
        connection: To that database.
        rules: The rules for it.
        salt: The service's secret.

    Returns:
        The assignments, and every problem with a rule; nothing may be masked when there is one.
    """
    connection.execute("SET search_path = pg_catalog")  # so that types are named with their schema
    masks: Masks = defaultdict(list)
    problems = []
    seen = set()
    for rule in rules:
        where = f"{rule.database_name}.{rule.schema_name}.{rule.table_name}.{rule.column_name}"
        try:
            if where in seen:
                raise MaskingError("has more than one rule")
            seen.add(where)
            assignment = _assignment(connection, rule, salt)
            masks[Table(rule.schema_name, rule.table_name)].append(assignment)
        except MaskingError as error:
            problems.append(f"{where}: {error}")
    return masks, problems


def _assignment(connection: Connection, rule: MaskingRule, salt: str) -> Composed:
    wanted = {"schema": rule.schema_name, "table": rule.table_name, "column": rule.column_name}
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        found: Any = cursor.execute(_COLUMN, wanted).fetchone()
    if found is None:
        raise MaskingError("there is no such table")
    if found.kind not in ("r", "p"):
        raise MaskingError("this is not a table: mask the tables that it shows")
    if found.name is None:
        raise MaskingError("the table has no such column")
    if found.foreign_key:
        raise MaskingError("a column of a foreign key, or one that a foreign key refers to, cannot be masked")
    if found.generated or found.identity:
        raise MaskingError("a generated column cannot be masked: mask what it is computed from")
    return SQL("{} = {}").format(Identifier(found.name), _replacement(connection, rule, found, salt))


def _replacement(connection: Connection, rule: MaskingRule, column: Any, salt: str) -> Composable:
    target = SQL(column.type)
    if (rule.masking_function is None) == (rule.masking_value is None):
        raise MaskingError("give either masking_function or masking_value")
    if rule.masking_function is None:
        if rule.masking_value == _NULL:
            if column.required:
                raise MaskingError("the column is NOT NULL, so the masking value cannot be NULL")
            return SQL("NULL")
        if column.is_unique:
            raise MaskingError("the column is unique, so it cannot have one value everywhere")
        value = SQL("{}::{}").format(Literal(rule.masking_value), target)
        try:
            connection.execute(SQL("SELECT {}").format(value))
        except psycopg.Error:
            raise MaskingError(f"the masking value is no {column.type}") from None
        return value
    call = parse_call(rule.masking_function, column.name)
    kind = UUID if column.base == "uuid" else _CATEGORIES.get(column.category, column.type)
    if kind not in call.function.makes:
        fits = " or ".join(call.function.makes)
        raise MaskingError(
            f"anon.{call.name} is for columns of {fits}, and this one is of type {column.type}"
        )
    expression = call.sql(Source(column.name, salt))
    if column.is_unique and not (call.distinct and column.longest is None):
        raise MaskingError(
            "the column is unique: use anon.fake_email(), anon.hash(column), anon.random_string(32) or"
            " anon.dummy_uuidv4() on a column without a limit of its length"
        )
    if column.longest is not None:
        expression = SQL("left({}, {})").format(expression, Literal(column.longest))
    return SQL("CASE WHEN {} IS NULL THEN NULL ELSE ({})::{} END").format(
        Identifier(column.name), expression, target
    )


def prepare_session(connection: Connection) -> None:
    """Sets a session up for masking: no triggers (they could copy old rows), no row in the server's log.

    Args:
        connection: An administrator's connection.
    """
    for setting in (
        "session_replication_role = replica",
        "log_min_messages = panic",
        "search_path = pg_catalog",
        "row_security = off",
        "lock_timeout = '60s'",
    ):
        connection.execute(f"SET {setting}".encode())


def mask_table(connection: Connection, table: Table, assignments: Sequence[Composed]) -> None:
    """Masks one table and rewrites it, its partitions and its heirs, so that no old row is left.

    Args:
        connection: An administrator's connection.
        table: The table.
        assignments: Of the UPDATE.

    Raises:
        MaskingError: A part of the table is on another server.
        psycopg.Error: PostgreSQL refuses, for example because of a constraint; see `public_reason`.
    """
    prepare_session(connection)
    rows = connection.execute(
        "WITH RECURSIVE tree AS (SELECT %s::regclass::oid AS oid"
        "  UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)"
        " SELECT n.nspname, c.relname, c.relkind::text FROM tree JOIN pg_class c USING (oid)"
        " JOIN pg_namespace n ON n.oid = c.relnamespace",
        (table.identifier.as_string(connection),),
    ).fetchall()
    if any(kind == "f" for _, _, kind in rows):
        raise MaskingError(
            f"table {table.name} has a foreign table below it, whose data are not the branch's"
        )
    connection.execute(SQL("UPDATE {} SET {}").format(table.identifier, SQL(", ").join(assignments)))
    for schema, name, kind in rows:
        # A partitioned table has no rows of its own, but statistics.
        how = SQL("ANALYZE") if kind == "p" else SQL("VACUUM (FULL, ANALYZE)")
        connection.execute(SQL("{} {}").format(how, Identifier(schema, name)))


def rewrite_copies(connection: Connection) -> None:
    """Makes anew what a database keeps of its tables' rows: materialized views and statistics.

    Args:
        connection: An administrator's connection.
    """
    prepare_session(connection)
    views = connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'm' AND c.relispopulated ORDER BY c.oid"
    ).fetchall()
    for view in views:  # one that shows another one is younger than it
        connection.execute(SQL("REFRESH MATERIALIZED VIEW {}").format(Identifier(*view)))
        connection.execute(SQL("ANALYZE {}").format(Identifier(*view)))
    for catalogue in ("pg_statistic", "pg_statistic_ext_data"):
        connection.execute(SQL("VACUUM (FULL) {}").format(Identifier("pg_catalog", catalogue)))


def public_reason(error: psycopg.Error) -> str:
    """Says what may be told of a failure: PostgreSQL's own message can quote a row that is not masked yet.

    Args:
        error: The failure.
    """
    state = error.sqlstate or "unknown error"
    name = f" of constraint {error.diag.constraint_name}" if error.diag.constraint_name else ""
    return f"PostgreSQL refused with {type(error).__name__} ({state}){name}"
