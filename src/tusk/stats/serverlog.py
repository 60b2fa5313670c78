"""The server log on standard error: which messages go there, and how a line looks.

Source: manual, "Error Reporting and Logging". csvlog, jsonlog and the collector belong to the logger.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tusk.config import settings
from tusk.errors import Fatal, Message, Panic, Severity, SqlError
from tusk.stats import session_info

# log_min_messages and log_min_error_statement order LOG between ERROR and FATAL.
_LEVELS = {
    "debug5": 10, "debug4": 11, "debug3": 12, "debug2": 13, "debug1": 14, "info": 17, "notice": 18, "warning": 19,
    "error": 21, "log": 15, "fatal": 22, "panic": 23,
}  # fmt: skip


def is_logged(severity: int, threshold: str) -> bool:
    """Whether a message passes ``log_min_messages``-like threshold (is_log_level_output)."""
    minimum = _LEVELS[threshold]
    if severity in (Severity.LOG, Severity.LOG_SERVER_ONLY):
        return minimum == Severity.LOG or minimum <= Severity.ERROR
    if minimum == Severity.LOG:
        return severity >= Severity.FATAL
    return severity >= minimum


def _zone() -> ZoneInfo | None:
    try:
        return ZoneInfo(settings.log_timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return None


def format_prefix(prefix: str) -> str:
    """Expand the escapes of ``log_line_prefix``."""
    info = session_info.current
    out: list[str] = []
    i = 0
    while i < len(prefix):
        char = prefix[i]
        i += 1
        if char != "%":
            out.append(char)
            continue
        start = i
        while i < len(prefix) and (prefix[i].isdigit() or prefix[i] == "-"):
            i += 1
        if i >= len(prefix):
            break
        padding = prefix[start:i]
        code = prefix[i]
        i += 1
        if code == "%":
            out.append("%")
            continue
        if code == "q":
            if not info.user and not info.remote_host:
                break
            continue
        value = _escape(code, info)
        if padding and padding != "-":
            width = int(padding)
            value = value.rjust(width) if width > 0 else value.ljust(-width)
        out.append(value)
    return "".join(out)


def _escape(code: str, info: session_info.SessionInfo) -> str:
    match code:
        case "m" | "t" | "s":
            moment = info.start_seconds if code == "s" else time.time()
            stamp = datetime.fromtimestamp(moment, _zone())
            digits = f".{stamp.microsecond // 1000:03d}" if code == "m" else ""
            return f"{stamp:%Y-%m-%d %H:%M:%S}{digits} {stamp:%Z}"
        case "n":
            return f"{time.time():.3f}"
        case "p":
            return str(info.pid)
        case "a":
            return info.application_name or "[unknown]" if info.user else ""
        case "u":
            return info.user or ("[unknown]" if info.remote_host else "")
        case "d":
            return info.database or ("[unknown]" if info.remote_host else "")
        case "r":
            return f"{info.remote_host}({info.remote_port})" if info.remote_port else info.remote_host
        case "h":
            return info.remote_host
        case "L":
            return info.local_host
        case "b":
            return "postmaster" if info.backend_type == 0 else info.backend_type.label
        case "i":
            return info.command_tag
        case "c":
            return f"{info.start_seconds:x}.{info.pid:x}"
        case "l":
            return str(info.line_number)
        case "v":
            return info.virtual_xid
        case "x" | "Q":
            return "0"
        case "e":
            return _sqlstate
    return ""


_sqlstate = "00000"


def _write(severity: str, sqlstate: str, text: str, extras: list[tuple[str, str | None]]) -> None:
    global _sqlstate
    _sqlstate = sqlstate
    info = session_info.current
    if info.pid != os.getpid():
        info.pid, info.line_number = os.getpid(), 0
    info.line_number += 1
    prefix = format_prefix(settings.log_line_prefix)
    shown = f"{sqlstate}: {text}" if settings.log_error_verbosity == "verbose" else text
    lines = [f"{prefix}{severity}:  {_indent(shown)}\n"]
    for label, value in extras:
        if value and (settings.log_error_verbosity != "terse" or label == "STATEMENT"):
            lines.append(f"{prefix}{label}:  {_indent(value)}\n")
    data = "".join(lines).encode("utf-8", "surrogateescape")
    try:
        os.write(sys.stderr.fileno(), data)
    except (OSError, ValueError):
        return      # nobody reads the log: there is no better place to say so


def _indent(text: str) -> str:
    return text.replace("\n", "\n\t")


def log_message(message: Message) -> None:
    """Write a message below ERROR if ``log_min_messages`` lets it through."""
    if not is_logged(message.severity, settings.log_min_messages):
        return
    name = message.severity.name
    label = "DEBUG" if name.startswith("DEBUG") else "LOG" if name == "LOG_SERVER_ONLY" else name
    _write(
        label,
        message.sqlstate,
        message.message,
        [("DETAIL", message.detail), ("HINT", message.hint), ("CONTEXT", message.context)],
    )


def log_error(error: SqlError | Fatal | Panic) -> None:
    """Write an ERROR, FATAL or PANIC, with the statement where ``log_min_error_statement`` asks for it."""
    severity = Severity[error.severity]
    if not is_logged(severity, settings.log_min_messages):
        return
    text = error.message
    if error.position:
        text += f" at character {error.position}"
    statement = session_info.current.query if is_logged(severity, settings.log_min_error_statement) else None
    _write(
        error.severity,
        error.sqlstate,
        text,
        [
            ("DETAIL", error.detail_log or error.detail),
            ("HINT", error.hint),
            ("QUERY", error.internal_query),
            ("CONTEXT", error.context),
            ("STATEMENT", statement),
        ],
    )
