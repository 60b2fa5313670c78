"""Bad input and faults: what a server says to a damaged directory, page or log, or to a full disk, beside PostgreSQL.

Each scenario runs on Tusk and on a real PostgreSQL, each with a directory of its own making, and what is said must be
the same, names of files and numbers aside.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time

import psutil
import psycopg
import pytest
from servers import Oracle

from tusk.cli.server import Server, ServerError

PAGE = 8192
SETTINGS = {"autovacuum": "off", "fsync": "off", "max_wal_size": "1GB", "wal_recycle": "off"}
KINDS = {"tusk": Server, "postgresql": Oracle}


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """A data directory of each kind of server, shut down, with a table."""
    made = {}
    for name, kind in KINDS.items():
        home = tmp_path_factory.mktemp(name)
        _open_way(home)
        data = home / "data"
        data.mkdir()
        server = kind(data, settings=SETTINGS)
        if os.geteuid() == 0:
            shutil.chown(data, server._user.pw_name, server._user.pw_name)
        data.chmod(0o700)
        with server, psycopg.connect(server.url, autocommit=True) as session:
            session.execute("CREATE TABLE t (a int PRIMARY KEY, b text)")
            session.execute("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i")
            session.execute("CREATE TABLE f (a int, b text)")
            made[name] = (data, session.execute("SELECT pg_relation_filepath('t')").fetchone()[0])
    return made


def _open_way(path):
    """Let the server's user come here."""
    while path != path.parent and str(path).startswith("/tmp/"):
        with contextlib.suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o055)
        path = path.parent


def copied(templates, name, place, bare=False, **settings):
    """A server of a kind on a copy of its directory, not started; and the table's file.

    ``bare`` leaves the databases out: for servers that will not come so far as to look at them.
    """
    data, file = templates[name]
    _open_way(place)
    target = place / f"{name}-data"
    if bare:
        target.mkdir()
        subprocess.run(["cp", "-a", *(path for path in data.iterdir() if path.name != "base"), target], check=True)
        (target / "base").mkdir()
        status = data.stat()
        for path in (target, target / "base"):
            os.chown(path, status.st_uid, status.st_gid)
            path.chmod(0o700)
    else:
        subprocess.run(["cp", "-a", data, target], check=True)
    server = KINDS[name](target, settings={**SETTINGS, **settings})
    return server, target / file


def plain(text, server):
    """Messages without times, pids, paths and numbers that differ."""
    text = text.replace(str(server.data), "DATA").replace(str(server.home), "HOME")
    text = re.sub(r"^\d{4}-\S+ \S+ \S+ \[\d+\] ", "", text, flags=re.MULTILINE)
    text = re.sub(r"base/\d+/\d+", "base/D/R", text)
    text = re.sub(r"\b[0-9A-F]+/[0-9A-F]{5,}\b", "LSN", text)
    text = re.sub(r"xlogtemp\.\d+", "xlogtemp.N", text)
    return re.sub(r"PID \d+", "PID N", text)


def refusal(server, *options):
    """The exit status and the messages (without LOG) of a server that does not start."""
    home = server.home
    command = [*server.postgres_command, "-D", str(server.data), "-k", str(home), "-p", "5749",
               "-c", "listen_addresses="]
    try:
        done = server.run([*command, *options], check=False, timeout=30)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"the server runs: {error.stderr}") from None
    lines = plain(done.stderr, server).splitlines()
    return done.returncode, [line for line in lines if re.match(r"FATAL|PANIC|HINT|DETAIL|postgres:|\t|You must", line)]


# A directory that no server should start on


def control(change):
    """A change of pg_control."""

    def damage(data):
        path = data / "global" / "pg_control"
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)

    return damage


def _other_version(content):
    struct.pack_into("<I", content, 8, 1201)


def _swapped_version(content):
    content[8:12] = content[8:12][::-1]


def _flip(content):
    content[60] ^= 1


def append(text):
    """A change of postgresql.conf."""

    def damage(data):
        with (data / "postgresql.conf").open("a") as file:
            file.write(text + "\n")

    return damage


def _remove_wal(data):
    for path in (data / "pg_wal").iterdir():
        if path.is_file():
            path.unlink()


