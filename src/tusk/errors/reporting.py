"""Messages that do not raise: notices for the client, lines for the server log.

The lowest layer cannot know where messages go. A process installs its sink once (`set_report_sink`); until then
they go to standard error, as in a program that has not read its settings yet.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from tusk.errors import codes


class Severity(IntEnum):
    """PostgreSQL's severities in the order of ``log_min_messages`` (utils/elog.h)."""

    DEBUG5 = 10
    DEBUG4 = 11
    DEBUG3 = 12
    DEBUG2 = 13
    DEBUG1 = 14
    LOG = 15
    LOG_SERVER_ONLY = 16
    INFO = 17
    NOTICE = 18
    WARNING = 19
    ERROR = 21
    FATAL = 22
    PANIC = 23


@dataclass(slots=True)
class Message:
    """One message on its way to the client or the log."""

    severity: Severity
    message: str
    sqlstate: str
    detail: str | None = None
    hint: str | None = None
    context: str | None = None
    position: int = 0
    detail_log: str | None = None
    hides_statement: bool = False       # the log does not add the statement that runs


def _to_stderr(message: Message) -> None:
    if message.severity >= Severity.LOG:
        print(f"{message.severity.name}:  {message.message}", file=sys.stderr, flush=True)


_sink: Callable[[Message], None] = _to_stderr


def set_report_sink(sink: Callable[[Message], None]) -> None:
    """Make ``sink`` receive every message of this process (and of the children it forks)."""
    global _sink
    _sink = sink


def report(
    severity: Severity,
    message: str,
    *,
    sqlstate: str | None = None,
    detail: str | None = None,
    hint: str | None = None,
    context: str | None = None,
    position: int = 0,
    detail_log: str | None = None,
    hides_statement: bool = False,
) -> None:
    """Send a message below ERROR to the client and the log, as the settings say. Never raises for its severity."""
    if sqlstate is None:
        sqlstate = codes.WARNING if severity == Severity.WARNING else codes.SUCCESSFUL_COMPLETION
    _sink(Message(severity, message, sqlstate, detail, hint, context, position, detail_log, hides_statement))
