"""The system catalog caches: rows by key, and lists of rows by key prefix.

``lookup(TYPEOID, 23)`` gives a row class instance or None; ``lookup_list(PROCNAMEARGSNSP, "abs")`` a list. Keys are
Python values: int for OIDs and numbers, str for names and "char", a tuple of int for oidvector, bool for bool.
Rows are shared: never change one, `copy()` it.

Without an open database (tools, tests, the analyzer on its own) the built-in facts answer. When a database is
open, `set_reader` has installed the reader of the real relations and the caches fill from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.cacheids import CACHES
from tusk.catalog.facts import builtin_rows
from tusk.catalog.rowbase import Row

# (catalog, column names, values) -> the rows where the columns have these values
Reader = Callable[[str, tuple[str, ...], tuple[Any, ...]], list[Any]]


class SysCache:
    """One syscache. ``entries`` maps full keys to rows or None; ``lists`` maps key prefixes to lists.

    ``hashes`` finds entries by the hash value that invalidation messages carry; ``version`` counts invalidations.
    """

    __slots__ = (
        "catalog", "entries", "hashes", "id", "index_oid", "key_types", "keys", "lists", "name", "nkeys", "version",
    )  # fmt: skip

    def __init__(self, name: str, cache_id: int, catalog: str, index_oid: int, keys: tuple[str, ...]) -> None:
        self.name = name
        self.id = cache_id
        self.catalog = catalog
        self.index_oid = index_oid
        self.keys = keys
        self.nkeys = len(keys)
        self.key_types: tuple[str, ...] = ()
        self.entries: dict[Any, Any] = {}
        self.lists: dict[tuple[Any, ...], list[Any]] = {}
        self.hashes: dict[int, list[Any]] = {}
        self.version = 0

    def __repr__(self) -> str:
        return f"<SysCache {self.name}>"

    def key_of(self, row: Row) -> tuple[Any, ...]:
        """The cache key of a row."""
        return tuple(getattr(row, name) for name in self.keys)

    def remember(self, key: tuple[Any, ...], row: Any, hash_value: int) -> None:
        """Cache a row or its absence (None)."""
        self.entries[key] = row
        self.hashes.setdefault(hash_value, []).append(key)

    def invalidate(self, hash_value: int) -> None:
        """Forget what a message names; 0 forgets everything. Lists are forgotten in any case."""
        self.version += 1
        self.lists.clear()
        if hash_value == 0:
            self.entries.clear()
            self.hashes.clear()
        else:
            for key in self.hashes.pop(hash_value, ()):
                self.entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self.invalidate(0)


ALL_CACHES: tuple[SysCache, ...] = tuple(SysCache(name, *description) for name, description in CACHES.items())
BY_NAME: dict[str, SysCache] = {cache.name: cache for cache in ALL_CACHES}


class _Facts:
    """Answers from the built-in rows, through one dict per set of columns asked for."""

    def __init__(self) -> None:
        self.indexes: dict[tuple[str, tuple[str, ...]], dict[tuple[Any, ...], list[Any]]] = {}

    def __call__(self, catalog: str, columns: tuple[str, ...], values: tuple[Any, ...]) -> list[Any]:
        index = self.indexes.get((catalog, columns))
        if index is None:
            index = {}
            for row in builtin_rows(catalog):
                index.setdefault(tuple([getattr(row, name) for name in columns]), []).append(row)
            self.indexes[catalog, columns] = index
        return index.get(values, [])


facts_reader: Reader = _Facts()
_reader: Reader = facts_reader
_hash_key: Callable[[tuple[str, ...], tuple[Any, ...]], int] | None = None


def set_reader(
    reader: Reader | None, hash_key: Callable[[tuple[str, ...], tuple[Any, ...]], int] | None = None
) -> None:
    """Choose where cache misses are answered: None is the built-in facts. Empties the caches."""
    global _reader, _hash_key
    _reader = facts_reader if reader is None else reader
    _hash_key = hash_key
    for cache in ALL_CACHES:
        cache.clear()


def lookup(cache: SysCache, *key: Any) -> Any:
    """The row with this full key, or None (SearchSysCache)."""
    try:
        return cache.entries[key]
    except KeyError:
        return _miss(cache, key)


def _miss(cache: SysCache, key: tuple[Any, ...]) -> Any:
    assert len(key) == cache.nkeys, f"{cache.name} has {cache.nkeys} keys"
    while True:
        version = cache.version
        found = _reader(cache.catalog, cache.keys, key)
        row = found[0] if found else None
        if cache.version == version:
            break
    cache.remember(key, row, 1 if _hash_key is None else _hash_key(cache.key_types, key))
    return row


def lookup_list(cache: SysCache, *prefix: Any) -> list[Any]:
    """All rows whose leading key columns equal the prefix (SearchSysCacheList). Do not change the list."""
    try:
        return cache.lists[prefix]
    except KeyError:
        pass
    while True:
        version = cache.version
        found = _reader(cache.catalog, cache.keys[: len(prefix)], prefix)
        if cache.version == version:
            break
    cache.lists[prefix] = found
    return found


def scan_rows(catalog: str, /, **columns: Any) -> list[Any]:
    """The rows of a catalog where the named columns have these values, uncached, by an index where one fits.

    Without columns it is every row. This is what systable_beginscan is for in PostgreSQL.
    """
    return _reader(catalog, tuple(columns), tuple(columns.values()))


def exists(cache: SysCache, *key: Any) -> bool:
    """Whether there is such a row (SearchSysCacheExists)."""
    return lookup(cache, *key) is not None


AGGFNOID = BY_NAME["AGGFNOID"]
AMNAME = BY_NAME["AMNAME"]
AMOID = BY_NAME["AMOID"]
AMOPOPID = BY_NAME["AMOPOPID"]
AMOPSTRATEGY = BY_NAME["AMOPSTRATEGY"]
AMPROCNUM = BY_NAME["AMPROCNUM"]
ATTNAME = BY_NAME["ATTNAME"]
ATTNUM = BY_NAME["ATTNUM"]
AUTHMEMMEMROLE = BY_NAME["AUTHMEMMEMROLE"]
AUTHMEMROLEMEM = BY_NAME["AUTHMEMROLEMEM"]
AUTHNAME = BY_NAME["AUTHNAME"]
AUTHOID = BY_NAME["AUTHOID"]
CASTSOURCETARGET = BY_NAME["CASTSOURCETARGET"]
CLAAMNAMENSP = BY_NAME["CLAAMNAMENSP"]
CLAOID = BY_NAME["CLAOID"]
COLLNAMEENCNSP = BY_NAME["COLLNAMEENCNSP"]
COLLOID = BY_NAME["COLLOID"]
CONDEFAULT = BY_NAME["CONDEFAULT"]
CONNAMENSP = BY_NAME["CONNAMENSP"]
CONSTROID = BY_NAME["CONSTROID"]
CONVOID = BY_NAME["CONVOID"]
DATABASEOID = BY_NAME["DATABASEOID"]
DEFACLROLENSPOBJ = BY_NAME["DEFACLROLENSPOBJ"]
ENUMOID = BY_NAME["ENUMOID"]
ENUMTYPOIDNAME = BY_NAME["ENUMTYPOIDNAME"]
EVENTTRIGGERNAME = BY_NAME["EVENTTRIGGERNAME"]
EVENTTRIGGEROID = BY_NAME["EVENTTRIGGEROID"]
EXTENSIONNAME = BY_NAME["EXTENSIONNAME"]
EXTENSIONOID = BY_NAME["EXTENSIONOID"]
FOREIGNDATAWRAPPERNAME = BY_NAME["FOREIGNDATAWRAPPERNAME"]
FOREIGNDATAWRAPPEROID = BY_NAME["FOREIGNDATAWRAPPEROID"]
FOREIGNSERVERNAME = BY_NAME["FOREIGNSERVERNAME"]
FOREIGNSERVEROID = BY_NAME["FOREIGNSERVEROID"]
FOREIGNTABLEREL = BY_NAME["FOREIGNTABLEREL"]
INDEXRELID = BY_NAME["INDEXRELID"]
LANGNAME = BY_NAME["LANGNAME"]
LANGOID = BY_NAME["LANGOID"]
NAMESPACENAME = BY_NAME["NAMESPACENAME"]
NAMESPACEOID = BY_NAME["NAMESPACEOID"]
OPERNAMENSP = BY_NAME["OPERNAMENSP"]
OPEROID = BY_NAME["OPEROID"]
OPFAMILYAMNAMENSP = BY_NAME["OPFAMILYAMNAMENSP"]
OPFAMILYOID = BY_NAME["OPFAMILYOID"]
PARAMETERACLNAME = BY_NAME["PARAMETERACLNAME"]
PARAMETERACLOID = BY_NAME["PARAMETERACLOID"]
PARTRELID = BY_NAME["PARTRELID"]
PROCNAMEARGSNSP = BY_NAME["PROCNAMEARGSNSP"]
PROCOID = BY_NAME["PROCOID"]
PUBLICATIONNAME = BY_NAME["PUBLICATIONNAME"]
PUBLICATIONNAMESPACE = BY_NAME["PUBLICATIONNAMESPACE"]
PUBLICATIONNAMESPACEMAP = BY_NAME["PUBLICATIONNAMESPACEMAP"]
PUBLICATIONOID = BY_NAME["PUBLICATIONOID"]
PUBLICATIONREL = BY_NAME["PUBLICATIONREL"]
PUBLICATIONRELMAP = BY_NAME["PUBLICATIONRELMAP"]
RANGEMULTIRANGE = BY_NAME["RANGEMULTIRANGE"]
RANGETYPE = BY_NAME["RANGETYPE"]
RELNAMENSP = BY_NAME["RELNAMENSP"]
RELOID = BY_NAME["RELOID"]
REPLORIGIDENT = BY_NAME["REPLORIGIDENT"]
REPLORIGNAME = BY_NAME["REPLORIGNAME"]
RULERELNAME = BY_NAME["RULERELNAME"]
SEQRELID = BY_NAME["SEQRELID"]
STATEXTDATASTXOID = BY_NAME["STATEXTDATASTXOID"]
STATEXTNAMENSP = BY_NAME["STATEXTNAMENSP"]
STATEXTOID = BY_NAME["STATEXTOID"]
STATRELATTINH = BY_NAME["STATRELATTINH"]
SUBSCRIPTIONNAME = BY_NAME["SUBSCRIPTIONNAME"]
SUBSCRIPTIONOID = BY_NAME["SUBSCRIPTIONOID"]
SUBSCRIPTIONRELMAP = BY_NAME["SUBSCRIPTIONRELMAP"]
TABLESPACEOID = BY_NAME["TABLESPACEOID"]
TRFOID = BY_NAME["TRFOID"]
TRFTYPELANG = BY_NAME["TRFTYPELANG"]
TSCONFIGMAP = BY_NAME["TSCONFIGMAP"]
TSCONFIGNAMENSP = BY_NAME["TSCONFIGNAMENSP"]
TSCONFIGOID = BY_NAME["TSCONFIGOID"]
TSDICTNAMENSP = BY_NAME["TSDICTNAMENSP"]
TSDICTOID = BY_NAME["TSDICTOID"]
TSPARSERNAMENSP = BY_NAME["TSPARSERNAMENSP"]
TSPARSEROID = BY_NAME["TSPARSEROID"]
TSTEMPLATENAMENSP = BY_NAME["TSTEMPLATENAMENSP"]
TSTEMPLATEOID = BY_NAME["TSTEMPLATEOID"]
TYPENAMENSP = BY_NAME["TYPENAMENSP"]
TYPEOID = BY_NAME["TYPEOID"]
USERMAPPINGOID = BY_NAME["USERMAPPINGOID"]
USERMAPPINGUSERSERVER = BY_NAME["USERMAPPINGUSERSERVER"]