DIRECTORIES = {
    "no directory": lambda data: data.rename(data.parent / f"{data.name}.away"),
    "no postgresql.conf": lambda data: (data / "postgresql.conf").unlink(),
    "no PG_VERSION": lambda data: (data / "PG_VERSION").unlink(),
    "old PG_VERSION": lambda data: (data / "PG_VERSION").write_text("17\n"),
    "strange PG_VERSION": lambda data: (data / "PG_VERSION").write_text("eighteen\n"),
    "no pg_control": lambda data: (data / "global" / "pg_control").unlink(),
    "short pg_control": lambda data: os.truncate(data / "global" / "pg_control", 100),
    "damaged pg_control": control(_flip),
    "pg_control of another version": control(_other_version),
    "pg_control of another byte order": control(_swapped_version),
    "no pg_wal": lambda data: shutil.rmtree(data / "pg_wal"),
    "empty pg_wal": _remove_wal,
    "permissions": lambda data: data.chmod(0o755),
    "no pg_hba.conf": lambda data: (data / "pg_hba.conf").unlink(),
    "out of range in the file": append("max_connections = 0"),
    "not a number in the file": append("work_mem = lots"),
    "unknown in the file": append("no_such_setting = 1"),
    "no syntax in the file": append("work_mem 4MB 5MB"),
    "unit in the file": append("shared_buffers = 10XB"),
    "out of range together": append("superuser_reserved_connections = 100"),
}


@pytest.mark.parametrize("what", DIRECTORIES)
def test_a_directory_is_refused(templates, tmp_path, what):
    said = {}
    for name in KINDS:
        server, _ = copied(templates, name, tmp_path, bare=True)
        DIRECTORIES[what](server.data)
        said[name] = refusal(server)
    if what == "out of range in the file" or "in the file" in what:
        # Which file and line it was is in the LOG lines, which differ in nothing but our own order.
        assert said["tusk"][0] == said["postgresql"][0]
        assert said["tusk"][1][-1:] == said["postgresql"][1][-1:]
        return
    assert said["tusk"] == said["postgresql"], what


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["another owner", "unreadable"])
def test_a_directory_of_others_is_refused(templates, tmp_path, what):
    said = {}
    for name in KINDS:
        server, _ = copied(templates, name, tmp_path, bare=True)
        if what == "another owner":
            os.chown(server.data, 0, server._user.pw_gid)
            server.data.chmod(0o750)
        else:
            os.chown(server.data / "PG_VERSION", 0, 0)
            (server.data / "PG_VERSION").chmod(0o600)
        said[name] = refusal(server)
    assert said["tusk"] == said["postgresql"]


OPTIONS = [
    ("-c", "shared_buffers=8kB"), ("-c", "max_connections=x"), ("-c", "work_mem=-5"), ("-c", "port=70000"),
    ("-c", "wal_level=some"), ("-c", "fsync=perhaps"), ("-c", "nothing=1"), ("-c", "checkpoint_timeout=1s"),
    ("-c", "checkpoint_completion_target=2"), ("--max-connections=0",), ("-c", "data_checksums=off"),
]  # fmt: skip


def test_options_are_refused(templates, tmp_path):
    servers = {name: copied(templates, name, tmp_path, bare=True)[0] for name in KINDS}
    for options in OPTIONS:
        said = {name: refusal(server, *options) for name, server in servers.items()}
        assert said["tusk"] == said["postgresql"], options


def test_a_second_server(templates, tmp_path):
    said = {}
    for name in KINDS:
        server, _ = copied(templates, name, tmp_path)
        with server:
            said[name] = refusal(server)
            with psycopg.connect(server.url) as session:
                assert session.execute("SELECT count(*) FROM t").fetchone() == (1000,)
    assert said["tusk"] == said["postgresql"]


# A damaged page


def damage(path, block, change):
    """Change a page on disk without minding its checksum."""
    with open(path, "r+b") as file:
        file.seek(block * PAGE)
        page = bytearray(file.read(PAGE))
        change(page)
        file.seek(block * PAGE)
        file.write(page)


def attempt(session, statement, notices=None):
    """(SQLSTATE, message) of an error, or the rows."""
    if notices is not None:
        notices.clear()
    try:
        cursor = session.execute(statement)
        return cursor.fetchall() if cursor.description else cursor.statusmessage
    except psycopg.Error as error:
        return error.sqlstate, str(error.diag.message_primary), error.diag.message_hint


