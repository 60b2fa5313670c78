"""``tusk ctl`` and ``tusk initdb`` beside pg_ctl and initdb: the same options, exit statuses and messages."""

import os
import re
import signal
import subprocess
import sys

import pytest
from servers import oracle_programs

from tusk.cli.server import Server

TUSK = [sys.executable, "-m", "tusk.cli"]
# What initdb knows and Tusk refuses by name.
REFUSED = {"--debug", "--discard-caches", "-L", "--show"}


@pytest.fixture(scope="module")
def runner():
    """Runs a command as the user that servers run as."""
    server = Server()
    server.initialize()
    yield server
    server.close()


def both(runner, program, *arguments, **environment):
    """(status, standard output, standard error) of ours and of PostgreSQL's, the program's name taken out."""
    answers = []
    for command in ([*TUSK, {"pg_ctl": "ctl"}.get(program, program)], [oracle_programs() / program]):
        done = runner.run(
            ["env", *(f"{name}={value}" for name, value in environment.items()), *command, *arguments], check=False
        )
        answers.append((done.returncode, _plain(done.stdout), _plain(done.stderr)))
    return answers


def _plain(text):
    return re.sub(r"\b(tusk ctl|pg_ctl|tusk initdb|initdb|tusk postgres)\b", "PROGRAM", text)


def options_of(program):
    text = subprocess.run([oracle_programs() / program, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text))


@pytest.mark.parametrize(("program", "word"), [("pg_ctl", "ctl"), ("initdb", "initdb")])
def test_every_option_is_known(program, word):
    ours = subprocess.run([*TUSK, word, "--help"], capture_output=True, text=True, check=True).stdout
    assert options_of(program) - set(re.findall(r"(--[a-z][a-z-]+)", ours)) == set()


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["start"], ["stop", "extra"], ["stop", "-m", "hard"], ["kill", "FOO", "1"], ["kill", "TERM"],
    ["kill", "TERM", "999999999"], ["kill", "TERM", "1", "2"], ["status", "-D", "/nonexistent"],
    ["stop", "-D", "/nonexistent"], ["reload", "-D", "/tmp"], ["status", "-D", "/tmp"], ["start", "-D", "/nonexistent"],
    ["status", "-D", "DATA"], ["stop", "-D", "DATA"], ["reload", "-D", "DATA"], ["promote", "-D", "DATA"],
    ["logrotate", "-D", "DATA"], ["stop", "-D", "DATA", "-s"],
])  # fmt: skip
def test_ctl_without_a_server(runner, arguments):
    arguments = [str(runner.data) if word == "DATA" else word for word in arguments]
    ours, theirs = both(runner, "pg_ctl", *arguments)
    assert ours == theirs


def test_ctl_with_a_dead_servers_file(runner):
    path = runner.data / "postmaster.pid"
    path.write_text("999999\n")
    try:
        for action in ("status", "stop", "reload", "promote", "logrotate"):
            ours, theirs = both(runner, "pg_ctl", action, "-D", str(runner.data))
            assert ours == theirs
    finally:
        path.unlink()


def test_ctl_life(new_server):
    """start, status, reload, logrotate, restart with the same options, stop: by both programs on our server."""
    server = new_server(settings={"logging_collector": "on"})
    data = str(server.data)
    for action in ("reload", "logrotate", "promote"):
        ours, theirs = both(server, "pg_ctl", action, "-D", data)
        assert ours == theirs
    assert server.stop() == 0
    ctl = [*TUSK, "ctl"]
    options = f"-p {server.port} -k {server.home} -c work_mem=7MB"
    log = str(server.home / "ctl.log")
    done = server.run([*ctl, "start", "-D", data, "-l", log, "-o", options, "-c"])
    assert done.stdout.endswith("done\nserver started\n")
    done = server.run([*ctl, "restart", "-D", data, "-l", log, "-m", "i"])
    assert "server stopped" in done.stdout and "server started" in done.stdout
    shown = server.run([oracle_programs() / "psql", "-XAt", "-h", str(server.home), "-p", str(server.port), "-U",
                        "postgres", "-d", "postgres", "-c", "SHOW work_mem"]).stdout  # fmt: skip
    assert shown == "7MB\n"
    pid = int((server.data / "postmaster.pid").read_text().split("\n")[0])
    assert server.run([*ctl, "kill", "HUP", str(pid)]).returncode == 0
    done = server.run([*ctl, "start", "-D", data, "-l", log, "-o", options], check=False)
    assert done.returncode == 1 and "another server might be running" in done.stderr
    done = server.run([*ctl, "stop", "-D", data, "-m", "fast", "-s"])
    assert done.stdout == ""
    done = server.run([*ctl, "restart", "-D", data, "-l", log])
    assert "trying to start server anyway" in done.stderr and "server started" in done.stdout
    os.kill(int((server.data / "postmaster.pid").read_text().split("\n")[0]), signal.SIGINT)


