"""Malformed messages, garbage, vanishing clients: each is answered as PostgreSQL 18 does, and the server lives."""

import struct

import pytest
from wire import FLUSH, PROTOCOL_3_0, SYNC, Wire, bind, close, cstring, describe, execute, fields, kinds, message, parse

GSS, SSL, CANCEL = 80877104, 80877103, 80877102


def answers(server, act, login=True):
    """What a server answers up to ReadyForQuery or the end of the connection: kinds, with the errors' fields."""
    with Wire(server) as wire:
        if login:
            wire.login()
        act(wire)
        found = []
        while (received := wire.receive()) is not None:
            kind, body = received
            if kind in b"EN":
                error = fields(body)
                found.append((kind, error["S"], error["C"], error["M"]))
            else:
                found.append((kind,))
            if kind == b"Z":
                return found
        return [*found, "end"]


def both(tusk, oracle, act, login=True):
    expected = answers(oracle, act, login)
    assert answers(tusk, act, login) == expected
    with Wire(tusk) as other:
        assert kinds(other.login()).endswith("Z")


def raw(*parts):
    return lambda wire: wire.raw(b"".join(parts))


def bind_body(*numbers):
    """A Bind for the unnamed statement and portal: 16-bit integers, and bytes as they are."""
    pieces = [n if isinstance(n, bytes) else struct.pack("!h", n) for n in numbers]
    return message(b"B", b"\0\0" + b"".join(pieces))


def int32(number):
    return struct.pack("!i", number)


