"""VACUUM of one table: what is to be done, doing it, and what is said about it (vacuum_rel, heap_vacuum_rel)."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tusk.access import _vacuum_cost
from tusk.access.heap._vacuum import HeapVacuum, map_counts
from tusk.catalog import cache as c
from tusk.catalog._relcache import lock_relation, relation_close, relation_open, try_relation_open
from tusk.catalog.cache import lookup
from tusk.catalog.namespace import is_other_temp_namespace
from tusk.catalog.relinfo import parse_reloptions
from tusk.catalog.session import SECURITY_RESTRICTED_OPERATION, session
from tusk.commands.vacuum_horizon import cutoffs, estimate_tuples, next_xid, update_relation_statistics
from tusk.config import settings
from tusk.errors import Severity, errcode, report
from tusk.stats import _store, progress, tables
from tusk.storage import _buffer
from tusk.transaction import _lock, _procarray, xact
from tusk.transaction import _snapshot as snapshots
from tusk.wal import _xlog

ShareUpdateExclusiveLock, AccessExclusiveLock, RowExclusiveLock = 4, 8, 3
PROC_IN_VACUUM, PROC_VACUUM_FOR_WRAPAROUND = 0x02, 0x08
_MASK = 0xFFFFFFFF


@dataclass
class VacuumParams:
    """What VACUUM and ANALYZE were asked to do (VacuumParams)."""

    vacuum: bool
    analyze: bool = False
    freeze: bool = False
    full: bool = False
    verbose: bool = False
    disable_page_skipping: bool = False
    skip_locked: bool = False
    process_main: bool = True
    process_toast: bool = True
    skip_database_stats: bool = False
    only_database_stats: bool = False
    # Ages; -1: the settings'.
    freeze_min_age: int = -1
    freeze_table_age: int = -1
    multixact_freeze_min_age: int = -1
    multixact_freeze_table_age: int = -1
    index_cleanup: str | None = None        # "auto", "on", "off"; None: as the table says
    truncate: bool | None = None
    parallel: int = 0
    ring_kb: int | None = None
    # Of autovacuum.
    automatic: bool = False
    wraparound: bool = False
    log_min_duration_ms: int = -1
    toast_parent: int = 0
    work_mem_kb: int = 0


# Set by `vacuum`: cluster.rewrite_relation.
full_rewriter: Callable[..., None] | None = None


def report_skipped(name: str | None, relid: int, command: str, params: VacuumParams, *, locked: bool) -> None:
    """Say that a table was passed over; an autovacuum worker only if it logs at all (vacuum_open_relation)."""
    if name is None or (params.automatic and params.log_min_duration_ms < 0):
        return
    level = Severity.LOG if params.automatic else Severity.WARNING
    if locked:
        report(level, f'skipping {command} of "{name}" --- lock not available', sqlstate=errcode.LOCK_NOT_AVAILABLE)
    else:
        report(
            level, f'skipping {command} of "{name}" --- relation no longer exists', sqlstate=errcode.UNDEFINED_TABLE
        )


def open_for(relid: int, name: str | None, params: VacuumParams, mode: int, command: str) -> Any:
    """The table, locked; None, with a word about it, where it is gone or locked (vacuum_open_relation)."""
    if params.skip_locked:
        row = lookup(c.RELOID, relid)
        if row is not None and not lock_relation(relid, mode, True):
            report_skipped(name, relid, command, params, locked=True)
            return None
        rel = try_relation_open(relid, 0)
    else:
        rel = try_relation_open(relid, mode)
    if rel is None:
        report_skipped(name, relid, command, params, locked=False)
    return rel


def vacuum_relation(relid: int, name: str | None, params: VacuumParams) -> bool:
    """Vacuum one table in a transaction of its own, then its TOAST table; False if it was passed over (vacuum_rel)."""
    from tusk.commands.vacuum import permitted

    xact.start_transaction_command()
    if not params.full:
        # A lazy vacuum only looks at ids that are kept safe in other ways: nobody's horizon need wait for it.
        flags = PROC_IN_VACUUM | (PROC_VACUUM_FOR_WRAPAROUND if params.wraparound else 0)
        _procarray.set_vacuum_flags(flags)
    snapshots.push_active(snapshots.transaction_snapshot())
    mode = AccessExclusiveLock if params.full else ShareUpdateExclusiveLock
    rel = open_for(relid, name, params, mode, "vacuum")
    if rel is None:
        _finish_transaction()
        return False
    permission_row = lookup(c.RELOID, params.toast_parent) if params.toast_parent else rel.form
    if not permitted(permission_row, params):
        relation_close(rel, mode)
        _finish_transaction()
        return False
    if rel.form.relkind not in "rmtp":
        report(Severity.WARNING, f'skipping "{rel.name}" --- cannot vacuum non-tables or special system tables')
        relation_close(rel, mode)
        _finish_transaction()
        return False
    if is_other_temp_namespace(rel.form.relnamespace) or rel.form.relkind == "p":
        relation_close(rel, mode)
        _finish_transaction()
        return bool(rel.form.relkind == "p")
    tag = (0 if rel.is_shared else session.database_id, relid, 0, 0, 0, 1)
    # Held over both transactions, so that nobody drops the table before its TOAST table is done.
    _lock.acquire(tag, mode, True)
    try:
        toast = 0
        if params.process_toast and not (params.full and params.process_main):
            toast = rel.reltoastrelid
        saved_user, saved_context = session.current_user_id, session.security_context
        session.set_user_and_context(rel.form.relowner, saved_context | SECURITY_RESTRICTED_OPERATION)
        try:
            if params.process_main:
                if params.full:
                    rewriter = full_rewriter
                    assert rewriter is not None
                    rewriter(rel, 0, verbose=params.verbose)
                else:
                    _vacuum_heap(rel, _with_table_options(rel, params))
        finally:
            session.set_user_and_context(saved_user, saved_context)
            relation_close(rel, 0)
        _finish_transaction()
        if toast:
            vacuum_relation(toast, None, replace(params, process_main=True, toast_parent=relid, index_cleanup="auto"
                                                 if params.full else params.index_cleanup))
    finally:
        _lock.release(tag, mode, True)
    return True


def _finish_transaction() -> None:
    if snapshots.is_active_set():
        snapshots.pop_active()
    xact.commit_transaction_command()


_TRUE = ("on", "true", "yes", "1", "t")


def _with_table_options(rel: Any, params: VacuumParams) -> VacuumParams:
    """Fill in what the command left to the table's storage parameters and the settings."""
    options = parse_reloptions(rel.form.reloptions)
    index_cleanup, truncate = params.index_cleanup, params.truncate
    if index_cleanup is None:
        text = options.get("vacuum_index_cleanup", "auto").lower()
        index_cleanup = "auto" if text == "auto" else "on" if text in _TRUE else "off"
    if truncate is None:
        text = options.get("vacuum_truncate", "")
        truncate = text.lower() in _TRUE if text else bool(settings.vacuum_truncate)
    return replace(params, index_cleanup=index_cleanup, truncate=truncate)


