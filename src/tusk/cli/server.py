"""``tusk.Server``: a server as an object, for scripts and tests.

The server is a process of its own with everything a server has; this class makes its data directory, starts it, says
where it is, and stops it. As root it runs the server as an unprivileged user, because PostgreSQL refuses root.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from tusk.cli.serve import unprivileged_user

_POLL_S = 0.005
_PORT_ATTEMPTS = 5
_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
# What a server may forgo whose data nobody keeps. Settings given by the caller win.
_THROW_AWAY_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


class ServerError(RuntimeError):
    """The server, or initdb, did not do what was asked; the message has the end of its log."""


class Server:
    """A Tusk server that lives as long as this object is entered.

    ::

        with tusk.Server() as server, psycopg.connect(server.url) as connection:
            connection.execute("SELECT 1")

    Without ``data`` the server is a throw-away: its directory is temporary, is not synced to disk, and goes with the
    server. With ``data`` the directory is made on first use, kept, and as durable as its settings say.

    ``port`` None takes a free one; ``unix_only`` listens on the Unix socket alone. ``settings`` are configuration
    parameters for the command line. ``initdb_options`` go to initdb (``["-E", "LATIN1"]``). ``superuser`` and
    ``password`` are the first role's; a password makes scram-sha-256 the authentication method.
    """

    initdb_command: Sequence[str] = (sys.executable, "-m", "tusk.cli", "initdb")
    postgres_command: Sequence[str] = (sys.executable, "-m", "tusk.cli", "postgres")

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        *,
        port: int | None = None,
        host: str = "localhost",
        unix_only: bool = False,
        settings: Mapping[str, object] | None = None,
        initdb_options: Sequence[str] = (),
        superuser: str = "postgres",
        password: str | None = None,
        database: str = "postgres",
        timeout_s: float = 60.0,
    ) -> None:
        self.is_throw_away = data is None
        self.data = Path(data).absolute() if data is not None else Path()
        self.host = host
        self.unix_only = unix_only
        self.superuser = superuser
        self.password = password
        self.database = database
        self.timeout_s = timeout_s
        self.initdb_options = list(initdb_options)
        self.settings = {**(_THROW_AWAY_SETTINGS if self.is_throw_away else {}), **(settings or {})}
        self.port = port or 0
        self._fixed_port = port is not None
        self._home: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._owner_pid = os.getpid()
        self._user: pwd.struct_passwd | None = None
        if os.geteuid() == 0:
            self._user = unprivileged_user()
            if self._user is None:
                raise ServerError("a server does not run as root, and no unprivileged user was found to run it")

    # Where it is

    @property
    def home(self) -> Path:
        """The directory of the socket and the log; for a throw-away server also of the data."""
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="tusk-"))
            self._home.chmod(0o755)
            self._give_away(self._home)
            if self.is_throw_away:
                self.data = self._home / "data"
        return self._home

    @property
    def log_file(self) -> Path:
        """What the server wrote to its standard error."""
        return self.home / "log"

    @property
    def pid(self) -> int:
        """The postmaster's pid; an error where no server runs."""
        if self._process is None:
            raise ServerError("the server is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the postmaster lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        """A URL for libpq and everything that reads libpq's URLs."""
        return self.url_of(self.database)

    def url_of(self, database: str, user: str | None = None, password: str | None = None) -> str:
        """The URL of a database, as another user if one is named."""
        secret = password if password is not None else self.password if user is None else None
        who = quote(user or self.superuser, safe="") + (f":{quote(secret, safe='')}" if secret else "")
        path = quote(database, safe="")
        if self.unix_only:
            return f"postgresql://{who}@/{path}?{urlencode({'host': str(self.home), 'port': self.port})}"
        return f"postgresql://{who}@{self.host}:{self.port}/{path}"

    @property
    def environment(self) -> dict[str, str]:
        """PGHOST and its like, for client programs."""
        given = {
            "PGHOST": str(self.home) if self.unix_only else self.host,
            "PGUSER": self.superuser,
            "PGDATABASE": self.database,
        }
        if self.port:       # none is chosen yet while initdb runs, which takes PGPORT for a setting
            given["PGPORT"] = str(self.port)
        return {**given, "PGPASSWORD": self.password} if self.password else given

    # Life

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Make the cluster if there is none, start the server, and return when it accepts connections."""
        if self.is_running:
            return
        self.initialize()
        for attempt in range(_PORT_ATTEMPTS):
            if not self._fixed_port:
                self.port = _free_port()
            try:
                self._launch()
                return
            except ServerError:
                # Somebody else may have taken the port between our looking and the server's binding.
                in_use = "could not bind" in self.log_tail() or "lock file" in self.log_tail()
                if self._fixed_port or not in_use or attempt == _PORT_ATTEMPTS - 1:
                    raise

    def initialize(self) -> None:
        """Make the cluster, unless it is there."""
        home = self.home
        if (self.data / "PG_VERSION").exists():
            return
        if self._user is not None and not self.data.parent.exists():
            self.data.parent.mkdir(parents=True)
        if self._user is not None and not self.data.exists():
            self.data.mkdir(mode=0o700)
            self._give_away(self.data)
        options = ["-D", str(self.data), "-U", self.superuser, "--no-instructions"]
        if self.is_throw_away:
            options.append("--no-sync")
        password_file = home / "password"
        try:
            if self.password is not None:
                password_file.touch(mode=0o600)
                password_file.write_text(self.password + "\n")
                self._give_away(password_file)
                options += ["-A", "scram-sha-256", "--pwfile", str(password_file)]
            elif not any(option.startswith(("-A", "--auth")) for option in self.initdb_options):
                options += ["-A", "trust"]
            self.run([*self.initdb_command, *options, *self.initdb_options])
        finally:
            password_file.unlink(missing_ok=True)

    def _launch(self) -> None:
        given: dict[str, object] = {
            "unix_socket_directories": self.home,
            "listen_addresses": "" if self.unix_only else self.host,
            "port": self.port,
            **self.settings,
        }
        command = [*self.postgres_command, "-D", str(self.data)]
        for name, value in given.items():
            command += ["-c", f"{name}={_setting_text(value)}"]
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                cwd="/", env=self._child_environment(), **self._as_user(),
            )  # fmt: skip
        atexit.register(self._at_exit)
        self.wait_until(self._is_ready, "the server did not start")

    def _is_ready(self) -> bool:
        process = self._process
        assert process is not None
        status = process.poll()
        if status is not None:
            self._process = None
            raise ServerError(f"the server stopped with exit status {status}:\n{self.log_tail()}")
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() in ("ready", "standby")

    def stop(self, mode: str = "fast") -> int:
        """Shut down in the way named (smart, fast, immediate) and wait; returns the exit status."""
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(_STOP_SIGNALS[mode])
        try:
            status = process.wait(self.timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(f"the server did not stop in {self.timeout_s:g} s:\n{self.log_tail()}") from None
        self._process = None
        return status

    def restart(self, mode: str = "fast") -> None:
        """Stop and start."""
        self.stop(mode)
        self._fixed_port, fixed = True, self._fixed_port
        try:
            self.start()
        finally:
            self._fixed_port = fixed

    def reload(self) -> None:
        """Have the server read its configuration files again."""
        os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL the postmaster; its children notice and leave. For tests of crashes."""
        process = self._process
        if process is not None:
            process.kill()
            process.wait()
            self._process = None

    def close(self) -> None:
        """Stop the server; a throw-away server's directory goes too."""
        try:
            self.stop("immediate" if self.is_throw_away else "fast")
        finally:
            atexit.unregister(self._at_exit)
            if self._home is not None:
                shutil.rmtree(self._home, ignore_errors=True)
                self._home = None

    def _at_exit(self) -> None:
        # A forked child of the program that started the server inherits this object, but not the server.
        if os.getpid() == self._owner_pid:
            self.close()

    # Help

    def wait_until(self, condition: Callable[[], bool], message: str, timeout_s: float | None = None) -> None:
        """Poll until the condition holds; ServerError with the log's end after the timeout."""
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        while not condition():
            if time.monotonic() > deadline:
                raise ServerError(f"{message}:\n{self.log_tail()}")
            time.sleep(_POLL_S)

    def log_tail(self, size: int = 4000) -> str:
        """The end of what the server logged since its last start."""
        try:
            content = self.log_file.read_bytes()[self._log_start :]
        except OSError:
            return ""
        return content[-size:].decode(errors="replace")

    def run(
        self, command: Sequence[str], *, check: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as the server's user, with the environment that leads clients here."""
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, cwd="/", check=False,
            env={**self._child_environment(), **self.environment}, **{**self._as_user(), **options},
        )  # fmt: skip
        if check and done.returncode:
            raise ServerError(f"{command[0]} failed with exit status {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def _child_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        if self._user is not None:
            kept["HOME"] = str(self.home)
        return kept

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _give_away(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)


def _setting_text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
