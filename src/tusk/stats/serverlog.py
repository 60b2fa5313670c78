"""The server log: which messages go there, and to which destinations (EmitErrorReport, send_message_to_server_log).

A message goes as text to standard error or syslog, as a row to csvlog, as an object to jsonlog, as ``log_destination``
says; the last two only through the logger. Once the logger runs, standard error is its pipe, and every process writes
whole chunks to it (`log_pipe`). Source: manual, "Error Reporting and Logging".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType, TracebackType

from tusk.config import settings
from tusk.config.registry import on_assign
from tusk.errors import Fatal, Message, Panic, Severity, SqlError
from tusk.stats import log_pipe, log_syslog, session_info
from tusk.stats.log_csv import csv_line
from tusk.stats.log_json import json_line
from tusk.stats.log_pipe import DEST_CSVLOG, DEST_JSONLOG, DEST_STDERR
from tusk.stats.log_prefix import format_prefix
from tusk.stats.log_record import LogRecord, is_logged

DEST_SYSLOG = 0x02
_DESTINATION_BITS = {"stderr": DEST_STDERR, "csvlog": DEST_CSVLOG, "jsonlog": DEST_JSONLOG, "syslog": DEST_SYSLOG}
_STDERR_FD = 2


class _Output:
    """Where this process writes."""

    destinations = DEST_STDERR
    is_redirected = False                                       # standard error is the logger's pipe
    is_starting = True                                          # standard error is always wanted
    own_file: Callable[[int, bytes], None] | None = None        # of the logger itself


@on_assign("log_destination")
def _set_destinations(value: str) -> None:
    words = (word.strip().strip('"').lower() for word in value.split(","))
    _Output.destinations = sum(_DESTINATION_BITS[word] for word in set(words) if word)


def destinations() -> int:
    """``log_destination`` as bits."""
    return _Output.destinations


def set_redirected() -> None:
    """Standard error is the logger's pipe from now on, here and in all children."""
    _Output.is_redirected = True


def end_of_start() -> None:
    """The server's own start-up messages are over: standard error gets only what ``log_destination`` gives it."""
    _Output.is_starting = False


def write_to_own_file(writer: Callable[[int, bytes], None]) -> None:
    """In the logger: its messages go straight to its files."""
    _Output.own_file = writer


def _text(record: LogRecord) -> str:
    """The message as text: a line for it, one for each further field, each with its prefix."""
    prefix = settings.log_line_prefix
    verbosity = settings.log_error_verbosity
    text = record.message or "missing error text"
    if verbosity == "verbose":
        text = f"{record.sqlstate}: {text}"
    position = record.position or record.internal_position
    if position:
        text += f" at character {position}"
    fields: list[tuple[str, str | None]] = []
    if verbosity != "terse":
        fields = [
            ("DETAIL", record.detail),
            ("HINT", record.hint),
            ("QUERY", record.internal_query),
            ("CONTEXT", record.context),
        ]
        if verbosity == "verbose" and record.location is not None:
            function, file, line = record.location
            fields.append(("LOCATION", f"{function}, {file}:{line}"))
    fields.append(("STATEMENT", record.statement))
    lines = [_line(format_prefix(prefix, record), record.label, text)]
    lines += [_line(format_prefix(prefix, record), label, value) for label, value in fields if value]
    return "".join(lines)


def _line(prefix: str, label: str, text: str) -> str:
    return f"{prefix}{label}:  {text}\n".replace("\n", "\n\t").removesuffix("\t")


def _send(record: LogRecord) -> None:
    """Write a message to all destinations."""
    info = session_info.current
    if info.pid != os.getpid():
        info.pid = os.getpid()
    wanted = _Output.destinations
    through_logger = _Output.is_redirected or _Output.own_file is not None
    needs_stderr = bool(wanted & DEST_STDERR) or _Output.is_starting
    text = ""
    if wanted & (DEST_CSVLOG | DEST_JSONLOG):
        if through_logger:
            if wanted & DEST_CSVLOG:
                _write(DEST_CSVLOG, csv_line(record))
            if wanted & DEST_JSONLOG:
                _write(DEST_JSONLOG, json_line(record))
        else:
            needs_stderr = True     # before the logger runs there is no other place
    if wanted & DEST_SYSLOG:
        text = _text(record)
        log_syslog.write(record.severity, text)
    if needs_stderr or _Output.own_file is not None:
        _write(DEST_STDERR, text or _text(record))


def _write(destination: int, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    if _Output.own_file is not None:
        _Output.own_file(destination, data)
    elif _Output.is_redirected:
        log_pipe.write_chunks(_STDERR_FD, data, destination)
    else:
        try:
            while data:
                data = data[os.write(_STDERR_FD, data) :]
        except OSError:
            return      # nobody reads the log: there is no better place to say so


def _statement(severity: Severity) -> str | None:
    """The statement that runs, where ``log_min_error_statement`` asks for it."""
    if not is_logged(severity, settings.log_min_error_statement):
        return None
    return session_info.current.query or None


_REPORTING = ("reporting.py", "serverlog.py", "exceptions.py")


def _location_of_caller() -> tuple[str, str, int] | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = os.path.basename(frame.f_code.co_filename)
        if name not in _REPORTING and frame.f_code.co_name not in ("sink", "report"):
            return frame.f_code.co_name, name, frame.f_lineno
        frame = frame.f_back
    return None


def _location_of_error(error: BaseException) -> tuple[str, str, int] | None:
    step: TracebackType | None = error.__traceback__
    found: tuple[str, str, int] | None = None
    while step is not None:
        code = step.tb_frame.f_code
        if os.path.basename(code.co_filename) not in _REPORTING:
            found = code.co_name, os.path.basename(code.co_filename), step.tb_lineno
        step = step.tb_next
    return found


def log_message(message: Message) -> None:
    """Write a message below ERROR if ``log_min_messages`` lets it through."""
    severity = message.severity
    if not is_logged(severity, settings.log_min_messages):
        return
    _send(
        LogRecord(
            severity,
            message.sqlstate,
            message.message,
            message.detail_log or message.detail,
            message.hint,
            message.context,
            message.position,
            statement=None if message.hides_statement else _statement(severity),
            location=_location_of_caller() if settings.log_error_verbosity == "verbose" else None,
        )
    )


def log_error(error: SqlError | Fatal | Panic) -> None:
    """Write an ERROR, FATAL or PANIC."""
    severity = Severity[error.severity]
    if not is_logged(severity, settings.log_min_messages):
        return
    _send(
        LogRecord(
            severity,
            error.sqlstate,
            error.message,
            error.detail_log or error.detail,
            error.hint,
            error.context,
            error.position,
            error.internal_query,
            error.internal_position,
            statement=_statement(severity),
            location=_location_of_error(error) if settings.log_error_verbosity == "verbose" else None,
        )
    )
