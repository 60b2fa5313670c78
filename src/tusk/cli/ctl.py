"""``tusk ctl``: start, stop, restart, reload, status, promote, kill. Words, options and exit codes are pg_ctl's."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_KILL_SIGNALS = ("HUP", "INT", "QUIT", "ABRT", "KILL", "TERM", "USR1", "USR2")
_POLL_S = 0.05


class PidFile:
    """What postmaster.pid says."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "postmaster.pid"
        self.lines = self.path.read_text().split("\n") if self.path.exists() else []

    @property
    def pid(self) -> int:
        """The postmaster's pid, negative for a stand-alone backend, 0 where no server is."""
        return int(self.lines[0]) if self.lines and self.lines[0].lstrip("-").isdigit() else 0

    @property
    def status(self) -> str:
        """Line 8, without its padding."""
        return self.lines[7].strip() if len(self.lines) >= 8 else ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _fail(message: str, hint: str = "") -> NoReturn:
    print(f"tusk ctl: {message}", file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)
    sys.exit(1)


class Control:
    """One invocation."""

    def __init__(self, directory: Path, *, wait: bool, timeout_s: int, silent: bool) -> None:
        self.directory = directory
        self.wait = wait
        self.timeout_s = timeout_s
        self.silent = silent

    def say(self, text: str, *, end: str = "\n") -> None:
        """Tell the user, unless -s."""
        if not self.silent:
            print(text, end=end, flush=True)

    def start(self, log_file: Path | None, options: str, program: str | None) -> None:
        """Start a server in the background and wait until it accepts connections."""
        old = PidFile(self.directory)
        if old.pid and _alive(abs(old.pid)):
            print("tusk ctl: another server might be running; trying to start server anyway", file=sys.stderr)
        if os.geteuid() == 0:
            _fail(
                "cannot be run as root",
                'Please log in (using, e.g., "su") as the (unprivileged) user that will own the server process.',
            )
        command = [program] if program else [sys.executable, "-m", "tusk.cli", "postgres"]
        command += ["-D", str(self.directory), *shlex.split(options)]
        with open(log_file or os.devnull, "ab") if log_file else open(os.dup(1), "ab") as output:
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        if not self.wait:
            self.say("server starting")
            return
        self.say("waiting for server to start...", end="")
        deadline = time.monotonic() + self.timeout_s
        while time.monotonic() < deadline:
            current = PidFile(self.directory)
            if current.pid == server.pid and current.status in ("ready", "standby"):
                self.say(" done\nserver started")
                return
            if server.poll() is not None:
                self.say(" stopped waiting")
                _fail("could not start server", "Examine the log output.")
            time.sleep(_POLL_S)
            self.say(".", end="") if int(time.monotonic() / _POLL_S) % 20 == 0 else None
        self.say(" stopped waiting")
        _fail("server did not start in time")

    def stop(self, mode: str, *, missing_ok: bool = False) -> None:
        """Stop the server and wait until it is gone."""
        pid = self._running_pid(missing_ok=missing_ok, action="stop")
        if pid is None:
            return
        os.kill(pid, _STOP_SIGNALS[mode])
        if not self.wait:
            self.say("server shutting down")
            return
        self.say("waiting for server to shut down...", end="")
        deadline = time.monotonic() + self.timeout_s
        while time.monotonic() < deadline:
            if not _alive(pid) or PidFile(self.directory).pid != pid:
                self.say(" done\nserver stopped")
                return
            time.sleep(_POLL_S)
        self.say(" failed")
        _fail("server does not shut down", "HINT: The \"-m fast\" option immediately disconnects sessions rather than\n"
              "waiting for session-initiated disconnection.")

    def _running_pid(self, *, missing_ok: bool = False, action: str) -> int | None:
        pid_file = PidFile(self.directory)
        if not pid_file.pid:
            message = f'PID file "{pid_file.path}" does not exist'
            if missing_ok:
                print(f"tusk ctl: {message}\nIs server running?", file=sys.stderr)
                return None
            _fail(message, "Is server running?")
        if pid_file.pid < 0:
            _fail(f"cannot {action} server; single-user server is running (PID: {-pid_file.pid})")
        if not _alive(pid_file.pid):
            if missing_ok:
                print(f"tusk ctl: old server process (PID: {pid_file.pid}) seems to be gone", file=sys.stderr)
                return None
            _fail(f"could not send {action} signal (PID: {pid_file.pid}): No such process")
        return pid_file.pid

    def reload(self) -> None:
        """SIGHUP."""
        pid = self._running_pid(action="reload")
        assert pid is not None
        os.kill(pid, signal.SIGHUP)
        self.say("server signaled")

    def promote(self) -> None:
        """Ask a standby to become a primary."""
        pid = self._running_pid(action="promote")
        assert pid is not None
        _fail("cannot promote server; server is not in standby mode")

    def status(self) -> None:
        """Exit 0 with a line where a server runs, 3 where none does."""
        pid_file = PidFile(self.directory)
        if pid_file.pid and _alive(abs(pid_file.pid)):
            if pid_file.pid < 0:
                print(f"tusk ctl: single-user server is running (PID: {-pid_file.pid})")
                return
            print(f"tusk ctl: server is running (PID: {pid_file.pid})")
            opts = self.directory / "postmaster.opts"
            if opts.exists():
                print(opts.read_text(), end="")
            return
        print("tusk ctl: no server running")
        sys.exit(3)


