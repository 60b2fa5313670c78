"""The logger: collects what all processes write into the pipe, and keeps the log files (postmaster/syslogger.h).

Not attached to shared memory and under no lock: it outlives a crash of the others, and when it dies itself, another one
is started on the same pipe. It ignores the signals that stop a server and ends when the last writer of the pipe is
gone, so nothing is lost at shutdown. SIGHUP reloads, SIGUSR1 begins new files.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass, field
from datetime import datetime
from io import FileIO
from pathlib import Path
from types import FrameType

from tusk.config import settings
from tusk.config.files import load_config_files
from tusk.errors import Severity, errcode, report
from tusk.stats import log_record, serverlog
from tusk.stats.log_pipe import DEST_CSVLOG, DEST_JSONLOG, DEST_STDERR, DESTINATIONS, Assembler

CURRENT_LOGFILES = "current_logfiles"
ROTATE_SIGNAL_FILE = "logrotate"
_READ_SIZE = 65536
_SUFFIXES = {DEST_STDERR: "", DEST_CSVLOG: ".csv", DEST_JSONLOG: ".json"}
_NAMES = {DEST_STDERR: "stderr", DEST_CSVLOG: "csvlog", DEST_JSONLOG: "jsonlog"}
_OUT_OF_DESCRIPTORS = (23, 24)      # ENFILE, EMFILE: may pass


def log_file_name(moment: float, destination: int) -> str:
    """The path of a log file that begins at this time: ``log_filename`` expanded, in ``log_directory``."""
    stamp = datetime.fromtimestamp(moment, log_record.log_zone())
    name = stamp.strftime(settings.log_filename)
    if destination != DEST_STDERR:
        name = name.removesuffix(".log") + _SUFFIXES[destination]
    return os.path.join(settings.log_directory, name)


def open_log_file(path: str, mode: str) -> FileIO:
    """Open a log file with the permissions of ``log_file_mode``."""
    mask = os.umask(~(settings.log_file_mode | 0o200) & 0o777)
    try:
        return FileIO(path, mode)
    finally:
        os.umask(mask)


def make_log_directory() -> None:
    """``log_directory`` is made if its parent is there; opening a file in it says what is wrong."""
    try:
        os.mkdir(settings.log_directory, 0o700 if not os.stat(".").st_mode & 0o050 else 0o750)
    except OSError:
        return


def next_rotation_time(now: float) -> float:
    """When the present files are old enough: the next multiple of ``log_rotation_age`` in local time; 0 for never."""
    if settings.log_rotation_age <= 0:
        return 0.0
    interval = settings.log_rotation_age * 60
    offset = datetime.fromtimestamp(now, log_record.log_zone()).utcoffset()
    west = int(offset.total_seconds()) if offset else 0
    local = int(now) + west
    return float(local - local % interval + interval - west)


@dataclass(slots=True)
class LogFile:
    """The open file of one destination."""

    file: FileIO | None = None
    name: str = ""          # of the last file, also after it was closed

    def write(self, data: bytes) -> None:
        """Append."""
        if self.file is None:
            return
        try:
            while data:
                data = data[self.file.write(data) :]
        except OSError as error:
            # Not through report(): it would come back here.
            os.write(2, f"could not write to log file: {error.strerror}\n".encode())

    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self.file.fileno()).st_size if self.file is not None else 0

    def close(self) -> None:
        """Close it and forget its name."""
        if self.file is not None:
            self.file.close()
        self.file, self.name = None, ""


@dataclass(slots=True)
class Logger:
    """The state of the process. ``first_time`` is when the first file of this server was named."""

    read_fd: int
    write_fd: int
    first_time: float
    files: dict[int, LogFile] = field(default_factory=lambda: {kind: LogFile() for kind in _SUFFIXES})
    assembler: Assembler = field(default_factory=Assembler)
    next_rotation: float = 0.0
    rotation_requested: bool = False
    rotation_disabled: bool = False
    reload_requested: bool = False
    directory: str = ""
    file_name: str = ""
    rotation_age: int = 0
    destinations: int = 0

    # Start

    def main(self) -> None:
        """Main function of the process; returns at the end of the pipe."""
        os.close(self.write_fd)
        null = os.open(os.devnull, os.O_WRONLY)
        # Standard error is the pipe in all other processes; with it open here, the pipe would never end.
        for fd in (1, 2):
            os.dup2(null, fd)
        os.close(null)
        serverlog.write_to_own_file(self._write_own)
        wakeup_read, wakeup_write = os.pipe()
        for fd in (wakeup_read, wakeup_write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGHUP, self._on_hangup)
        signal.signal(signal.SIGUSR1, self._on_rotate)
        for number in (
            signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGALRM, signal.SIGPIPE, signal.SIGUSR2,
            signal.SIGCHLD,
        ):  # fmt: skip
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
        self._note_settings()
        self._open_first_files()
        self.next_rotation = next_rotation_time(time.time())
        self._write_current_logfiles()
        self._loop(wakeup_read)
        report(Severity.DEBUG1, "logger shutting down")
        for log_file in self.files.values():
            log_file.close()

    def _write_own(self, destination: int, data: bytes) -> None:
        self.files[destination].write(data)

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self.reload_requested = True

    def _on_rotate(self, _number: int, _frame: FrameType | None) -> None:
        self.rotation_requested = True

    def _note_settings(self) -> None:
        self.directory, self.file_name = settings.log_directory, settings.log_filename
        self.rotation_age, self.destinations = settings.log_rotation_age, serverlog.destinations()

    def _open_first_files(self) -> None:
        for kind, log_file in self.files.items():
            if kind == DEST_STDERR or self.destinations & kind:
                name = log_file_name(self.first_time, kind)
                log_file.file, log_file.name = self._try_open(name, "a"), name

    # The loop

    def _loop(self, wakeup_fd: int) -> None:
        poll = select.poll()
        poll.register(self.read_fd, select.POLLIN)
        poll.register(wakeup_fd, select.POLLIN)
        while True:
            self._serve()
            timeout = max(0.0, self.next_rotation - time.time()) if self._rotates_by_age() else None
            ready = poll.poll(None if timeout is None else min(timeout * 1000 + 1, 2**31 - 1))
            for fd, _events in ready:
                if fd == wakeup_fd:
                    self._drain(wakeup_fd)
                elif not self._read():
                    return

    @staticmethod
    def _drain(fd: int) -> None:
        try:
            while os.read(fd, 4096):
                continue
        except BlockingIOError:
            return

    def _read(self) -> bool:
        """Take what is in the pipe; False at its end."""
        data = os.read(self.read_fd, _READ_SIZE)
        messages = self.assembler.feed(data) if data else self.assembler.rest()
        batches: dict[int, list[bytes]] = {}
        for destination, message in messages:
            batches.setdefault(destination, []).append(message)
        for destination, batch in batches.items():
            log_file = self.files[destination]
            if log_file.file is None:
                # A destination that was switched on while the message was under way.
                log_file = self.files[DEST_STDERR]
            log_file.write(b"".join(batch))
        return bool(data)

    def _rotates_by_age(self) -> bool:
        return self.next_rotation > 0 and not self.rotation_disabled

    def _serve(self) -> None:
        if self.reload_requested:
            self.reload_requested = False
            self._reload()
        by_time = self._rotates_by_age() and time.time() >= self.next_rotation
        too_big: set[int] = set()
        if settings.log_rotation_size > 0 and not self.rotation_disabled and not by_time:
            limit = settings.log_rotation_size * 1024
            too_big = {kind for kind, log_file in self.files.items() if log_file.size() >= limit}
        if self.rotation_requested or by_time or too_big:
            whole = self.rotation_requested or by_time
            self.rotation_requested = False
            self._rotate(by_time, set(self.files) if whole else too_big)

    def _reload(self) -> None:
        load_config_files(Path(str(settings.data_directory)), Path(str(settings.config_file)), is_reload=True)
        if (settings.log_directory, settings.log_filename) != (self.directory, self.file_name):
            make_log_directory()
            self.rotation_requested = True
        if serverlog.destinations() != self.destinations:
            self.rotation_requested = True
        if settings.log_rotation_age != self.rotation_age:
            self.next_rotation = next_rotation_time(time.time())
        if self.rotation_disabled:
            self.rotation_disabled = False
            self.rotation_requested = True
        self._note_settings()
        if not self.rotation_requested:
            self._write_current_logfiles()

    # Rotation

    def _rotate(self, by_time: bool, wanted: set[int]) -> None:
        """Begin new files. A file is truncated only if age made us leave another one (log_truncate_on_rotation)."""
        moment = self.next_rotation if by_time else time.time()
        for kind, log_file in self.files.items():
            if kind != DEST_STDERR and not self.destinations & kind:
                log_file.close()
                continue
            if kind not in wanted and log_file.file is not None:
                continue
            name = log_file_name(moment, kind)
            truncate = settings.log_truncate_on_rotation and by_time and log_file.name and name != log_file.name
            opened = self._try_open(name, "w" if truncate else "a")
            if opened is None:
                break
            if log_file.file is not None:
                log_file.file.close()
            log_file.file, log_file.name = opened, name
        self.next_rotation = next_rotation_time(time.time())
        self._write_current_logfiles()

    def _try_open(self, name: str, mode: str) -> FileIO | None:
        try:
            return open_log_file(name, mode)
        except OSError as error:
            report(
                Severity.LOG, f'could not open log file "{name}": {error.strerror}',
                sqlstate=errcode.UNDEFINED_FILE if error.errno == 2 else errcode.INTERNAL_ERROR,
            )  # fmt: skip
            if error.errno not in _OUT_OF_DESCRIPTORS:
                report(Severity.LOG, "disabling automatic rotation (use SIGHUP to re-enable)")
                self.rotation_disabled = True
            return None

    def _write_current_logfiles(self) -> None:
        """Say in ``current_logfiles`` which files are written; without a collected destination it goes."""
        lines = [
            f"{_NAMES[kind]} {log_file.name}\n"
            for kind, log_file in self.files.items()
            if self.destinations & kind and log_file.file is not None
        ]
        temporary = f"{CURRENT_LOGFILES}.tmp"
        try:
            if not self.destinations & DESTINATIONS:
                Path(CURRENT_LOGFILES).unlink(missing_ok=True)
                return
            mask = os.umask(0o077 if not os.stat(".").st_mode & 0o050 else 0o027)
            try:
                Path(temporary).write_text("".join(lines))
            finally:
                os.umask(mask)
            os.replace(temporary, CURRENT_LOGFILES)
        except OSError as error:
            report(Severity.LOG, f'could not write file "{temporary}": {error.strerror}')
