"""The process tree as users and programs see it: titles, shutdown, crashes, lock files, limits, authentication."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from servers import client, oracle_programs, psql

from tusk.cli.server import Server, ServerError

DEADLINE_S = 20


def eventually(condition, what):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def titles(server):
    """pid -> title of the postmaster's children."""
    found = {}
    for child in psutil.Process(server.pid).children():
        try:
            found[child.pid] = Path(f"/proc/{child.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().rstrip()
        except OSError:
            continue
    return found


def pid_of(server, title):
    """The pid of the child with this title."""
    found = [pid for pid, text in titles(server).items() if text.startswith(f"postgres: {title}")]
    assert len(found) == 1, titles(server)
    return found[0]


def connect(server, **options):
    return psycopg.connect(server.url, autocommit=True, **options)


def _lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pid_file(server):
    return (server.data / "postmaster.pid").read_text().split("\n")


# Titles and views


def test_titles(new_server):
    server = new_server()
    with connect(server) as session:
        title = titles(server)[session.info.backend_pid]
        assert title.startswith("postgres: postgres postgres ") and title.endswith(" idle")
        auxiliary = {text for pid, text in titles(server).items() if pid != session.info.backend_pid}
        assert {"postgres: checkpointer", "postgres: background writer", "postgres: walwriter"} <= auxiliary
        session.execute("BEGIN")
        assert titles(server)[session.info.backend_pid].endswith(" idle in transaction")


def test_cluster_name_is_in_titles(new_server):
    server = new_server(settings={"cluster_name": "mine"})
    assert all(title.startswith("postgres: mine: ") for title in titles(server).values())


def test_pg_stat_activity(new_server):
    server = new_server()
    with connect(server) as session:
        rows = session.execute(
            "SELECT backend_type, datname, usename, state, query FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchall()
        assert [row[:4] for row in rows] == [("client backend", "postgres", "postgres", "active")]
        assert rows[0][4].startswith("SELECT backend_type")
        kinds = {kind for (kind,) in session.execute("SELECT backend_type FROM pg_stat_activity")}
        assert {"checkpointer", "background writer", "walwriter", "client backend"} <= kinds
        assert "startup" not in kinds


def test_every_child_leads_its_own_session(new_server):
    server = new_server()
    assert all(os.getsid(pid) == pid for pid in titles(server))


# Files


def test_pid_file_and_opts_file(new_server):
    server = new_server()
    lines = pid_file(server)
    assert lines[0] == str(server.pid) and lines[1] == str(server.data) and lines[3] == str(server.port)
    assert lines[4] == str(server.home) and lines[5] == "localhost" and len(lines[6].split()) == 2
    assert lines[7] == "ready   "
    assert (server.data / "postmaster.opts").read_text().count('"') >= 4
    socket_lock = (server.home / f".s.PGSQL.{server.port}.lock").read_text().split("\n")
    assert socket_lock[:2] == [str(server.pid), str(server.data)]


def test_files_go_with_the_server(new_server):
    server = new_server()
    assert server.stop() == 0
    assert not (server.data / "postmaster.pid").exists()
    assert not (server.home / f".s.PGSQL.{server.port}").exists()


def test_second_server_is_refused(new_server):
    server = new_server()
    done = server.run([*Server.postgres_command, "-D", server.data, "-p", "1", "-k", server.home], check=False)
    assert done.returncode == 1
    assert 'lock file "postmaster.pid" already exists' in done.stderr
    assert f"(PID {server.pid}) running in data directory" in done.stderr


def test_stale_pid_file_is_replaced(new_server):
    server = new_server()
    server.kill()
    eventually(lambda: not _attached(server), "children stayed")
    assert (server.data / "postmaster.pid").exists()
    server.start()
    assert pid_file(server)[0] == str(server.pid)


def _attached(server):
    return [process for process in psutil.process_iter(["cmdline", "cwd"]) if process.info["cwd"] == str(server.data)]


def test_data_directory_rules(new_server):
    server = new_server()
    server.stop()
    server.data.chmod(0o755)
    with pytest.raises(ServerError, match="has invalid permissions"):
        server.start()
    server.data.chmod(0o700)
    (server.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(ServerError, match="database files are incompatible with server"):
        server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try")
def test_root_is_refused(new_server):
    server = new_server()
    server.stop()
    done = subprocess.run([*Server.postgres_command, "-D", server.data], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert '"root" execution of the PostgreSQL server is not permitted.' in done.stderr


# Shutdown


def test_fast_shutdown_ends_sessions(new_server):
    server = new_server()
    session = connect(server)
    assert server.stop("fast") == 0
    with pytest.raises(psycopg.OperationalError) as error:
        session.execute("SELECT 1")
    assert error.value.sqlstate in ("57P01", None)
    log = server.log_tail(20000)
    order = ["received fast shutdown request", "aborting any active transactions", "shutting down",
             "database system is shut down"]  # fmt: skip
    places = [log.index(text) for text in order]
    assert places == sorted(places)


def test_smart_shutdown_waits_for_sessions(new_server):
    server = new_server()
    session = connect(server)
    os.kill(server.pid, signal.SIGTERM)
    eventually(lambda: pid_file(server)[7].strip() == "stopping", "not stopping")
    with pytest.raises(psycopg.OperationalError, match="the database system is shutting down"):
        connect(server)
    assert session.execute("SELECT 1").fetchone() == (1,)
    session.close()
    assert server.stop("smart") == 0


def test_immediate_shutdown_is_recovered_from(new_server):
    server = new_server()
    with connect(server) as session:
        session.execute("CREATE TABLE kept (a int)")
        session.execute("INSERT INTO kept SELECT generate_series(1, 100)")
    assert server.stop("immediate") == 0
    server.start()
    assert "database system was not properly shut down; automatic recovery in progress" in server.log_tail(20000)
    with connect(server) as session:
        assert session.execute("SELECT count(*), sum(a) FROM kept").fetchone() == (100, 5050)


def test_immediate_shutdown_tells_clients(new_server):
    server = new_server()
    with connect(server) as session:
        os.kill(server.pid, signal.SIGQUIT)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT pg_sleep(10)")
    assert server.stop("immediate") == 0


def test_stronger_shutdown_overrides(new_server):
    server = new_server()
    with connect(server):
        os.kill(server.pid, signal.SIGTERM)
        eventually(lambda: pid_file(server)[7].strip() == "stopping", "not stopping")
        assert server.stop("fast") == 0


# Crashes


@pytest.mark.parametrize("title", ["checkpointer", "background writer", "walwriter"])
def test_death_of_an_auxiliary_process_restarts_all(new_server, title):
    server = new_server()
    with connect(server) as session:
        session.execute("CREATE TABLE kept (a int)")
        session.execute("INSERT INTO kept VALUES (1)")
        before, old = server.pid, titles(server)
        os.kill(pid_of(server, title), signal.SIGKILL)
        eventually(lambda: not set(old) & set(titles(server)) and len(titles(server)) >= 3, "no restart")
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    server.wait_until(lambda: client(server, "pg_isready", check=False).returncode == 0, "not back")
    assert server.pid == before and pid_file(server)[7] == "ready   "
    with connect(server) as session:
        assert session.execute("SELECT a FROM kept").fetchone() == (1,)
    log = server.log_tail(20000)
    assert "was terminated by signal 9: Killed" in log
    assert "terminating any other active server processes" in log
    assert "all server processes terminated; reinitializing" in log


def test_death_of_a_backend_names_its_query(new_server):
    server = new_server()
    with connect(server) as victim, connect(server) as other:
        victim.execute("SELECT 'the last words'")
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            while True:
                other.execute("SELECT 1")
    server.wait_until(lambda: "reinitializing" in server.log_tail(20000), "no restart")
    assert "Failed process was running: SELECT 'the last words'" in server.log_tail(20000)


def test_without_restart_after_crash_the_server_ends(new_server):
    server = new_server(settings={"restart_after_crash": "off"})
    os.kill(pid_of(server, "walwriter"), signal.SIGKILL)
    eventually(lambda: not server.is_running, "still there")
    assert server.stop() == 1
    assert 'shutting down because "restart_after_crash" is off' in server.log_tail(20000)


def test_orderly_end_of_the_background_writer_is_not_a_crash(new_server):
    server = new_server()
    with connect(server) as session:
        old = pid_of(server, "background writer")
        os.kill(old, signal.SIGTERM)
        eventually(lambda: old not in titles(server) and len(titles(server)) >= 4, "no new one")
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_children_leave_when_the_postmaster_dies(new_server):
    server = new_server()
    with connect(server):
        children = titles(server)
        server.kill()
        eventually(lambda: not any(map(_lives, children)), "orphans")


# The real programs


def test_pg_ctl_and_pg_isready(new_server):
    server = new_server()
    assert client(server, "pg_isready").returncode == 0
    status = client(server, "pg_ctl", "status", "-D", server.data)
    assert f"server is running (PID: {server.pid})" in status.stdout
    assert "server signaled" in client(server, "pg_ctl", "reload", "-D", server.data).stdout
    assert "server stopped" in client(server, "pg_ctl", "stop", "-D", server.data, "-m", "fast").stdout
    assert client(server, "pg_ctl", "status", "-D", server.data, check=False).returncode == 3
    assert client(server, "pg_isready", check=False).returncode == 2


def test_tusk_ctl(new_server):
    server = new_server()
    ctl = [*Server.postgres_command[:-1], "ctl"]
    options = f"-p {server.port} -k {server.home} -c listen_addresses=localhost"
    assert f"(PID: {server.pid})" in server.run([*ctl, "status", "-D", server.data]).stdout
    assert "server stopped" in server.run([*ctl, "stop", "-D", server.data]).stdout
    assert server.run([*ctl, "status", "-D", server.data], check=False).returncode == 3
    assert server.run([*ctl, "status", "-D", server.home / "nothing"], check=False).returncode == 4
    log = server.home / "ctl.log"
    assert "server started" in server.run([*ctl, "start", "-D", server.data, "-l", log, "-o", options]).stdout
    assert client(server, "pg_isready").returncode == 0
    assert "server started" in server.run([*ctl, "restart", "-D", server.data, "-l", log, "-o", options]).stdout
    assert "server stopped" in server.run([*ctl, "stop", "-D", server.data, "-m", "immediate"]).stdout


def test_pg_controldata_and_pg_checksums(new_server):
    server = new_server()
    with connect(server) as session:
        session.execute("CREATE TABLE t (a int)")
        session.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    assert "in production" in client(server, "pg_controldata", server.data).stdout
    server.stop()
    assert "shut down" in client(server, "pg_controldata", server.data).stdout
    assert "Bad checksums:  0" in client(server, "pg_checksums", "--check", "-D", server.data).stdout


def test_postgresql_starts_on_tusks_directory(new_server):
    server = new_server()
    with connect(server) as session:
        session.execute("CREATE TABLE t (a int PRIMARY KEY, b text)")
        session.execute("INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 2000) i")
        session.execute("DELETE FROM t WHERE a % 3 = 0")
    server.stop()
    server.postgres_command = [str(oracle_programs() / "postgres")]
    server.start()
    with connect(server) as session:
        assert "PostgreSQL 18" in session.execute("SELECT version()").fetchone()[0]
        count = "SELECT count(*), sum(a), max(b) FROM t"
        assert session.execute(count).fetchone() == (1334, 1334667, "row 998")
        session.execute("SET enable_seqscan = off")
        assert session.execute("SELECT b FROM t WHERE a = 1000").fetchone() == ("row 1000",)
        session.execute("INSERT INTO t VALUES (3, 'by PostgreSQL')")
    server.stop()
    server.postgres_command = Server.postgres_command
    server.start()
    with connect(server) as session:
        assert session.execute("SELECT b FROM t WHERE a = 3").fetchone() == ("by PostgreSQL",)


# Cancel, terminate, timeouts


def test_cancel_and_terminate(new_server):
    server = new_server()
    with connect(server) as session, connect(server) as other:
        pid = session.info.backend_pid
        session.execute("SET statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="canceling statement due to statement timeout"):
            session.execute("SELECT pg_sleep(10)")
        session.execute("SET statement_timeout = 0")
        assert other.execute("SELECT pg_cancel_backend(%s)", [pid]).fetchone() == (True,)
        assert session.execute("SELECT 1").fetchone() == (1,)
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_authentication_timeout(new_server):
    import socket

    server = new_server(settings={"authentication_timeout": "1s"})
    with socket.create_connection((server.host, server.port), 10) as sock:
        assert sock.recv(1) == b""


# Admission


def test_admission_limits(new_server):
    server = new_server(
        settings={"max_connections": 6, "superuser_reserved_connections": 2, "reserved_connections": 1}
    )
    with connect(server) as session:
        session.execute("CREATE ROLE plain LOGIN")
        session.execute("CREATE ROLE reserve LOGIN")
        session.execute("GRANT pg_use_reserved_connections TO reserve")
        sessions = [psycopg.connect(server.url_of("postgres", "plain")) for _ in range(2)]
        with pytest.raises(psycopg.OperationalError, match=(
            "remaining connection slots are reserved for roles with privileges of the "
            '"pg_use_reserved_connections" role')):
            psycopg.connect(server.url_of("postgres", "plain"))
        sessions.append(psycopg.connect(server.url_of("postgres", "reserve")))
        with pytest.raises(psycopg.OperationalError, match=(
            "remaining connection slots are reserved for roles with the SUPERUSER attribute")):
            psycopg.connect(server.url_of("postgres", "reserve"))
        sessions += [connect(server), connect(server)]
        with pytest.raises(psycopg.OperationalError, match="sorry, too many clients already"):
            connect(server)
        for one in sessions:
            one.close()


# Authentication


def test_authentication_methods(new_server):
    server = new_server()
    with connect(server) as session:
        session.execute("SET password_encryption = 'scram-sha-256'")
        for role in ("trusted", "rejected", "clear", "scrammed", "peered"):
            session.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
    (server.data / "pg_hba.conf").write_text(
        "host  all trusted  127.0.0.1/32 trust\n"
        "host  all rejected all reject\n"
        "host  all clear    localhost password\n"
        "host  all clear    ::1/128 password\n"
        "host  all scrammed samehost scram-sha-256\n"
        "local all peered   peer\n"
        "local all postgres trust\n"
    )
    server.reload()
    server.wait_until(lambda: "reloading configuration files" in server.log_tail(20000), "no reload")

    def attempt(role, password, host="127.0.0.1"):
        return client(server, "psql", "-XAtc", "SELECT current_user", "-w", check=False, PGHOST=host, PGUSER=role,
                      PGPASSWORD=password)  # fmt: skip

    server.wait_until(
        lambda: "pg_hba.conf rejects connection" in attempt("rejected", "").stderr, "rules are not in use"
    )
    assert attempt("trusted", "").stdout == "trusted\n"
    assert attempt("clear", "right").stdout == "clear\n"
    assert 'password authentication failed for user "clear"' in attempt("clear", "wrong").stderr
    assert attempt("scrammed", "right").stdout == "scrammed\n"
    assert 'password authentication failed for user "scrammed"' in attempt("scrammed", "wrong").stderr
    assert "fe_sendauth: no password supplied" in attempt("scrammed", "").stderr
    assert 'Peer authentication failed for user "peered"' in attempt("peered", "", str(server.home)).stderr
    assert 'no pg_hba.conf entry for host "127.0.0.1", user "postgres"' in attempt("postgres", "").stderr


def test_unknown_method_keeps_the_old_rules(new_server):
    server = new_server()
    (server.data / "pg_hba.conf").write_text("host all all all ldap ldapserver=example.org\n")
    server.reload()
    server.wait_until(lambda: "pg_hba.conf was not reloaded" in server.log_tail(20000), "nothing was said")
    with connect(server) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


# Settings


def test_reload(new_server):
    server = new_server()
    with connect(server), open(server.data / "postgresql.conf", "a") as config:
        config.write("work_mem = '7MB'\nmax_connections = 50\nlog_statement = 'nonsense'\n")
        config.flush()
        server.reload()
        server.wait_until(lambda: "contains errors" in server.log_tail(20000), "the mistake went unnoticed")
        log = server.log_tail(20000)
        assert 'invalid value for parameter "log_statement": "nonsense"' in log
    content = (server.data / "postgresql.conf").read_text().replace("log_statement = 'nonsense'\n", "")
    (server.data / "postgresql.conf").write_text(content)
    server.reload()
    server.wait_until(
        lambda: 'parameter "max_connections" cannot be changed without restarting the server' in server.log_tail(20000),
        "the restart that is needed was not told")
    assert psql(server, "SHOW work_mem", "-At").stdout == "7MB\n"


def test_alter_system(new_server):
    server = new_server()
    with connect(server) as session:
        session.execute("ALTER SYSTEM SET work_mem = '9MB'")
        session.execute("SELECT pg_reload_conf()")
        eventually(lambda: session.execute("SHOW work_mem").fetchone() == ("9MB",), "no effect")
    assert "work_mem = '9MB'" in (server.data / "postgresql.auto.conf").read_text()


def test_server_objects_from_python():
    with Server(unix_only=True, password="a b") as server:
        with connect(server) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url_of("postgres", "postgres", "wrong"))
        home = server.home
    assert not home.exists()
