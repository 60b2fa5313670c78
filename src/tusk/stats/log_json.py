"""jsonlog: a message as a JSON object on a line (manual, "Using JSON-Format Log Output")."""

from __future__ import annotations

from json.encoder import encode_basestring
from typing import Any

from tusk.config import settings
from tusk.stats import log_record, session_info
from tusk.stats.log_record import LineNumbers, LogRecord

_lines = LineNumbers()


def json_line(record: LogRecord) -> str:
    """The object, with its line end. Keys without a value are left out."""
    info = session_info.current
    verbosity = settings.log_error_verbosity
    has_statement = record.statement is not None
    function: str | None = None
    file: str | None = None
    line = 0
    if verbosity == "verbose" and record.location is not None:
        function, file, line = record.location
    pairs: tuple[tuple[str, Any], ...] = (
        ("timestamp", log_record.timestamp(record.time, with_milliseconds=True)),
        ("user", info.user or None),
        ("dbname", info.database or None),
        ("pid", info.pid),
        ("remote_host", info.remote_host or None),
        ("remote_port", int(info.remote_port) if info.remote_port else None),
        ("session_id", log_record.session_id(info)),
        ("line_num", _lines.next()),
        ("ps", log_record.activity() if info.has_client else None),
        ("session_start", log_record.timestamp(info.start_seconds, with_milliseconds=False)),
        ("vxid", log_record.virtual_transaction_id() or None),
        ("txid", log_record.transaction_id()),
        ("error_severity", record.label),
        ("state_code", record.sqlstate if record.sqlstate != "00000" else None),
        ("message", record.message),
        ("detail", record.detail),
        ("hint", record.hint),
        ("internal_query", record.internal_query),
        ("internal_position", (record.internal_position or None) if record.internal_query else None),
        ("context", record.context),
        ("statement", record.statement),
        ("cursor_position", (record.position or None) if has_statement else None),
        ("func_name", function),
        ("file_name", file),
        ("file_line_num", line or None),
        ("application_name", settings.application_name or None),
        ("backend_type", log_record.process_label(info)),
        ("leader_pid", log_record.leader_pid(info) or None),
        ("query_id", log_record.query_id()),
    )
    body = ",".join(
        f'"{key}":{encode_basestring(value) if isinstance(value, str) else value}'
        for key, value in pairs
        if value is not None
    )
    return "{" + body + "}\n"
