"""An autovacuum worker: goes once through the tables of a database, and ends (AutoVacWorkerMain, do_autovacuum).

Several workers may be in one database: each claims a table before it looks at it again. The cost limit is shared out
among those at work.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tusk.access import _vacuum_cost
from tusk.auxiliary import autovacuum_process as process
from tusk.auxiliary import autovacuum_shared as shared
from tusk.auxiliary.autovacuum_rules import Need, TableOptions, need_of
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import lock_relation
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.session import session
from tusk.commands.vacuum import vacuum
from tusk.commands.vacuum_heap import VacuumParams
from tusk.commands.vacuum_horizon import next_multi, next_xid, update_database_horizon
from tusk.config import settings
from tusk.config.files import load_config_files
from tusk.errors import Fatal, Severity, SqlError, errcode, report
from tusk.memory import _interrupts, _process, _procsignal
from tusk.stats import _activity, _pending, serverlog, session_info, tables, title
from tusk.stats.backend_types import BackendType
from tusk.transaction import _multixact, _varsup, xact

_ACCESS_EXCLUSIVE = 8


def _serve_interrupts() -> None:
    if _interrupts.take("ProcDie"):
        _interrupts.take("QueryCancel")
        raise Fatal(errcode.ADMIN_SHUTDOWN, "terminating autovacuum process due to administrator command")
    if _interrupts.take("QueryCancel"):
        raise SqlError(errcode.QUERY_CANCELED, "canceling autovacuum task")
    if _interrupts.take("ProcSignal"):
        _procsignal.process_proc_signals()


class Worker:
    """This process's work in one database."""

    def __init__(self, number: int, database: int) -> None:
        self.number = number
        self.slot = shared.worker(number)
        self.database = database
        self.name = ""
        self.multi_max_age = 0
        self.storage_cost_delay = -1.0
        self.storage_cost_limit = 0

    # Costs

    def refresh_costs(self) -> None:
        """The settings, the table's own values, and this worker's share of the limit (VacuumUpdateCosts)."""
        if _interrupts.take("ConfigReload"):
            load_config_files(Path(settings.data_directory or "."), Path(settings.config_file), is_reload=True)
        delay = self.storage_cost_delay
        if delay < 0:
            delay = float(settings.autovacuum_vacuum_cost_delay)
        if delay < 0:
            delay = float(settings.vacuum_cost_delay)
        limit = self.storage_cost_limit
        if limit <= 0:
            limit = int(settings.autovacuum_vacuum_cost_limit)
            if limit <= 0:
                limit = int(settings.vacuum_cost_limit)
            if self.slot.balanced:
                limit = max(limit // max(int(shared.head().balanced_workers), 1), 1)
        _vacuum_cost.set_costs(
            delay, limit, int(settings.vacuum_cost_page_hit), int(settings.vacuum_cost_page_miss),
            int(settings.vacuum_cost_page_dirty),
        )

    # The round

    def run(self) -> None:
        """Look at all tables, then work on those that are due."""
        self.name = process.open_database(self.database)
        session_info.current.database = self.name
        title.init_title("autovacuum worker", self.name)
        report(Severity.DEBUG1, f'autovacuum: processing database "{self.name}"')
        tables.report_autovacuum_visit(self.database)
        _vacuum_cost.set_cost_refresh(self.refresh_costs)
        self.multi_max_age = int(_multixact.member_freeze_threshold())
        xact.start_transaction_command()
        database = lookup(c.DATABASEOID, self.database)
        # Where nobody can put things right by hand, freeze all there is.
        freeze_now = database.datistemplate or not database.datallowconn
        due, owners, orphans = self._find_due()
        xact.commit_transaction_command()
        for oid in orphans:
            self._guarded(lambda oid=oid: self._drop_orphan(oid), None)
        did_vacuum = concurrent = False
        for oid in due:
            _interrupts.check()
            self.storage_cost_delay, self.storage_cost_limit = -1.0, 0
            if _interrupts.peek("ConfigReload"):
                self.refresh_costs()
            if not self._claim(oid):
                concurrent = True
                continue
            try:
                done = self._work_on(oid, owners.get(oid), freeze_now=bool(freeze_now))
                did_vacuum = did_vacuum or done
            finally:
                with shared.locked():
                    self.slot.table = 0
            _pending.flush(False)
        if did_vacuum or not concurrent:
            xact.start_transaction_command()
            update_database_horizon()
            xact.commit_transaction_command()

    def _need(self, row: Any, options: TableOptions) -> Need:
        counted = tables.fetch_table(0 if row.relisshared else self.database, row.oid)
        return need_of(
            row, options, counted, next_xid=next_xid(), next_multi=next_multi(), multi_max_age=self.multi_max_age
        )

    def _find_due(self) -> tuple[list[int], dict[int, Any], list[int]]:
        """Tables that are due, TOAST tables last; the table of each TOAST table; forgotten temporary tables."""
        rows = [row for row in scan_rows("pg_class") if row.relkind in "rmt"]
        due: list[int] = []
        orphans: list[int] = []
        owners: dict[int, Any] = {}
        for row in rows:
            if row.relkind == "t":
                continue
            if row.relpersistence == "t":
                if self._is_orphan(row):
                    orphans.append(row.oid)
                continue
            if row.reltoastrelid:
                owners[row.reltoastrelid] = row
            need = self._need(row, TableOptions(row.reloptions))
            if need.vacuum or need.analyze:
                due.append(row.oid)
        for row in rows:
            if row.relkind == "t" and row.relpersistence != "t" and self._need(row, self._options(row, owners)).vacuum:
                due.append(row.oid)
        return due, owners, orphans

    @staticmethod
    def _options(row: Any, owners: dict[int, Any]) -> TableOptions:
        if row.relkind != "t":
            return TableOptions(row.reloptions)
        own = TableOptions(row.reloptions, toast=True)
        owner = owners.get(row.oid)
        return own if own.texts or owner is None else TableOptions(owner.reloptions, toast=True)

    @staticmethod
    def _is_orphan(row: Any) -> bool:
        """Whether the session whose temporary table this is has gone (checkTempNamespaceStatus)."""
        namespace = lookup(c.NAMESPACEOID, row.relnamespace)
        if namespace is None or not namespace.nspname.startswith("pg_temp_"):
            return False
        slot = _process.slot_info(int(namespace.nspname.removeprefix("pg_temp_")))
        return slot is None or slot["database"] != session.database_id

    def _drop_orphan(self, oid: int) -> None:
        xact.start_transaction_command()
        row = lookup(c.RELOID, oid)
        if row is not None and lock_relation(oid, _ACCESS_EXCLUSIVE, True) and self._is_orphan(row):
            namespace = lookup(c.NAMESPACEOID, row.relnamespace).nspname
            report(Severity.LOG, f'autovacuum: dropping orphan temp table "{self.name}.{namespace}.{row.relname}"')
            dep.perform_deletion(ObjectAddress(oa.CLASS, oid), dep.CASCADE, dep.DELETION_INTERNAL)
        xact.commit_transaction_command()

    def _claim(self, oid: int) -> bool:
        """Make a table ours, unless another worker has it."""
        row = lookup_outside(oid)
        if row is None:
            return False
        with shared.locked(shared.SCHEDULE_LOCK), shared.locked():
            for slot in shared.workers():
                if (
                    slot.state == shared.RUNNING and slot.table == oid and slot.pid != os.getpid()
                    and (slot.shared or slot.database == self.database)
                ):  # fmt: skip
                    return False
            self.slot.table = oid
            self.slot.shared = bool(row.relisshared)
        return True

    def _work_on(self, oid: int, owner: Any, *, freeze_now: bool) -> bool:
        """Look once more whether the table is due, and do what it needs; whether it did (table_recheck_autovac)."""
        xact.start_transaction_command()
        row = lookup(c.RELOID, oid)
        if row is None:
            xact.commit_transaction_command()
            return False
        options = self._options(row, {oid: owner} if owner is not None else {})
        need = self._need(row, options)
        namespace = lookup(c.NAMESPACEOID, row.relnamespace)
        xact.commit_transaction_command()
        if not (need.vacuum or need.analyze) or namespace is None:
            return False
        default_age = 0 if freeze_now else -1
        params = VacuumParams(
            vacuum=need.vacuum, analyze=need.analyze, skip_locked=not need.wraparound, process_toast=False,
            skip_database_stats=True, automatic=True, wraparound=need.wraparound,
            freeze_min_age=int(options.number("autovacuum_freeze_min_age", default_age)),
            freeze_table_age=int(options.number("autovacuum_freeze_table_age", default_age)),
            multixact_freeze_min_age=int(options.number("autovacuum_multixact_freeze_min_age", default_age)),
            multixact_freeze_table_age=int(options.number("autovacuum_multixact_freeze_table_age", default_age)),
            log_min_duration_ms=int(options.of_setting("log_autovacuum_min_duration")),
            work_mem_kb=max(int(settings.autovacuum_work_mem), 0),
        )  # fmt: skip
        self.storage_cost_delay = options.number("autovacuum_vacuum_cost_delay", -1)
        self.storage_cost_limit = int(options.number("autovacuum_vacuum_cost_limit", 0))
        with shared.locked():
            self.slot.balanced = self.storage_cost_limit <= 0 and self.storage_cost_delay < 0
            shared.recalculate_balance()
        what = "VACUUM ANALYZE" if need.vacuum and need.analyze else "VACUUM" if need.vacuum else "ANALYZE"
        suffix = " (to prevent wraparound)" if need.wraparound else ""
        _activity.report_activity(
            _activity.STATE_RUNNING, f"autovacuum: {what} {namespace.nspname}.{row.relname}{suffix}".encode()
        )
        doing = "vacuum" if need.vacuum else "analyze"
        context = f'automatic {doing} of table "{self.name}.{namespace.nspname}.{row.relname}"'
        self._guarded(lambda: vacuum([(oid, row.relname, [])], params, own_transactions=True), context)
        _activity.report_activity(_activity.STATE_IDLE, b"")
        return True

    @staticmethod
    def _guarded(work: Any, context: str | None) -> None:
        """Do it; an error ends only this table's turn."""
        try:
            work()
        except SqlError as error:
            if context is not None:
                error.context = context
            serverlog.log_error(error)
            process.clean_up_after_error()
            _interrupts.take("QueryCancel")


def lookup_outside(oid: int) -> Any:
    """A pg_class row, read in a transaction of its own."""
    xact.start_transaction_command()
    row = lookup(c.RELOID, oid)
    xact.commit_transaction_command()
    return row


def main() -> None:
    """Main function of the process."""
    process.begin(
        BackendType.AUTOVAC_WORKER,
        {signal.SIGINT: "cancel", signal.SIGTERM: "die", signal.SIGALRM: "timeout"}, _serve_interrupts,
    )
    number = -1
    try:
        with shared.locked():
            head = shared.head()
            number = head.starting
            if number >= 0:
                slot = shared.worker(number)
                slot.state = shared.RUNNING
                slot.pid = os.getpid()
                slot.balanced = True
                head.starting = -1
                shared.recalculate_balance()
        if number < 0:
            report(Severity.WARNING, "autovacuum worker started without a worker entry")
            return
        shared.wake_launcher()
        Worker(number, slot.database).run()
    finally:
        _vacuum_cost.set_cost_refresh(None)
        process.clean_up_after_error()
        if number >= 0:
            with shared.locked():
                slot = shared.worker(number)
                slot.state = shared.FREE
                slot.pid = slot.database = slot.table = slot.balanced = 0
                shared.head().rebalance = 1
                shared.recalculate_balance()
            shared.wake_launcher()
        process.end()


_varsup.set_autovacuum_signal(lambda: _procsignal.send_postmaster_signal(_procsignal.START_AUTOVAC_LAUNCHER))
