"""The protocol on the raw socket. Every test runs on PostgreSQL 18 too, which proves what it expects."""

import struct

import pytest
from wire import (
    CANCEL_REQUEST,
    FLUSH,
    GSS_REQUEST,
    PROTOCOL_3_0,
    PROTOCOL_3_2,
    SSL_REQUEST,
    SYNC,
    Wire,
    bind,
    close,
    cstring,
    describe,
    errors,
    execute,
    fields,
    kinds,
    message,
    parse,
    row,
)

REPORTED = {
    "application_name", "client_encoding", "DateStyle", "default_transaction_read_only", "in_hot_standby",
    "integer_datetimes", "IntervalStyle", "is_superuser", "scram_iterations", "search_path", "server_encoding",
    "server_version", "session_authorization", "standard_conforming_strings", "TimeZone",
}  # fmt: skip


@pytest.fixture(params=["tusk", "oracle"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def wire(server):
    with Wire(server) as connection:
        yield connection


@pytest.fixture
def session(wire):
    wire.login()
    return wire


def statuses(messages):
    return dict(body.rstrip(b"\0").decode().split("\0", 1) if body.count(b"\0") > 1 else (body.decode(), "")
                for kind, body in messages if kind == b"S")


def test_login_says_what_a_session_needs(wire):
    messages = wire.login(application_name="me")
    assert kinds(messages) == "R" + "S" * 15 + "KZ"
    found = statuses(messages)
    assert set(found) == REPORTED
    assert found["application_name"] == "me" and found["server_version"].startswith("18.4")
    assert found["is_superuser"] == "on" and found["integer_datetimes"] == "on"
    assert messages[-1][1] == b"I"


def test_key_data_of_3_0_has_8_bytes(wire):
    assert [len(body) for kind, body in wire.login() if kind == b"K"] == [8]


def test_key_data_of_3_2_is_longer(wire):
    messages = wire.login(PROTOCOL_3_2)
    assert b"v" not in kinds(messages).encode()
    assert [len(body) for kind, body in messages if kind == b"K"] == [36]


def test_newer_minor_version_and_unknown_options_are_negotiated(wire):
    messages = wire.login(3 << 16 | 9, **{"_pq_.own": "1"})
    kind, body = messages[0]
    assert kind == b"v"
    newest, count = struct.unpack_from("!ii", body)
    assert (newest, count) == (PROTOCOL_3_2, 1) and body[8:] == b"_pq_.own\0"
    assert kinds(messages).endswith("KZ")


def test_unsupported_major_version(wire):
    wire.packet(4 << 16, b"user\0x\0\0")
    (error,) = errors(wire.until(b"E"))
    assert error["C"] == "0A000"
    assert error["M"] == "unsupported frontend protocol 4.0: server supports 3.0 to 3.2"


@pytest.mark.parametrize("code", [SSL_REQUEST, GSS_REQUEST])
def test_encryption_is_declined_and_the_session_goes_on(wire, code):
    wire.packet(code)
    assert wire.take(1) == b"N"
    assert kinds(wire.login()).endswith("Z")


def test_encryption_asked_for_twice(wire):
    wire.packet(SSL_REQUEST)
    assert wire.take(1) == b"N"
    wire.packet(SSL_REQUEST)
    (error,) = errors(wire.until(b"E"))
    assert error["C"] == "0A000"


def test_no_user(wire):
    wire.packet(PROTOCOL_3_0, b"database\0postgres\0\0")
    (error,) = errors(wire.until(b"E"))
    assert (error["S"], error["C"], error["M"]) == (
        "FATAL", "28000", "no PostgreSQL user name specified in startup packet")


def test_startup_packet_without_terminator(wire):
    wire.packet(PROTOCOL_3_0, b"user\0postgres\0database\0postgres")
    (error,) = errors(wire.until(b"E"))
    assert (error["C"], error["M"]) == (
        "08P01", "invalid startup packet layout: expected terminator as last byte")


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x04", b"\0\0\0\x05x", b"\xff" * 64, b"\0\0\x27\x11" + b"x" * 9],
)
def test_garbage_on_the_port(server, wire, garbage):
    wire.raw(garbage)
    wire.sock.shutdown(1)
    assert wire.until(b"E") == []
    with Wire(server) as other:
        assert kinds(other.login()).endswith("Z")


def test_client_that_says_nothing_and_leaves(server, wire):
    wire.sock.close()
    with Wire(server) as other:
        assert kinds(other.login()).endswith("Z")


def test_unknown_database_and_role(server):
    with Wire(server) as wire:
        wire.startup(database="no_such_database")
        (error,) = errors(wire.until(b"E"))
        assert (error["S"], error["C"], error["M"]) == ("FATAL", "3D000", 'database "no_such_database" does not exist')
    with Wire(server) as wire:
        wire.startup(user="nobody_here")
        (error,) = errors(wire.until(b"E"))
        assert (error["C"], error["M"]) == ("28000", 'role "nobody_here" does not exist')


def test_unknown_startup_setting(wire):
    wire.startup(no_such_setting="1")
    (error,) = errors(wire.until(b"E"))
    assert (error["S"], error["C"]) == ("FATAL", "42704")


def test_simple_query(session):
    messages = session.query("SELECT 1 AS one, NULL::text, 'x'")
    assert kinds(messages) == "TDCZ"
    assert row(messages[1][1]) == [b"1", None, b"x"]
    assert messages[2][1] == b"SELECT 1\0"


def test_row_description(session):
    (_, body), *_ = session.query("SELECT 1::int4 AS a, 'x'::varchar(5) AS b, oid FROM pg_class LIMIT 0")
    (count,) = struct.unpack_from("!h", body)
    at, found = 2, []
    for _ in range(count):
        end = body.index(b"\0", at)
        found.append((body[at:end].decode(), *struct.unpack_from("!ihihih", body, end + 1)))
        at = end + 19
    assert found == [("a", 0, 0, 23, 4, -1, 0), ("b", 0, 0, 1043, -1, 9, 0), ("oid", 1259, 1, 26, 4, -1, 0)]


def test_empty_query_and_several(session):
    assert kinds(session.query("")) == "IZ"
    assert kinds(session.query(" ; ")) == "IZ"
    assert kinds(session.query("SELECT 1; SELECT 2")) == "TDCTDCZ"


def test_error_ends_a_multi_statement_query(session):
    messages = session.query("SELECT 1; SELECT 1/0; SELECT 3")
    assert kinds(messages) in ("TDCTEZ", "TDCEZ")
    assert errors(messages)[0]["C"] == "22012"


def test_error_fields_of_an_analysis_error(session):
    (error,) = errors(session.query("SELECT nothere FROM pg_class"))
    assert {name: error[name] for name in "SVCMP"} == {
        "S": "ERROR", "V": "ERROR", "C": "42703", "M": 'column "nothere" does not exist', "P": "8"}
    assert error["F"] and error["L"].isdigit() and error["R"]


def test_error_fields_of_a_syntax_error(session):
    (error,) = errors(session.query("SELEC 1"))
    assert (error["C"], error["M"], error["P"]) == ("42601", 'syntax error at or near "SELEC"', "1")


def test_error_fields_of_a_violated_constraint(session):
    session.query("CREATE TEMP TABLE u (a int CONSTRAINT pos CHECK (a > 0), b int CONSTRAINT uq UNIQUE)")
    (error,) = errors(session.query("INSERT INTO u VALUES (0, 1)"))
    assert (error["C"], error["n"], error["t"]) == ("23514", "pos", "u")
    assert error["D"] == "Failing row contains (0, 1)." and error["s"].startswith("pg_temp")
    session.query("INSERT INTO u VALUES (1, 1)")
    (error,) = errors(session.query("INSERT INTO u VALUES (1, 1)"))
    assert (error["C"], error["n"], error["D"]) == ("23505", "uq", "Key (b)=(1) already exists.")


def test_transaction_status(session):
    assert session.query("BEGIN")[-1][1] == b"T"
    assert session.query("SELECT 1/0")[-1][1] == b"E"
    (error,) = errors(session.query("SELECT 1"))
    assert error["C"] == "25P02"
    assert session.query("ROLLBACK")[-1][1] == b"I"


def test_extended_query(session):
    session.raw(
        parse("SELECT $1::int + 1", "s")
        + describe(b"S", "s") + bind([b"41"], "s") + describe(b"P") + execute() + SYNC
    )
    messages = session.until(b"Z")
    assert kinds(messages) == "1tT2TDCZ"
    assert messages[1][1] == struct.pack("!hI", 1, 23)
    assert row(messages[5][1]) == [b"42"]


def test_binary_in_and_out(session):
    session.raw(parse("SELECT $1::int8, $2::text, $3::float8, $4::bool") + bind(
        [struct.pack("!q", -5), b"t\xc3\xa9", struct.pack("!d", 1.5), b"\1"], formats=[1, 1, 1, 1], results=[1])
        + execute() + SYNC)
    messages = session.until(b"Z")
    assert kinds(messages) == "12DCZ"
    assert row(messages[2][1]) == [struct.pack("!q", -5), b"t\xc3\xa9", struct.pack("!d", 1.5), b"\1"]


def test_portal_with_row_limit(session):
    session.raw(parse("SELECT i FROM generate_series(1, 5) i") + bind(portal="p") + execute(2, "p") + FLUSH)
    assert kinds(session.until(b"s")) == "12DDs"
    session.raw(execute(2, "p") + execute(2, "p") + SYNC)
    assert kinds(session.until(b"Z")) == "DDsDCZ"


def test_portal_ends_with_the_transaction(session):
    session.raw(parse("SELECT i FROM generate_series(1, 5) i") + bind(portal="p") + execute(2, "p") + SYNC)
    assert kinds(session.until(b"Z")) == "12DDsZ"
    session.raw(execute(2, "p") + SYNC)
    (error,) = errors(session.until(b"Z"))
    assert (error["C"], error["M"]) == ("34000", 'portal "p" does not exist')


def test_pipeline_skips_to_sync_after_an_error(session):
    session.raw(parse("SELECT 1") + bind() + execute() + parse("SELECT 1/0") + bind() + execute()
                + parse("SELECT 2") + bind() + execute() + SYNC + parse("SELECT 3") + bind() + execute() + SYNC)
    first = session.until(b"Z")
    assert kinds(first) == "12DC12EZ" or kinds(first) == "12DC1EZ"
    assert kinds(session.until(b"Z")) == "12DCZ"


def test_pipeline_without_sync_is_one_transaction(session):
    session.query("CREATE TEMP TABLE one (a int)")
    insert = parse("INSERT INTO one VALUES (1)") + bind() + execute()
    session.raw(insert + parse("SELECT 1/0") + bind() + execute() + SYNC)
    session.until(b"Z")
    assert row(session.query("SELECT count(*) FROM one")[1][1]) == [b"0"]


def test_named_statements(session):
    session.raw(parse("SELECT 1", "s") + SYNC)
    assert kinds(session.until(b"Z")) == "1Z"
    session.raw(parse("SELECT 2", "s") + SYNC)
    (error,) = errors(session.until(b"Z"))
    assert (error["C"], error["M"]) == ("42P05", 'prepared statement "s" already exists')
    session.raw(close(b"S", "s") + close(b"S", "never") + bind(name="s") + SYNC)
    messages = session.until(b"Z")
    assert kinds(messages) == "33EZ"
    assert errors(messages)[0]["C"] == "26000"


def test_wrong_number_of_parameters(session):
    session.raw(parse("SELECT $1::int, $2::int", "s") + bind([b"1"], "s") + SYNC)
    (error,) = errors(session.until(b"Z"))
    assert (error["C"], error["M"]) == (
        "08P01", 'bind message supplies 1 parameters, but prepared statement "s" requires 2')


def test_several_commands_in_a_prepared_statement(session):
    session.raw(parse("SELECT 1; SELECT 2") + SYNC)
    (error,) = errors(session.until(b"Z"))
    assert (error["C"], error["M"]) == ("42601", "cannot insert multiple commands into a prepared statement")


def test_describe_of_nothing(session):
    session.raw(parse("SET work_mem = '4MB'") + bind() + describe(b"P") + execute() + SYNC)
    assert kinds(session.until(b"Z")) == "12nCZ"
    session.raw(parse("") + bind() + describe(b"P") + execute() + SYNC)
    assert kinds(session.until(b"Z")) == "12nIZ"


def test_parameter_status_of_a_change(session):
    messages = session.query("SET application_name = 'later'")
    assert ("application_name", "later") in statuses(messages).items()


def test_unknown_message_type_ends_the_session(session):
    session.send(b"?", b"x")
    (error,) = errors(session.until(b"E"))
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "08P01", "invalid frontend message type 63")
    assert session.receive() is None