@click.command(name="ctl", context_settings={"help_option_names": ["-?", "--help"]})
@click.argument(
    "action", type=click.Choice(["start", "stop", "restart", "reload", "status", "promote", "kill", "initdb"])
)
@click.argument("arguments", nargs=-1)
@click.option("-D", "--pgdata", "datadir", type=click.Path(path_type=Path), help="location of the database")
@click.option("-m", "--mode", default="fast", help='"smart", "fast", or "immediate"')
@click.option("-w", "--wait", "wait", flag_value=True, default=True, help="wait until operation completes (default)")
@click.option("-W", "--no-wait", "wait", flag_value=False, help="do not wait until operation completes")
@click.option("-t", "--timeout", "timeout_s", type=int, help="seconds to wait when using -w option")
@click.option("-l", "--log", "log_file", type=click.Path(path_type=Path), help="write server log to FILENAME")
@click.option("-o", "--options", multiple=True, help="command line options to pass to the server")
@click.option("-p", "program", help="the server program")
@click.option("-s", "--silent", is_flag=True, help="only print errors, no informational messages")
def ctl(
    action: str,
    arguments: tuple[str, ...],
    datadir: Path | None,
    mode: str,
    wait: bool,
    timeout_s: int | None,
    log_file: Path | None,
    options: tuple[str, ...],
    program: str | None,
    silent: bool,
) -> None:
    """Start, stop, restart, reload, promote, or ask about a server, or send a signal to a process."""
    if action == "kill":
        _kill(arguments)
        return
    mode = {"s": "smart", "f": "fast", "i": "immediate"}.get(mode, mode)
    if mode not in _STOP_SIGNALS:
        _fail(f'unrecognized shutdown mode "{mode}"')
    if datadir is None and "PGDATA" in os.environ:
        datadir = Path(os.environ["PGDATA"])
    if datadir is None:
        _fail("no database directory specified and environment variable PGDATA unset")
    timeout = timeout_s or int(os.environ.get("PGCTLTIMEOUT", "60"))
    control = Control(datadir.absolute(), wait=wait, timeout_s=timeout, silent=silent)
    _check_directory(control.directory, action)
    match action:
        case "start":
            control.start(log_file, " ".join(options), program)
        case "stop":
            control.stop(mode)
        case "restart":
            control.stop(mode, missing_ok=True)
            control.start(log_file, " ".join(options), program)
        case "reload":
            control.reload()
        case "promote":
            control.promote()
        case "status":
            control.status()
        case "initdb":
            os.execv(sys.executable, [sys.executable, "-m", "tusk.cli", "initdb", "-D", str(datadir), *options])


def _check_directory(directory: Path, action: str) -> None:
    """Exit 4 (status) or 1 where the directory is not there or is no cluster."""
    code = 4 if action == "status" else 1
    if action == "initdb":
        return
    if not directory.is_dir():
        print(f'tusk ctl: directory "{directory}" does not exist', file=sys.stderr)
        sys.exit(code)
    if not (directory / "PG_VERSION").exists():
        print(f'tusk ctl: directory "{directory}" is not a database cluster directory', file=sys.stderr)
        sys.exit(code)


def _kill(arguments: tuple[str, ...]) -> None:
    if len(arguments) != 2 or arguments[0] not in _KILL_SIGNALS or not arguments[1].isdigit():
        _fail(f"usage: tusk ctl kill SIGNALNAME PID, where SIGNALNAME is one of {' '.join(_KILL_SIGNALS)}")
    try:
        os.kill(int(arguments[1]), signal.Signals[f"SIG{arguments[0]}"])
    except OSError as error:
        _fail(f"could not send signal {arguments[0]} (PID: {arguments[1]}): {error.strerror}")
