"""Reading the shared statistics as ``stats_fetch_consistency`` wants it (pgstat_fetch_entry).

``none`` reads what is shared at each access; ``cache`` keeps what was read first of each object until the transaction
ends; ``snapshot`` copies everything at the first access. What is kept is forgotten at the end of the transaction and by
pg_stat_clear_snapshot().
"""

from __future__ import annotations

import struct

from tusk.config import on_assign, settings
from tusk.stats import _activity, _pending, _store

(
    DATABASE, RELATION, FUNCTION, REPLSLOT, SUBSCRIPTION, BACKEND, ARCHIVER, BGWRITER, CHECKPOINTER, IO, SLRU, WAL,
) = range(1, 13)  # fmt: skip

Counters = tuple[int, ...]

_entries: dict[tuple[int, int, int], Counters | None] = {}
_fixed: dict[int, bytes] = {}
_activities: list[_activity.Activity] | None = None
_copied: dict[tuple[int, int, int], bytes] | None = None
_copied_at = 0


def _copy_all() -> dict[tuple[int, int, int], bytes]:
    global _copied, _copied_at
    if _copied is None:
        _copied_at = _store.now()
        _copied = _store.read_all()
        for kind in range(ARCHIVER, WAL + 1):
            _fixed.setdefault(kind, _store.read_fixed(kind))
        _pending.keep_snapshot()
    return _copied


def fetch(kind: int, database: int, oid: int) -> Counters | None:
    """An object's counters, None where nothing has been counted."""
    mode = settings.stats_fetch_consistency
    if mode == "none":
        return _store.read_entry(kind, database, oid)
    key = (kind, database, oid)
    if key in _entries:
        return _entries[key]
    if mode == "snapshot":
        data = _copy_all().get(key)
        found = None if data is None else struct.unpack(f"={len(data) // 8}q", data)
    else:
        found = _store.read_entry(kind, database, oid)
        _pending.keep_snapshot()
    _entries[key] = found
    return found


def fetch_fixed(kind: int) -> bytes:
    """The counters of a kind that exists once."""
    mode = settings.stats_fetch_consistency
    if mode == "none":
        return _store.read_fixed(kind)
    if mode == "snapshot":
        _copy_all()
    if kind not in _fixed:
        _fixed[kind] = _store.read_fixed(kind)
        _pending.keep_snapshot()
    return _fixed[kind]


def activities() -> list[_activity.Activity]:
    """What every process does, as first seen in this transaction."""
    global _activities
    if _activities is None:
        _activities = list(_activity.activities())
        _pending.keep_snapshot()
    return _activities


def timestamp() -> int | None:
    """When everything was copied, None where it was not."""
    return _copied_at if _copied is not None else None


def clear() -> None:
    """Forget what is kept."""
    global _copied, _activities
    _entries.clear()
    _fixed.clear()
    _copied = _activities = None


def exists(kind: int, database: int, oid: int) -> bool:
    """Whether there is an entry (pgstat_have_entry)."""
    return kind >= ARCHIVER or _store.read_entry(kind, database, oid) is not None


_pending.on_forget_snapshot(clear)
on_assign("stats_fetch_consistency")(lambda _value: clear())
