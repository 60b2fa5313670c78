"""Run a SQL script, statement by statement, on two servers and tell where they differ."""

import re
from dataclasses import dataclass

import postgast
import psycopg
from psycopg import pq

# OIDs from here on are given out as objects are made, and differ.
_FIRST_NORMAL_OID = 16384


@dataclass(frozen=True)
class Outcome:
    """What a client sees of one statement."""

    tag: str
    sqlstate: str
    message: str
    columns: tuple
    rows: tuple

    def differences(self, other, *, ordered):
        """Names of what is not the same."""
        found = []
        for name in ("tag", "sqlstate", "message", "columns"):
            if getattr(self, name) != getattr(other, name):
                found.append(f"{name}: {getattr(self, name)!r} != {getattr(other, name)!r}")
        mine, theirs = (self.rows, other.rows) if ordered else (_sorted(self.rows), _sorted(other.rows))
        if mine != theirs:
            odd = next((pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]), None)
            found.append(f"rows: {len(mine)} and {len(theirs)}, first difference {odd}")
        return found


def _sorted(rows):
    return sorted(rows, key=lambda row: tuple((value is None, value or b"") for value in row))


def statements(script):
    """The statements of a script."""
    return [text.strip().rstrip(";") for text in postgast.split(script) if _without_comments(text)]


def _without_comments(text):
    return re.sub(r"--[^\n]*", "", text).strip().strip(";").strip()


def run(connection, statement, *, extended):
    """Execute one statement and return its Outcome; of the simple protocol's results the last counts."""
    pgconn = connection.pgconn
    encoded = statement.encode()
    result = pgconn.exec_params(encoded, None) if extended else pgconn.exec_(encoded)
    if result.status == pq.ExecStatus.FATAL_ERROR:
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        text = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY)
        if state is None:
            return Outcome("", "lost", pgconn.error_message.decode().strip(), (), ())
        return Outcome("", state.decode(), text.decode(), (), ())
    columns = tuple(
        (result.fname(i).decode(), min(result.ftype(i), _FIRST_NORMAL_OID), result.fmod(i)) for i in range(result.nfields)
    )
    rows = tuple(
        tuple(result.get_value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)
    )
    return Outcome((result.command_status or b"").decode(), "", "", columns, rows)


def compare(script, tusk_url, oracle_url, *, extended=False):
    """A text with each statement that differs; empty if none does."""
    report = []
    with psycopg.connect(tusk_url, autocommit=True) as ours, psycopg.connect(oracle_url, autocommit=True) as theirs:
        for connection in (ours, theirs):
            connection.execute("SET timezone = 'UTC'")
            connection.execute("SET statement_timeout = '20s'")
        for statement in statements(script):
            ordered = re.search(r"\border\s+by\b", statement, re.I) is not None
            expected = run(theirs, statement, extended=extended)
            actual = run(ours, statement, extended=extended)
            for difference in actual.differences(expected, ordered=ordered):
                report.append(f"{_without_comments(statement)}\n      tusk != PostgreSQL: {difference}")
            if actual.sqlstate == "lost":
                break
    return "\n\n".join(report)