def _eager_failure_rate(rel: Any) -> float:
    options = parse_reloptions(rel.form.reloptions)
    text = options.get("vacuum_max_eager_freeze_failure_rate")
    return float(text) if text is not None else float(settings.vacuum_max_eager_freeze_failure_rate)


class Usage:
    """What a command used up since this was made: time, buffers, WAL (pg_rusage and friends)."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.cpu = resource.getrusage(resource.RUSAGE_SELF)
        self.buffers = _buffer.usage()
        self.wal = _xlog.usage()
        self.slept = _vacuum_cost.slept()

    def elapsed_ms(self) -> float:
        """Milliseconds so far."""
        return (time.monotonic() - self.begun) * 1000

    def lines(self, *, with_wal: bool = True) -> list[str]:
        """The last lines of the report of a VACUUM or ANALYZE."""
        now = _buffer.usage()
        used = {name: now[name] - self.buffers[name] for name in now}
        hits = used["shared_blks_hit"] + used["local_blks_hit"]
        reads = used["shared_blks_read"] + used["local_blks_read"]
        dirtied = used["shared_blks_dirtied"] + used["local_blks_dirtied"]
        seconds = time.monotonic() - self.begun
        result = []
        if settings.track_cost_delay_timing:
            result.append(f"delay time: {_vacuum_cost.slept() - self.slept:.3f} ms")
        if settings.track_io_timing:
            read_ms = (used["shared_blk_read_ns"] + used["local_blk_read_ns"]) / 1e6
            write_ms = (used["shared_blk_write_ns"] + used["local_blk_write_ns"]) / 1e6
            result.append(f"I/O timings: read: {read_ms:.3f} ms, write: {write_ms:.3f} ms")
        rate = 8192 / 1048576 / seconds if seconds > 0 else 0.0
        result.append(f"avg read rate: {reads * rate:.3f} MB/s, avg write rate: {dirtied * rate:.3f} MB/s")
        result.append(f"buffer usage: {hits} hits, {reads} reads, {dirtied} dirtied")
        if with_wal:
            records, images, size, full = (a - b for a, b in zip(_xlog.usage(), self.wal, strict=True))
            result.append(
                f"WAL usage: {records} records, {images} full page images, {size} bytes, {full} buffers full"
            )
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        result.append(
            f"system usage: CPU: user: {cpu.ru_utime - self.cpu.ru_utime:.2f} s, "
            f"system: {cpu.ru_stime - self.cpu.ru_stime:.2f} s, elapsed: {seconds:.2f} s"
        )
        return result


def _work_memory(params: VacuumParams) -> int:
    return (params.work_mem_kb or int(settings.maintenance_work_mem)) * 1024


def _vacuum_heap(rel: Any, params: VacuumParams) -> None:
    usage = Usage()
    started = _store.now()
    progress.start_command(progress.COMMAND_VACUUM, rel.rd_id)
    _vacuum_cost.new_table(bool(settings.track_cost_delay_timing), int(progress.Vacuum.DELAY_TIME))
    limits = cutoffs(rel, params)
    names = (
        lookup(c.DATABASEOID, session.database_id).datname,
        lookup(c.NAMESPACEOID, rel.form.relnamespace).nspname,
        rel.name,
    )
    indexes = [relation_open(oid, RowExclusiveLock) for oid in rel.index_oids]
    try:
        usable = [index for index in indexes if index.index_form is None or index.indisready]
        vacuum = HeapVacuum(
            rel, usable, limits.oldest_xmin, limits.oldest_mxact, limits.freeze_limit, limits.multixact_cutoff
        )
        vacuum.full_name = ".".join(names)
        vacuum.verbose = params.verbose
        vacuum.aggressive = limits.aggressive or params.disable_page_skipping
        vacuum.skip_with_map = not params.disable_page_skipping
        vacuum.max_dead_memory = _work_memory(params)
        vacuum.eager_failure_rate = _eager_failure_rate(rel)
        vacuum.do_truncate = bool(params.truncate)
        if params.index_cleanup == "off":
            vacuum.do_index_vacuuming = vacuum.do_index_cleanup = False
        vacuum.consider_bypass = params.index_cleanup == "auto"
        if params.verbose:
            how = "aggressively vacuuming" if vacuum.aggressive else "vacuuming"
            report(Severity.INFO, f'{how} "{vacuum.full_name}"')
        vacuum.run()
        counted = estimate_tuples(rel, vacuum.pages, vacuum.scanned_pages, float(vacuum.live))
        tuples = max(counted, 0.0) + vacuum.recently_dead + vacuum.missed_dead
        if vacuum.do_index_cleanup:
            for result in vacuum.results:
                if result.known and not result.estimated:
                    update_relation_statistics(
                        result.index.rd_id, result.pages, float(result.tuples), 0, 0, has_index=False
                    )
        vacuum.truncate_if_worthwhile()
        visible, frozen = map_counts(rel)
        visible = min(visible, vacuum.pages)
        moved = update_relation_statistics(
            rel.rd_id, vacuum.pages, counted, visible, min(frozen, visible), has_index=bool(indexes),
            horizon=(vacuum.new_relfrozenxid, vacuum.new_relminmxid),
        )
        tables.report_vacuum(
            0 if rel.is_shared else session.database_id, rel.rd_id, max(int(counted), 0),
            vacuum.recently_dead + vacuum.missed_dead, started, is_autovacuum=params.automatic,
        )
        progress.end_command()
        if params.verbose or (
            params.automatic
            and params.log_min_duration_ms >= 0
            and (params.log_min_duration_ms == 0 or usage.elapsed_ms() >= params.log_min_duration_ms)
        ):
            text = "\n".join(_report_lines(vacuum, params, tuples, moved) + usage.lines())
            report(Severity.INFO if params.verbose else Severity.LOG, text)
    finally:
        for index in indexes:
            relation_close(index, 0)


def _share(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0


def _report_lines(vacuum: HeapVacuum, params: VacuumParams, tuples: float, moved: tuple[bool, bool]) -> list[str]:
    """What VERBOSE and log_autovacuum_min_duration tell, in PostgreSQL's words; programs read it."""
    total = vacuum.original_pages
    if params.verbose:
        what = "finished vacuuming"
    else:
        aggressive = "aggressive " if vacuum.aggressive else ""
        purpose = "to prevent wraparound of table" if params.wraparound else "of table"
        what = f"automatic {aggressive}vacuum {purpose}"
    lines = [
        f'{what} "{vacuum.full_name}": index scans: {vacuum.num_index_scans}',
        f"pages: {vacuum.removed_pages} removed, {vacuum.pages} remain, {vacuum.scanned_pages} scanned "
        f"({_share(vacuum.scanned_pages, total):.2f}% of total), {vacuum.eager_scanned_pages} eagerly scanned",
        f"tuples: {vacuum.removed} removed, {int(tuples)} remain, {vacuum.recently_dead} are dead but not yet "
        "removable",
    ]
    if vacuum.missed_dead > 0:
        lines.append(
            f"tuples missed: {vacuum.missed_dead} dead from {vacuum.missed_dead_pages} pages not removed due to "
            "cleanup lock contention"
        )
    age = _distance(next_xid(), vacuum.oldest_xmin)
    lines.append(f"removable cutoff: {vacuum.oldest_xmin}, which was {age} XIDs old when operation ended")
    if moved[0]:
        ahead = _distance(vacuum.new_relfrozenxid, vacuum.old_relfrozenxid)
        lines.append(f"new relfrozenxid: {vacuum.new_relfrozenxid}, which is {ahead} XIDs ahead of previous value")
    if moved[1]:
        ahead = _distance(vacuum.new_relminmxid, vacuum.old_relminmxid)
        lines.append(f"new relminmxid: {vacuum.new_relminmxid}, which is {ahead} MXIDs ahead of previous value")
    lines.append(
        f"frozen: {vacuum.frozen_tuple_pages} pages from table "
        f"({_share(vacuum.frozen_tuple_pages, total):.2f}% of total) had {vacuum.frozen} tuples frozen"
    )
    lines.append(
        f"visibility map: {vacuum.new_visible_pages} pages set all-visible, "
        f"{vacuum.new_visible_frozen_pages + vacuum.new_frozen_pages} pages set all-frozen "
        f"({vacuum.new_frozen_pages} were all-visible)"
    )
    where = f"{vacuum.lpdead_item_pages} pages from table ({_share(vacuum.lpdead_item_pages, total):.2f}% of total)"
    if vacuum.do_index_vacuuming:
        needed = "index scan needed" if vacuum.num_index_scans > 0 and vacuum.results else "index scan not needed"
        lines.append(f"{needed}: {where} had {vacuum.lpdead_items} dead item identifiers removed")
    else:
        bypassed = "index scan bypassed by failsafe" if _vacuum_cost.failsafe_is_active() else "index scan bypassed"
        lines.append(f"{bypassed}: {where} have {vacuum.lpdead_items} dead item identifiers")
    lines += [
        f'index "{result.index.name}": pages: {result.pages} in total, {result.newly_deleted} newly deleted, '
        f"{result.deleted} currently deleted, {result.free} reusable"
        for result in vacuum.results
        if result.known
    ]
    return lines


def _distance(newer: int, older: int) -> int:
    """newer - older as PostgreSQL prints it: a signed number of 32 bits."""
    difference = (newer - older) & _MASK
    return difference - (1 << 32) if difference >= 1 << 31 else difference
