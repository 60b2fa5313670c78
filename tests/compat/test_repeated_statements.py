"""Statements that are sent again and again, which Tusk carries out on a path of its own.

The answers stay PostgreSQL's when rights, tables or settings have changed meanwhile, and when something fails. Every
test runs on PostgreSQL 18 too.
"""

import struct

import pytest
from wire import SYNC, Wire, bind, describe, errors, execute, kinds, parse, row


@pytest.fixture(params=["tusk", "oracle"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def session(server):
    with Wire(server) as connection:
        connection.login()
        yield connection


@pytest.fixture
def other(server):
    with Wire(server) as connection:
        connection.login()
        yield connection


def run(session, values, name="s", **formats):
    session.raw(bind(values, name, **formats) + describe(b"P") + execute() + SYNC)
    return session.until(b"Z")


def prepared(session, text, values, *, name="s"):
    """Prepare, and run it so often that it is known."""
    session.raw(parse(text, name) + SYNC)
    session.until(b"Z")
    for _ in range(3):
        messages = run(session, values, name)
    return messages


def test_table_changes_under_a_prepared_statement(session, other):
    session.query("DROP TABLE IF EXISTS repeated; CREATE TABLE repeated (a int PRIMARY KEY, b text)")
    session.query("INSERT INTO repeated VALUES (1, 'one'), (2, 'two')")
    assert kinds(prepared(session, "SELECT b FROM repeated WHERE a = $1", [b"2"])) == "2TDCZ"
    other.query("ALTER TABLE repeated DROP CONSTRAINT repeated_pkey")
    assert row(run(session, [b"1"])[2][1]) == [b"one"]
    other.query("ALTER TABLE repeated ALTER b TYPE int USING length(b)")
    (error,) = errors(run(session, [b"1"]))
    assert (error["C"], error["M"]) == ("0A000", "cached plan must not change result type")
    for _ in range(3):
        messages = session.query("SELECT a FROM repeated WHERE b = 3 AND a = 1")
    assert row(messages[1][1]) == [b"1"]
    other.query("DROP TABLE repeated; CREATE TABLE repeated (b int, a int); INSERT INTO repeated VALUES (3, 1)")
    assert row(session.query("SELECT a FROM repeated WHERE b = 3 AND a = 1")[1][1]) == [b"1"]
    other.query("DROP TABLE repeated")
    (error,) = errors(session.query("SELECT a FROM repeated WHERE b = 3 AND a = 1"))
    assert error["C"] == "42P01"


def test_rights_are_asked_each_time(session, other):
    session.query("DROP TABLE IF EXISTS guarded; DROP ROLE IF EXISTS repeated_reader")
    session.query("CREATE TABLE guarded (a int); INSERT INTO guarded VALUES (1)")
    session.query("CREATE ROLE repeated_reader; GRANT SELECT ON guarded TO repeated_reader; SET ROLE repeated_reader")
    assert kinds(prepared(session, "SELECT a FROM guarded WHERE a = $1", [b"1"])) == "2TDCZ"
    other.query("REVOKE SELECT ON guarded FROM repeated_reader")
    (error,) = errors(run(session, [b"1"]))
    assert (error["C"], error["M"]) == ("42501", "permission denied for table guarded")
    other.query("GRANT SELECT (a) ON guarded TO repeated_reader")
    assert kinds(run(session, [b"1"])) == "2TDCZ"
    other.query("REVOKE SELECT (a) ON guarded FROM repeated_reader")
    assert errors(run(session, [b"1"]))[0]["C"] == "42501"
    session.query("RESET ROLE")
    assert kinds(run(session, [b"1"])) == "2TDCZ"
    session.query("SET ROLE repeated_reader")
    assert errors(run(session, [b"1"]))[0]["C"] == "42501"
    session.query("RESET ROLE; DROP TABLE guarded; DROP ROLE repeated_reader")


def test_search_path_decides_what_a_query_means(session):
    session.query("DROP SCHEMA IF EXISTS repeated_one, repeated_two CASCADE")
    session.query("CREATE SCHEMA repeated_one CREATE TABLE named (a int); "
                  "CREATE SCHEMA repeated_two CREATE TABLE named (a int); "
                  "INSERT INTO repeated_one.named VALUES (1); INSERT INTO repeated_two.named VALUES (2)")
    for _ in range(2):
        for schema, value in (("repeated_one", b"1"), ("repeated_two", b"2")):
            session.query(f"SET search_path = {schema}")
            for _ in range(2):
                assert row(session.query("SELECT a FROM named WHERE a > 0")[1][1]) == [value]
    session.query("SET search_path = repeated_one")
    assert row(session.query("SELECT a FROM named WHERE a > 0")[1][1]) == [b"1"]
    session.query("CREATE TEMP TABLE named (a int); INSERT INTO named VALUES (3)")
    assert row(session.query("SELECT a FROM named WHERE a > 0")[1][1]) == [b"3"]
    session.query("RESET search_path; DROP SCHEMA repeated_one, repeated_two CASCADE")


def test_writing_in_a_read_only_transaction(session):
    session.query("CREATE TEMP TABLE mine (a int); DROP TABLE IF EXISTS lasting; CREATE TABLE lasting (a int)")
    assert kinds(prepared(session, "INSERT INTO lasting VALUES ($1)", [b"1"])) == "2nCZ"
    prepared(session, "INSERT INTO mine VALUES ($1)", [b"1"], name="t")
    session.query("BEGIN READ ONLY")
    assert kinds(run(session, [b"1"], "t")) == "2nCZ"
    (error,) = errors(run(session, [b"1"]))
    assert (error["C"], error["M"]) == ("25006", "cannot execute INSERT in a read-only transaction")
    session.query("ROLLBACK; DROP TABLE lasting")


def test_values_that_their_types_do_not_take(session):
    session.query("CREATE TEMP TABLE typed (a int, b int2, c text, d bool)")
    prepared(session, "INSERT INTO typed VALUES ($1, $2, $3, $4)", [b"1", b"2", "é".encode(), b"t"])
    (error,) = errors(run(session, [b"x", b"2", b"c", b"t"]))
    assert (error["C"], error["M"]) == ("22P02", 'invalid input syntax for type integer: "x"')
    assert errors(run(session, [b"1", b"70000", b"c", b"t"]))[0]["C"] == "22003"
    assert errors(run(session, [b"1", b"2", b"\xff", b"t"]))[0]["C"] == "22021"
    assert errors(run(session, [b"1", b"2", b"c", b"maybe"]))[0]["C"] == "22P02"
    assert errors(run(session, [b"12", b"2", b"c", b"t"], formats=[1]))[0]["C"] == "08P01"
    assert kinds(run(session, [b" 1 ", b"0x10", b"", b"off"])) == "2nCZ"
    assert kinds(run(session, [None, None, None, None])) == "2nCZ"
    binary = [struct.pack("!i", -1), struct.pack("!h", -2), b"text", b"\0"]
    assert kinds(run(session, binary, formats=[1])) == "2nCZ"
    for _ in range(3):
        session.query("SELECT c FROM typed WHERE a = '1'")
    (error,) = errors(session.query("SELECT c FROM typed WHERE a = 'one'"))
    assert (error["C"], error["P"]) == ("22P02", "31")
    rows = [row(body) for kind, body in session.query("SELECT a, b, c, d FROM typed ORDER BY a, b") if kind == b"D"]
    assert rows == [[b"-1", b"-2", b"text", b"f"], *[[b"1", b"2", "é".encode(), b"t"]] * 3, [b"1", b"16", b"", b"f"],
                    [None, None, None, None]]


def test_commit_that_fails(session):
    session.query("CREATE TEMP TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    for value in (1, 2, 3):
        assert kinds(session.query(f"INSERT INTO late VALUES ({value})")) == "CZ"
    messages = session.query("INSERT INTO late VALUES (2)")
    assert (kinds(messages), errors(messages)[0]["C"]) == ("EZ", "23505")
    prepared(session, "INSERT INTO late VALUES ($1)", [None])
    messages = run(session, [b"3"])
    assert (kinds(messages), errors(messages)[0]["C"]) == ("2nCEZ", "23505")
    assert row(session.query("SELECT count(a) FROM late")[1][1]) == [b"3"]


def test_several_batches_in_one_packet(session):
    prepared(session, "SELECT 10 / $1::int", [b"5"])
    batches = [bind([value], "s") + describe(b"P") + execute() + SYNC for value in (b"1", b"0", b"10")]
    session.raw(b"".join(batches))
    assert kinds(session.until(b"Z")) == "2TDCZ"
    middle = session.until(b"Z")
    assert kinds(middle)[-2:] == "EZ"
    assert errors(middle)[0]["C"] == "22012"
    assert row(session.until(b"Z")[2][1]) == [b"1"]
    session.raw(batches[0][:20])
    session.raw(batches[0][20:] + batches[2] + batches[2][:3])
    session.raw(batches[2][3:])
    assert [kinds(session.until(b"Z")) for _ in range(3)] == ["2TDCZ"] * 3


def test_statements_in_a_block(session):
    session.query("CREATE TEMP TABLE block (a int)")
    for name, text in (("b", "BEGIN"), ("i", "INSERT INTO block VALUES ($1)"), ("c", "COMMIT"), ("r", "ROLLBACK")):
        session.raw(parse(text, name) + SYNC)
        session.until(b"Z")
    for end in ("c", "r", "c"):
        states = [run(session, [b"1"] if name == "i" else [], name)[-1][1] for name in ("b", "i", "i", end)]
        assert states == [b"T", b"T", b"T", b"I"]
    run(session, [], "b")
    assert run(session, [b"x"], "i")[-1][1] == b"E"
    assert errors(run(session, [b"1"], "i"))[0]["C"] == "25P02"
    assert run(session, [], "c")[-1][1] == b"I"
    assert row(session.query("SELECT count(*) FROM block")[1][1]) == [b"4"]


def test_output_settings_count_at_once(session):
    text = "SELECT date '2024-02-03' WHERE 1 = 1"
    for _ in range(2):
        assert row(session.query(text)[1][1]) == [b"2024-02-03"]
    session.query("SET DateStyle = 'SQL, DMY'")
    assert row(session.query(text)[1][1]) == [b"03/02/2024"]


def test_statement_timeout(session):
    prepared(session, "SELECT count(*) FROM generate_series(1, $1::int8)", [b"10"])
    session.query("SET statement_timeout = '100ms'")
    (error,) = errors(run(session, [b"200000000"]))
    assert (error["C"], error["M"]) == ("57014", "canceling statement due to statement timeout")
    assert kinds(run(session, [b"10"])) == "2TDCZ"
