"""pg_stat_get_*() of the server: I/O, WAL, checkpoints, SLRUs, progress, replication."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tusk.commands.functions.statistics_resets import SLRU_NAMES
from tusk.commands.functions.support import invalid, may_see, out_row
from tusk.stats import progress, session_info, snapshot
from tusk.stats.backend_types import HAS_STATISTICS, BackendType
from tusk.types.registry import function

_BGWRITER = ("bgwriter_buf_written_clean", "bgwriter_maxwritten_clean", "buf_alloc", "bgwriter_stat_reset_time")
_CHECKPOINTER = (
    "num_timed", "num_requested", "num_performed", "restartpoints_timed", "restartpoints_requested",
    "restartpoints_performed", "write_time", "sync_time", "buffers_written", "slru_written", "stat_reset_time",
)  # fmt: skip


def _words(kind: int) -> tuple[int, ...]:
    data = snapshot.fetch_fixed(kind)
    return struct.unpack(f"={len(data) // 8}q", data)


def _define_fixed(prosrc: str, kind: int, index: int) -> None:
    def read() -> int | float:
        value = _words(kind)[index]
        return float(value) if prosrc.endswith(("write_time", "sync_time")) else value

    function(prosrc)(read)


for _index, _name in enumerate(_BGWRITER):
    _define_fixed(f"pg_stat_get_{_name}", snapshot.BGWRITER, _index)
for _index, _name in enumerate(_CHECKPOINTER):
    _define_fixed(f"pg_stat_get_checkpointer_{_name}", snapshot.CHECKPOINTER, _index)


@function("pg_stat_get_archiver")
def pg_stat_get_archiver() -> Any:
    """The archiver's counts (PgStat_ArchiverStats)."""
    done, last, last_at, failed, lost, lost_at, reset = struct.unpack(
        "=q41s7xqq41s7xqq", snapshot.fetch_fixed(snapshot.ARCHIVER)
    )
    names = [name.split(b"\0", 1)[0].decode() or None for name in (last, lost)]
    return out_row(
        "pg_stat_get_archiver", done, names[0], last_at or None, failed, names[1], lost_at or None, reset or None
    )


@function("pg_stat_get_wal")
def pg_stat_get_wal() -> Any:
    """The counts of WAL."""
    records, images, size, full, reset = _words(snapshot.WAL)
    return out_row("pg_stat_get_wal", records, images, Decimal(size), full, reset or None)


def _backend_counters(pid: int) -> tuple[BackendType, tuple[int, ...]] | None:
    """Kind and counters of a process that has some of its own (pgstat_fetch_stat_backend_by_pid)."""
    for entry in snapshot.activities():
        if entry.pid == pid and entry.backend_type in HAS_STATISTICS:
            found = snapshot.fetch(snapshot.BACKEND, 0, entry.procno)
            return None if found is None else (BackendType(entry.backend_type), found)
    return None


@function("pg_stat_get_backend_wal")
def pg_stat_get_backend_wal(pid: int) -> Any:
    """The same of one process."""
    found = _backend_counters(pid)
    if found is None:
        return None
    records, images, size, full = found[1][-4:]
    return out_row("pg_stat_get_backend_wal", records, images, Decimal(size), full, found[1][0] or None)


@function("pg_stat_get_slru", set_returning=True)
def pg_stat_get_slru() -> Iterator[tuple[Any, ...]]:
    """One row for each SLRU."""
    words = _words(snapshot.SLRU)
    for i, name in enumerate(SLRU_NAMES):
        zeroed, hit, read, written, exists, flushes, truncates, reset = words[i * 8 : i * 8 + 8]
        yield (name, zeroed, hit, read, written, exists, flushes, truncates, reset or None)


@function("pg_stat_get_recovery_prefetch", set_returning=True)
def pg_stat_get_recovery_prefetch() -> Iterator[tuple[Any, ...]]:
    """Recovery does not prefetch."""
    yield (session_info.postmaster_start(), 0, 0, 0, 0, 0, 0, 0, 0, 0)


