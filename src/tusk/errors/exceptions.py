"""The three exceptions of the server: ERROR, FATAL and PANIC, with the fields of an ErrorResponse."""

from typing import Any

from tusk.errors import codes

FIELDS = (
    "detail",
    "hint",
    "position",
    "internal_position",
    "internal_query",
    "context",
    "schema",
    "table",
    "column",
    "datatype",
    "constraint",
    "detail_log",
)


class _WithFields(BaseException):
    """Fields as in the protocol's ErrorResponse; ``position`` counts characters from 1, 0 is unknown."""

    severity = "ERROR"

    def __init__(
        self,
        sqlstate: str,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        position: int = 0,
        internal_position: int = 0,
        internal_query: str | None = None,
        context: str | None = None,
        schema: str | None = None,
        table: str | None = None,
        column: str | None = None,
        datatype: str | None = None,
        constraint: str | None = None,
        detail_log: str | None = None,
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position
        self.internal_position = internal_position
        self.internal_query = internal_query
        self.context = context
        self.schema = schema
        self.table = table
        self.column = column
        self.datatype = datatype
        self.constraint = constraint
        self.detail_log = detail_log

    def add_context(self, line: str) -> None:
        """Append a line to CONTEXT: inner frames come first."""
        self.context = f"{self.context}\n{line}" if self.context else line

    def __str__(self) -> str:
        return f"{self.severity}:  {self.message} ({self.sqlstate})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.sqlstate, self.message, {name: getattr(self, name) for name in FIELDS}))


class SqlError(_WithFields, Exception):
    """ERROR: the current command fails, its (sub)transaction aborts, the session lives."""


class Fatal(_WithFields):
    """FATAL: this process says why and exits."""

    severity = "FATAL"


class Panic(_WithFields):
    """PANIC: shared state may be wrong; this process dies so that the postmaster restarts all from the WAL."""

    severity = "PANIC"


def as_fatal(error: _WithFields) -> Fatal:
    """The same error, ending the process: an ERROR where there is no lesser way to fail."""
    return Fatal(error.sqlstate, error.message, **{name: getattr(error, name) for name in FIELDS})


def as_panic(error: _WithFields) -> Panic:
    """The same error as a PANIC: it happened in a critical section."""
    return Panic(error.sqlstate, error.message, **{name: getattr(error, name) for name in FIELDS})


def _rebuild(kind: type[_WithFields], sqlstate: str, message: str, fields: dict[str, Any]) -> _WithFields:
    return kind(sqlstate, message, **fields)


def feature_not_supported(what: str, *, hint: str | None = None, position: int = 0) -> SqlError:
    """The error (0A000) for what PostgreSQL has and Tusk does not have yet; ``what`` names it."""
    return SqlError(codes.FEATURE_NOT_SUPPORTED, f"{what} is not supported yet", hint=hint, position=position)