ONE = parse("SELECT $1::int")
MESSAGES = {
    "query_without_terminator": raw(message(b"Q", b"SELECT 1")),
    "query_of_two_strings": raw(message(b"Q", b"SELECT 1\0x\0")),
    "query_without_body": raw(message(b"Q")),
    "parse_short": raw(message(b"P", b"s\0"), SYNC),
    "parse_without_types": raw(message(b"P", b"\0SELECT 1\0"), SYNC),
    "parse_negative_types": raw(message(b"P", b"\0SELECT 1\0" + struct.pack("!h", -1)), SYNC),
    "parse_with_more": raw(message(b"P", b"\0SELECT 1\0\0\0x"), SYNC),
    "bind_missing_statement": raw(bind(name="nothere"), SYNC),
    "bind_with_more": raw(parse("SELECT 1"), bind_body(0, 0, 0, b"zz"), SYNC),
    "bind_format_code": raw(ONE, bind_body(1, 7, 1, int32(1), b"1", 0), SYNC),
    "bind_result_format_code": raw(parse("SELECT 1"), bind_body(0, 0, 1, 7), execute(), SYNC),
    "bind_two_formats": raw(ONE, bind_body(2, 0, 0, 1, int32(1), b"1", 0), SYNC),
    "bind_two_result_formats": raw(parse("SELECT 1"), bind_body(0, 0, 2, 0, 0), execute(), SYNC),
    "bind_negative_length": raw(ONE, bind_body(0, 1, int32(-2), 0), SYNC),
    "bind_length_beyond_end": raw(ONE, bind_body(0, 1, int32(100), b"1", 0), SYNC),
    "bind_binary_too_short": raw(ONE, bind_body(1, 1, 1, int32(2), b"12", 0), SYNC),
    "bind_binary_too_long": raw(ONE, bind_body(1, 1, 1, int32(5), b"12345", 0), SYNC),
    "bind_bad_text": raw(ONE, bind_body(0, 1, int32(1), b"x", 0), SYNC),
    "bind_bad_encoding": raw(parse("SELECT $1::text"), bind_body(0, 1, int32(2), b"\xc3(", 0), SYNC),
    "bind_zero_byte": raw(parse("SELECT $1::text"), bind_body(0, 1, int32(3), b"a\0b", 0), SYNC),
    "bind_portal_twice": raw(parse("SELECT 1"), bind(portal="p"), bind(portal="p"), SYNC),
    "describe_kind": raw(message(b"D", b"Xs\0"), SYNC),
    "describe_without_body": raw(message(b"D"), SYNC),
    "describe_missing_statement": raw(describe(b"S", "nothere"), SYNC),
    "describe_missing_portal": raw(describe(b"P", "nothere"), SYNC),
    "execute_short": raw(message(b"E", b"\0\0\0"), SYNC),
    "execute_missing_portal": raw(execute(0, "nothere"), SYNC),
    "close_kind": raw(message(b"C", b"Xs\0"), SYNC),
    "close_missing": raw(close(b"S", "nothere"), close(b"P", "nothere"), SYNC),
    "sync_with_body": raw(message(b"S", b"x")),
    "flush_with_body": raw(message(b"H", b"x"), SYNC),
    "copy_messages_outside_copy": raw(
        message(b"d", b"xx"), message(b"c"), message(b"f", b"no\0"), message(b"Q", b"SELECT 1\0")),
    "password_in_session": raw(message(b"p", b"xx\0")),
    "type_zero": raw(b"\0\0\0\0\x04"),
    "length_3": raw(b"Q\0\0\0\x03"),
    "length_0": raw(b"Q\0\0\0\0"),
    "length_negative": raw(b"Q\xff\xff\xff\xff"),
    "sync_oversized": raw(b"S\0\0\x30\x00" + b"x" * (0x3000 - 4)),
    "terminate_oversized": raw(b"X\0\0\x30\x00" + b"x" * (0x3000 - 4)),
    "execute_oversized": raw(b"E\0\x20\x00\x00"),
    "describe_oversized": raw(b"D\0\x20\x00\x00"),
    "query_oversized": raw(b"Q\x7f\xff\xff\xff"),
    "copy_fail_oversized": raw(b"f\0\x20\x00\x00"),
    "bad_encoding_in_name": raw(message(b"P", b"\xff\0SELECT 1\0\0\0"), SYNC),
    "truncated_character": raw(message(b"Q", b"SELECT '\xe2\x82'\0")),
    "impossible_byte": raw(message(b"Q", b"SELECT '\xf8\x88'\0")),
    "surrogate": raw(message(b"Q", b"SELECT '\xed\xa0\x80'\0")),
    "overlong_character": raw(message(b"Q", b"SELECT '\xc0\x80'\0")),
    "bad_second_byte": raw(message(b"Q", b"SELECT '\xe2(\xa1'\0")),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_message(tusk, oracle, name):
    both(tusk, oracle, MESSAGES[name])


IN_COPY = {
    "query": message(b"Q", b"SELECT 1\0"),
    "unknown": message(b"?"),
    "terminate": message(b"X"),
    "sync_and_flush": SYNC + FLUSH + message(b"d", b"1\n") + message(b"c"),
    "fail_without_terminator": message(b"f", b"why"),
    "bad_row": message(b"d", b"x\n") + message(b"d", b"2\n") + message(b"c"),
}


def start_copy(wire):
    wire.query("CREATE TEMP TABLE c (a int)")
    wire.send(b"Q", cstring("COPY c FROM STDIN"))
    wire.receive()


@pytest.mark.parametrize("name", IN_COPY)
def test_message_in_copy(tusk, oracle, name):
    def act(wire):
        start_copy(wire)
        wire.raw(IN_COPY[name])

    both(tusk, oracle, act)


def test_client_that_vanishes_in_copy(tusk, oracle):
    def act(wire):
        start_copy(wire)
        wire.sock.shutdown(1)

    both(tusk, oracle, act)


def startup(code, body=b"user\0postgres\0database\0postgres\0\0"):
    return lambda wire: wire.packet(code, body)


def after_ssl(code, body=b""):
    def act(wire):
        wire.packet(SSL)
        assert wire.take(1) == b"N"
        wire.packet(code, body)

    return act


def option(text):
    return startup(PROTOCOL_3_0, b"user\0postgres\0" + text + b"\0\0")


STARTUPS = {
    **{f"version_{major}_{minor}": startup(major << 16 | minor)
       for major, minor in ((3, 1), (3, 3), (3, 9999), (4, 0), (0, 0), (9, 1), (1234, 5677), (1234, 1))},
    "odd_number_of_strings": startup(PROTOCOL_3_0, b"user\0postgres\0database\0\0"),
    "user_only": startup(PROTOCOL_3_0, b"user\0postgres\0\0"),
    "bad_replication": option(b"replication\0x"),
    "unknown_setting": option(b"options\0-c nothere=1"),
    "option_without_value": option(b"options\0--nothere"),
    "bad_value": option(b"work_mem\0x"),
    "setting_of_the_server": option(b"port\x001"),
    "bad_encoding": option(b"client_encoding\0nothere"),
    "cancel_of_odd_length": startup(CANCEL, b"xx"),
    "ssl_twice": after_ssl(SSL),
    "http": raw(b"GET / HTTP/1.1\r\n\r\n"),
    "tls": raw(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"x" * 200),
    "too_long": raw(struct.pack("!ii", 20000, PROTOCOL_3_0) + b"x" * 100),
}  # fmt: skip


@pytest.mark.parametrize("name", STARTUPS)
def test_startup(tusk, oracle, name):
    both(tusk, oracle, STARTUPS[name], login=False)


@pytest.mark.parametrize("version", [1 << 16, 2 << 16])
def test_protocol_before_3(tusk, oracle, version):
    heard = []
    for server in (oracle, tusk):
        with Wire(server) as wire:
            wire.packet(version, b"user\0postgres\0\0")
            heard.append(wire.take(10000))
    assert heard[0] == heard[1] and heard[0].startswith(b"E")


@pytest.mark.parametrize("when", ["in a query", "in a transaction", "between messages", "in a message"])
def test_client_that_vanishes(tusk, when):
    """Its session ends, with what it held."""
    with Wire(tusk) as watcher:
        watcher.login()
        watcher.query("DROP TABLE IF EXISTS vanished; CREATE TABLE vanished (a int)")
        wire = Wire(tusk)
        wire.login(application_name="vanishing")
        match when:
            case "in a query":
                wire.send(b"Q", cstring("BEGIN; INSERT INTO vanished VALUES (1); SELECT pg_sleep(0.2)"))
            case "in a transaction":
                wire.query("BEGIN")
                wire.query("INSERT INTO vanished VALUES (1)")
                wire.query("LOCK TABLE vanished")
            case "between messages":
                wire.raw(parse("INSERT INTO vanished VALUES (1)") + bind() + execute() + FLUSH)
            case _:
                wire.raw(b"Q\0\0\0\x50SELECT")
        wire.sock.close()
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vanishing'"
        while watcher.query(query)[1][1][-1:] != b"0":
            pass
        watcher.query("SET lock_timeout = '5s'")
        assert watcher.query("SELECT count(*) FROM vanished")[1][1][-1:] == b"0"
        watcher.query("DROP TABLE vanished")
