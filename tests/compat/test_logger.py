"""The server log, side by side with PostgreSQL's: its formats and contents; the logger, its files and its death."""

import csv
import json
import os
import re
import signal
import subprocess
import time

import psutil
import psycopg
import pytest
from servers import client, oracle_programs, psql

DEADLINE_S = 20
_COLLECT = {"logging_collector": "on", "log_filename": "server.log"}
_EVERY_ESCAPE = (
    "a=%a u=%u d=%d r=%r h=%h L=%L b=%b p=%p P=%P t=%t m=%m n=%n T=%T i=%i e=%e c=%c l=%l s=%s v=%v x=%x Q=%Q "
    "[%10u] [%-10d] [%5p] %q%% "
)


def eventually(condition, what):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def log_text(server, name="server.log"):
    path = server.data / "log" / name
    return path.read_text() if path.exists() else ""


def masked(text):
    """Text with what differs from run to run taken out."""
    for pattern, replacement in (
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?", "TIME"),
        (r"n=\d+\.\d{3}", "n=EPOCH"),
        (r"\b[0-9a-f]{8}\.[0-9a-f]+\b", "SESSION"),
        (r"\bp=\d+", "p=PID"),
        (r"\[ *\d+\]", "[PID]"),
        (r"v=\d+/\d+", "v=VXID"),
        (r"x=[1-9]\d*", "x=XID"),
        (r"\d+\.\d{3} ms", "DURATION ms"),
        (r"127\.0\.0\.1([(:])\d+", r"127.0.0.1\1PORT"),
        (r"port=\d+", "port=PORT"),
        (r"session time: [\d:.]+", "session time: T"),
        (r"\(/\S+pg_hba\.conf:\d+\)", "(HBA)"),
    ):
        text = re.sub(pattern, replacement, text)
    return text


def own_lines(text, application):
    """The lines of a prefixed log that belong to the sessions of an application, masked, with continuation lines."""
    found, taken = [], False
    for line in text.splitlines():
        if not line.startswith("\t"):
            taken = line.startswith(f"a={application} ")
        if taken:
            found.append(masked(line))
    return found


_WORKLOAD = r"""
SELECT 1;
CREATE TABLE log_t(a int PRIMARY KEY, b text);
INSERT INTO log_t VALUES (1, 'x');
INSERT INTO log_t VALUES (1, 'x');
SELECT 1/0;
SELECT nope
 FROM log_t;
SELECT 'a
b' AS x;
PREPARE p(int) AS SELECT $1 + 1;
EXECUTE p(4);
SELECT $1::int, $2::text \bind 5 'five''s' \g
SELECT $1::int \bind abc \g
SELECT $1::text \bind NULL \g
INSERT INTO log_t VALUES ($1, $2) \bind 2 'äöü' \g
SET log_parameter_max_length = 3;
SELECT $1::text \bind 'abcdefgh' \g
SET log_min_duration_statement = 0;
SET log_statement = none;
SELECT 1;
SELECT $1::int \bind 5 \g
EXECUTE p(4);
SELECT 1; SELECT 2;
BEGIN;
DECLARE c CURSOR FOR SELECT generate_series(1, 10);
FETCH 3 FROM c;
COMMIT;
SET log_error_verbosity = terse;
INSERT INTO log_t VALUES (1, 'x');
DROP TABLE log_t;
"""
_SIDE_BY_SIDE = {
    **_COLLECT,
    "log_destination": "stderr,csvlog,jsonlog",
    "log_line_prefix": _EVERY_ESCAPE,
    "log_statement": "all",
    "log_duration": "on",
    "log_connections": "all",
    "log_disconnections": "on",
    "log_parameter_max_length_on_error": "-1",
    "log_timezone": "UTC",
}


@pytest.fixture(scope="module")
def both(cluster):
    """Tusk and PostgreSQL with the same settings, after the same workload."""
    from servers import Oracle

    from tusk.cli.server import Server

    servers = {"tusk": Server(settings=_SIDE_BY_SIDE), "oracle": Oracle(settings=_SIDE_BY_SIDE)}
    try:
        for server in servers.values():
            server.start()
            client(server, "psql", "-X", "-q", input=_WORKLOAD, check=False, PGAPPNAME="work")
            client(server, "psql", "-X", "-q", "-h", "127.0.0.1", "-c", "SELECT 'tcp'", PGAPPNAME="tcp")
            assert server.stop() == 0
        yield servers["tusk"], servers["oracle"]
    finally:
        for server in servers.values():
            server.close()


