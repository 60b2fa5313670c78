"""Foreign keys against what other transactions do meanwhile; each test runs on PostgreSQL 18 too."""

import psycopg
import pytest


@pytest.fixture(params=["tusk", "oracle"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def two(server):
    with psycopg.connect(server.url, autocommit=True) as one, psycopg.connect(server.url, autocommit=True) as other:
        one.execute("SET client_min_messages = 'warning'")
        one.execute("DROP SCHEMA IF EXISTS fk_isolation CASCADE")
        one.execute("CREATE SCHEMA fk_isolation")
        for connection in (one, other):
            connection.execute("SET search_path = fk_isolation")
        one.execute("CREATE TABLE parent (id int PRIMARY KEY)")
        one.execute("INSERT INTO parent VALUES (1), (2)")
        yield one, other


def begin(connection, level="REPEATABLE READ"):
    connection.execute(f"BEGIN ISOLATION LEVEL {level}")
    connection.execute("SELECT count(*) FROM parent")


def child(connection, action):
    connection.execute(f"CREATE TABLE child (id int, p int DEFAULT 2 REFERENCES parent {action})")


def outcome(connection, statement):
    """The SQLSTATE of a statement, '' if it succeeds; its transaction is ended."""
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        connection.execute("ROLLBACK")
        return error.sqlstate
    connection.execute("COMMIT")
    return ""


@pytest.mark.parametrize(("level", "expected"), [("READ COMMITTED", ""), ("REPEATABLE READ", "23503")])
def test_parent_made_after_the_snapshot(two, level, expected):
    one, other = two
    child(one, "")
    begin(one, level)
    other.execute("INSERT INTO parent VALUES (3)")
    assert outcome(one, "INSERT INTO child VALUES (1, 3)") == expected


@pytest.mark.parametrize(("level", "expected"), [("READ COMMITTED", "23503"), ("REPEATABLE READ", "40001")])
def test_parent_deleted_after_the_snapshot(two, level, expected):
    one, other = two
    child(one, "")
    begin(one, level)
    other.execute("DELETE FROM parent WHERE id = 1")
    assert outcome(one, "INSERT INTO child VALUES (1, 1)") == expected


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
@pytest.mark.parametrize(("action", "expected"), [("", "23503"), ("ON DELETE RESTRICT", "23001")])
def test_child_made_after_the_snapshot_keeps_its_parent(two, level, action, expected):
    one, other = two
    child(one, action)
    begin(one, level)
    other.execute("INSERT INTO child VALUES (1, 1)")
    assert outcome(one, "DELETE FROM parent WHERE id = 1") == expected


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
@pytest.mark.parametrize(
    ("action", "statement"),
    [
        ("ON DELETE CASCADE", "DELETE FROM parent WHERE id = 1"),
        ("ON DELETE SET NULL", "DELETE FROM parent WHERE id = 1"),
        ("ON DELETE SET DEFAULT", "DELETE FROM parent WHERE id = 1"),
        ("ON UPDATE CASCADE", "UPDATE parent SET id = 9 WHERE id = 1"),
        ("ON UPDATE SET NULL", "UPDATE parent SET id = 9 WHERE id = 1"),
    ],
)
def test_action_on_a_child_the_transaction_does_not_see(two, level, action, statement):
    one, other = two
    child(one, action)
    begin(one, level)
    other.execute("INSERT INTO child VALUES (1, 1)")
    assert outcome(one, statement) == ("40001" if level == "REPEATABLE READ" else "")


def test_action_on_a_child_the_transaction_sees(two):
    one, other = two
    child(one, "ON DELETE CASCADE")
    one.execute("INSERT INTO child VALUES (1, 1)")
    begin(one)
    other.execute("INSERT INTO parent VALUES (3)")
    assert outcome(one, "DELETE FROM parent WHERE id = 1") == ""
    assert one.execute("SELECT count(*) FROM child").fetchone() == (0,)


def test_own_changes_are_seen(two):
    one, _ = two
    child(one, "ON DELETE CASCADE")
    begin(one)
    one.execute("INSERT INTO parent VALUES (5)")
    one.execute("INSERT INTO child VALUES (5, 5)")
    assert outcome(one, "DELETE FROM parent WHERE id = 5") == ""
