"""``tusk ctl``: start, stop, restart, reload, status, promote, logrotate, kill, initdb, as pg_ctl has them.

Words, options, messages and exit codes are pg_ctl's, but for the program's name in front of a message.
"""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_MODE_LETTERS = {"s": "smart", "f": "fast", "i": "immediate"}
_KILL_SIGNALS = ("HUP", "INT", "QUIT", "ABRT", "KILL", "TERM", "USR1", "USR2")
_ACTIONS = ("init", "initdb", "start", "stop", "restart", "reload", "status", "promote", "logrotate", "kill")
_TRY_HELP = 'Try "tusk ctl --help" for more information.'
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

    def start(self, log_file: Path | None, options: str, program: str | None, reused: list[str] | None = None) -> None:
        """Start a server in the background and wait until it accepts connections.

        ``reused`` are the arguments of the last start, which a restart repeats.
        """
        old = PidFile(self.directory)
        if old.pid and _alive(abs(old.pid)) and reused is None:
            print("tusk ctl: another server might be running; trying to start server anyway", file=sys.stderr)
        if os.geteuid() == 0:
            _fail(
                "cannot be run as root",
                'Please log in (using, e.g., "su") as the (unprivileged) user that will own the server process.',
            )
        command = [program] if program else [sys.executable, "-m", "tusk.cli", "postgres"]
        command += reused or ["-D", str(self.directory)]
        command += shlex.split(options)
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
            if int(time.monotonic() / _POLL_S) % 20 == 0:
                self.say(".", end="")
        self.say(" stopped waiting")
        _fail("server did not start in time")

    def last_arguments(self) -> list[str] | None:
        """The arguments in postmaster.opts that a restart uses again; 1 where the file is not there."""
        path = self.directory / "postmaster.opts"
        try:
            line = path.read_text().splitlines()[0]
        except (OSError, IndexError):
            _fail(f'could not read file "{path}"')
        words = shlex.split(line)[1:]
        return words[1:] if words[:1] == ["postgres"] else words

    def stop(self, mode: str, *, missing_ok: bool = False) -> None:
        """Stop the server and wait until it is gone."""
        pid = self._running_pid(missing_ok=missing_ok, action="restart" if missing_ok else "stop")
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
                print(f"tusk ctl: {message}\nIs server running?\ntrying to start server anyway", file=sys.stderr)
                return None
            _fail(message, "Is server running?")
        if pid_file.pid < 0:
            _fail(
                f"cannot {action} server; single-user server is running (PID: {-pid_file.pid})",
                "Please terminate the single-user server and try again." if action == "restart" else "",
            )
        if not _alive(pid_file.pid):
            if missing_ok:
                print(
                    f"tusk ctl: old server process (PID: {pid_file.pid}) seems to be gone\nstarting server anyway",
                    file=sys.stderr,
                )
                return None
            what = {"logrotate": "log rotation"}.get(action, action)
            _fail(f"could not send {what} signal (PID: {pid_file.pid}): No such process")
        return pid_file.pid

    def reload(self) -> None:
        """SIGHUP."""
        pid = self._running_pid(action="reload")
        assert pid is not None
        os.kill(pid, signal.SIGHUP)
        self.say("server signaled")

    def rotate_log(self) -> None:
        """Leave the signal file that asks for new log files, and wake the postmaster."""
        pid = self._running_pid(action="logrotate")
        assert pid is not None
        path = self.directory / "logrotate"
        try:
            path.write_bytes(b"")
        except OSError as error:
            _fail(f'could not create log rotation signal file "{path}": {error.strerror}')
        os.kill(pid, signal.SIGUSR1)
        self.say("server signaled to rotate log file")

    def promote(self) -> None:
        """Ask a standby to become a primary."""
        pid_file = PidFile(self.directory)
        if pid_file.pid <= 0:
            self._running_pid(action="promote")
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