def test_oversized_message_ends_the_session(session):
    session.raw(b"B" + struct.pack("!i", 0x7FFFFFFF))
    assert session.until(b"E") == []       # said in the log only: the client may not be one at all


def test_truncated_bind_is_an_error_only(session):
    session.raw(parse("SELECT 1") + message(b"B", b"\0\0\0") + SYNC)
    (error,) = errors(session.until(b"Z"))
    assert (error["S"], error["C"]) == ("ERROR", "08P01")
    assert kinds(session.query("SELECT 1")) == "TDCZ"


def test_text_that_is_not_in_the_encoding(session):
    session.send(b"Q", b"SELECT '\xff'\0")
    (error,) = errors(session.until(b"Z"))
    assert (error["C"], error["M"]) == ("22021", 'invalid byte sequence for encoding "UTF8": 0xff')


def test_bytes_in_the_clients_encoding(wire):
    messages = wire.login(client_encoding="LATIN1")
    assert (b"S", b"client_encoding\0LATIN1\0") in messages
    wire.send(b"Q", b"SELECT '\xe4' AS \"\xf6\", length('\xe4'), U&'\\00fc'\0")
    messages = wire.until(b"Z")
    assert messages[0][1][2:4] == b"\xf6\0" and row(messages[1][1]) == [b"\xe4", b"1", b"\xfc"]
    wire.raw(
        parse("SELECT $1::text, $2::text") + bind([b"\xe4", b"\xfc"], formats=[0, 1], results=[1]) + execute() + SYNC
    )
    assert row(wire.until(b"Z")[2][1]) == [b"\xe4", b"\xfc"]
    (error,) = errors(wire.query("SELECT U&'\\20ac'"))
    assert (error["C"], error["M"]) == (
        "22P05",
        'character with byte sequence 0xe2 0x82 0xac in encoding "UTF8" has no equivalent in encoding "LATIN1"')
    wire.query("CREATE TEMP TABLE c (a text)")
    wire.send(b"Q", cstring("COPY c FROM STDIN"))
    wire.receive()
    wire.raw(message(b"d", b"\xe4\n") + message(b"c"))
    wire.until(b"Z")
    assert row(wire.query("SELECT length(a), a FROM c")[1][1]) == [b"1", b"\xe4"]
    assert [body for kind, body in wire.query("COPY c TO STDOUT") if kind == b"d"] == [b"\xe4\n"]
    wire.query("SET client_encoding = 'UTF8'")
    assert row(wire.query("SELECT a FROM c")[1][1]) == [b"\xc3\xa4"]
    wire.query("SET client_encoding = 'SJIS'")
    wire.send(b"Q", b"SELECT '\x82'\0")
    (error,) = errors(wire.until(b"Z"))
    assert error["C"] == "22021"


