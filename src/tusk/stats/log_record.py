"""One message on its way into the server log, with all that the formats say about it and about its process."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tusk.config import settings
from tusk.errors import Severity
from tusk.stats import session_info, title
from tusk.stats._process_identity import transaction_identity
from tusk.stats.backend_types import BackendType

# log_min_messages and log_min_error_statement order LOG between ERROR and FATAL.
_LEVELS = {
    "debug5": 10, "debug4": 11, "debug3": 12, "debug2": 13, "debug1": 14, "info": 17, "notice": 18, "warning": 19,
    "error": 21, "log": 15, "fatal": 22, "panic": 23,
}  # fmt: skip


def is_logged(severity: int, threshold: str) -> bool:
    """Whether a message passes a threshold like ``log_min_messages`` (is_log_level_output)."""
    minimum = _LEVELS[threshold]
    if severity in (Severity.LOG, Severity.LOG_SERVER_ONLY):
        return minimum == Severity.LOG or minimum <= Severity.ERROR
    if minimum == Severity.LOG:
        return severity >= Severity.FATAL
    return severity >= minimum


@dataclass(slots=True)
class LogRecord:
    """What is to be logged. ``statement`` is None where the statement is not wanted."""

    severity: Severity
    sqlstate: str
    message: str
    detail: str | None = None
    hint: str | None = None
    context: str | None = None
    position: int = 0
    internal_query: str | None = None
    internal_position: int = 0
    statement: str | None = None
    location: tuple[str, str, int] | None = None        # function, file, line
    time: float = field(default_factory=time.time)

    @property
    def label(self) -> str:
        """The severity as the log spells it."""
        name = self.severity.name
        return "DEBUG" if name.startswith("DEBUG") else "LOG" if name == "LOG_SERVER_ONLY" else name


_zones: dict[str, tzinfo] = {}


def log_zone() -> tzinfo:
    """``log_timezone``; UTC where the system does not know it."""
    name = settings.log_timezone or "GMT"
    found = _zones.get(name)
    if found is None:
        try:
            found = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            found = UTC
        _zones[name] = found
    return found


def timestamp(seconds: float, *, with_milliseconds: bool) -> str:
    """A time as the log shows it, in ``log_timezone``."""
    stamp = datetime.fromtimestamp(seconds, log_zone())
    digits = f".{int(seconds * 1000) % 1000:03d}" if with_milliseconds else ""
    return (
        f"{stamp.year:04d}-{stamp.month:02d}-{stamp.day:02d} {stamp.hour:02d}:{stamp.minute:02d}:{stamp.second:02d}"
        f"{digits} {stamp.tzname()}"
    )


def session_id(info: session_info.SessionInfo) -> str:
    """%c: start time and pid in hexadecimal."""
    return f"{int(info.start_seconds):x}.{info.pid:x}"


def process_label(info: session_info.SessionInfo) -> str:
    """%b: ``postmaster``, the type of a background worker, or the backend type."""
    return info.label or info.backend_type.label


def virtual_transaction_id() -> str:
    """%v: process number and local transaction id; '' for what runs no transactions."""
    if session_info.current.backend_type >= BackendType.ARCHIVER:
        return ""
    procno, lxid, _, _ = transaction_identity()
    return f"{procno}/{lxid}" if procno >= 0 else ""


def transaction_id() -> int:
    """%x: the transaction's id, 0 where none is assigned."""
    return transaction_identity()[2]


def leader_pid(info: session_info.SessionInfo) -> int:
    """%P: the leader of a parallel group, 0 for whoever is not a member of one."""
    if info.backend_type != BackendType.BG_WORKER:
        return 0
    return transaction_identity()[3]


def query_id() -> int:
    """%Q: the identifier of the current query, 0 where none is computed."""
    return session_info.current.query_id


def activity() -> str:
    """%i: what the process title says is being done."""
    return title.current_activity()


class LineNumbers:
    """Numbers of the lines of each destination: from 1 in every process."""

    def __init__(self) -> None:
        self._pid = 0
        self._number = 0

    def next(self) -> int:
        """The number of the next line."""
        pid = os.getpid()
        if pid != self._pid:
            self._pid, self._number = pid, 0
        self._number += 1
        return self._number
