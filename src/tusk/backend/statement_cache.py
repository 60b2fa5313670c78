"""Plans for the simple protocol: a query text with its literals taken out finds the plan made for its like.

Only literals that stand where a parameter means the same are taken: operands of comparison and arithmetic, and items of
VALUES lists. Whatever is not plainly so (quoted identifiers, dollar quotes, comments, several statements, casts with a
type name in front) is left to the ordinary path, and so is every query whose parameterised form does not analyse:
errors are then reported about the text that the client sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tusk.backend import _demand
from tusk.catalog.oids import INT4OID, INT8OID, NUMERICOID
from tusk.catalog.session import session
from tusk.errors import SqlError
from tusk.sql import plancache
from tusk.sql.nodes import RawStmt
from tusk.sql.parse import parse
from tusk.sql.plancache import PlanSource
from tusk.transaction import _snapshot as snapshots
from tusk.types.codec import codec_for

# Classes of errors that no other text would avoid: deadlocks, time-outs, cancels, resources.
_NOT_OF_THE_TEXT = ("40", "53", "55", "57")
_MAX_TEXT = 4096
_MAX_ENTRIES = 500
_MAX_NOTES = 4              # statements at the start of a session that the template hears of
_STARTS = re.compile(r"\s*(select|insert|update|delete)\b", re.IGNORECASE)
_UNSAFE = re.compile(r'["$\\]|--|/\*|;.*\S|[eEbBxXnNuU&]\'|\'\s+\'', re.DOTALL)
_LITERAL = re.compile(r"'(?:[^']|'')*'|(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_VALUES = re.compile(r"\bvalues\s*\(", re.IGNORECASE)
_SELECT = re.compile(r"\bselect\b", re.IGNORECASE)
_OPERATORS = "=<>+-*/%"


class _Taker:
    """Takes the literals out of one text."""

    __slots__ = ("allow_lists", "kinds", "values")

    def __init__(self, allow_lists: bool) -> None:
        self.allow_lists = allow_lists
        self.kinds: list[int] = []
        self.values: list[Any] = []

    def __call__(self, match: re.Match[str]) -> str:
        literal = match[0]
        text, at = match.string, match.start() - 1
        while at >= 0 and text[at] in " \t\n\r":
            at -= 1
        before = text[at] if at >= 0 else ""
        if before not in _OPERATORS and not (self.allow_lists and before in "(,"):
            return literal
        value: str | Decimal | int
        if literal[0] == "'":
            kind, value = 0, literal[1:-1].replace("''", "'")
        elif "." in literal:
            kind, value = NUMERICOID, Decimal(literal)
        else:
            number = value = int(literal)
            if number > 0x7FFFFFFFFFFFFFFF or (before == "-" and number > 0x7FFFFFFF):
                # -2147483648 is an integer, and its negative number alone is not.
                return literal
            kind = INT4OID if number <= 0x7FFFFFFF else INT8OID
        self.kinds.append(kind)
        self.values.append(value)
        return f"${len(self.values)}"


class StatementCache:
    """The plans of a session's simple queries, and the parse trees of its transaction statements."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, tuple[int, ...]], PlanSource | None] = {}
        self._parsed: dict[str, list[RawStmt]] = {}
        self._names_as_of = 0
        self._notes_left = 0

    def parse(self, text: str) -> list[RawStmt]:
        """The statements of a text; those that only begin or end transactions are remembered."""
        known = self._parsed.get(text)
        if known is not None:
            return known
        statements = parse(text)
        if len(statements) == 1 and type(statements[0].stmt).__name__ == "TransactionStmt" and len(text) < 64:
            if len(self._parsed) >= _MAX_ENTRIES:
                self._parsed.clear()
            self._parsed[text] = statements
        return statements

    def lookup(self, text: str) -> tuple[PlanSource, list[Any]] | None:
        """(plan source, parameter values) for a text that qualifies, else None. Needs a transaction."""
        if len(text) > _MAX_TEXT or _STARTS.match(text) is None or _UNSAFE.search(text) is not None:
            return None
        lists = _VALUES.search(text) is not None and _SELECT.search(text) is None
        taker = _Taker(lists)
        normalized = _LITERAL.sub(taker, text)
        key = (normalized, tuple(taker.kinds))
        if self._names_as_of != plancache.names_changed_at():
            # A text says only names; a prepared statement may keep what they meant, a new query may not.
            self._sources.clear()
            self._names_as_of = plancache.names_changed_at()
        source = self._sources.get(key)
        if (source is None and key not in self._sources) or (source is not None and source.is_stale()):
            source = self.make(normalized, taker.kinds)
            if self._notes_left and source is not None:
                self._notes_left -= 1
                _demand.note_statement(session.database_id, session.current_user_id, normalized, taker.kinds)
            if len(self._sources) >= _MAX_ENTRIES:
                self._sources.clear()
            self._sources[key] = source
        if source is None:
            return None
        values = taker.values
        try:
            for index, kind in enumerate(taker.kinds):
                if kind == 0:
                    values[index] = codec_for(source.param_types[index]).input(values[index], -1)
        except SqlError:
            return None
        return source, values

    def inherit(self, sources: dict[tuple[str, tuple[int, ...]], PlanSource | None], names_as_of: int) -> None:
        """Start with the plans that the session template made, and tell it what was missing among them."""
        self._sources = sources
        self._names_as_of = names_as_of
        self._notes_left = _MAX_NOTES

    @staticmethod
    def make(normalized: str, kinds: Sequence[int]) -> PlanSource | None:
        """The analysed source of a text without literals; None where it is not a plain query. Needs a transaction."""
        try:
            statements = parse(normalized)
            if len(statements) != 1:
                return None
            source = PlanSource(statements[0], normalized, list(kinds), fixed_parameters=False)
            # No snapshot before it is known that this is a query: SET TRANSACTION must come before the first.
            snapshots.push_active(snapshots.transaction_snapshot())
            try:
                source.analyze()
            finally:
                snapshots.pop_active()
        except SqlError as error:
            if error.sqlstate[:2] in _NOT_OF_THE_TEXT:
                raise
            return None
        if source.is_utility or len(source.queries) != 1 or 0 in source.param_types:
            return None
        return source

    def clear(self) -> None:
        """Forget everything: DISCARD PLANS."""
        self._sources.clear()
