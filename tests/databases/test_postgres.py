"""Branches on a real PostgreSQL server: what only this backend has to get right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from kardinal_infra.databases.postgres import copying
from kardinal_infra.databases.postgres.address import parse_address
from kardinal_infra.databases.postgres.branch import ensure_branch, read_branch, update_branch
from kardinal_infra.databases.postgres.errors import PostgresError
from kardinal_infra.databases.postgres.identifiers import identifier
from kardinal_infra.databases.postgres.removal import discard_branch, list_owned, remove_branch
from kardinal_infra.databases.postgres.settings import PostgresSettings
from kardinal_infra.databases.postgres.spec import BranchSpec, BranchView
from kardinal_infra.errors import BranchingError, OwnershipError
from tests.databases.backends import query
from tests.databases.server import ADMIN_PASSWORD, OWNER_PASSWORD, PostgresServer, postgres_server

pytestmark = pytest.mark.postgres

SPEC = BranchSpec(
    name="kardinal/voting/dev/votes",
    database="votes",
    role="votes_owner",
    annotations={"kardinal-stack": "organization/kardinal/dev"},
)
VOTES = "SELECT count(*) FROM vote"
NAME = identifier(SPEC.name)


def settings(server: PostgresServer, **how: str) -> PostgresSettings:
    return PostgresSettings(SecretStr(server.uri(**how)))


def make(server: PostgresServer, **changes: Any) -> BranchView:
    return ensure_branch(settings(server), replace(SPEC, **changes), datetime.now(UTC))


def uri(server: PostgresServer, made: BranchView, database: str | None = None) -> str:
    assert made.password is not None
    address = parse_address(server.address)
    return address.uri(role=made.name, password=made.password, database=database or made.name, sslmode=None)


def remove(server: PostgresServer, made: BranchView) -> None:
    remove_branch(settings(server), made.server_id, made.name, made.marks.annotations)


@pytest.fixture(autouse=True)
def nothing_left(server: PostgresServer) -> Iterator[None]:
    before = server.databases(), server.roles()
    yield
    assert (server.databases(), server.roles()) == before


def parent_row(server: PostgresServer) -> list[tuple[Any, ...]]:
    query = (
        "SELECT d.xmin::text, datdba::regrole::text, datacl::text, datallowconn, datistemplate,"
        " (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = d.oid) FROM pg_database d"
        " WHERE datname = 'votes'"
    )
    return server.sql(query)


@pytest.mark.parametrize("source", ["template", "dump"])
def test_nothing_changes_on_the_parent(server: PostgresServer, source: copying.Source) -> None:
    before = parent_row(server)
    owner = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    made = make(server, source=source)
    assert parent_row(server) == before
    assert query(uri(server, made), owner) == [(made.name,)]
    assert server.sql(owner, "votes") == [("votes_owner",)]
    remove(server, made)
    assert parent_row(server) == before


def test_the_role_opens_no_other_database_of_the_server_whatever_it_tries(server: PostgresServer) -> None:
    made = make(server)
    tries = (
        "RESET ALL",
        "SET session_preload_libraries = ''",
        "IN DATABASE votes SET session_preload_libraries = ''",
    )
    with psycopg.connect(uri(server, made), autocommit=True) as connection:
        for words in tries:
            try:
                connection.execute(f"ALTER ROLE {made.name} {words}".encode())
            except psycopg.errors.InsufficientPrivilege:
                continue
    for database in ("votes", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="may connect to its own branch only"):
            query(uri(server, made, database), "SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(uri(server, made, database), options="-c session_preload_libraries=")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        query(server.uri(made.name, "votes_owner", OWNER_PASSWORD), "SELECT 1")
    remove(server, made)


def test_a_busy_database_is_dumped_and_its_sessions_live_on(server: PostgresServer) -> None:
    with psycopg.connect(server.uri("votes", "votes_owner", OWNER_PASSWORD), autocommit=True) as production:
        made = make(server)
        assert made.marks.copied_by == "dump"
        assert production.execute(VOTES).fetchall() == query(uri(server, made), VOTES)
    remove(server, made)


def test_a_busy_template_is_an_error_that_names_the_way_out(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BUSY_SECONDS", 5)
    with psycopg.connect(server.uri("votes"), application_name="the-shop") as production:
        with pytest.raises(BranchingError, match=r"in use \(by the-shop\): name a golden copy") as caught:
            make(server, source="template")
        assert production.execute("SELECT 1").fetchall() == [(1,)]
    assert ADMIN_PASSWORD not in str(caught.value)


def test_who_connects_in_between_makes_it_a_dump(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_in_use", lambda *_: False)
    with psycopg.connect(server.uri("votes")):
        made = make(server)
    assert made.marks.copied_by == "dump"
    assert query(uri(server, made), VOTES) == [(300,)]
    remove(server, made)


def test_a_golden_copy_is_a_template_of_any_size(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.sql("CREATE DATABASE golden TEMPLATE votes")
    server.sql("ALTER DATABASE golden ALLOW_CONNECTIONS false")
    monkeypatch.setattr(copying, "SMALL", 1000)
    try:
        made = make(server, parent="golden")
        assert made.marks.copied_by in ("clone", "file_copy")
        assert query(uri(server, made), VOTES) == [(300,)]
        remove(server, made)
        with pytest.raises(BranchingError, match="takes no connections, so it cannot be dumped"):
            make(server, parent="golden", source="dump")
        live = make(server)  # large and live: not even when nobody is connected
        assert live.marks.copied_by == "dump"
        remove(server, live)
    finally:
        server.sql("DROP DATABASE golden")


OBJECTS = """
    CREATE SCHEMA app; CREATE SCHEMA votes_owner; CREATE TABLE votes_owner.mine (id int);
    CREATE TYPE mood AS ENUM ('good'); CREATE DOMAIN amount AS int; CREATE TYPE pair AS (a int, b mood);
    CREATE TYPE span AS RANGE (subtype = int4); CREATE VIEW seen AS SELECT * FROM vote;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM vote; CREATE SEQUENCE numbers;
    CREATE FUNCTION f(a int DEFAULT 1, "B c" text = '') RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE PROCEDURE p() LANGUAGE sql AS '';
    CREATE AGGREGATE total(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
    CREATE TABLE "Odd ""name" (id int GENERATED ALWAYS AS IDENTITY) PARTITION BY RANGE (id);
    CREATE TABLE part PARTITION OF "Odd ""name" FOR VALUES FROM (0) TO (9); CREATE COLLATION sorted FROM "C";
    CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
    CREATE STATISTICS stats ON id, choice FROM vote; CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
    CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple); SELECT lo_create(0)
