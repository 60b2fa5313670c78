"""LISTEN, NOTIFY, UNLISTEN with several sessions; each test runs on PostgreSQL 18 too, which proves what it expects."""

import struct

import pytest
from wire import SYNC, Wire, bind, errors, execute, kinds, parse, row


@pytest.fixture(params=["tusk", "oracle"])
def server(request):
    return request.getfixturevalue(request.param)


class Session(Wire):
    """A logged-in session that knows its pid."""

    def __init__(self, server, **options):
        super().__init__(server)
        messages = self.login(**options)
        self.pid = next(struct.unpack("!i", body[:4])[0] for kind, body in messages if kind == b"K")

    def heard(self, text="SELECT 1"):
        """Run a query; the notifications that came with it."""
        return notifications(self.query(text))

    def wait(self, count=1):
        """Notifications that come without asking."""
        found = []
        while len(found) < count:
            found += notifications([self.receive()])
        return found


def notifications(messages):
    found = []
    for kind, body in messages:
        if kind == b"A":
            channel, payload, _ = body[4:].split(b"\0")
            found.append((struct.unpack("!i", body[:4])[0], channel.decode(), payload.decode()))
    return found


@pytest.fixture
def sessions(server):
    made = []

    def make(**options):
        made.append(Session(server, **options))
        return made[-1]

    yield make
    for session in made:
        session.sock.close()


def test_idle_listener_is_told_at_once(sessions):
    listener, other = sessions(), sessions()
    listener.query("LISTEN one")
    other.query("NOTIFY one, 'a'")
    other.query("NOTIFY two, 'not heard'")
    other.query("NOTIFY one")
    assert listener.wait(2) == [(other.pid, "one", "a"), (other.pid, "one", "")]


def test_own_notification_comes_before_ready(sessions):
    session = sessions()
    session.query("LISTEN own")
    assert kinds(session.query("NOTIFY own")) == "CAZ"
    session.raw(parse("NOTIFY own, 'x'") + bind() + execute() + SYNC)
    assert kinds(session.until(b"Z")) == "12CAZ"
    assert kinds(session.query("SELECT pg_notify('own', 'y')")) == "TDCAZ"


def test_nothing_before_the_commit_and_nothing_in_a_block(sessions):
    listener, other = sessions(), sessions()
    listener.query("LISTEN later")
    listener.query("BEGIN")
    other.query("BEGIN")
    other.query("NOTIFY later, '1'")
    assert listener.heard() == []
    other.query("COMMIT")
    assert listener.heard() == []       # still in its own block
    assert kinds(listener.query("COMMIT")) == "CAZ"
    other.query("BEGIN")
    other.query("NOTIFY later, '2'")
    other.query("ROLLBACK")
    other.query("NOTIFY later, '3'")
    assert listener.wait() == [(other.pid, "later", "3")]


def test_order_and_duplicates(sessions):
    session = sessions()
    session.query("LISTEN c; LISTEN d")
    session.query("BEGIN")
    for channel, payload in ("c1", "d1", "c1", "c2", "d1", "c1"):
        session.query(f"NOTIFY {channel}, '{payload}'")
    pid = session.pid
    assert session.heard("COMMIT") == [(pid, "c", "1"), (pid, "d", "1"), (pid, "c", "2")]
    session.query("BEGIN")
    session.query("NOTIFY c, '1'")
    session.query("SAVEPOINT s")
    session.query("NOTIFY c, '2'")
    session.query("NOTIFY c, '1'")
    session.query("RELEASE s")
    assert session.heard("COMMIT") == [(pid, "c", "1"), (pid, "c", "2")]
    assert session.heard("SELECT pg_notify('c', (i % 3)::text) FROM generate_series(1, 9) i") == [
        (pid, "c", "1"), (pid, "c", "2"), (pid, "c", "0")]


def test_subtransactions(sessions):
    session = sessions()
    session.query("BEGIN")
    session.query("LISTEN kept")
    session.query("SAVEPOINT s")
    session.query("LISTEN dropped")
    session.query("NOTIFY kept, 'dropped'")
    session.query("ROLLBACK TO s")
    session.query("NOTIFY kept, 'kept'")
    session.query("NOTIFY dropped")
    assert session.heard("COMMIT") == [(session.pid, "kept", "kept")]
    assert row(session.query("SELECT array_agg(c) FROM pg_listening_channels() c")[1][1]) == [b"{kept}"]