@pytest.mark.parametrize("application", ["work", "tcp", "[unknown]"])
def test_text(both, application):
    ours, theirs = (own_lines(log_text(server), application) for server in both)
    if application == "[unknown]":      # how often the starter asked is its own affair
        ours, theirs = set(ours), set(theirs)
        ours = {line for line in ours if "psql" in line or "application_name=" in line}
        theirs = {line for line in theirs if "psql" in line or "application_name=" in line}
        ours, theirs = ({line for line in lines if "=work" in line or "=tcp" in line} for lines in (ours, theirs))
    assert ours == theirs and ours


def test_csv(both):
    rows = []
    for server in both:
        with open(server.data / "log" / "server.csv", newline="") as file:
            rows.append([row for row in csv.reader(file) if row[22] in ("work", "tcp")])
    assert {len(row) for row in rows[0]} == {26}
    ours, theirs = ([[masked(field) for field in _without_ids(row)] for row in table] for table in rows)
    assert ours == theirs and ours


def _without_ids(row):
    """pid, virtual and real transaction id differ; whether they are there must not."""
    row = list(row)
    for column in (3, 9, 10):
        row[column] = "0" if row[column] == "0" else "SET" if row[column] else ""
    return row


def test_csv_quoting(both):
    """What is quoted and what is empty is the same, byte for byte."""
    lines = []
    for server in both:
        text = masked(log_text(server, "server.csv"))
        text = re.sub(r'("postgres","postgres"),\d+,', r"\1,PID,", text)
        text = re.sub(r",\d+/\d+,\d+,", ",VXID,XID,", text)
        lines.append([line for line in text.splitlines() if '"work","client backend"' in line])
    assert lines[0] == lines[1] and lines[0]


def test_json(both):
    objects = []
    for server in both:
        found = [json.loads(line) for line in log_text(server, "server.json").splitlines()]
        found = [item for item in found if item.get("application_name") in ("work", "tcp")]
        for item in found:
            for key in ("pid", "remote_port", "vxid"):
                if key in item:
                    item[key] = type(item[key]).__name__
            item["txid"] = bool(item["txid"])
        objects.append([masked(json.dumps(item)) for item in found])
    assert objects[0] == objects[1] and objects[0]


def test_auxiliary_lines(both):
    """Lines of processes without a client."""
    wanted = ("shutting down", "received fast shutdown request", "database system is ready to accept connections",
              "checkpoint starting: shutdown immediate", "database system is shut down")  # fmt: skip
    ours, theirs = (
        {re.sub(r" l=\d+", " l=N", masked(line)) for line in log_text(server).splitlines()
         if line.endswith(wanted) and line.startswith("a= ")}
        for server in both
    )  # fmt: skip
    assert ours == theirs and len(ours) == len(wanted)
    patterns = [re.sub(r"[\d.]+", "N", line.split("LOG:")[1]) for server in both
                for line in log_text(server).splitlines() if "checkpoint complete" in line]  # fmt: skip
    assert len({re.sub(r"N/[0-9A-FN]+", "LSN", line) for line in patterns}) == 1


def test_nothing_is_lost_at_shutdown(both):
    for server in both:
        assert log_text(server).splitlines()[-1].endswith("database system is shut down")
        assert server.log_file.read_text().count("redirecting log output to logging collector process") == 1


_STATEMENTS = """
CREATE TABLE level_t(a int);
INSERT INTO level_t VALUES (1);
UPDATE level_t SET a = 2;
DELETE FROM level_t;
TRUNCATE level_t;
SELECT * FROM level_t;
SELECT 1 AS one INTO level_u;
COPY level_t TO STDOUT;
COPY level_t FROM STDIN;
\\.
PREPARE i(int) AS INSERT INTO level_t VALUES ($1);
EXECUTE i(3);
PREPARE s AS SELECT 1;
EXECUTE s;
EXPLAIN INSERT INTO level_t VALUES (1);
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) INSERT INTO level_t VALUES (1);
BEGIN; SAVEPOINT a; ROLLBACK;
VACUUM level_t;
ANALYZE level_t;
CREATE VIEW level_v AS SELECT 1;
CREATE INDEX ON level_t(a);
REINDEX TABLE level_t;
COMMENT ON TABLE level_t IS 'x';
GRANT SELECT ON level_t TO public;
ALTER TABLE level_t ADD COLUMN b int;
SET work_mem = '1MB';
LOCK TABLE level_t;
CREATE ROLE level_role;
DROP ROLE level_role;
DISCARD PLANS;
LISTEN x; NOTIFY x;
INSERT INTO level_t VALUES ($1, $2) \\bind 1 2 \\g
SELECT $1 \\bind 1 \\g
SELECT 1\\; INSERT INTO level_t VALUES (4, 4);
DROP VIEW level_v;
DROP TABLE level_t, level_u;
"""