def test_terminate(session):
    session.send(b"X")
    assert session.receive() is None


def test_cancel_with_a_wrong_key_does_nothing(server, session):
    with Wire(server) as other:
        other.packet(CANCEL_REQUEST, struct.pack("!ii", 1, 2))
        assert other.receive() is None
    assert kinds(session.query("SELECT 1")) == "TDCZ"


def test_cancel(server, wire):
    messages = wire.login()
    key = next(body for kind, body in messages if kind == b"K")
    wire.send(b"Q", cstring("SELECT pg_sleep(20)"))
    with Wire(server) as watcher:
        watcher.login()
        pid = struct.unpack("!i", key[:4])[0]
        active = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'PgSleep'"
        while row(watcher.query(active)[1][1]) != [b"1"]:
            continue
    with Wire(server) as other:
        other.packet(CANCEL_REQUEST, key)
        assert other.receive() is None
    (error,) = errors(wire.until(b"Z"))
    assert (error["C"], error["M"]) == ("57014", "canceling statement due to user request")


def test_copy_in_and_out(session):
    session.query("CREATE TEMP TABLE c (a int, b text)")
    session.send(b"Q", cstring("COPY c FROM STDIN"))
    assert kinds([session.receive()]) == "G"
    session.raw(message(b"d", b"1\tone\n2\t") + message(b"d", b"\\N\n") + message(b"c"))
    messages = session.until(b"Z")
    assert kinds(messages) == "CZ" and messages[0][1] == b"COPY 2\0"
    messages = session.query("COPY c TO STDOUT")
    assert kinds(messages) == "HddcCZ"
    assert [body for kind, body in messages if kind == b"d"] == [b"1\tone\n", b"2\t\\N\n"]