def test_listen_takes_effect_at_its_commit(sessions):
    listener, other = sessions(), sessions()
    other.query("NOTIFY early, 'before'")
    listener.query("BEGIN")
    listener.query("LISTEN early")
    assert row(listener.query("SELECT count(*) FROM pg_listening_channels()")[1][1]) == [b"0"]
    listener.query("COMMIT")
    other.query("NOTIFY early, 'after'")
    assert listener.wait() == [(other.pid, "early", "after")]
    listener.query("BEGIN")
    listener.query("LISTEN never")
    listener.query("ROLLBACK")
    assert row(listener.query("SELECT array_agg(c) FROM pg_listening_channels() c")[1][1]) == [b"{early}"]


@pytest.mark.parametrize("stop", ["UNLISTEN a; UNLISTEN b", "UNLISTEN *", "DISCARD ALL"])
def test_no_more(sessions, stop):
    listener, other = sessions(), sessions()
    listener.query("LISTEN a; LISTEN b; LISTEN a")
    assert row(listener.query("SELECT array_agg(c) FROM pg_listening_channels() c")[1][1]) == [b"{a,b}"]
    listener.query("BEGIN")
    listener.query("UNLISTEN *")
    listener.query("ROLLBACK")
    other.query("NOTIFY a")
    assert listener.wait() == [(other.pid, "a", "")]
    listener.query(stop)
    other.query("NOTIFY a; NOTIFY b")
    assert listener.heard() == []
    assert row(listener.query("SELECT count(*) FROM pg_listening_channels()")[1][1]) == [b"0"]


def test_other_databases_hear_nothing(sessions):
    here, there = sessions(), sessions(database="template1")
    here.query("LISTEN everywhere")
    there.query("LISTEN everywhere")
    assert there.heard("NOTIFY everywhere, 'there'") == [(there.pid, "everywhere", "there")]
    assert here.heard("NOTIFY everywhere, 'here'") == [(here.pid, "everywhere", "here")]


def test_limits(sessions):
    session = sessions()
    for call, text in (
        ("SELECT pg_notify('', 'x')", "channel name cannot be empty"),
        ("SELECT pg_notify(NULL, 'x')", "channel name cannot be empty"),
        ("SELECT pg_notify(repeat('n', 64), 'x')", "channel name too long"),
        ("SELECT pg_notify('c', repeat('x', 8000))", "payload string too long"),
    ):
        (error,) = errors(session.query(call))
        assert (error["C"], error["M"]) == ("22023", text)
    longest = "n" * 63
    session.query(f"LISTEN {longest}")
    ((pid, channel, payload),) = session.heard("SELECT pg_notify(repeat('n', 63), repeat('x', 7999))")
    assert (pid, channel, len(payload)) == (session.pid, longest, 7999)
    session.query('LISTEN "Mixed Case"')
    assert session.heard("SELECT pg_notify('Mixed Case', NULL)") == [(session.pid, "Mixed Case", "")]


def test_many_fill_pages_and_files(sessions):
    listener, other = sessions(), sessions()
    listener.query("LISTEN much")
    listener.query("BEGIN")
    for batch in range(4):
        other.query(f"SELECT pg_notify('much', i || repeat('x', 3000)) FROM generate_series({batch}001, {batch}040) i")
    assert float(row(other.query("SELECT pg_notification_queue_usage()")[1][1])[0]) > 0
    heard = listener.heard("COMMIT")
    assert [payload.rstrip("x") for _, _, payload in heard] == [
        str(batch * 1000 + i) for batch in range(4) for i in range(1, 41)]
    assert row(other.query("SELECT pg_notification_queue_usage()")[1][1]) == [b"0"]


def test_listener_that_leaves_frees_the_queue(sessions):
    listener, other = sessions(), sessions()
    listener.query("LISTEN gone")
    listener.query("BEGIN")
    other.query("SELECT pg_notify('gone', i || repeat('x', 7000)) FROM generate_series(1, 20) i")
    listener.sock.close()
    while row(other.query("SELECT pg_notification_queue_usage()")[1][1]) != [b"0"]:
        pass
    assert other.heard("NOTIFY gone") == []