@pytest.mark.parametrize("what", ["checksum", "header"])
def test_a_damaged_page(templates, tmp_path, what):
    said = {}
    for name in KINDS:
        server, path = copied(templates, name, tmp_path)
        if what == "checksum":
            damage(path, 3, lambda page: page.__setitem__(5000, page[5000] ^ 0xFF))
        else:
            damage(path, 3, lambda page: struct.pack_into("<H", page, 12, 9000))
        results = []
        with server, psycopg.connect(server.url, autocommit=True) as session:
            notices = []
            session.add_notice_handler(
                lambda notice, to=notices: to.append((notice.severity, notice.sqlstate, notice.message_primary))
            )
            for statement in (
                "SET max_parallel_workers_per_gather = 0", "SELECT count(*) FROM t", "SELECT a FROM t WHERE a = 1",
                "UPDATE t SET b = 'y'", "SET ignore_checksum_failure = on", "SELECT count(*) FROM t WHERE b > ''",
                "SET ignore_checksum_failure = off", "SET zero_damaged_pages = on",
                "SELECT count(*) FROM t WHERE b > ''", "SELECT count(*) FROM t WHERE b > ''", "SELECT 1",
            ):  # fmt: skip
                result = attempt(session, statement, notices)
                results.append(plain(repr((statement, result, sorted(set(notices)))), server))
            server.stop("immediate")
            session.close()
        said[name] = results
    # Checksums differ with the LSNs on the pages.
    number = re.compile(r"calculated checksum \d+ but expected \d+")
    assert [number.sub("", text) for text in said["tusk"]] == [number.sub("", text) for text in said["postgresql"]]


# A damaged log


def crash(server):
    """The postmaster is killed, and its children leave."""
    children = psutil.Process(server.pid).children()
    server.kill()
    psutil.wait_procs(children, 10)


def last_segment(server):
    return sorted(path for path in (server.data / "pg_wal").iterdir() if re.fullmatch(r"[0-9A-F]{24}", path.name))[-1]


def end_of_wal(server, session):
    lsn = session.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0]
    high, low = lsn.split("/")
    position = int(high, 16) << 32 | int(low, 16)
    name = f"00000001{position >> 32:08X}{(position & 0xFFFFFFFF) >> 24:08X}"
    return server.data / "pg_wal" / name, position & 0xFFFFFF


def start_with_rows(server, rows=50):
    """Start, insert row by row, crash; where WAL begins and ends."""
    server.start()
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("CHECKPOINT")
        _, begin = end_of_wal(server, session)
        for i in range(rows):
            session.execute("INSERT INTO f VALUES (%s, 'acknowledged')", [i])
        segment, end = end_of_wal(server, session)
    crash(server)
    return segment, begin, end


@pytest.mark.parametrize("torn", ["garbage", "part of a record"])
def test_recovery_ends_at_a_torn_end(templates, tmp_path, torn):
    for name in KINDS:
        server, _ = copied(templates, name, tmp_path)
        segment, _, end = start_with_rows(server)
        content = bytearray(segment.read_bytes())
        if torn == "garbage":
            content[end : end + 3000] = random.Random(5).randbytes(3000)
        else:
            # The head of the record before, which claims to be the next one.
            content[end : end + 30] = content[end - 40 : end - 10]
        segment.write_bytes(content)
        with server, psycopg.connect(server.url, autocommit=True) as session:
            assert session.execute("SELECT count(*), sum(a) FROM f").fetchone() == (50, 1225), name
            session.execute("INSERT INTO f VALUES (50, 'later')")
            crash(server)
            server.start()
            with psycopg.connect(server.url) as again:
                assert again.execute("SELECT count(*) FROM f").fetchone() == (51,)


def test_a_damaged_middle_is_a_panic(templates, tmp_path):
    """Nothing is overwritten. (PostgreSQL takes the place for the end of the log, and loses what follows.)"""
    server, _ = copied(templates, "tusk", tmp_path)
    segment, begin, end = start_with_rows(server)
    content = bytearray(segment.read_bytes())
    good = bytes(content)
    middle = (begin + end) // 2
    content[middle : middle + 60] = bytes(60)
    segment.write_bytes(content)
    status, messages = refusal(server)
    assert status == 1 and messages[0].startswith("PANIC:  WAL is damaged at LSN, but continues at LSN"), messages
    assert segment.read_bytes() == content
    segment.write_bytes(good)
    with server, psycopg.connect(server.url) as session:
        assert session.execute("SELECT count(*), sum(a) FROM f").fetchone() == (50, 1225)


def test_a_checkpoint_record_that_is_gone(templates, tmp_path):
    said = {}
    for name in KINDS:
        server, _ = copied(templates, name, tmp_path)
        segment, begin, _ = start_with_rows(server)
        content = bytearray(segment.read_bytes())
        content[begin - 60 : begin] = bytes(60)
        segment.write_bytes(content)
        said[name] = refusal(server)
        assert segment.read_bytes() == content
    assert said["tusk"] == said["postgresql"]


# A full disk