@pytest.mark.parametrize("level", ["ddl", "mod"])
def test_statement_levels(both_running, level):
    logged = []
    for server in both_running:
        before = len(server.log_file.read_text())
        client(server, "psql", "-X", "-q", input=f"SET log_statement = {level};\n{_STATEMENTS}", check=False)
        text = server.log_file.read_text()[before:]
        logged.append([line.split("LOG:  ")[1] for line in text.splitlines()
                       if re.search("LOG:  (statement|execute)", line)])  # fmt: skip
    assert logged[0] == logged[1] and len(logged[0]) > 5


@pytest.fixture(scope="module")
def both_running(tusk, oracle):
    return tusk, oracle


def logged_by(server, script, **environment):
    before = len(server.log_file.read_text())
    client(server, "psql", "-X", "-q", input=script, check=False, **environment)
    return server.log_file.read_text()[before:]


def test_minimum_duration(both_running):
    for server in both_running:
        text = logged_by(server, "SET log_min_duration_statement = 50;\nSELECT 1;\nSELECT pg_sleep(0.06);\n"
                         "SELECT $1::int \\bind 1 \\g\nSELECT $1::int, pg_sleep(0.06) \\bind 7 \\g\n")  # fmt: skip
        assert re.findall(r"ms  (.*)", text)[0] == "statement: SELECT pg_sleep(0.06);"
        slow = [line for line in re.findall(r"ms  (.*)", text) if "pg_sleep" in line]
        assert slow[1].strip() == "execute <unnamed>: SELECT $1::int, pg_sleep(0.06)"
        assert "Parameters: $1 = '7'" in text and "bind" not in text and "SELECT 1;" not in text


@pytest.mark.parametrize(("settings", "lines"), [
    ("log_min_duration_sample = 0, log_statement_sample_rate = 1", 1),
    ("log_min_duration_sample = 0, log_statement_sample_rate = 0", 0),
    ("log_transaction_sample_rate = 1", 1),
])  # fmt: skip
def test_sampling(both_running, settings, lines):
    script = "".join(f"SET {setting};\n" for setting in settings.split(", "))
    for server in both_running:
        assert logged_by(server, f"{script}SELECT 'sampled';\n").count("statement: SELECT 'sampled'") == lines


def test_thresholds_and_verbosity(both_running):
    def shown(script):
        texts = [logged_by(server, script) for server in both_running]
        return [[re.sub(r"^.*?\] ", "", line) for line in text.splitlines()] for text in texts]

    ours, theirs = shown("SET log_min_error_statement = panic;\nSELECT 1/0;\n")
    assert ours == theirs and len(ours) == 1
    ours, theirs = shown("SET log_min_messages = fatal;\nSELECT 1/0;\n")
    assert ours == theirs == []
    ours, theirs = shown("SET log_min_messages = log;\nSELECT 1/0;\n")
    assert ours == theirs == []
    ours, theirs = shown("SET log_min_messages = notice;\nDROP TABLE IF EXISTS not_there;\n")
    assert ours == theirs and "does not exist, skipping" in ours[0]
    ours, theirs = shown("SET log_error_verbosity = verbose;\nSELECT nope;\n")
    assert ours[0] == theirs[0] == 'ERROR:  42703: column "nope" does not exist at character 8'
    assert re.fullmatch(r"LOCATION:  \w+, \w+\.pyx?:\d+", ours[1]) and theirs[1].startswith("LOCATION:  ")
    assert ours[2:] == theirs[2:] == ["STATEMENT:  SELECT nope;"]


@pytest.mark.parametrize("value", ["foo", "all,receipt", "receipt, bar", "on,receipt", " Receipt , authentication", "1",
                                   "", "receipt,,x", "setup_durations"])  # fmt: skip
def test_values_of_log_connections(both_running, value):
    _same_answer(both_running, f"ALTER SYSTEM SET log_connections = '{value}'")


@pytest.mark.parametrize("value", ["foo,stderr", 'stderr,"CSVLOG"', "", "eventlog", "a b", "jsonlog , csvlog"])
def test_values_of_log_destination(both_running, value):
    _same_answer(both_running, f"ALTER SYSTEM SET log_destination = '{value}'")


