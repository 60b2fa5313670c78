"""Errors that carry an SQLSTATE, and the one door for messages to the client and the server log.

``SqlError`` is PostgreSQL's ERROR: it aborts the current (sub)transaction and the session goes on. ``Fatal`` ends
the process, ``Panic`` brings the whole server down for crash recovery; neither derives from ``Exception``, so that
no handler of errors swallows it. Lower severities do not raise: they go through `report`.
"""

from tusk.errors import codes as errcode
from tusk.errors.exceptions import Fatal, Panic, SqlError, as_fatal, as_panic, feature_not_supported
from tusk.errors.reporting import Message, Severity, report, set_report_sink

__all__ = [
    "Fatal",
    "Message",
    "Panic",
    "Severity",
    "SqlError",
    "as_fatal",
    "as_panic",
    "errcode",
    "feature_not_supported",
    "report",
    "set_report_sink",
]
