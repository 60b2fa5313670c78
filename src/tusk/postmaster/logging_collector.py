"""The postmaster's side of the logger: the pipe, the first log file, starting the process and starting it again."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tusk.auxiliary.logger import (
    CURRENT_LOGFILES,
    ROTATE_SIGNAL_FILE,
    Logger,
    log_file_name,
    make_log_directory,
    open_log_file,
)
from tusk.config import settings
from tusk.errors import Fatal, Severity, errcode, report
from tusk.memory._segment import destroy_segment
from tusk.postmaster.launch import fork_child
from tusk.stats import serverlog
from tusk.stats.backend_types import BackendType
from tusk.stats.log_pipe import DEST_CSVLOG, DEST_JSONLOG, DEST_STDERR


class LoggingCollector:
    """The logger of a server, or nothing where ``logging_collector`` is off."""

    def __init__(self, close_inherited: Callable[[], None]) -> None:
        self.pid = 0
        self._close_inherited = close_inherited
        self._pipe: tuple[int, int] | None = None
        self._first_time = 0.0

    def start(self) -> None:
        """First start: make pipe and directory, see that files can be opened, and move standard error to the pipe."""
        Path(ROTATE_SIGNAL_FILE).unlink(missing_ok=True)
        if not settings.logging_collector:
            Path(CURRENT_LOGFILES).unlink(missing_ok=True)
            self._end_start()
            return
        make_log_directory()
        self._pipe = os.pipe()
        self._first_time = time.time()
        for kind in (DEST_STDERR, DEST_CSVLOG, DEST_JSONLOG):
            if kind == DEST_STDERR or serverlog.destinations() & kind:
                self._check_file(log_file_name(self._first_time, kind))
        self._launch()
        report(
            Severity.LOG,
            "redirecting log output to logging collector process",
            hint=f'Future log output will appear in directory "{settings.log_directory}".',
        )
        sys.stdout.flush()
        sys.stderr.flush()
        for fd in (1, 2):
            os.dup2(self._pipe[1], fd)
        serverlog.set_redirected()
        self._end_start()

    @staticmethod
    def _end_start() -> None:
        if not serverlog.destinations() & DEST_STDERR:
            report(
                Severity.LOG,
                "ending log output to stderr",
                hint=f'Future log output will go to log destination "{settings.log_destination}".',
            )
        serverlog.end_of_start()

    @staticmethod
    def _check_file(name: str) -> None:
        """Where the file cannot be opened, the server does not start."""
        try:
            open_log_file(name, "a").close()
        except OSError as error:
            code = errcode.UNDEFINED_FILE if error.errno == 2 else errcode.INTERNAL_ERROR
            raise Fatal(code, f'could not open log file "{name}": {error.strerror}') from error

    def _launch(self) -> None:
        assert self._pipe is not None
        logger = Logger(*self._pipe, self._first_time)

        def prepare() -> None:
            self._close_inherited()
            destroy_segment()

        try:
            self.pid = fork_child(BackendType.LOGGER, logger.main, prepare)
        except OSError as error:
            report(Severity.LOG, f"could not fork logger process: {error.strerror}")

    def restart(self) -> None:
        """The process has died: start another on the same pipe; what is in the pipe waits for it."""
        self.pid = 0
        self._launch()

    def close_in_child(self) -> None:
        """Another child: only the logger reads, and standard error is the way in."""
        if self._pipe is not None:
            for fd in self._pipe:
                os.close(fd)
            self._pipe = None

    def signal(self, number: int) -> None:
        """Signal the process if it runs."""
        if self.pid:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def rotate_if_file_asks(self) -> bool:
        """``pg_ctl logrotate`` leaves a file; whether it was there."""
        path = Path(ROTATE_SIGNAL_FILE)
        if not path.exists():
            return False
        self.signal(signal.SIGUSR1)
        path.unlink(missing_ok=True)
        return True