def _same_answer(servers, statement):
    answers = [psql(server, statement, check=False).stderr for server in servers]
    for server in servers:
        psql(server, "ALTER SYSTEM RESET ALL")
    assert answers[0] == answers[1]


def test_lock_waits(both_running):
    """Who waits for whom, at LOG with the statement."""
    shapes = []
    for server in both_running:
        before = len(server.log_file.read_text())
        with psycopg.connect(server.url) as holder, psycopg.connect(server.url, autocommit=True) as waiter:
            holder.execute("CREATE TABLE IF NOT EXISTS log_lock(a int)")
            holder.commit()
            holder.execute("LOCK TABLE log_lock")
            waiter.execute("SET log_lock_waits = on")
            waiter.execute("SET deadlock_timeout = '10ms'")
            waiter.execute("SET lock_timeout = '300ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                waiter.execute("SELECT * FROM log_lock")
            holder.execute("DROP TABLE log_lock")
        text = server.log_file.read_text()[before:]
        lines = [re.sub(r"^.*?\] ", "", line) for line in text.splitlines()]
        # PostgreSQL adds where in the statement the lock was wanted.
        lines = [re.sub(r" at character \d+$", "", line) for line in lines]
        shapes.append([re.sub(r"\d+(\.\d+)?", "N", line) for line in lines if "wait" in line or "Wait" in line])
    assert shapes[0] == shapes[1] and len(shapes[0]) == 2


def test_temporary_files(both_running):
    query = "SELECT count(*) FROM (SELECT g FROM generate_series(1, 50000) g ORDER BY g % 7, g) s"
    script = f"SET log_temp_files = 0; SET work_mem = '64kB';\n{query};\n"
    line = r'LOG:  temporary file: path "base/pgsql_tmp/pgsql_tmp\d+\.\d+", size \d+\n.*STATEMENT:  SELECT'
    for server in both_running:
        text = logged_by(server, script)
        assert re.search(line, text)


# The process and its files


def logger_pid(server):
    found = [child.pid for child in psutil.Process(server.pid).children() if "logger" in "".join(child.cmdline())]
    return found[0] if len(found) == 1 else 0


def test_whole_messages_of_many_processes(new_server):
    """Eight processes write long messages of many lines at once: none is torn, none is lost."""
    server = new_server(settings={
        **_COLLECT, "log_line_prefix": "@%p ", "log_destination": "stderr,csvlog,jsonlog", "log_rotation_size": 0,
    })  # fmt: skip
    processes, messages = 8, 12
    expected = []
    running = []
    for number in range(processes):
        statements = []
        for message in range(messages):
            lines = "\n".join(f"line {n} of {number}.{message} " + "x" * 120 for n in range(120))
            statements.append(f"SELECT 1/0 AS a{number}_{message} /*\n{lines}\n*/")
            expected.append(statements[-1])
        command = ["psql", "-X", "-q"]
        file = server.home / f"script{number}"
        file.write_text(";\n".join(statements) + ";\n")
        file.chmod(0o644)
        running.append(subprocess.Popen([oracle_programs() / command[0], *command[1:], "-f", str(file), server.url],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))  # fmt: skip
    for process in running:
        process.wait(60)
    assert server.stop() == 0
    want = sorted(text + ";" for text in expected)
    blocks = re.split(r"^@\d+ ", log_text(server), flags=re.MULTILINE)
    statements = [block.removeprefix("STATEMENT:  ").replace("\n\t", "\n").rstrip("\n")
                  for block in blocks if block.startswith("STATEMENT:")]  # fmt: skip
    assert sorted(statements) == want
    with open(server.data / "log" / "server.csv", newline="") as file:
        assert sorted(row[19] for row in csv.reader(file) if row[11] == "ERROR") == want
    objects = [json.loads(line) for line in log_text(server, "server.json").splitlines()]
    assert sorted(item["statement"] for item in objects if item["error_severity"] == "ERROR") == want


def test_death_of_the_logger(new_server):
    server = new_server(settings={**_COLLECT, "log_statement": "all"})
    first = logger_pid(server)
    with psycopg.connect(server.url, autocommit=True) as session:
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGQUIT:
            os.kill(first, number)
        session.execute("SELECT 'before'")
        eventually(lambda: "SELECT 'before'" in log_text(server), "the logger does not write")
        assert logger_pid(server) == first
        os.kill(first, signal.SIGKILL)
        session.execute("SELECT 'while away'")
        eventually(lambda: logger_pid(server) not in (0, first), "there is no new logger")
        session.execute("SELECT 'after'")
        eventually(lambda: "SELECT 'after'" in log_text(server), "the new logger does not write")
        assert "SELECT 'while away'" in log_text(server)
        assert f"system logger process (PID {first}) was terminated by signal 9: Killed" in log_text(server)


def test_the_logger_survives_a_crash(new_server):
    server = new_server(settings=_COLLECT)
    logger = logger_pid(server)
    with psycopg.connect(server.url, autocommit=True) as session:
        os.kill(session.info.backend_pid, signal.SIGKILL)
    eventually(lambda: log_text(server).count("ready to accept connections") == 2, "the server did not come back")
    assert logger_pid(server) == logger
    assert not os.path.exists(f"/proc/{logger}/map_files") or "/dev/zero" not in _mappings(logger)


def _mappings(pid):
    with open(f"/proc/{pid}/maps") as file:
        return file.read()


def test_rotation(new_server):
    """By function, by signal file, by size; current_logfiles and pg_current_logfile() know the present files."""
    server = new_server(settings={
        **_COLLECT, "log_filename": "%Y-%H%M%S-%%.log", "log_destination": "stderr,csvlog", "log_rotation_size": "20kB",
        "log_rotation_age": 0, "log_file_mode": "0640", "log_statement": "all",
    })  # fmt: skip
    current = server.data / "current_logfiles"

    def files():
        return sorted(path.name for path in (server.data / "log").iterdir() if path.suffix == ".log")

    def next_second():
        # Names differ by the second.
        now = int(time.time())
        eventually(lambda: int(time.time()) > now, "time stands still")

    eventually(current.exists, "current_logfiles is not there")
    assert all(re.fullmatch(r"\d{4}-\d{6}-%\.log", name) for name in files()) and len(files()) == 1
    assert {oct(path.stat().st_mode & 0o777) for path in (server.data / "log").iterdir()} == {"0o640"}
    with psycopg.connect(server.url, autocommit=True) as session:
        for step, rotate in enumerate((
            lambda: session.execute("SELECT pg_rotate_logfile()"),
            lambda: client(server, "pg_ctl", "logrotate", "-D", server.data),
            lambda: os.kill(logger_pid(server), signal.SIGUSR1),
            lambda: [session.execute(f"SELECT 1 /* {'y' * 4000} */") for _ in range(6)],
        ), start=2):  # fmt: skip
            next_second()
            rotate()
            eventually(lambda step=step: len(files()) >= step, f"no rotation in step {step}")
        assert not (server.data / "logrotate").exists()
        eventually(lambda: current.read_text().startswith(f"stderr log/{files()[-1]}\n"), current.read_text())
        lines = dict(line.split(" ") for line in current.read_text().splitlines())
        assert list(lines) == ["stderr", "csvlog"]
        names = session.execute(
            "SELECT pg_current_logfile(), pg_current_logfile('csvlog'), pg_current_logfile('jsonlog')"
        ).fetchone()
        assert names[0].endswith(".log") and names[1].endswith(".csv") and names[2] is None
    assert len(files()) <= 8


def test_reload(new_server):
    """log_destination, log_directory and log_filename change with a reload."""
    server = new_server(settings={"logging_collector": "on"})
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("ALTER SYSTEM SET log_directory = 'other'")
        session.execute("ALTER SYSTEM SET log_filename = 'x'")
        session.execute("ALTER SYSTEM SET log_destination = 'jsonlog'")
        session.execute("ALTER SYSTEM SET log_statement = 'all'")
        session.execute("SELECT pg_reload_conf()")
        path = server.data / "other" / "x.json"
        eventually(path.exists, "the new file is not there")
        current = server.data / "current_logfiles"
        eventually(lambda: current.read_text() == "jsonlog other/x.json\n", "current_logfiles")
        eventually(lambda: session.execute("SELECT 'here'") and "'here'" in path.read_text(), "nothing in the new file")
        assert "'here'" not in (server.data / "other" / "x").read_text()


def test_bad_directory_stops_the_start(new_server):
    from tusk.cli.server import ServerError

    with pytest.raises(ServerError, match=r'could not open log file "/nonexistent/dir/server.log": No such file'):
        new_server(settings={**_COLLECT, "log_directory": "/nonexistent/dir"})
