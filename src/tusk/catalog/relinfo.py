"""What a relation has beyond its columns: defaults, checks, rules, triggers, indexes ..., read on first use.

One `RelationInfo` hangs at `Relation.extra` and dies when the relation's descriptor is rebuilt, so nothing in it is
ever stale. Node trees stay text here; `parsed` is where upper layers keep what they made of them.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, NamedTuple

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, lookup_list, scan_rows

_VAR = re.compile(r"\{VAR :varno \d+ :varattno (-?\d+)")
BRIN_AM_OID = 3580
_BOOLEANS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


class CheckConstraint(NamedTuple):
    """A check of a table, as relcache offers it (ConstrCheck)."""

    ccname: str
    ccbin: str
    ccenforced: bool
    ccvalid: bool
    ccnoinherit: bool


def parse_reloptions(options: tuple[str, ...] | None) -> dict[str, str]:
    """reloptions as a dict; the values stay text."""
    result = {}
    for item in options or ():
        name, _, value = item.partition("=")
        result[name.lower()] = value
    return result


def option_bool(options: dict[str, str], name: str, default: bool) -> bool:
    """A Boolean storage parameter."""
    value = options.get(name)
    return default if value is None else _BOOLEANS.get(value.lower(), default)


def option_int(options: dict[str, str], name: str, default: int) -> int:
    """A whole-number storage parameter."""
    value = options.get(name)
    return default if value is None else int(value)


class RelationInfo:
    """The rest of what is known of one relation."""

    def __init__(self, oid: int, form: Any, attributes: list[Any]) -> None:
        self.oid = oid
        self.form = form
        self.attributes = attributes
        self.parsed: dict[Any, Any] = {}

    @cached_property
    def reloptions(self) -> dict[str, str]:
        """Storage parameters."""
        return parse_reloptions(self.form.reloptions) if self.form is not None else {}

    @cached_property
    def defaults(self) -> dict[int, str]:
        """Default and generation expressions (node trees) by attribute number."""
        if not any(row.atthasdef for row in self.attributes):
            return {}
        return {row.adnum: row.adbin for row in scan_rows("pg_attrdef", adrelid=self.oid)}

    @cached_property
    def constraints(self) -> list[Any]:
        """pg_constraint rows of the relation, by name."""
        return sorted(scan_rows("pg_constraint", conrelid=self.oid), key=lambda row: row.conname.encode())

    @cached_property
    def checks(self) -> list[CheckConstraint]:
        """Check constraints, by name: the order they are tested in."""
        if self.form is None or not self.form.relchecks:
            return []
        return [
            CheckConstraint(row.conname, row.conbin, row.conenforced, row.convalidated, row.connoinherit)
            for row in self.constraints
            if row.contype == "c"
        ]

    @cached_property
    def foreign_keys(self) -> list[Any]:
        """pg_constraint rows of this table's foreign keys."""
        return [row for row in self.constraints if row.contype == "f"]

    @cached_property
    def not_nulls(self) -> list[Any]:
        """pg_constraint rows of not-null constraints."""
        return [row for row in self.constraints if row.contype == "n"]

    @cached_property
    def rules(self) -> list[Any]:
        """pg_rewrite rows, by name: the order they fire in."""
        if self.form is None or not self.form.relhasrules:
            return []
        return sorted(lookup_list(c.RULERELNAME, self.oid), key=lambda row: row.rulename.encode())

    @cached_property
    def triggers(self) -> list[Any]:
        """pg_trigger rows, by name: the order they fire in."""
        if self.form is None or not self.form.relhastriggers:
            return []
        return sorted(scan_rows("pg_trigger", tgrelid=self.oid), key=lambda row: row.tgname.encode())

    @cached_property
    def policies(self) -> list[Any]:
        """pg_policy rows, by name."""
        if self.form is None or not self.form.relrowsecurity:
            return []
        return sorted(scan_rows("pg_policy", polrelid=self.oid), key=lambda row: row.polname.encode())

    @cached_property
    def index_rows(self) -> list[Any]:
        """pg_index rows of live indexes, by OID."""
        if self.form is None or not self.form.relhasindex:
            return []
        return sorted(
            (row for row in scan_rows("pg_index", indrelid=self.oid) if row.indislive), key=lambda row: row.indexrelid
        )

    @cached_property
    def primary_key_index(self) -> int:
        """The OID of the primary key's index, 0 if there is none (deferrable ones count too)."""
        return next((row.indexrelid for row in self.index_rows if row.indisprimary and row.indisvalid), 0)

    @cached_property
    def replica_identity_index(self) -> int:
        """The OID of the index that identifies rows in logical replication, 0 if none."""
        if self.form.relreplident == "d":
            return next(
                (r.indexrelid for r in self.index_rows if r.indisprimary and r.indisvalid and r.indimmediate), 0
            )
        if self.form.relreplident == "i":
            return next((row.indexrelid for row in self.index_rows if row.indisreplident), 0)
        return 0

    @cached_property
    def statistics_objects(self) -> list[Any]:
        """pg_statistic_ext rows, by OID."""
        return sorted(scan_rows("pg_statistic_ext", stxrelid=self.oid), key=lambda row: row.oid)

    @cached_property
    def partition_key(self) -> Any:
        """The pg_partitioned_table row, None if it is not partitioned."""
        return lookup(c.PARTRELID, self.oid) if self.form.relkind == "p" else None

    def indexed_attributes(self) -> tuple[set[int], set[int], set[int], set[int]]:
        """Attributes that updates must compare: (HOT-blocking, summarized, in unique keys, in the replica identity)."""
        blocking: set[int] = set()
        summarized: set[int] = set()
        key: set[int] = set()
        identity: set[int] = set()
        identity_index = self.replica_identity_index if self.index_rows else 0
        for row in self.index_rows:
            index = lookup(c.RELOID, row.indexrelid)
            target = summarized if index is not None and index.relam == BRIN_AM_OID else blocking
            target.update(attnum for attnum in row.indkey if attnum)
            for text in (row.indexprs, row.indpred):
                if text is not None:
                    target.update(int(number) for number in _VAR.findall(text))
            keys = row.indkey[: row.indnkeyatts]
            if row.indisunique and row.indimmediate and row.indexprs is None and row.indpred is None:
                key.update(keys)
            if row.indexrelid == identity_index:
                identity.update(keys)
        return blocking, summarized - blocking, key, identity
