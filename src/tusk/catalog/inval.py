"""Cache invalidation of this process: what its changes invalidate, and what others' messages do to its caches.

A change registers messages. They apply to this process at the end of the command; other processes get them when the
transaction commits; if it aborts they are applied here once more, so that nothing of it stays cached. At commit they
also go into the commit record, in PostgreSQL's 16-byte format, for standbys:

| offset | size | field |
| --- | --- | --- |
| 0 | 1 | id: from 0 a syscache; -1 catalog, -2 relcache, -3 smgr, -4 relation map, -5 snapshot, -6 publication |
| 4 | 4 | database OID, 0 for shared catalogs (-3: the locator's tablespace; bytes 1 to 3 are the backend number) |
| 8 | 4 | hash value (syscache), catalog OID, relation OID |
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from tusk.catalog import _sinval
from tusk.catalog._cachehash import key_hash
from tusk.catalog.cache import ALL_CACHES, SysCache
from tusk.catalog.rowbase import Row
from tusk.catalog.schema import schema_of, schemas_by_oid
from tusk.catalog.session import session

CATALOG, RELCACHE, SMGR, RELMAP, SNAPSHOT, RELSYNC = -1, -2, -3, -4, -5, -6
_MESSAGE = struct.Struct("<bxxxIII")
_SMGR = struct.Struct("<bbHIII")

# Catalogs without syscaches whose readers rely on the catalog snapshot only.
SNAPSHOT_ONLY = frozenset({2964, 2608, 1214, 2609, 2396, 3596, 3592})

RELATION, ATTRIBUTE, INDEX, CONSTRAINT = 1259, 1249, 2610, 2606

# Called with a relation OID, 0 for all; with a hash value, 0 for all.
relcache_callbacks: list[Callable[[int], None]] = []
# Called with the OID of a catalog of SNAPSHOT_ONLY, 0 for all.
snapshot_callbacks: list[Callable[[int], None]] = []
syscache_callbacks: dict[int, list[Callable[[int], None]]] = {}

# Set by the modules they belong to.
invalidate_relation: Callable[[int], None] = lambda _oid: None
release_smgr: Callable[[tuple[int, int, int], int], None] = lambda _locator, _backend: None
invalidate_relation_map: Callable[[bool], None] = lambda _shared: None
invalidate_catalog_snapshot: Callable[[], None] = lambda: None


def _caches_by_catalog() -> dict[str, list[tuple[SysCache, tuple[str, ...]]]]:
    result: dict[str, list[tuple[SysCache, tuple[str, ...]]]] = {}
    for cache in ALL_CACHES:
        schema = schema_of(cache.catalog)
        types = tuple(schema.columns[schema.attnum(name) - 1].type_name for name in cache.keys)
        cache.key_types = types
        result.setdefault(cache.catalog, []).append((cache, types))
    return result


_caches = _caches_by_catalog()


_MORE_COLUMNS = {"pg_class": ("oid", "relisshared"), "pg_attribute": ("attrelid",), "pg_index": ("indexrelid",),
                 "pg_constraint": ("contype", "conrelid")}  # fmt: skip


def needed_columns(catalog: str) -> tuple[int, ...]:
    """The attribute numbers that tell what a changed row invalidates."""
    schema = schema_of(catalog)
    names = {name for cache, _types in _caches.get(catalog, ()) for name in cache.keys}
    return tuple(sorted(schema.attnum(name) for name in names | set(_MORE_COLUMNS.get(catalog, ()))))


class _Level:
    """Messages of one (sub)transaction: of the current command, and of the commands before it."""

    __slots__ = ("current", "init_file", "nest_level", "prior")

    def __init__(self, nest_level: int) -> None:
        self.nest_level = nest_level
        self.current: dict[bytes, None] = {}
        self.prior: dict[bytes, None] = {}
        self.init_file = False


levels: list[_Level] = []
_nest_level: Callable[[], int] = lambda: 1


def set_nest_level_source(source: Callable[[], int]) -> None:
    """Name the function that tells how deep in subtransactions we are (from 1)."""
    global _nest_level
    _nest_level = source


def _level() -> _Level:
    depth = _nest_level()
    if not levels or levels[-1].nest_level != depth:
        levels.append(_Level(depth))
    return levels[-1]


# Registering


def _add(message: bytes) -> None:
    _level().current[message] = None


def register_catcache(cache: SysCache, hash_value: int, database: int) -> None:
    """A cached row, or the absence of one, may be wrong."""
    _add(_MESSAGE.pack(cache.id, database, hash_value, 0))


def register_catalog(database: int, catalog: int) -> None:
    """Every row of a catalog may be wrong."""
    _add(_MESSAGE.pack(CATALOG, database, catalog, 0))


def register_relcache(database: int, relation: int) -> None:
    """A relation's descriptor may be wrong; 0 means all."""
    level = _level()
    level.current[_MESSAGE.pack(RELCACHE, database, relation, 0)] = None
    if relation == 0 or relation in schemas_by_oid():
        level.init_file = True


