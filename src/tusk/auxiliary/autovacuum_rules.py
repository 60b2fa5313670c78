"""When autovacuum vacuums or analyzes a table: thresholds, ages, storage parameters (relation_needs_vacanalyze)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tusk.auxiliary import autovacuum_shared as shared
from tusk.catalog.relinfo import parse_reloptions
from tusk.config import settings
from tusk.errors import Severity, report
from tusk.stats.tables import TableStats

_MASK = 0xFFFFFFFF
_STATISTIC_RELATION = 2619
_TRUE = ("on", "true", "yes", "1", "t")


class TableOptions:
    """A table's autovacuum parameters (AutoVacOpts); a TOAST table without its own has its table's."""

    def __init__(self, reloptions: tuple[str, ...] | None, *, toast: bool = False) -> None:
        self.texts = parse_reloptions(reloptions)
        if toast:
            # There is no ANALYZE of TOAST tables.
            self.texts = {name: text for name, text in self.texts.items() if "analyze" not in name}

    @property
    def enabled(self) -> bool:
        """autovacuum_enabled."""
        return self.texts.get("autovacuum_enabled", "true").lower() in _TRUE

    def number(self, name: str, default: float) -> float:
        """A parameter, or what holds where the table does not say."""
        text = self.texts.get(name)
        return default if text is None else float(text)

    def of_setting(self, name: str) -> float:
        """A parameter that is named like the setting it overrides."""
        return self.number(name, float(getattr(settings, name)))


@dataclass(frozen=True, slots=True)
class Need:
    """What a table needs."""

    vacuum: bool
    analyze: bool
    wraparound: bool


def _precedes(left: int, right: int) -> bool:
    return (left - right) & _MASK >= 1 << 31


def need_of(
    row: Any, options: TableOptions, counted: TableStats | None, *, next_xid: int, next_multi: int, multi_max_age: int
) -> Need:
    """Whether the table of a pg_class row is due."""
    forced = _is_old(row, options, next_xid, next_multi, multi_max_age)
    if not options.enabled and not forced:
        return Need(vacuum=False, analyze=False, wraparound=False)
    if counted is None or not shared.is_active():
        return Need(vacuum=forced, analyze=False, wraparound=forced)
    rows = max(row.reltuples, 0.0)
    unfrozen = 1.0
    if row.relpages > 0 and row.relallfrozen > 0:
        unfrozen = 1.0 - min(row.relallfrozen, row.relpages) / row.relpages
    vacuum_at = options.of_setting("autovacuum_vacuum_threshold") + rows * options.of_setting(
        "autovacuum_vacuum_scale_factor"
    )
    most = options.of_setting("autovacuum_vacuum_max_threshold")
    if most >= 0:
        vacuum_at = min(vacuum_at, most)
    insert_base = options.of_setting("autovacuum_vacuum_insert_threshold")
    insert_at = insert_base + rows * unfrozen * options.of_setting("autovacuum_vacuum_insert_scale_factor")
    analyze_at = options.of_setting("autovacuum_analyze_threshold") + rows * options.of_setting(
        "autovacuum_analyze_scale_factor"
    )
    dead, inserted, changed = counted.dead_tuples, counted.ins_since_vacuum, counted.mod_since_analyze
    inserts = f"{inserted:.0f} (threshold {insert_at:.0f})" if insert_base >= 0 else "(disabled)"
    report(
        Severity.DEBUG3,
        f"{row.relname}: vac: {dead:.0f} (threshold {vacuum_at:.0f}), ins: {inserts}, "
        f"anl: {changed:.0f} (threshold {analyze_at:.0f})",
    )
    return Need(
        vacuum=forced or dead > vacuum_at or (insert_base >= 0 and inserted > insert_at),
        analyze=changed > analyze_at and row.oid != _STATISTIC_RELATION and row.relkind != "t",
        wraparound=forced,
    )


def _is_old(row: Any, options: TableOptions, next_xid: int, next_multi: int, multi_max_age: int) -> bool:
    """Whether a vacuum must be, to prevent wraparound."""
    most = int(settings.autovacuum_freeze_max_age)
    age = min(int(options.number("autovacuum_freeze_max_age", most)), most)
    limit = (next_xid - age) & _MASK
    if limit < 3:
        limit = (limit - 3) & _MASK
    if row.relfrozenxid >= 3 and _precedes(row.relfrozenxid, limit):
        return True
    age = min(int(options.number("autovacuum_multixact_freeze_max_age", multi_max_age)), multi_max_age)
    multi_limit = (next_multi - age) & _MASK
    if multi_limit < 1:
        multi_limit = (multi_limit - 1) & _MASK
    return bool(row.relminmxid) and _precedes(row.relminmxid, multi_limit)