"""
FOREIGN = """
    SELECT relname::text FROM pg_class
        WHERE oid >= 16384 AND relkind <> 't' AND relowner <> current_user::regrole
    UNION SELECT proname FROM pg_proc WHERE oid >= 16384 AND proowner <> current_user::regrole
    UNION SELECT typname FROM pg_type WHERE oid >= 16384 AND typtype <> 'm' AND typelem = 0
        AND typowner <> current_user::regrole AND typtype <> 'c'
    UNION SELECT nspname FROM pg_namespace
        WHERE oid >= 16384 AND nspname !~ '^pg_' AND nspowner <> current_user::regrole
    UNION SELECT oprname FROM pg_operator WHERE oid >= 16384 AND oprowner <> current_user::regrole
    UNION SELECT cfgname FROM pg_ts_config WHERE oid >= 16384 AND cfgowner <> current_user::regrole
    UNION SELECT lomowner::regrole::text FROM pg_largeobject_metadata WHERE lomowner <> current_user::regrole
"""


@pytest.fixture
def rich(nothing_left: None, server: PostgresServer) -> Iterator[None]:
    """A database with an object of every kind, and with settings."""
    try:
        server.production("rich", "rich_owner")
        server.sql('ALTER DATABASE rich SET search_path = app, "$user", public')
        server.sql("ALTER ROLE rich_owner SET work_mem = '7MB'")
        server.sql("ALTER ROLE rich_owner IN DATABASE rich SET app.tenant = 'a, b'")
        objects = OBJECTS.replace("votes_owner", "rich_owner")
        server.sql(f"SET ROLE rich_owner; SET search_path = public; {objects}", "rich")
        server.sql(
            "CREATE TABLE public.by_admin (id int); CREATE PUBLICATION all_of_it FOR ALL TABLES", "rich"
        )
        yield
    finally:
        server.sql("DROP DATABASE rich")
        server.sql("DROP ROLE rich_owner")


@pytest.mark.parametrize("source", ["template", "dump"])
def test_everything_in_a_branch_is_its_roles_and_it_behaves_as_its_parent(
    server: PostgresServer, rich: None, source: copying.Source
) -> None:
    made = make(server, database="rich", role="rich_owner", source=source)
    mine = uri(server, made)
    assert query(mine, FOREIGN) == []
    assert query(mine, "SHOW search_path") == [("app, rich_owner, public",)]
    assert query(mine, "SHOW work_mem") == [("7MB",)]
    assert query(mine, "SHOW app.tenant") == [("a, b",)]
    query(mine, 'DROP TABLE by_admin; DROP TABLE "Odd ""name"; DROP TYPE pair; INSERT INTO mine VALUES (1)')
    query(mine, "SET search_path = public; CREATE TABLE further (id int); DROP FUNCTION f")
    remove(server, made)


def test_when_its_time_is_over_the_server_lets_nobody_in_and_the_next_update_makes_a_new_one(
    server: PostgresServer,
) -> None:
    end = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    old = make(server, expires_at=end)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(uri(server, old), "SELECT 1")
    listed = list_owned(settings(server), server.address)
    assert [(item.name, item.expires_at) for item in listed] == [(SPEC.name, datetime.fromisoformat(end))]
    renewed = update_branch(
        settings(server), old.server_id, old.name, replace(SPEC), before=SPEC, rotate=False
    )
    assert (renewed.marks.expires_at, renewed.password) == (None, None)
    query(uri(server, old), "CREATE TABLE mine (id int)")
    update_branch(
        settings(server), old.server_id, old.name, replace(SPEC, expires_at=end), before=SPEC, rotate=False
    )
    new = make(server)
    assert not new.adopted
    assert query(uri(server, new), "SELECT to_regclass('mine')") == [(None,)]
    remove(server, new)


class Killed(BaseException):
    """The process dies here."""


def test_a_run_killed_before_any_statement_leaves_what_the_next_one_completes(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = [10**9]
    execute = psycopg.Connection.execute

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return execute(self, *args, **kwargs)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    first = make(server)
    total = 10**9 - left[0]
    assert total > 20
    remove(server, first)
    for number in range(0, total, 3):
        left[0] = number
        with pytest.raises(Killed):
            make(server)
        left[0] = 10**9
        if number % 2:
            made = make(server)
            # Nothing was handed out, unless the very last steps were done.
            assert query(uri(server, made), VOTES) == [(300,)]
            remove(server, made)
        else:
            discard_branch(settings(server), SPEC.name, SPEC.annotations)
        assert NAME not in [*server.databases(), *server.roles()], number


def test_branches_are_made_at_the_same_time(server: PostgresServer) -> None:
    def one(number: int) -> BranchView:
        return make(server, name=f"branch-{number}", source="template")

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(one, range(6)))
        same = list(threads.map(lambda _: make(server), range(3)))
    assert len({view.name for view in made}) == 6
    assert [view.name for view in same] == [same[0].name] * 3
    assert sum(not view.adopted for view in same) == 1
    for view in [*made, same[0]]:
        remove(server, view)


@pytest.mark.parametrize(
    "statement",
    ["CREATE DATABASE {}", "CREATE ROLE {}", "CREATE ROLE {}; COMMENT ON ROLE {} IS 'the accountants'"],
)
def test_what_is_not_a_branch_is_refused_and_left_alone(server: PostgresServer, statement: str) -> None:
    server.sql(statement.replace("{}", NAME))
    try:
        with pytest.raises(OwnershipError, match="was not made as a branch"):
            make(server)
        assert discard_branch(settings(server), SPEC.name, SPEC.annotations) is False
        assert NAME in server.databases() + server.roles()
    finally:
        server.sql(f"DROP DATABASE IF EXISTS {NAME}")
        server.sql(f"DROP ROLE IF EXISTS {NAME}")


def test_another_server_is_no_proof_that_a_branch_is_gone(server: PostgresServer) -> None:
    made = make(server)
    works: tuple[Callable[[], object], ...] = (
        lambda: read_branch(settings(server), "1234", made.name, SPEC),
        lambda: remove_branch(settings(server), "1234", made.name, SPEC.annotations),
    )
    for work in works:
        with pytest.raises(PostgresError, match="leads to the PostgreSQL server"):
            work()
    remove(server, made)


def test_children_of_the_same_stack_can_go_with_their_parent(server: PostgresServer) -> None:
    parent = make(server)
    child = make(server, name="child", parent=SPEC.name)
    other = make(server, name="other", parent=SPEC.name, annotations={"kardinal-stack": "o/k/other"})
    remove_branch(settings(server), parent.server_id, parent.name, SPEC.annotations, children=True)
    assert [item.name for item in list_owned(settings(server), "x")] == ["other"]
    assert child.name not in server.databases()
    remove(server, other)


def test_no_password_reaches_the_server_or_a_message(server: PostgresServer) -> None:
    made = make(server)
    assert made.password is not None
    log = server.log.read_text(errors="replace")
    assert made.name in log
    assert made.password.get_secret_value() not in log + repr(made)
    remove(server, made)
    wrong = PostgresSettings(SecretStr(server.uri().replace("5b1", "wrong9")))
    with pytest.raises(PostgresError, match="password authentication failed") as caught:
        ensure_branch(wrong, SPEC, datetime.now(UTC))
    assert "wrong9" not in f"{caught.value} {caught.value!r} {wrong!r}"


def test_the_administrator_must_not_sit_in_the_database_that_is_copied(server: PostgresServer) -> None:
    with pytest.raises(BranchingError, match="let it name another database, such as postgres"):
        ensure_branch(settings(server, database="votes"), SPEC, datetime.now(UTC))


@pytest.fixture
def clerk(nothing_left: None, server: PostgresServer) -> Iterator[PostgresSettings]:
    """An administrator who is no superuser, as managed servers have it."""
    server.sql("CREATE ROLE clerk LOGIN CREATEDB CREATEROLE PASSWORD 'clerks'")
    server.sql("GRANT votes_owner TO clerk")
    yield PostgresSettings(SecretStr(server.uri(user="clerk", password="clerks")))
    server.sql("GRANT CONNECT ON DATABASE votes TO PUBLIC; REVOKE CONNECT ON DATABASE votes FROM votes_owner")
    server.sql("DROP OWNED BY clerk; DROP ROLE clerk")


@pytest.mark.parametrize("way", ["parent closed to PUBLIC", "may lock roles"])
def test_an_administrator_without_superpowers(
    server: PostgresServer, clerk: PostgresSettings, way: str
) -> None:
    now = datetime.now(UTC)
    with pytest.raises(BranchingError, match="grants CONNECT to PUBLIC"):
        ensure_branch(clerk, SPEC, now)
    if way == "may lock roles":
        server.sql(
            "GRANT SET ON PARAMETER session_preload_libraries TO clerk; GRANT pg_read_all_settings TO clerk"
        )
    else:
        server.sql(
            "GRANT CONNECT ON DATABASE votes TO votes_owner; REVOKE CONNECT ON DATABASE votes FROM PUBLIC"
        )
    sources: tuple[copying.Source, ...] = ("template", "dump")
    for source in sources:
        made = ensure_branch(clerk, replace(SPEC, source=source), now)
        assert query(uri(server, made), VOTES) == [(300,)]
        query(uri(server, made), "ALTER TABLE vote ADD COLUMN further int; CREATE TABLE more (id int)")
        with pytest.raises(psycopg.OperationalError):
            query(uri(server, made, "votes"), "SELECT 1")
        assert ensure_branch(clerk, SPEC, now).adopted
        remove_branch(clerk, made.server_id, made.name, SPEC.annotations)


def test_an_administrator_who_may_do_nothing_is_told_what_to_grant(server: PostgresServer) -> None:
    weak = settings(server, user="votes_owner", password=OWNER_PASSWORD)
    with pytest.raises(BranchingError, match='ALTER ROLE "votes_owner" CREATEDB CREATEROLE'):
        ensure_branch(weak, SPEC, datetime.now(UTC))


def installations() -> list[Path]:
    return sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@pytest.mark.parametrize("programs", installations(), ids=lambda path: path.parent.name)
@pytest.mark.parametrize("source", ["template", "dump"])
def test_other_versions(programs: Path, source: copying.Source, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres_server(programs) as other:
        monkeypatch.setenv("PATH", other.path())
        other.production()
        made = make(other, source=source)
        assert query(uri(other, made), VOTES) == [(300,)]
        with pytest.raises(psycopg.OperationalError, match="may connect to its own branch only"):
            query(uri(other, made, "votes"), "SELECT 1")
        assert make(other).adopted
        remove(other, made)
        assert other.databases() == ["postgres", "template0", "template1", "votes"]