# pg_stat_io. For each context the operations that cannot happen: r read, w write, b writeback, e extend, h hit,
# v evict, u reuse, f fsync; their columns are NULL (pgstat_tracks_io_op).
_CONTEXTS = {
    ("relation", "bulkread"): "ef", ("relation", "bulkwrite"): "f", ("relation", "init"): "u",
    ("relation", "normal"): "u", ("relation", "vacuum"): "f", ("temp relation", "normal"): "buf",
    ("wal", "init"): "rbehvu", ("wal", "normal"): "behvu",
}  # fmt: skip
_ORDER = (
    BackendType.AUTOVAC_LAUNCHER, BackendType.AUTOVAC_WORKER, BackendType.BACKEND, BackendType.BG_WORKER,
    BackendType.WAL_SENDER, BackendType.SLOTSYNC_WORKER, BackendType.STANDALONE_BACKEND, BackendType.BG_WRITER,
    BackendType.CHECKPOINTER, BackendType.IO_WORKER, BackendType.STARTUP, BackendType.WAL_RECEIVER,
    BackendType.WAL_SUMMARIZER, BackendType.WAL_WRITER,
)  # fmt: skip
_ONLY_WAL = (BackendType.WAL_RECEIVER, BackendType.WAL_SUMMARIZER, BackendType.WAL_WRITER)
_NO_BULK = (BackendType.BG_WRITER, BackendType.CHECKPOINTER)
_READS_NO_WAL = (
    BackendType.AUTOVAC_LAUNCHER, BackendType.AUTOVAC_WORKER, BackendType.BG_WRITER, BackendType.WAL_RECEIVER,
    BackendType.WAL_WRITER,
)  # fmt: skip


def _contexts(kind: BackendType) -> Iterator[tuple[str, str, str]]:
    """(object, context, impossible operations) of a kind of process."""
    for (target, context), impossible in _CONTEXTS.items():
        if target != "wal":
            if kind in _ONLY_WAL or (kind in _NO_BULK and context not in ("init", "normal")):
                continue
            if kind == BackendType.AUTOVAC_LAUNCHER and context in ("bulkwrite", "vacuum"):
                continue
            if kind == BackendType.AUTOVAC_WORKER and context == "bulkwrite":
                continue
            if target == "temp relation" and kind in (
                *_NO_BULK, BackendType.AUTOVAC_LAUNCHER, BackendType.AUTOVAC_WORKER, BackendType.STARTUP,
                BackendType.STANDALONE_BACKEND,
            ):  # fmt: skip
                continue
        lost = impossible
        if kind in _NO_BULK and target != "wal":
            lost += "rehv"
        if kind == BackendType.AUTOVAC_LAUNCHER and target == "relation":
            lost += "e"
        if target == "wal" and context == "normal" and kind in _READS_NO_WAL:
            lost += "r"
        yield target, context, lost


# Positions in PgStat_BktypeIO: bytes, counts and times in microseconds of each object, context and operation.
_OBJECTS = ("relation", "temp relation", "wal")
_CONTEXT_ORDER = ("bulkread", "bulkwrite", "init", "normal", "vacuum")
_OPERATIONS = {"v": 0, "f": 1, "h": 2, "u": 3, "b": 4, "e": 5, "r": 6, "w": 7}
_COUNTS, _TIMES, _IO_WORDS = 120, 240, 360