def register_snapshot(database: int, catalog: int) -> None:
    """The catalog snapshot must not be kept."""
    _add(_MESSAGE.pack(SNAPSHOT, database, catalog, 0))


def _database_of(catalog_name: str) -> int:
    return 0 if schema_of(catalog_name).shared else session.database_id


def invalidate_heap_row(old: Row | None, new: Row | None) -> None:
    """A catalog row was inserted, updated or deleted (CacheInvalidateHeapTuple)."""
    row = new if new is not None else old
    assert row is not None
    name = row.catalog_name
    database = _database_of(name)
    if row.catalog_oid in SNAPSHOT_ONLY:
        register_snapshot(database, row.catalog_oid)
    for cache, types in _caches.get(name, ()):
        hashes = {key_hash(types, cache.key_of(version)) for version in (old, new) if version is not None}
        for hash_value in hashes:
            register_catcache(cache, hash_value, database)
    match row.catalog_oid:
        case 1259:
            register_relcache(0 if row.relisshared else session.database_id, row.oid)  # type: ignore[attr-defined]
        case 1249:
            register_relcache(session.database_id, row.attrelid)  # type: ignore[attr-defined]
        case 2610:
            register_relcache(session.database_id, row.indexrelid)  # type: ignore[attr-defined]
        case 2606 if row.contype == "f" and row.conrelid:  # type: ignore[attr-defined]
            register_relcache(session.database_id, row.conrelid)  # type: ignore[attr-defined]


def inplace_messages(row: Row) -> tuple[bytes, bool]:
    """The messages of a row that is overwritten in place, apart from those of the transaction; and whether relcache
    init files are out of date."""
    levels.append(_Level(_nest_level()))
    try:
        invalidate_heap_row(row, None)
    finally:
        level = levels.pop()
    return b"".join(_ordered(list(level.current))), level.init_file


def send_inplace(messages: bytes, _init_file: bool) -> None:
    """Tell everybody at once: the change does not wait for a commit.

    We hear of it through the queue like the others: now the page may still be locked, so no catalog can be read.
    """
    _sinval.insert_messages(messages)


def invalidate_relcache(relation: int, shared: bool = False) -> None:
    """Have a relation's descriptor rebuilt everywhere, without a change of its pg_class row."""
    register_relcache(0 if shared else session.database_id, relation)


def invalidate_relcache_all() -> None:
    """Have every relation's descriptor rebuilt everywhere."""
    register_relcache(0, 0)


def send_smgr(locator: tuple[int, int, int], backend: int) -> None:
    """Have every process close a relation's files, at once: the files change whether we commit or not."""
    high = backend >> 16 & 0xFF         # a signed byte in the message
    message = _SMGR.pack(SMGR, high - 256 if high > 127 else high, backend & 0xFFFF, *locator)
    _sinval.insert_messages(message)
    execute(message)


def send_relation_map(database: int) -> None:
    """Have every process read the relation map again, at once."""
    _sinval.insert_messages(_MESSAGE.pack(RELMAP, database, 0, 0))


# Applying


