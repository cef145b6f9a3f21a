"""Makes everything in a branch its role's, and the branch behave as its parent does.

REASSIGN OWNED is not used, although it looks made for this: it also gives away what the old owner owns in
the whole server, and that is the parent database itself. Instead every object of this database alone is
altered.
"""

from __future__ import annotations

from psycopg import errors, sql

from kardinal_infra.databases.postgres.access import LOCK_PARAMETER
from kardinal_infra.databases.postgres.session import Connection, one, run

# Everything that users made: not of the system (lower oids), not of an extension, no part of something else.
# Left to their owners: what only superusers may own (event triggers, foreign data wrappers), extensions,
# which have no ALTER ... OWNER, and foreign servers with their mappings, which lead out of the branch.
_OBJECTS = """
WITH candidates (rank, keyword, class, id, owner) AS (
    SELECT 1, 'SCHEMA', 'pg_namespace'::regclass::oid, oid, nspowner FROM pg_namespace
        WHERE (oid >= 16384 OR nspname = 'public') AND nspname !~ '^pg_'
    UNION ALL SELECT 2, 'TYPE', 'pg_type'::regclass, t.oid, typowner FROM pg_type t
        WHERE (typtype IN ('b', 'd', 'e', 'r')
               AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid))
           OR EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND c.relkind = 'c')
    UNION ALL SELECT 3, 'TABLE', 'pg_class'::regclass, c.oid, relowner FROM pg_class c
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass
              AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
    UNION ALL SELECT 4, 'ROUTINE', 'pg_proc'::regclass, oid, proowner FROM pg_proc
    UNION ALL SELECT 5, 'OPERATOR', 'pg_operator'::regclass, oid, oprowner FROM pg_operator
    UNION ALL SELECT 5, 'OPERATOR CLASS', 'pg_opclass'::regclass, oid, opcowner FROM pg_opclass
    UNION ALL SELECT 5, 'OPERATOR FAMILY', 'pg_opfamily'::regclass, oid, opfowner FROM pg_opfamily
    UNION ALL SELECT 5, 'COLLATION', 'pg_collation'::regclass, oid, collowner FROM pg_collation
    UNION ALL SELECT 5, 'CONVERSION', 'pg_conversion'::regclass, oid, conowner FROM pg_conversion
    UNION ALL SELECT 5, 'STATISTICS', 'pg_statistic_ext'::regclass, oid, stxowner FROM pg_statistic_ext
    UNION ALL SELECT 5, 'TEXT SEARCH CONFIGURATION', 'pg_ts_config'::regclass, oid, cfgowner FROM pg_ts_config
    UNION ALL SELECT 5, 'TEXT SEARCH DICTIONARY', 'pg_ts_dict'::regclass, oid, dictowner FROM pg_ts_dict
    UNION ALL SELECT 6, 'LARGE OBJECT', 'pg_largeobject'::regclass, oid, lomowner FROM pg_largeobject_metadata
)
SELECT keyword, (pg_identify_object(class, id, 0)).identity FROM candidates
WHERE (id >= 16384 OR keyword IN ('SCHEMA', 'LARGE OBJECT'))
  AND owner NOT IN (SELECT oid FROM pg_roles WHERE rolname IN (%s, 'pg_database_owner'))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = id AND d.deptype = 'e')
ORDER BY rank, id
"""

# Switches the session to another role, or is the lock itself.
_NOT_COPIED = ("role", "session_authorization", LOCK_PARAMETER)


def transfer_ownership(connection: Connection, role: str) -> int:
    """Gives the objects of this database to a role.

    Args:
        connection: A session of the administrator in the branch's database.
        role: The branch's role, which owns the database.

    Returns:
        How many objects changed their owner.
    """
    # A commit per object: a transaction over all of them could need more locks than the server has.
    connection.execute("SET synchronous_commit = off")
    objects = connection.execute(_OBJECTS.encode(), (role,)).fetchall()
    for keyword, identity in objects:
        # PostgreSQL quotes what it identifies.
        connection.execute(
            sql.SQL("ALTER {} {} OWNER TO {}").format(
                sql.SQL(keyword), sql.SQL(identity), sql.Identifier(role)
            )
        )
    return len(objects)


def copy_settings(connection: Connection, parent: str, model: str, name: str) -> None:
    """Gives a branch what ALTER DATABASE and ALTER ROLE have set for its parent; a copy has none of it.

    What the administrator may not set is left out: only superusers may set those parameters.

    Args:
        connection: A session of the administrator in the branch's database.
        parent: The parent's database.
        model: The role that the parent is used with.
        name: Name of the branch's database and role.
    """
    rows = connection.execute(
        "SELECT setrole = 0, split_part(item, '=', 1), substr(item, strpos(item, '=') + 1)"
        " FROM pg_db_role_setting, unnest(setconfig) item"
        " WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = %s))"
        "   AND setrole IN (0, coalesce((SELECT oid FROM pg_roles WHERE rolname = %s), 0))"
        "   AND (setdatabase, setrole) <> (0, 0)"
        " ORDER BY setrole, setdatabase",
        (parent, model),
    ).fetchall()
    search_path = '"$user", public'
    for of_database, parameter, value in rows:
        if parameter in _NOT_COPIED:
            continue
        _set(connection, name, parameter, value, of_database=of_database)
        if parameter == "search_path":
            search_path = value
    row = one(
        connection, "SELECT quote_ident(%s), to_regnamespace(quote_ident(%s)) IS NOT NULL", model, model
    )
    if row and row[1] and '"$user"' in search_path:
        # The schema of the parent's role is not named like the branch's.
        _set(connection, name, "search_path", search_path.replace('"$user"', row[0]), of_database=False)


def _set(connection: Connection, name: str, parameter: str, value: str, *, of_database: bool) -> None:
    whose, names = ("DATABASE {}", (name,)) if of_database else ("ROLE {} IN DATABASE {}", (name, name))
    try:
        with connection.transaction():
            # FROM CURRENT writes the value as the server keeps it; lists would need quoting of their own.
            connection.execute("SELECT set_config(%s, %s, true)", (parameter, value))
            quoted = ".".join("{}" for _ in parameter.split("."))
            run(connection, f"ALTER {whose} SET {quoted} FROM CURRENT", *names, *parameter.split("."))
    except errors.InsufficientPrivilege:
        pass