def test_copy_that_the_client_gives_up(session):
    session.query("CREATE TEMP TABLE c2 (a int)")
    session.send(b"Q", cstring("COPY c2 FROM STDIN"))
    session.receive()
    session.send(b"f", cstring("changed my mind"))
    (error,) = errors(session.until(b"Z"))
    assert (error["C"], error["M"]) == ("57014", "COPY from stdin failed: changed my mind")


def test_notices(session):
    messages = session.query("DROP TABLE IF EXISTS never_there")
    assert kinds(messages) == "NCZ"
    notice = fields(messages[0][1])
    assert (notice["S"], notice["C"]) == ("NOTICE", "00000")
    assert notice["M"] == 'table "never_there" does not exist, skipping'


def test_listen_and_notify(session):
    pid = row(session.query("SELECT pg_backend_pid()")[1][1])[0]
    session.query("LISTEN news")
    messages = session.query("NOTIFY news, 'hello'")
    (body,) = [body for kind, body in messages if kind == b"A"]
    assert body == struct.pack("!i", int(pid)) + b"news\0hello\0"


def test_function_call_message_is_answered(session):
    session.send(b"F", struct.pack("!Ihhhih", 0, 0, 0, 0, 0, 0)[:10])
    assert errors(session.until(b"Z"))