def _io_row(
    label: str, target: str, context: str, lost: str, words: tuple[int, ...], reset: int
) -> tuple[Any, ...]:
    base = _OBJECTS.index(target) * 40 + _CONTEXT_ORDER.index(context) * 8

    def count(letter: str) -> int | None:
        return None if letter in lost else words[_COUNTS + base + _OPERATIONS[letter]]

    def size(letter: str) -> Decimal | None:
        return None if letter in lost else Decimal(words[base + _OPERATIONS[letter]])

    def time(letter: str) -> float | None:
        return None if letter in lost else words[_TIMES + base + _OPERATIONS[letter]] / 1000

    return (
        label, target, context, count("r"), size("r"), time("r"), count("w"), size("w"), time("w"), count("b"),
        time("b"), count("e"), size("e"), time("e"), count("h"), count("v"), count("u"), count("f"), time("f"),
        reset or None,
    )  # fmt: skip


@function("pg_stat_get_io", set_returning=True)
def pg_stat_get_io() -> Iterator[tuple[Any, ...]]:
    """One row for each kind of process, kind of object and context."""
    words = _words(snapshot.IO)
    for kind in _ORDER:
        start = 1 + kind * _IO_WORDS
        for target, context, lost in _contexts(kind):
            yield _io_row(kind.label, target, context, lost, words[start : start + _IO_WORDS], words[0])


@function("pg_stat_get_backend_io", set_returning=True)
def pg_stat_get_backend_io(pid: int) -> Iterator[tuple[Any, ...]]:
    """The same of one backend."""
    found = _backend_counters(pid)
    if found is not None:
        kind, words = found
        for target, context, lost in _contexts(kind):
            yield _io_row(kind.label, target, context, lost, words[1 : 1 + _IO_WORDS], words[0])


_COMMANDS = {
    "VACUUM": progress.COMMAND_VACUUM, "ANALYZE": progress.COMMAND_ANALYZE, "CLUSTER": progress.COMMAND_CLUSTER,
    "CREATE INDEX": progress.COMMAND_CREATE_INDEX, "BASEBACKUP": progress.COMMAND_BASEBACKUP,
    "COPY": progress.COMMAND_COPY,
}  # fmt: skip


@function("pg_stat_get_progress_info", set_returning=True)
def pg_stat_get_progress_info(command: str) -> Iterator[tuple[Any, ...]]:
    """The processes that carry out this command, with its parameters; NULLs where the user may not see them."""
    wanted = _COMMANDS.get(command.upper())
    if wanted is None:
        raise invalid(f"invalid command name: \"{command}\"")
    return _progress_rows(wanted)


def _progress_rows(wanted: int) -> Iterator[tuple[Any, ...]]:
    for entry in snapshot.activities():
        found = progress.read_progress(entry.procno)
        if found is None or found[0] != wanted:
            continue
        if may_see(entry.user):
            yield (entry.pid, entry.database, found[1], *found[2])
        else:
            yield (entry.pid, entry.database, *(None,) * 21)


# Replication: no walsender, walreceiver, slot or subscription exists here yet.


@function("pg_stat_get_wal_senders", "pg_get_replication_slots", set_returning=True)
def _no_rows() -> Iterator[tuple[Any, ...]]:
    return iter(())


@function("pg_stat_get_subscription", set_returning=True)
def pg_stat_get_subscription(_subscription: int | None) -> Iterator[tuple[Any, ...]]:
    """Workers of subscriptions."""
    return iter(())


@function("pg_stat_get_wal_receiver")
def pg_stat_get_wal_receiver() -> Any:
    """A row of NULLs where none runs."""
    return out_row("pg_stat_get_wal_receiver", *(None,) * 15)


@function("pg_stat_get_subscription_stats")
def pg_stat_get_subscription_stats(subscription: int) -> Any:
    """Counts of a subscription."""
    return out_row("pg_stat_get_subscription_stats", subscription, *(0,) * 9, None)


@function("pg_stat_get_replication_slot")
def pg_stat_get_replication_slot(name: str) -> Any:
    """Counts of a logical slot."""
    return out_row("pg_stat_get_replication_slot", name, *(0,) * 8, None)


@function("pg_show_replication_origin_status", set_returning=True)
def pg_show_replication_origin_status() -> Iterator[tuple[Any, ...]]:
    """Progress of replication origins."""
    return iter(())