@contextlib.contextmanager
def small_disk(path, size):
    """A file system of a few megabytes at `path`, which may be enlarged."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path],
                                           capture_output=True, check=False).returncode:
        pytest.skip("no privilege to mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_no_room_for_a_table(templates, tmp_path):
    said = {}
    for name in KINDS:
        server, path = copied(templates, name, tmp_path)
        base = path.parent
        away = base.rename(base.parent / "away")
        base.mkdir()
        size = sum(file.stat().st_size for file in away.iterdir()) + 3_000_000
        with small_disk(base, size // 4096 * 4096):
            subprocess.run(["cp", "-a", f"{away}/.", base], check=True)
            shutil.chown(base, server._user.pw_name)
            base.chmod(0o700)
            results = []
            with server, psycopg.connect(server.url, autocommit=True) as session:
                for statement in (
                    "INSERT INTO f SELECT i, repeat('z', 1000) FROM generate_series(1, 20000) i",
                    "SELECT count(*) FROM f",
                    "CREATE TABLE g AS SELECT i, repeat('z', 1000) FROM generate_series(1, 20000) i",
                    "TRUNCATE f", "INSERT INTO f VALUES (1, 'fits')", "SELECT * FROM f", "SELECT count(*) FROM t",
                ):  # fmt: skip
                    results.append(plain(repr(attempt(session, statement)), server))
                session.close()
                server.stop()
            said[name] = [re.sub(r"at block \d+|wrote only \d+ of \d+ bytes", "", text) for text in results]
    assert said["tusk"] == said["postgresql"]
    assert said["tusk"][0].startswith("('53100', 'could not extend file \"base/D/R\"")


def test_no_room_for_wal(templates, tmp_path):
    """A PANIC, and once there is room everything acknowledged is there."""
    said = {}
    for name in KINDS:
        server, _ = copied(templates, name, tmp_path, restart_after_crash="off", min_wal_size="32MB")
        wal = server.data / "pg_wal"
        away = wal.rename(server.data / "away")
        wal.mkdir()
        with small_disk(wal, "40M"):
            subprocess.run(["cp", "-a", f"{away}/.", wal], check=True)
            shutil.chown(wal, server._user.pw_name)
            wal.chmod(0o700)
            server.start()
            acknowledged = 0
            with contextlib.suppress(psycopg.Error), psycopg.connect(server.url, autocommit=True) as session:
                for i in range(1000):
                    session.execute("INSERT INTO f SELECT %s, repeat('z', 1000) FROM generate_series(1, 1000)", [i])
                    acknowledged += 1
            deadline = time.monotonic() + 20
            while server.is_running and time.monotonic() < deadline:
                time.sleep(0.02)
            assert not server.is_running, name
            log = plain(server.log_tail(100000), server)
            said[name] = sorted({line for line in log.splitlines() if line.startswith("PANIC")})
            server.kill()
            with pytest.raises(ServerError, match="No space left on device"):
                server.start()
            subprocess.run(["mount", "-o", "remount,size=200M", wal], check=True)
            with server, psycopg.connect(server.url) as session:
                rows = session.execute("SELECT count(*), count(DISTINCT a) FROM f").fetchone()
                assert acknowledged * 1000 <= rows[0] <= (acknowledged + 1) * 1000 and rows[0] == rows[1] * 1000, name
    assert said["tusk"] == said["postgresql"]


# Settings of a session


def test_settings_out_of_range(templates, tmp_path):
    said = {}
    for name in KINDS:
        server, _ = copied(templates, name, tmp_path)
        with server, psycopg.connect(server.url, autocommit=True) as session:
            said[name] = [
                attempt(session, statement)
                for statement in (
                    "SET work_mem = 1", "SET work_mem = 'lots'", "SET work_mem = '1XB'", "SET enable_seqscan = 'maybe'",
                    "SET wal_level = minimal", "SET shared_buffers = '1GB'", "SET no_such = 1",
                    "SET client_min_messages = x",
                    "ALTER SYSTEM SET work_mem = -7", "ALTER SYSTEM SET no_such_thing = 1", "SET seq_page_cost = 'NaN'",
                    "SET statement_timeout = '-1s'", "SET TimeZone = 'Nowhere/Land'",
                )  # fmt: skip
            ]
            os.kill(server.pid, signal.SIGHUP)
            append("work_mem = nonsense")(server.data)
            server.reload()
            server.wait_until(lambda server=server: "nonsense" in server.log_tail(), "no message")
            assert session.execute("SHOW work_mem").fetchone() == ("4MB",)
    assert said["tusk"] == said["postgresql"]

