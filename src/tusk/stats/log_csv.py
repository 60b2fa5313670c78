"""csvlog: a message as a row of comma-separated values (manual, "Using CSV-Format Log Output")."""

from __future__ import annotations

from tusk.config import settings
from tusk.stats import log_record, session_info
from tusk.stats.log_record import LineNumbers, LogRecord

_lines = LineNumbers()


def _quoted(text: str | None) -> str:
    return "" if text is None else '"' + text.replace('"', '""') + '"'


def csv_line(record: LogRecord) -> str:
    """The row, with its line end. Values without a meaning here are empty, not quoted."""
    info = session_info.current
    verbosity = settings.log_error_verbosity
    origin = f"{info.remote_host}:{info.remote_port}" if info.remote_port else info.remote_host
    location = ""
    if verbosity == "verbose" and record.location is not None:
        function, file, line = record.location
        location = f"{function}, {file}:{line}"
    leader = log_record.leader_pid(info)
    fields = (
        log_record.timestamp(record.time, with_milliseconds=True),
        _quoted(info.user or None),
        _quoted(info.database or None),
        str(info.pid),
        _quoted(origin or None),
        log_record.session_id(info),
        str(_lines.next()),
        _quoted(log_record.activity()) if info.has_client else "",
        log_record.timestamp(info.start_seconds, with_milliseconds=False),
        log_record.virtual_transaction_id(),
        str(log_record.transaction_id()),
        record.label,
        record.sqlstate,
        _quoted(record.message),
        _quoted(record.detail),
        _quoted(record.hint),
        _quoted(record.internal_query),
        str(record.internal_position) if record.internal_position and record.internal_query else "",
        _quoted(record.context),
        _quoted(record.statement),
        str(record.position) if record.statement is not None and record.position else "",
        _quoted(location or None),
        _quoted(settings.application_name or ""),
        _quoted(log_record.process_label(info)),
        str(leader) if leader else "",
        str(log_record.query_id()),
    )
    return ",".join(fields) + "\n"
