"""Checking the relations of a database: tables, their TOAST tables, indexes against tables, sequences."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from tusk.access import _index
from tusk.access.heap import _check as heap_check
from tusk.access.nbtree import _check as btree_check
from tusk.catalog import _relcache
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, scan_rows
from tusk.commands.checking.findings import Finding
from tusk.errors import SqlError
from tusk.storage import _smgr

_ACCESS_SHARE = 1
_BTREE = 403
_WITH_STORAGE = "rimtS"
_SEQUENCE_MAGIC = 0x1717
_MAX_OF_RELATION = 100
_XID_HALF = 0x80000000


class DatabaseCheck:
    """All relations of the database that this process has open; in a transaction."""

    def __init__(
        self, name: str, limits: dict[str, int], *, checksums: bool, with_shared: bool, only: Collection[str] = ()
    ) -> None:
        self.name = name
        self.only = only
        self.limits = limits
        self.checksums = checksums
        self.with_shared = with_shared
        self.counts = {"tables": 0, "indexes": 0, "rows": 0, "entries": 0}

    def run(self) -> Iterator[Finding]:
        """What is wrong, relation after relation."""
        database = scan_rows("pg_database", datname=self.name)[0]
        rows = [row for row in scan_rows("pg_class") if row.relkind in _WITH_STORAGE and row.relpersistence != "t"]
        for row in sorted(rows, key=lambda row: row.oid):
            if row.relisshared and not self.with_shared:
                continue
            if self.only and row.relname not in self.only and self._name(row) not in self.only:
                continue
            if row.relkind in "rmt":
                yield from self._check_horizons(row, database)
                yield from self._guarded(row.oid, self._check_table)
            elif row.relkind == "S":
                yield from self._guarded(row.oid, self._check_sequence)

    def _check_horizons(self, row: Any, database: Any) -> Iterator[Finding]:
        """A table's horizons are not older than its database's."""
        for mine, bound in (("relfrozenxid", "datfrozenxid"), ("relminmxid", "datminmxid")):
            value, oldest = getattr(row, mine), getattr(database, bound)
            if (value - oldest) & 0xFFFFFFFF >= _XID_HALF:
                yield Finding(self.name, self._name(row), "", None, None, f"{mine} {value} precedes {bound} {oldest}")

    def _name(self, row: Any) -> str:
        schema = lookup(c.NAMESPACEOID, row.relnamespace)
        return f"{schema.nspname if schema else row.relnamespace}.{row.relname}"

    def _guarded(self, oid: int, check: Any) -> Iterator[Finding]:
        """Open a relation and check it; an error of reading is a finding too."""
        row = lookup(c.RELOID, oid)
        try:
            rel = _relcache.relation_open(oid, _ACCESS_SHARE)
        except SqlError as error:
            yield Finding(self.name, self._name(row), "", None, None, f"cannot be opened: {error.message}")
            return
        try:
            if not _smgr.exists(rel.locator):
                yield Finding(self.name, self._name(row), _smgr.path_of(*rel.locator), None, None, "file is missing")
                return
            try:
                yield from check(rel)
            except SqlError as error:
                text = f"{error.message} ({error.detail})" if error.detail else error.message
                yield self._finding(rel, None, None, text)
        finally:
            _relcache.relation_close(rel, _ACCESS_SHARE)

    def _finding(self, rel: Any, block: int | None, offset: int | None, message: str) -> Finding:
        return Finding(self.name, self._name(rel.form), _smgr.path_of(*rel.locator), block, offset, message)

    def _some(self, rel: Any, problems: list[tuple[int, int, str]]) -> Iterator[Finding]:
        for block, offset, message in problems[:_MAX_OF_RELATION]:
            yield self._finding(rel, block, offset, message)
        if len(problems) > _MAX_OF_RELATION:
            yield self._finding(rel, None, None, f"{len(problems) - _MAX_OF_RELATION} more problems")

    def _check_table(self, rel: Any) -> Iterator[Finding]:
        checker = heap_check.check_heap(rel, self.limits, self.checksums)
        self.counts["tables"] += 1
        self.counts["rows"] += checker.live
        yield from self._some(rel, checker.problems)
        if checker.pointers:
            toast = _relcache.relation_open(rel.reltoastrelid, _ACCESS_SHARE)
            try:
                kinds = heap_check.check_heap(toast, self.limits, self.checksums).kinds
                values = heap_check.toast_values(toast, kinds)
                yield from self._some(rel, heap_check.check_toast(checker.pointers, values))
            finally:
                _relcache.relation_close(toast, _ACCESS_SHARE)
        if checker.problems:
            # What indexes should hold is not known; their structure is checked all the same.
            for oid in rel.index_oids:
                yield from self._guarded(oid, self._check_structure)
            return
        for oid in rel.index_oids:
            yield from self._guarded(oid, lambda index: self._check_index(index, rel, checker.kinds))

    def _check_structure(self, index: Any) -> Iterator[Finding]:
        if index.form.relam == _BTREE:
            btree_check.check_index(index)
        yield from ()

    def _check_index(self, index: Any, rel: Any, kinds: list[bytes | None]) -> Iterator[Finding]:
        if index.form.relam != _BTREE or not index.indisready:
            return
        result = btree_check.check_index(index, rel, _index.index_former(rel, index), kinds)
        self.counts["indexes"] += 1
        self.counts["entries"] += result["entries"]
        yield from ()

    def _check_sequence(self, rel: Any) -> Iterator[Finding]:
        """One page, one frozen tuple, the magic number."""
        blocks = _smgr.nblocks(rel.locator)
        if blocks != 1:
            yield self._finding(rel, None, None, f"sequence has {blocks} pages instead of one")
            return
        page = _smgr.read(rel.locator, 0, 0)
        special = int.from_bytes(page[16:18], "little")
        if special > 8188 or int.from_bytes(page[special : special + 4], "little") != _SEQUENCE_MAGIC:
            yield self._finding(rel, 0, None, "bad magic number in sequence")
        elif int.from_bytes(page[12:14], "little") != 28:
            yield self._finding(rel, 0, None, "sequence page does not hold one tuple")
