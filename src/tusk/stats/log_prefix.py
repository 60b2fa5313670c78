"""``log_line_prefix``: compiled once per value, expanded for each line (log_status_format).

Source: manual, "Error Reporting and Logging", table of escapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tusk.config import settings
from tusk.stats import log_record, session_info
from tusk.stats.log_record import LineNumbers, LogRecord
from tusk.stats.session_info import SessionInfo

_PATTERN = re.compile(r"%(?:(-?)(\d*))?(.)?", re.DOTALL)
_lines = LineNumbers()

Escape = Callable[[SessionInfo, LogRecord], str]


def _application(info: SessionInfo, _record: LogRecord) -> str:
    return (settings.application_name or "[unknown]") if info.has_client else ""


def _user(info: SessionInfo, _record: LogRecord) -> str:
    return (info.user or "[unknown]") if info.has_client else ""


def _database(info: SessionInfo, _record: LogRecord) -> str:
    return (info.database or "[unknown]") if info.has_client else ""


def _remote(info: SessionInfo, _record: LogRecord) -> str:
    return f"{info.remote_host}({info.remote_port})" if info.remote_port else info.remote_host


def _leader(info: SessionInfo, _record: LogRecord) -> str:
    leader = log_record.leader_pid(info)
    return str(leader) if leader else ""


_ESCAPES: dict[str, Escape] = {
    "a": _application,
    "b": lambda info, record: log_record.process_label(info),
    "c": lambda info, record: log_record.session_id(info),
    "d": _database,
    "e": lambda info, record: record.sqlstate,
    "h": lambda info, record: info.remote_host,
    "i": lambda info, record: log_record.activity() if info.has_client else "",
    "L": lambda info, record: info.local_host if info.has_client else "[none]",
    "m": lambda info, record: log_record.timestamp(record.time, with_milliseconds=True),
    "n": lambda info, record: f"{int(record.time)}.{int(record.time * 1000) % 1000:03d}",
    "p": lambda info, record: str(info.pid),
    "P": _leader,
    "Q": lambda info, record: str(log_record.query_id()),
    "r": _remote,
    "s": lambda info, record: log_record.timestamp(info.start_seconds, with_milliseconds=False),
    "t": lambda info, record: log_record.timestamp(record.time, with_milliseconds=False),
    "u": _user,
    "v": lambda info, record: log_record.virtual_transaction_id(),
    "x": lambda info, record: str(log_record.transaction_id()),
}


class _Stop:
    """%q: processes without a client stop here."""


Piece = str | _Stop | tuple[str, int]

_compiled: dict[str, list[Piece]] = {}


def compile_prefix(prefix: str) -> list[Piece]:
    """Split a prefix into literal text, escapes with their width, and the point where %q stands.

    An escape that does not exist is left out; so is all that follows a % without a letter.
    """
    pieces: list[Piece] = []
    at = 0
    for match in _PATTERN.finditer(prefix):
        if match.start() < at:
            continue
        pieces.append(prefix[at : match.start()])
        minus, digits, letter = match.groups()
        at = match.end()
        if letter is None:
            at = len(prefix)
            break
        if letter == "%":
            pieces.append("%")
        elif letter == "q":
            pieces.append(_Stop())
        elif letter == "l" or letter in _ESCAPES:
            width = int(digits) if digits else 0
            pieces.append((letter, -width if minus else width))
    pieces.append(prefix[at:])
    return pieces


def format_prefix(prefix: str, record: LogRecord) -> str:
    """Expand a prefix for one line. Each line has a number of its own."""
    pieces = _compiled.get(prefix)
    if pieces is None:
        pieces = _compiled[prefix] = compile_prefix(prefix)
    info = session_info.current
    number = _lines.next()
    out: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            out.append(piece)
        elif isinstance(piece, _Stop):
            if not info.has_client:
                break
        else:
            letter, width = piece
            value = str(number) if letter == "l" else _ESCAPES[letter](info, record)
            out.append(value.rjust(width) if width > 0 else value.ljust(-width) if width else value)
    return "".join(out)