@pytest.mark.parametrize("arguments", [
    ["--wal-segsize", "3"], ["--wal-segsize", "2048"], ["--icu-locale", "de"], ["--icu-rules", "x"],
    ["--builtin-locale", "C"], ["--locale-provider", "builtin"], ["-A", "nonsense"], ["-E", "NOPE"],
    ["--sync-method", "hope"], ["--set", "work_mem"], ["--pwfile", "/nonexistent"], ["-W", "--pwfile", "/nonexistent"],
    ["-T", "nonsense"], ["-X", "relative/path"], ["-U", "pg_me"],
])  # fmt: skip
def test_initdb_refuses(runner, arguments):
    directory = str(runner.home / "refused")
    answers = []
    for command in ([*TUSK, "initdb"], [oracle_programs() / "initdb"]):
        done = runner.run([*command, "-D", directory, "-N", "--no-locale", *arguments], check=False)
        said = [line for line in _plain(done.stderr).splitlines() if "error:" in line or "text search" in line]
        answers.append((done.returncode, said))
        subprocess.run(["rm", "-rf", directory], check=True)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("option", sorted(REFUSED))
def test_initdb_says_what_it_does_not_do(runner, option):
    words = [option, "/tmp"] if option == "-L" else [option]
    done = runner.run([*TUSK, "initdb", "-D", str(runner.home / "never"), *words], check=False)
    assert done.returncode == 1 and f"option {option} is not supported" in done.stderr


def test_initdb_options_take_effect(runner):
    """WAL directory and segment size, group access, settings, authentication: as pg_controldata and files say."""
    made = []
    programs = ([*TUSK, "initdb"], [oracle_programs() / "initdb"])
    for number, command in enumerate(programs):
        directory, wal = runner.home / f"options{number}", runner.home / f"wal{number}"
        runner.run([
            *command, "-D", str(directory), "-X", str(wal), "--wal-segsize", "4", "-g", "-T", "german", "-E", "UTF8",
            "--locale", "C", "--set", "work_mem=9MB", "-c", "port=6000", "-U", "boss", "--no-data-checksums", "-A",
            "scram-sha-256", "--pwfile", _password_file(runner), "-N", "--sync-method", "syncfs",
        ])  # fmt: skip
        control = runner.run([oracle_programs() / "pg_controldata", "-D", str(directory)]).stdout
        configuration = (directory / "postgresql.conf").read_text()
        hba = (directory / "pg_hba.conf").read_text()
        made.append([
            re.search(r"Bytes per WAL segment: +(\d+)", control)[1],
            re.search(r"Data page checksum.*: +(\d)", control)[1],
            oct(directory.stat().st_mode & 0o777), (directory / "pg_wal").is_symlink(), sorted(os.listdir(wal))[0][:8],
            oct((directory / "base").stat().st_mode & 0o777),
            sorted(re.findall(r"^(?:work_mem|port|default_text_search_config|max_wal_size|log_file_mode)[^#\n]*",
                              configuration, re.MULTILINE)),
            re.findall(r"^(?:local|host).*$", hba, re.MULTILINE),
        ])  # fmt: skip
    made = [[_squeezed(item) for item in row] for row in made]
    assert made[0] == made[1]


def _squeezed(item):
    return [re.sub(r"\s+", " ", text).strip() for text in item] if isinstance(item, list) else item


def _password_file(runner):
    path = runner.home / "password"
    path.write_text("secret\n")
    path.chmod(0o644)
    return str(path)
