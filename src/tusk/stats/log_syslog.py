"""The syslog destination: a message in one piece or in pieces of at most 900 bytes (write_syslog)."""

from __future__ import annotations

import syslog
from collections.abc import Iterator

from tusk.config import settings
from tusk.config.registry import on_assign
from tusk.errors import Severity

_LIMIT = 900
_FACILITIES = {f"local{n}": getattr(syslog, f"LOG_LOCAL{n}") for n in range(8)}
_PRIORITIES = {
    Severity.LOG: syslog.LOG_INFO, Severity.LOG_SERVER_ONLY: syslog.LOG_INFO, Severity.INFO: syslog.LOG_INFO,
    Severity.NOTICE: syslog.LOG_NOTICE, Severity.WARNING: syslog.LOG_NOTICE, Severity.ERROR: syslog.LOG_WARNING,
    Severity.FATAL: syslog.LOG_ERR, Severity.PANIC: syslog.LOG_CRIT,
}  # fmt: skip


class _Connection:
    """Whether openlog was called, and how many messages went out."""

    is_open = False
    sequence = 0


@on_assign("syslog_ident")
@on_assign("syslog_facility")
def _reopen(_value: object) -> None:
    if _Connection.is_open:
        syslog.closelog()
        _Connection.is_open = False


def pieces(text: str) -> Iterator[str]:
    """Split a message into what fits into one datagram: at line ends, else at blanks, never inside a character."""
    data = text.encode("utf-8", "surrogateescape")
    while data:
        if data[0] == 0x0A:
            data = data[1:]
            continue
        line = data.split(b"\n", 1)[0]
        cut = len(line)
        if cut > _LIMIT:
            cut = _LIMIT
            while cut > 0 and (line[cut] & 0xC0) == 0x80:
                cut -= 1
            blank = cut
            if not line[cut : cut + 1].isspace():
                blank = max(line.rfind(b" ", 0, cut), line.rfind(b"\t", 0, cut)) + 1
            cut = blank or cut
        yield line[:cut].decode("utf-8", "replace")
        data = data[cut:]


def write(severity: Severity, text: str) -> None:
    """Send a formatted message to syslog."""
    if not _Connection.is_open:
        syslog.openlog(
            settings.syslog_ident or "postgres", syslog.LOG_PID | syslog.LOG_NDELAY | syslog.LOG_NOWAIT,
            _FACILITIES[settings.syslog_facility],
        )  # fmt: skip
        _Connection.is_open = True
    priority = _PRIORITIES.get(severity, syslog.LOG_DEBUG)
    _Connection.sequence += 1
    sequence = _Connection.sequence
    is_short = len(text) <= _LIMIT and "\n" not in text.rstrip("\n")
    if not settings.syslog_split_messages or is_short:
        numbered = f"[{sequence}] " if settings.syslog_sequence_numbers else ""
        syslog.syslog(priority, numbered + text.rstrip("\n"))
        return
    for number, piece in enumerate(pieces(text), 1):
        numbered = f"[{sequence}-{number}] " if settings.syslog_sequence_numbers else f"[{number}] "
        syslog.syslog(priority, numbered + piece)