def execute(message: bytes) -> None:
    """Apply one message to this process (LocalExecuteInvalidationMessage)."""
    kind, database, value, _ = _MESSAGE.unpack(message)
    if kind == SMGR:
        _, high, low, spc, db, number = _SMGR.unpack(message)
        release_smgr((spc, db, number), high << 16 | low)
        return
    if database not in (0, session.database_id):
        return
    if kind >= 0:
        invalidate_catalog_snapshot()
        cache = ALL_CACHES[kind]
        cache.invalidate(value)
        for callback in syscache_callbacks.get(kind, ()):
            callback(value)
    elif kind == RELCACHE:
        invalidate_relation(value)
        for callback in relcache_callbacks:
            callback(value)
    elif kind == CATALOG:
        invalidate_catalog_snapshot()
        schema = schemas_by_oid()[value]
        for cache, _types in _caches.get(schema.name, ()):
            cache.invalidate(0)
            for callback in syscache_callbacks.get(cache.id, ()):
                callback(0)
    elif kind == RELMAP:
        invalidate_relation_map(database == 0)
    elif kind == SNAPSHOT:
        invalidate_catalog_snapshot()
        for callback in snapshot_callbacks:
            callback(value)
    elif kind != RELSYNC:
        raise RuntimeError(f"unrecognized invalidation message ID: {kind}")


def reset_all() -> None:
    """Forget every cached thing: messages were lost (InvalidateSystemCaches)."""
    invalidate_catalog_snapshot()
    for cache in ALL_CACHES:
        cache.invalidate(0)
    invalidate_relation(0)
    for functions in syscache_callbacks.values():
        for callback in functions:
            callback(0)
    for callback in [*relcache_callbacks, *snapshot_callbacks]:
        callback(0)


_sinval.set_handlers(execute, reset_all)


def on_syscache_change(cache: SysCache, callback: Callable[[int], None]) -> None:
    """Have ``callback(hash value, 0 for all)`` called when rows of a cache may have changed."""
    syscache_callbacks.setdefault(cache.id, []).append(callback)


def on_relcache_change(callback: Callable[[int], None]) -> None:
    """Have ``callback(relation OID, 0 for all)`` called when a relation's descriptor may have changed."""
    relcache_callbacks.append(callback)


# Ends of commands and transactions


def end_command() -> None:
    """Make the command's own changes visible to the following ones (CommandEndInvalidationMessages)."""
    if not levels or levels[-1].nest_level != _nest_level():
        return
    level = levels[-1]
    if level.current:
        messages = list(level.current)
        level.current = {}
        level.prior.update(dict.fromkeys(messages))
        for message in messages:
            execute(message)


def committed_messages() -> tuple[bytes, bool]:
    """The messages for the commit record, and whether relcache init files are out of date."""
    if not levels:
        return b"", False
    level = levels[-1]
    return b"".join(_ordered([*level.prior, *level.current])), level.init_file


def _ordered(messages: list[bytes]) -> list[bytes]:
    """Syscache messages first, relcache and snapshot ones after, as PostgreSQL writes them."""
    return sorted(messages, key=lambda message: message[0] >= 0x80)


def end_transaction(is_commit: bool) -> None:
    """Send (commit) or undo (abort) what the transaction registered (AtEOXact_Inval)."""
    if not levels:
        return
    ended = list(levels)
    levels.clear()
    if is_commit:
        for level in ended:
            messages = _ordered([*level.prior, *level.current])
            if messages:
                _sinval.insert_messages(b"".join(messages))
            for message in level.current:
                execute(message)
    else:
        for level in ended:
            for message in level.prior:
                execute(message)


def end_subtransaction(is_commit: bool) -> None:
    """Hand the messages to the parent (commit), or undo them (AtEOSubXact_Inval)."""
    depth = _nest_level()
    if not levels or levels[-1].nest_level < depth:
        return
    if is_commit:
        end_command()
        level = levels.pop()
        if levels and levels[-1].nest_level == depth - 1:
            parent = levels[-1]
            parent.prior.update(level.prior)
            parent.init_file |= level.init_file
        else:
            level.nest_level = depth - 1
            levels.append(level)
    else:
        level = levels.pop()
        for message in level.prior:
            execute(message)


def has_pending() -> bool:
    """Whether the transaction registered anything."""
    return any(level.current or level.prior for level in levels)


def execute_all(messages: bytes) -> None:
    """Apply and pass on the messages of a replayed commit record (ProcessCommittedInvalidationMessages)."""
    if messages:
        _sinval.insert_messages(messages)
