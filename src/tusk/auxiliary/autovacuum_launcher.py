"""The autovacuum launcher: decides which database is looked at next, and asks the postmaster for workers.

Each database with statistics gets a worker every autovacuum_naptime, those at risk of wraparound before all others. It
never vacuums itself and holds no lock for long.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tusk.auxiliary import autovacuum_process as process
from tusk.auxiliary import autovacuum_shared as shared
from tusk.auxiliary import common
from tusk.catalog.cache import scan_rows
from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.memory import _interrupts, _procsignal
from tusk.stats import serverlog, tables
from tusk.stats.backend_types import BackendType
from tusk.transaction import _multixact, _varsup, xact

_WAIT_AUTOVACUUM_MAIN = 0x05000001
_MIN_SLEEP_S, _MAX_SLEEP_S = 0.1, 300.0
_MAX_START_S = 60.0
_MASK = 0xFFFFFFFF
_INVALID_DATABASE = -2


def _precedes(left: int, right: int) -> bool:
    return (left - right) & _MASK >= 1 << 31


class Launcher:
    """The launcher's schedule: when each database's turn comes (monotonic seconds), the next one first."""

    def __init__(self) -> None:
        self.turns: list[tuple[float, int]] = []
        self.naptime = int(settings.autovacuum_naptime)

    # Databases

    def _databases(self) -> list[Any]:
        """Rows of pg_database that can be connected to at all (get_database_list)."""
        xact.start_transaction_command()
        rows = [row for row in scan_rows("pg_database") if row.datconnlimit != _INVALID_DATABASE]
        xact.commit_transaction_command()
        return rows

    def rebuild(self, newest: int = 0) -> None:
        """Spread the databases evenly over a naptime, in the order they had (rebuild_database_list)."""
        counted = [row.oid for row in self._databases() if tables.last_autovacuum_visit(row.oid) is not None]
        order = [oid for _, oid in self.turns if oid in counted and oid != newest]
        order += [oid for oid in counted if oid not in order and oid != newest]
        if newest in counted:
            order.append(newest)        # has just been looked at
        if not order:
            self.turns = []
            return
        step = max(self.naptime / len(order), _MIN_SLEEP_S * 1.1)
        now = time.monotonic()
        self.turns = [(now + step * (i + 1), oid) for i, oid in enumerate(order)]

    def _choose(self) -> int:
        """The database whose turn it is: danger first, then the one least recently looked at (do_start_worker)."""
        next_xid = _varsup.next_full_transaction_id() & _MASK
        xid_limit = (next_xid - int(settings.autovacuum_freeze_max_age)) & _MASK
        if xid_limit < 3:
            xid_limit -= 3
        next_multi = int(_multixact.checkpoint_values()[0])
        multi_limit = max((next_multi - int(_multixact.member_freeze_threshold())) & _MASK, 1)
        now = time.monotonic()
        turns = {oid: at for at, oid in self.turns}
        best: tuple[int, int] | None = None         # (last visit, oid)
        danger: Any = None
        multi_danger: Any = None
        skipped = False
        for row in self._databases():
            if _precedes(row.datfrozenxid, xid_limit):
                if danger is None or _precedes(row.datfrozenxid, danger.datfrozenxid):
                    danger = row
                continue
            if danger is not None:
                continue
            if _precedes(row.datminmxid, multi_limit):
                if multi_danger is None or _precedes(row.datminmxid, multi_danger.datminmxid):
                    multi_danger = row
                continue
            if multi_danger is not None:
                continue
            last = tables.last_autovacuum_visit(row.oid)
            if last is None:
                continue                            # nobody was there since the statistics began
            if now < turns.get(row.oid, 0.0) <= now + self.naptime:
                skipped = True
                continue
            if best is None or last < best[0]:
                best = (last, row.oid)
        chosen = danger or multi_danger
        if chosen is not None:
            return int(chosen.oid)
        if best is not None:
            return best[1]
        if skipped:
            self.rebuild()
        return 0

    # Workers

    def start_worker(self) -> int:
        """Ask for a worker; the database it will look at, 0 if there is nothing to do."""
        with shared.locked(exclusive=False):
            if not shared.worker_available():
                return 0
        database = self._choose()
        if not database:
            return 0
        with shared.locked():
            number = next(i for i, slot in enumerate(shared.workers()) if slot.state == shared.FREE)
            slot = shared.worker(number)
            slot.state = shared.STARTING
            slot.database = database
            slot.pid = slot.table = slot.shared = slot.balanced = 0
            slot.launch_time = time.monotonic()
            shared.head().starting = number
        _procsignal.send_postmaster_signal(_procsignal.START_AUTOVAC_WORKER)
        return database

    def launch(self) -> None:
        """Start a worker and move its database to the end of the line (launch_worker)."""
        database = self.start_worker()
        if not database:
            return
        now = time.monotonic()
        if any(oid == database for _, oid in self.turns):
            self.turns = [turn for turn in self.turns if turn[1] != database] + [(now + self.naptime, database)]
        else:
            self.rebuild(database)

    def _sleep_s(self, *, can_launch: bool) -> float:
        """Until when there is nothing to do (launcher_determine_sleep)."""
        if not can_launch or not self.turns:
            wanted = float(self.naptime)
        else:
            wanted = self.turns[0][0] - time.monotonic()
            if wanted <= 0:
                return 0.0
        return min(max(wanted, _MIN_SLEEP_S), _MAX_SLEEP_S)

    def round(self) -> None:
        """Sleep until something may be due, and do it."""
        with shared.locked(exclusive=False):
            can_launch = shared.worker_available()
        common.sleep(int(self._sleep_s(can_launch=can_launch) * 1000), _WAIT_AUTOVACUUM_MAIN)
        if _interrupts.peek("ShutdownRequest"):
            return
        if common.reload_if_asked():
            if not shared.is_active():
                _interrupts.set_flag("ShutdownRequest")
                return
            if self.naptime != settings.autovacuum_naptime:
                self.naptime = int(settings.autovacuum_naptime)
                self.rebuild()
            with shared.locked():
                shared.recalculate_balance()
        head = shared.head()
        if head.rebalance:
            with shared.locked():
                head.rebalance = 0
                shared.recalculate_balance()
        if head.fork_failed:
            # Without a pause this could be a busy loop.
            head.fork_failed = 0
            common.sleep(1000, _WAIT_AUTOVACUUM_MAIN)
            _procsignal.send_postmaster_signal(_procsignal.START_AUTOVAC_WORKER)
            return
        now = time.monotonic()
        with shared.locked():
            can_launch = shared.worker_available()
            if head.starting >= 0:
                slot = shared.worker(head.starting)
                can_launch = False
                if now - slot.launch_time > min(float(self.naptime), _MAX_START_S):
                    slot.state = shared.FREE
                    head.starting = -1
                    report(Severity.WARNING, "autovacuum worker took too long to start; canceled")
        if can_launch and (not self.turns or self.turns[0][0] <= now):
            self.launch()


def _serve_interrupts() -> None:
    if _interrupts.take("ProcSignal"):
        _procsignal.process_proc_signals()
    if _interrupts.take("QueryCancel"):
        raise SqlError(errcode.QUERY_CANCELED, "canceling statement due to user request")


def main() -> None:
    """Main function of the process; returns when it was asked to stop or is not needed any more."""
    process.begin(
        BackendType.AUTOVAC_LAUNCHER,
        {signal.SIGINT: "cancel", signal.SIGTERM: "shutdown", signal.SIGUSR2: "latch", signal.SIGALRM: "timeout"},
        _serve_interrupts,
    )
    report(Severity.DEBUG1, "autovacuum launcher started")
    launcher = Launcher()
    try:
        if not shared.is_active():
            # Started for an emergency only: one worker, and the postmaster will ask again if that was not enough.
            if not _interrupts.peek("ShutdownRequest"):
                launcher.start_worker()
            return
        shared.head().launcher_pid = os.getpid()
        launcher.rebuild()
        while not _interrupts.peek("ShutdownRequest"):
            try:
                launcher.round()
            except SqlError as error:
                serverlog.log_error(error)
                process.clean_up_after_error()
                launcher.turns = []
                common.sleep(1000, _WAIT_AUTOVACUUM_MAIN)
        report(Severity.DEBUG1, "autovacuum launcher shutting down")
    finally:
        shared.head().launcher_pid = 0
        process.end()