class _Program(click.Command):
    """A command that answers mistakes in its arguments as PostgreSQL's programs do: a line, a hint, status 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; leave with status 1 on an error."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            print(f"tusk ctl: {error.format_message()}\n{_TRY_HELP}", file=sys.stderr)
            sys.exit(1)


def _show_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        print("tusk ctl (PostgreSQL) 18.4")
        ctx.exit()


@click.command(name="ctl", cls=_Program, context_settings={"help_option_names": ["-?", "--help"]})
@click.argument("words", nargs=-1, metavar="ACTION [SIGNALNAME PID]")
@click.option("-D", "--pgdata", "datadir", type=click.Path(path_type=Path), help="location of the database")
@click.option("-m", "--mode", default="fast", help='"smart", "fast", or "immediate"')
@click.option("-w", "--wait", "wait", flag_value=True, default=True, help="wait until operation completes (default)")
@click.option("-W", "--no-wait", "wait", flag_value=False, help="do not wait until operation completes")
@click.option("-t", "--timeout", "timeout_s", type=int, help="seconds to wait when using -w option")
@click.option("-l", "--log", "log_file", type=click.Path(path_type=Path), help="write server log to FILENAME")
@click.option("-o", "--options", multiple=True, help="command line options to pass to the server, or to initdb")
@click.option("-p", "program", help="the server program")
@click.option("-c", "--core-files", is_flag=True, help="allow the server to produce core files")
@click.option("-s", "--silent", is_flag=True, help="only print errors, no informational messages")
@click.option("-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
              help="output version information, then exit")
def ctl(
    words: tuple[str, ...],
    datadir: Path | None,
    mode: str,
    wait: bool,
    timeout_s: int | None,
    log_file: Path | None,
    options: tuple[str, ...],
    program: str | None,
    core_files: bool,
    silent: bool,
) -> None:
    """Initialize, start, stop, restart, reload, promote, or ask about a server, or send a signal to a process."""
    action, arguments = _action_of(words)
    mode = _MODE_LETTERS.get(mode, mode)
    if mode not in _STOP_SIGNALS:
        _fail(f'unrecognized shutdown mode "{mode}"', _TRY_HELP)
    if action == "kill":
        _kill(*arguments)
        return
    if datadir is None and os.environ.get("PGDATA"):
        datadir = Path(os.environ["PGDATA"])
    if datadir is None:
        _fail("no database directory specified and environment variable PGDATA unset", _TRY_HELP)
    if action in ("init", "initdb"):
        _initdb(datadir, options, silent)
    control = Control(datadir.absolute(), wait=wait, timeout_s=timeout_s or _default_timeout(), silent=silent)
    _check_directory(control.directory, action)
    if core_files:
        _allow_core_files()
    match action:
        case "start":
            control.start(log_file, " ".join(options), program)
        case "stop":
            control.stop(mode)
        case "restart":
            reused = control.last_arguments() if not options else None
            control.stop(mode, missing_ok=True)
            control.start(log_file, " ".join(options), program, reused)
        case "reload":
            control.reload()
        case "promote":
            control.promote()
        case "logrotate":
            control.rotate_log()
        case "status":
            control.status()


def _action_of(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The action and, for kill, its two arguments."""
    if not words:
        _fail("no operation specified", _TRY_HELP)
    action, arguments = words[0], words[1:]
    if action not in _ACTIONS:
        _fail(f'unrecognized operation mode "{action}"', _TRY_HELP)
    allowed = 2 if action == "kill" else 0
    if action == "kill" and len(arguments) < 2:
        _fail("missing arguments for kill mode", _TRY_HELP)
    if len(arguments) > allowed:
        _fail(f'too many command-line arguments (first is "{arguments[allowed]}")', _TRY_HELP)
    return action, arguments


def _default_timeout() -> int:
    text = os.environ.get("PGCTLTIMEOUT", "60")
    return int(text) if text.isdigit() else 60


def _initdb(directory: Path, options: tuple[str, ...], silent: bool) -> NoReturn:
    command = [sys.executable, "-m", "tusk.cli", "initdb", "-D", str(directory), *shlex.split(" ".join(options))]
    done = subprocess.run(command, stdout=subprocess.DEVNULL if silent else None)
    if done.returncode != 0:
        _fail("database system initialization failed")
    sys.exit(0)


def _allow_core_files() -> None:
    """As large as the hard limit allows; the server inherits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        print("tusk ctl: cannot set core file size limit; disallowed by hard limit", file=sys.stderr)
        return
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def _check_directory(directory: Path, action: str) -> None:
    """Exit 4 (status) or 1 where the directory is not there or is no cluster."""
    code = 4 if action == "status" else 1
    if not directory.is_dir():
        print(f'tusk ctl: directory "{directory}" does not exist', file=sys.stderr)
        sys.exit(code)
    if not (directory / "PG_VERSION").exists():
        print(f'tusk ctl: directory "{directory}" is not a database cluster directory', file=sys.stderr)
        sys.exit(code)


def _kill(name: str, pid: str) -> None:
    if name not in _KILL_SIGNALS:
        _fail(f'unrecognized signal name "{name}"', _TRY_HELP)
    number = int(pid) if pid.isdigit() else 0
    try:
        os.kill(number, signal.Signals[f"SIG{name}"])
    except OSError as error:
        _fail(f"could not send signal {int(signal.Signals[f'SIG{name}'])} (PID: {number}): {error.strerror}")
