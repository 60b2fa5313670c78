"""The postmaster: listens, forks, reaps, and brings the server up, down and back after a crash.

Single-threaded, one event loop; it takes no lock, reads no shared buffer, and survives whatever a child does. The
states and their order are PostgreSQL's (docs: reference of processes, "Postmaster states").
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from tusk.auxiliary import autovacuum_shared
from tusk.backend import main as backend_main
from tusk.backend import template
from tusk.backend.hba import HbaLine, IdentLine, load_rules, parse_ident_file
from tusk.config import settings
from tusk.config.files import load_config_files
from tusk.errors import Fatal, Severity, errcode, report
from tusk.memory import _hugepages, _latch, _procsignal, _segment
from tusk.postmaster import lockfile
from tusk.postmaster.kinds import KINDS, ExitPolicy
from tusk.postmaster.launch import fork_child
from tusk.postmaster.logging_collector import LoggingCollector
from tusk.postmaster.settings import settle_shared_memory_size, warn_of_settings_without_effect
from tusk.postmaster.sockets import Listeners
from tusk.postmaster.spares import Spares
from tusk.stats import session_info
from tusk.stats.backend_types import BackendType
from tusk.wal import _control

_LOCK_FILE_CHECK_S = 60.0
_SOCKET_TOUCH_S = 58 * 60.0
_MAX_SLEEP_S = 60.0
_KILL_AFTER_S = 5.0
_UNIX_TO_PG_SECONDS = 946_684_800


class State(IntEnum):
    """What the server as a whole is doing."""

    PM_INIT = 0
    PM_STARTUP = 1
    PM_RECOVERY = 2
    PM_HOT_STANDBY = 3
    PM_RUN = 4
    PM_STOP_BACKENDS = 5
    PM_WAIT_BACKENDS = 6
    PM_WAIT_XLOG_SHUTDOWN = 7
    PM_WAIT_XLOG_ARCHIVAL = 8
    PM_WAIT_IO_WORKERS = 9
    PM_WAIT_CHECKPOINTER = 10
    PM_WAIT_DEAD_END = 11
    PM_NO_CHILDREN = 12


class Shutdown(IntEnum):
    """The strongest shutdown asked for."""

    NONE = 0
    SMART = 1
    FAST = 2
    IMMEDIATE = 3


class StartupStatus(IntEnum):
    """What became of the startup process."""

    NOT_RUNNING = 0
    RUNNING = 1
    SIGNALED = 2
    CRASHED = 3


@dataclass(slots=True)
class Child:
    """A live child."""

    pid: int
    backend_type: BackendType


_AUXILIARY_TO_STOP = (
    BackendType.BG_WRITER, BackendType.WAL_WRITER, BackendType.STARTUP, BackendType.SESSION_TEMPLATE,
    BackendType.AUTOVAC_LAUNCHER, BackendType.AUTOVAC_WORKER,
)  # fmt: skip
# A server that gets fewer connections is not worth a process that prepares for more.
_CONNECTIONS_BEFORE_TEMPLATE = 6


class Postmaster:
    """One running server."""

    def __init__(self, data_directory: Path, config_file: Path, arguments: list[str]) -> None:
        self.data_directory = data_directory
        self.config_file = config_file
        self.arguments = arguments
        self.state = State.PM_INIT
        self.shutdown = Shutdown.NONE
        self.connections_allowed = True
        self.fatal_error = False
        self.startup_status = StartupStatus.NOT_RUNNING
        self.abort_started: float | None = None
        self.children: dict[int, Child] = {}
        self.listeners = Listeners()
        self.selector = selectors.DefaultSelector()
        self.pid_file: lockfile.LockFile | None = None
        self.interlock: tuple[int, int] | None = None
        self.rules: list[HbaLine] = []
        self.mappings: list[IdentLine] = []
        self.exit_status: int | None = None
        self._signals: set[int] = set()
        self._wakeup_read, self._wakeup_write = socket.socketpair()
        self._next_lock_check = 0.0
        self._next_touch = 0.0
        self._auxiliary: dict[BackendType, int] = {}
        self.autovacuum_wanted = False
        self.logging = LoggingCollector(self._close_inherited)
        self._spares: Spares | None = None
        self._nforked = 0
        self._early_exits: dict[int, int] = {}      # spares that ended before the template told of them

    # Starting

    def run(self) -> int:
        """Start the server and supervise it until it stops; returns the exit status."""
        os.umask(0o077 if not self.data_directory.stat().st_mode & 0o050 else 0o027)
        self.pid_file = lockfile.create_data_directory_lock(self.data_directory)
        try:
            self._initialize()
            self._loop()
        except Fatal:
            self._clean_up()
            raise
        self._clean_up()
        return self.exit_status or 0

    def _initialize(self) -> None:
        assert self.pid_file is not None
        rules = load_rules(self._file_setting(settings.hba_file, "pg_hba.conf"))
        if rules is None:
            raise Fatal(errcode.CONFIG_FILE_ERROR, f"could not load {settings.hba_file}")
        self.rules = rules
        ident = self._file_setting(settings.ident_file, "pg_ident.conf")
        self.mappings = parse_ident_file(ident) if ident.exists() else []
        self.logging.start()
        report(Severity.LOG, f"starting {backend_main.version_string()}")
        session_info.set_postmaster_start(int((time.time() - _UNIX_TO_PG_SECONDS) * 1_000_000))
        self.pid_file.set_line(lockfile.LINE_PORT, str(settings.port))
        self.listeners.open(self.data_directory)
        self.pid_file.set_line(lockfile.LINE_SOCKET_DIR, self.listeners.first_directory)
        self.pid_file.set_line(lockfile.LINE_LISTEN_ADDR, self.listeners.first_address)
        self.interlock = lockfile.create_interlock_segment(self.data_directory)
        if self.interlock is not None:
            self.pid_file.set_line(lockfile.LINE_SHMEM_KEY, "{:9d} {:9d}".format(*self.interlock))
        self.pid_file.set_line(lockfile.LINE_STATUS, lockfile.STATUS_STARTING)
        if settings.external_pid_file:
            Path(settings.external_pid_file).write_text(f"{os.getpid()}\n")
        lockfile.write_opts_file(self.data_directory, self.arguments)
        backend_main.preload()
        if settings.huge_pages != "off" and "tusk._bundle" in sys.modules:
            _hugepages.move_text(str(sys.modules["tusk._bundle"].__file__))
        _control.load()
        _segment.create_segment(settings)
        settle_shared_memory_size(sum(area.allocated_size for area in _segment.areas()))
        _latch.create_death_watch()
        self._install_signals()
        gc.collect()
        gc.freeze()
        self._next_lock_check = time.monotonic() + _LOCK_FILE_CHECK_S
        self._next_touch = time.monotonic() + _SOCKET_TOUCH_S
        self._begin_startup()

    def _file_setting(self, value: str | None, default: str) -> Path:
        return self.data_directory / (value or default)

    def _install_signals(self) -> None:
        self._wakeup_read.setblocking(False)
        self._wakeup_write.setblocking(False)
        signal.set_wakeup_fd(self._wakeup_write.fileno(), warn_on_full_buffer=False)
        for number in (
            signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
            signal.SIGCHLD,
        ):  # fmt: skip
            signal.signal(number, self._note_signal)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self.selector.register(self._wakeup_read, selectors.EVENT_READ, self._drain_wakeups)
        for sock in self.listeners.sockets:
            self.selector.register(sock, selectors.EVENT_READ, self._accept)

    def _note_signal(self, number: int, _frame: Any) -> None:
        self._signals.add(number)

    def _drain_wakeups(self, sock: socket.socket) -> None:
        try:
            while sock.recv(4096):
                continue
        except BlockingIOError:
            return

    def _begin_startup(self) -> None:
        """Launch what must run for recovery: checkpointer, background writer, startup process."""
        self._set_state(State.PM_STARTUP)
        self._ensure_auxiliary()
        self._start(BackendType.STARTUP)
        self.startup_status = StartupStatus.RUNNING

    # The loop

    def _loop(self) -> None:
        while self.exit_status is None:
            for key, _ in self.selector.select(self._sleep_seconds()):
                key.data(key.fileobj)
            self._serve_signals()
            self._periodic()

    def _sleep_seconds(self) -> float:
        now = time.monotonic()
        if self.abort_started is not None:
            return max(0.0, min(_MAX_SLEEP_S, self.abort_started + _KILL_AFTER_S - now))
        if self._signals:
            return 0.0
        return max(0.0, min(_MAX_SLEEP_S, self._next_lock_check - now))

    def _serve_signals(self) -> None:
        """Serve what the handlers noted; reaping first, so that decisions see who is left."""
        pending, self._signals = self._signals, set()
        if signal.SIGCHLD in pending:
            self._reap()
        if signal.SIGQUIT in pending:
            self._request_shutdown(Shutdown.IMMEDIATE)
        if signal.SIGINT in pending:
            self._request_shutdown(Shutdown.FAST)
        if signal.SIGTERM in pending:
            self._request_shutdown(Shutdown.SMART)
        if signal.SIGHUP in pending:
            self._reload()
        if signal.SIGUSR1 in pending:
            self._serve_children()
        if pending:
            self._advance()

    def _periodic(self) -> None:
        now = time.monotonic()
        if self.abort_started is not None and now - self.abort_started >= _KILL_AFTER_S:
            report(Severity.LOG, "issuing SIGKILL to recalcitrant children")
            self._signal_children(signal.SIGKILL)
            self.abort_started = None
        if now >= self._next_lock_check:
            self._next_lock_check = now + _LOCK_FILE_CHECK_S
            if self.pid_file is not None and not self.pid_file.is_still_mine():
                report(
                    Severity.LOG,
                    "performing immediate shutdown because data directory lock file is invalid",
                )
                self._request_shutdown(Shutdown.IMMEDIATE)
        if now >= self._next_touch:
            self._next_touch = now + _SOCKET_TOUCH_S
            self.listeners.touch()

    # Connections

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            report(Severity.LOG, f"could not accept new connection: {error.strerror}")
            time.sleep(0.1)     # out of descriptors: do not spin on the ready socket
            return
        refusal = self._refusal()
        kind = BackendType.BACKEND if refusal is None else BackendType.DEAD_END_BACKEND
        accepted_at = time.time()
        if refusal is None and self._spares is not None and self._spares.hand_over(client, accepted_at):
            client.close()
            return

        def run() -> None:
            backend_main.run(client, address, refusal, self.rules, self.mappings, accepted_at)

        def prepare() -> None:
            self._close_inherited()
            self.logging.close_in_child()

        try:
            pid = fork_child(kind, run, prepare)
        except OSError as error:
            report(Severity.LOG, f"could not fork new process for connection: {error.strerror}")
            self._say_fork_failed(client, error)
        else:
            self.children[pid] = Child(pid, kind)
            if refusal is None:
                self._nforked += 1
                self._start_template_if_worth_it()
        finally:
            client.close()

    @staticmethod
    def _say_fork_failed(client: socket.socket, error: OSError) -> None:
        """The one thing the postmaster itself ever says to a client: nobody else can."""
        client.setblocking(False)
        try:
            client.send(f"Ecould not fork new process for connection: {error.strerror}\n\0".encode())
        except OSError:
            return

    def _refusal(self) -> Fatal | None:
        """Why a new connection cannot be served now, or None."""
        if self.shutdown >= Shutdown.SMART or not self.connections_allowed:
            return Fatal(errcode.CANNOT_CONNECT_NOW, "the database system is shutting down")
        if self.state not in (State.PM_RUN, State.PM_HOT_STANDBY):
            if self.state == State.PM_STARTUP and not self.fatal_error:
                return Fatal(errcode.CANNOT_CONNECT_NOW, "the database system is starting up")
            if self.state == State.PM_RECOVERY and not self.fatal_error:
                return Fatal(
                    errcode.CANNOT_CONNECT_NOW,
                    "the database system is not yet accepting connections",
                    detail="Consistent recovery state has not been yet reached.",
                )
            return Fatal(errcode.CANNOT_CONNECT_NOW, "the database system is in recovery mode")
        limit = 2 * (settings.max_connections + settings.max_wal_senders)
        nidle = max(self._spares.nidle, 0) if self._spares is not None else 0
        if len(self.children) > limit and limit <= (
            sum(child.backend_type == BackendType.BACKEND for child in self.children.values()) - nidle
        ):
            return Fatal(errcode.TOO_MANY_CONNECTIONS, "sorry, too many clients already")
        return None

    def _close_inherited(self) -> None:
        """In a child: what only the postmaster may hold."""
        self.selector.close()
        self.listeners.close()
        self._wakeup_read.close()
        self._wakeup_write.close()
        self.children.clear()
        if self._spares is not None:
            self._spares.close_in_child()

    # Spare backends

    def _start_template_if_worth_it(self) -> None:
        if self._spares is not None or self._nforked < _CONNECTIONS_BEFORE_TEMPLATE or self.state != State.PM_RUN:
            return
        spares = Spares(self._spare_forked)
        rules, mappings = self.rules, self.mappings

        def run() -> None:
            template.main(spares.control_end, spares.queue_end, rules, mappings)

        def prepare() -> None:
            self._prepare_child()
            spares.close_in_template()

        try:
            pid = fork_child(BackendType.SESSION_TEMPLATE, run, prepare)
        except OSError as error:
            report(Severity.LOG, f"could not fork session template process: {error.strerror}")
            self._nforked = 0
            return
        self.children[pid] = Child(pid, BackendType.SESSION_TEMPLATE)
        self._auxiliary[BackendType.SESSION_TEMPLATE] = pid
        self._spares = spares
        spares.started(pid)
        self.selector.register(spares.control, selectors.EVENT_READ, self._hear_template)

    def _hear_template(self, _sock: socket.socket) -> None:
        if self._spares is not None and not self._spares.hear():
            self._retire_spares()

    def _spare_forked(self, pid: int) -> None:
        child = Child(pid, BackendType.BACKEND)
        self.children[pid] = child
        status = self._early_exits.pop(pid, None)
        if status is not None:
            del self.children[pid]
            self._child_exited(child, status)
        elif self.fatal_error or self.shutdown == Shutdown.IMMEDIATE:
            os.kill(pid, signal.SIGQUIT)

    def _retire_spares(self) -> None:
        """Let the template and the idle spares go; those with a client stay."""
        spares, self._spares = self._spares, None
        if spares is None:
            return
        spares.hear()           # who was forked last
        self.selector.unregister(spares.control)
        spares.retire()
        self._nforked = 0

    def _prepare_child(self) -> None:
        self._close_inherited()
        self.logging.close_in_child()

    # Children

    def _start(self, backend_type: BackendType) -> int | None:
        kind = KINDS[backend_type]
        assert kind.main is not None
        try:
            pid = fork_child(backend_type, kind.main, self._prepare_child)
        except OSError as error:
            report(Severity.LOG, f"could not fork {kind.log_name}: {error.strerror}")
            if backend_type == BackendType.STARTUP:
                self._exit(1)
            return None
        self.children[pid] = Child(pid, backend_type)
        self._auxiliary[backend_type] = pid
        return pid

    def _ensure_auxiliary(self) -> None:
        """Launch the auxiliary processes that the present state calls for and that are not running."""
        if self.fatal_error and self.state not in (State.PM_STARTUP, State.PM_RECOVERY):
            return
        wanted: list[BackendType] = []
        if self.state in (State.PM_STARTUP, State.PM_RECOVERY, State.PM_HOT_STANDBY, State.PM_RUN):
            wanted += [BackendType.CHECKPOINTER, BackendType.BG_WRITER]
        if self.state == State.PM_RUN:
            wanted.append(BackendType.WAL_WRITER)
            if autovacuum_shared.is_active() or self.autovacuum_wanted:
                wanted.append(BackendType.AUTOVAC_LAUNCHER)
        for backend_type in wanted:
            if backend_type not in self._auxiliary and self._start(backend_type) is not None and (
                backend_type == BackendType.AUTOVAC_LAUNCHER
            ):
                self.autovacuum_wanted = False

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.logging.pid:
                self._logger_exited(pid, status)
                continue
            child = self.children.pop(pid, None)
            if child is None and self._spares is not None:
                self._early_exits[pid] = status
            if child is not None:
                if self._auxiliary.get(child.backend_type) == pid:
                    del self._auxiliary[child.backend_type]
                self._child_exited(child, status)

    def _logger_exited(self, pid: int, status: int) -> None:
        """Not attached to shared memory, so its death harms nobody; the pipe keeps what the next one has to write."""
        self.logging.restart()
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            self._log_exit(Child(pid, BackendType.LOGGER), code)

    def _child_exited(self, child: Child, status: int) -> None:
        kind = KINDS[child.backend_type]
        code = os.waitstatus_to_exitcode(status)
        match kind.policy:
            case ExitPolicy.STARTUP:
                self._startup_exited(child, code)
            case ExitPolicy.SESSION:
                if child.backend_type != BackendType.DEAD_END_BACKEND and code not in (0, 1):
                    self._crashed(child, code)
            case ExitPolicy.RESTART:
                if code != 0:
                    self._crashed(child, code)
            case ExitPolicy.TEMPLATE:
                if self._spares is not None and self._spares.pid == child.pid:
                    self._retire_spares()
                    self._early_exits.clear()
                if code not in (0, 1):
                    self._crashed(child, code)
            case ExitPolicy.LAST_ACT:
                if code == 0 and self.state == State.PM_WAIT_CHECKPOINTER:
                    self._set_state(State.PM_WAIT_DEAD_END)
                elif not (self.fatal_error and self.state >= State.PM_WAIT_BACKENDS):
                    self._crashed(child, code)
        if not self.fatal_error and self.shutdown == Shutdown.NONE:
            self._ensure_auxiliary()

    def _startup_exited(self, child: Child, code: int) -> None:
        if self.shutdown > Shutdown.NONE and code in (0, 1):
            self.startup_status = StartupStatus.NOT_RUNNING
            if self.state in (State.PM_STARTUP, State.PM_RECOVERY):
                self._set_state(State.PM_WAIT_BACKENDS)
            return
        if code == 3:
            report(Severity.LOG, "shutdown at recovery target")
            self.startup_status = StartupStatus.NOT_RUNNING
            self.shutdown = max(self.shutdown, Shutdown.SMART)
            self._stop_backends()
            return
        if code == 0:
            self.startup_status = StartupStatus.NOT_RUNNING
            self.fatal_error = False
            self.abort_started = None
            self.connections_allowed = True
            self._set_state(State.PM_RUN)
            self._ensure_auxiliary()
            report(Severity.LOG, "database system is ready to accept connections")
            assert self.pid_file is not None
            self.pid_file.set_line(lockfile.LINE_STATUS, lockfile.STATUS_READY)
            return
        if self.state == State.PM_STARTUP and self.startup_status != StartupStatus.SIGNALED:
            self._log_exit(child, code)
            report(Severity.LOG, "aborting startup due to startup process failure")
            self._kill_rest()
            self._exit(1)
            return
        if self.startup_status == StartupStatus.SIGNALED:
            self.startup_status = StartupStatus.NOT_RUNNING
        else:
            self.startup_status = StartupStatus.CRASHED
        self._crashed(child, code)

    def _log_exit(self, child: Child, code: int) -> None:
        kind = KINDS[child.backend_type]
        name = kind.log_name
        detail = None
        activity = backend_main.last_activity(child.pid) if kind.policy == ExitPolicy.SESSION else ""
        if activity:
            detail = f"Failed process was running: {activity}"
        if code < 0:
            what = f"was terminated by signal {-code}: {signal.strsignal(-code)}"
        else:
            what = f"exited with exit code {code}"
        report(Severity.LOG, f"{name} (PID {child.pid}) {what}", detail=detail)

    def _crashed(self, child: Child, code: int) -> None:
        """A process attached to shared memory died badly: end all others, then start over from the WAL."""
        first = not self.fatal_error and self.shutdown != Shutdown.IMMEDIATE
        if first:
            self._log_exit(child, code)
            report(Severity.LOG, "terminating any other active server processes")
        if self.shutdown != Shutdown.IMMEDIATE:
            self.fatal_error = True
        self._retire_spares()
        self._quit_children(_procsignal.QUIT_FOR_CRASH)
        if self.state in (
            State.PM_STARTUP, State.PM_RECOVERY, State.PM_HOT_STANDBY, State.PM_RUN, State.PM_STOP_BACKENDS,
        ) or self.state in (
            State.PM_WAIT_XLOG_SHUTDOWN, State.PM_WAIT_XLOG_ARCHIVAL, State.PM_WAIT_IO_WORKERS,
            State.PM_WAIT_CHECKPOINTER,
        ):  # fmt: skip
            self._set_state(State.PM_WAIT_BACKENDS)
        if self.abort_started is None:
            self.abort_started = time.monotonic()

    def _quit_children(self, reason: int) -> None:
        _procsignal.set_quit_signal_reason(reason)
        if self.startup_status == StartupStatus.RUNNING:
            self.startup_status = StartupStatus.SIGNALED
        number = signal.SIGABRT if settings.send_abort_for_crash else signal.SIGQUIT
        self._signal_children(number)

    def _signal_children(self, number: int, *kinds: BackendType) -> None:
        """Signal children (of those kinds); the strong signals go to their process groups too."""
        for child in self.children.values():
            if kinds and child.backend_type not in kinds:
                continue
            try:
                os.kill(child.pid, number)
                if number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL, signal.SIGABRT):
                    os.killpg(child.pid, number)
            except ProcessLookupError:
                continue

    def _kill_rest(self) -> None:
        """Leave nobody behind when the server gives up."""
        _procsignal.set_quit_signal_reason(_procsignal.QUIT_FOR_STOP)
        self._signal_children(signal.SIGQUIT)
        deadline = time.monotonic() + _KILL_AFTER_S
        while self.children:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid:
                self.children.pop(pid, None)
            elif time.monotonic() > deadline:
                self._signal_children(signal.SIGKILL)
                deadline = float("inf")
            else:
                time.sleep(0.005)

    def _serve_children(self) -> None:
        """SIGUSR1: a child asks for something, or pg_ctl left a signal file."""
        if _procsignal.check_postmaster_signal(_procsignal.RECOVERY_STARTED) and (
            self.state == State.PM_STARTUP and self.shutdown == Shutdown.NONE
        ):
            self.fatal_error = False
            self.abort_started = None
            self._set_state(State.PM_RECOVERY)
        if _procsignal.check_postmaster_signal(_procsignal.XLOG_IS_SHUTDOWN) and (
            self.state == State.PM_WAIT_XLOG_SHUTDOWN
        ):
            self._set_state(State.PM_WAIT_XLOG_ARCHIVAL)
        if _procsignal.check_postmaster_signal(_procsignal.ROTATE_LOGFILE) and not self.logging.rotate_if_file_asks():
            self.logging.signal(signal.SIGUSR1)
        self.logging.rotate_if_file_asks()
        _procsignal.check_postmaster_signal(_procsignal.ADVANCE_STATE_MACHINE)
        serving = self.shutdown <= Shutdown.SMART and self.state < State.PM_STOP_BACKENDS
        if _procsignal.check_postmaster_signal(_procsignal.START_AUTOVAC_LAUNCHER) and serving:
            # Somebody saw ids running low: a launcher is needed even if autovacuum is off.
            self.autovacuum_wanted = True
            self._ensure_auxiliary()
        if _procsignal.check_postmaster_signal(_procsignal.START_AUTOVAC_WORKER) and serving:
            self._start_autovacuum_worker()

    def _start_autovacuum_worker(self) -> None:
        """The launcher has filled in what a worker is to do; tell it if there will be none."""
        kind = KINDS[BackendType.AUTOVAC_WORKER]
        assert kind.main is not None
        if self.state != State.PM_RUN or self.fatal_error:
            return
        try:
            pid = fork_child(BackendType.AUTOVAC_WORKER, kind.main, self._close_inherited)
        except OSError as error:
            report(Severity.LOG, f"could not fork autovacuum worker process: {error.strerror}")
            autovacuum_shared.note_fork_failure()
            return
        self.children[pid] = Child(pid, BackendType.AUTOVAC_WORKER)

    # Stopping

    def _request_shutdown(self, mode: Shutdown) -> None:
        if mode <= self.shutdown:
            return
        self.shutdown = mode
        self._retire_spares()
        report(Severity.LOG, f"received {mode.name.lower()} shutdown request")
        assert self.pid_file is not None
        self.pid_file.set_line(lockfile.LINE_STATUS, lockfile.STATUS_STOPPING)
        if mode == Shutdown.SMART:
            if self.state in (State.PM_RUN, State.PM_HOT_STANDBY):
                self.connections_allowed = False
            elif self.state in (State.PM_STARTUP, State.PM_RECOVERY):
                self._stop_backends()
        elif mode == Shutdown.FAST:
            if self.state in (State.PM_STARTUP, State.PM_RECOVERY):
                self._stop_backends()
            elif self.state in (State.PM_RUN, State.PM_HOT_STANDBY):
                report(Severity.LOG, "aborting any active transactions")
                self._stop_backends()
        else:
            self._quit_children(_procsignal.QUIT_FOR_STOP)
            self._set_state(State.PM_WAIT_BACKENDS)
            if self.abort_started is None:
                self.abort_started = time.monotonic()

    def _stop_backends(self) -> None:
        self._set_state(State.PM_STOP_BACKENDS)
        self._signal_children(signal.SIGTERM, BackendType.BACKEND, *_AUXILIARY_TO_STOP)
        if self.startup_status == StartupStatus.RUNNING:
            self.startup_status = StartupStatus.SIGNALED
        self._set_state(State.PM_WAIT_BACKENDS)

    def _advance(self) -> None:
        """Move on through the states while their conditions hold."""
        while True:
            before = self.state
            self._advance_once()
            if self.state == before or self.exit_status is not None:
                return

    def _advance_once(self) -> None:
        left = {child.backend_type for child in self.children.values()}
        match self.state:
            case State.PM_RUN | State.PM_HOT_STANDBY:
                if not self.connections_allowed and BackendType.BACKEND not in left:
                    self._stop_backends()
            case State.PM_WAIT_BACKENDS:
                self._advance_from_wait_backends(left)
            case State.PM_WAIT_XLOG_ARCHIVAL:
                # Room for the archiver and WAL senders: they get SIGUSR2 here and are waited for.
                self._set_state(State.PM_WAIT_IO_WORKERS)
            case State.PM_WAIT_IO_WORKERS:
                self._set_state(State.PM_WAIT_CHECKPOINTER)
                self._signal_children(signal.SIGUSR2, BackendType.CHECKPOINTER)
            case State.PM_WAIT_DEAD_END:
                if not left:
                    self._set_state(State.PM_NO_CHILDREN)
            case State.PM_NO_CHILDREN:
                self._all_gone()

    def _advance_from_wait_backends(self, left: set[BackendType]) -> None:
        clean = not self.fatal_error and self.shutdown < Shutdown.IMMEDIATE
        stay = {BackendType.DEAD_END_BACKEND}
        if clean:
            stay.add(BackendType.CHECKPOINTER)
        if left - stay:
            return
        if not clean:
            self._set_state(State.PM_WAIT_DEAD_END)
            return
        if BackendType.CHECKPOINTER not in self._auxiliary:
            self._start(BackendType.CHECKPOINTER)
        self._signal_children(signal.SIGINT, BackendType.CHECKPOINTER)
        self._set_state(State.PM_WAIT_XLOG_SHUTDOWN)

    def _all_gone(self) -> None:
        """No children left: stop, give up, or start over after a crash."""
        if self.startup_status == StartupStatus.CRASHED:
            report(Severity.LOG, "shutting down due to startup process failure")
            self._exit(1)
        elif self.shutdown > Shutdown.NONE:
            if self.fatal_error:
                report(Severity.LOG, "abnormal database system shutdown")
                self._exit(1)
            else:
                self._exit(0)
        elif not settings.restart_after_crash:
            report(Severity.LOG, 'shutting down because "restart_after_crash" is off')
            self._exit(1)
        else:
            report(Severity.LOG, "all server processes terminated; reinitializing")
            self.abort_started = None
            self.autovacuum_wanted = False
            _control.load()
            _segment.reinitialize_segment()
            self._begin_startup()

    def _exit(self, status: int) -> None:
        self.exit_status = status

    # The rest

    def _reload(self) -> None:
        if self.shutdown > Shutdown.SMART:
            return
        report(Severity.LOG, "received SIGHUP, reloading configuration files")
        # Who was forked before knows the old rules.
        self._retire_spares()
        load_config_files(self.data_directory, self.config_file, is_reload=True, log_changes=True)
        warn_of_settings_without_effect()
        self._signal_children(signal.SIGHUP)
        self.logging.signal(signal.SIGHUP)
        hba_file = self._file_setting(settings.hba_file, "pg_hba.conf")
        rules = load_rules(hba_file)
        if rules is None:
            report(Severity.LOG, f"{hba_file} was not reloaded")
        else:
            self.rules = rules
        ident_file = self._file_setting(settings.ident_file, "pg_ident.conf")
        mappings = parse_ident_file(ident_file) if ident_file.exists() else []
        if any(mapping.error for mapping in mappings):
            report(Severity.LOG, f"{ident_file} was not reloaded")
        else:
            self.mappings = mappings
        # Autovacuum may have been turned on.
        self._ensure_auxiliary()

    def _set_state(self, state: State) -> None:
        report(Severity.DEBUG1, f"updating PMState from {self.state.name} to {state.name}")
        self.state = state

    def _clean_up(self) -> None:
        """Take away the files that say a server is here."""
        self.listeners.remove_files()
        self.listeners.close()
        if self.interlock is not None:
            lockfile.remove_interlock_segment(self.interlock[1])
        if settings.external_pid_file:
            Path(settings.external_pid_file).unlink(missing_ok=True)
        report(Severity.LOG, "database system is shut down")
        if self.pid_file is not None:
            self.pid_file.remove()
        sys.stderr.flush()
