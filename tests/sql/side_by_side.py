"""Run a SQL script, statement by statement, on two servers and tell where they differ."""

import re
from dataclasses import dataclass

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
    """The statements of a script: each ends with a semicolon at the end of a line."""
    found, start = [], 0
    for end in re.finditer(r";[ \t]*$", script, re.M):
        if script.count("$$", start, end.start()) % 2 == 0:
            found.append(script[start : end.start()].strip())
            start = end.end()
    return [text for text in found if _without_comments(text)]


def _without_comments(text):
    return re.sub(r"^--[^\n]*$", "", text, flags=re.M).strip().strip(";").strip()


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
        (result.fname(i).decode(), min(result.ftype(i), _FIRST_NORMAL_OID), result.fmod(i))
        for i in range(result.nfields)
    )
    rows = tuple(
        tuple(result.get_value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)
    )
    return Outcome((result.command_status or b"").decode(), "", "", columns, rows)


# Above a statement: that Tusk is known not to do it ("missing") or to answer otherwise ("differs"), and how.
_MARK = re.compile(r"^-- (missing|differs): .*\n", re.M)


@dataclass(frozen=True)
class Difference:
    """A statement whose outcome is not PostgreSQL's."""

    statement: str
    kind: str
    text: str
    is_known: bool


def compare(script, tusk_url, oracle_url, *, extended=False):
    """Each statement of a script that differs; those marked in the script as known are told apart."""
    found = []
    with psycopg.connect(tusk_url, autocommit=True) as ours, psycopg.connect(oracle_url, autocommit=True) as theirs:
        for connection in (ours, theirs):
            connection.execute("SET timezone = 'UTC'")
            connection.execute("SET statement_timeout = '20s'")
        for marked in statements(script):
            statement = _without_comments(marked)
            ordered = re.search(r"\border\s+by\b", statement, re.I) is not None
            expected = run(theirs, statement, extended=extended)
            actual = run(ours, statement, extended=extended)
            differences = actual.differences(expected, ordered=ordered)
            if differences:
                missing = actual.sqlstate == "0A000"
                text = actual.message if missing else "; ".join(differences)
                kind = "missing" if missing else "differs"
                found.append(Difference(statement, kind, text, bool(_MARK.search(marked))))
            if actual.sqlstate == "lost":
                break
    return found


def marked_again(script, found):
    """The script with marks on exactly the statements that differ, for a reviewer to look at."""
    script = _MARK.sub("", script)
    for difference in found:
        text = " ".join(difference.text.split())[:160]
        lines = script.split("\n")
        first = difference.statement.split("\n")[0]
        for i, line in enumerate(lines):
            if line.rstrip(";") == first.rstrip(";") and not (i and _MARK.match(lines[i - 1] + "\n")):
                lines.insert(i, f"-- {difference.kind}: {text}")
                break
        script = "\n".join(lines)
    return script
