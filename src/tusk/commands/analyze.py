"""ANALYZE: a random sample of a table, and what pg_statistic is told of each column (analyze.c).

For each column: the share of NULLs, the average width, an estimate of how many values there are (Haas and Stokes), the
most common values, a histogram of the rest, and how the order of values follows the order of rows.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from tusk.access.heap._vacuum import map_counts, relation_pages
from tusk.catalog import cache as c
from tusk.catalog._relcache import relation_close, try_relation_open
from tusk.catalog._tuples import insert_row, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.namespace import is_other_temp_namespace
from tusk.catalog.rows import PgStatistic
from tusk.catalog.session import session
from tusk.commands._sample import sample_rows
from tusk.commands.vacuum import permitted
from tusk.commands.vacuum_heap import open_for
from tusk.commands.vacuum_horizon import update_relation_statistics
from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.sql.analyze import lookup as lk
from tusk.stats import _store, progress, tables
from tusk.types import collate
from tusk.types.arrays import array_to_disk
from tusk.types.compare import comparator
from tusk.types.values import Array

ShareUpdateExclusiveLock = 4
KIND_MCV, KIND_HISTOGRAM, KIND_CORRELATION = 1, 2, 3
_WIDTH_THRESHOLD = 1024
_NATIVE_ORDER = {20, 21, 23, 26, 16, 1082, 1083, 1114, 1184, 1700, 700, 701, 17, 19, 3220, 2950}


class Slot(NamedTuple):
    """One kind of statistics."""

    kind: int
    operator: int
    collation: int
    numbers: tuple[float, ...] | None
    values: list[Any] | None


class ColumnStatistics(NamedTuple):
    """What is kept of a column."""

    null_fraction: float
    width: int
    distinct: float
    slots: list[Slot]


def analyze_relation(
    relid: int, name: str | None, columns: list[str], params: Any, *, in_outer_transaction: bool
) -> None:
    """Analyze one table, or some of its columns (analyze_rel, do_analyze_rel)."""
    rel = open_for(relid, name, params, ShareUpdateExclusiveLock, "analyze")
    if rel is None:
        return
    try:
        if not permitted(rel.form, replace(params, vacuum=False)):
            return
        if rel.form.relkind not in "rm":
            if not params.vacuum:
                report(
                    Severity.WARNING, f'skipping "{rel.name}" --- cannot analyze non-tables or special system tables'
                )
            return
        if is_other_temp_namespace(rel.form.relnamespace) or relid == PgStatistic.catalog_oid:
            return
        _analyze(rel, columns, params, in_outer_transaction)
    finally:
        relation_close(rel, 0)


def _chosen(rel: Any, names: list[str]) -> list[Any]:
    rows = sorted(
        (r for r in scan_rows("pg_attribute", attrelid=rel.rd_id) if r.attnum > 0 and not r.attisdropped),
        key=lambda r: r.attnum,
    )
    if names:
        chosen = []
        for name in names:
            row = next((r for r in rows if r.attname == name), None)
            if row is None:
                raise SqlError(
                    errcode.UNDEFINED_COLUMN, f'column "{name}" of relation "{rel.name}" does not exist'
                )
            if row in chosen:
                raise SqlError(
                    errcode.DUPLICATE_COLUMN, f'column "{name}" of relation "{rel.name}" appears more than once'
                )
            chosen.append(row)
        rows = chosen
    return [row for row in rows if row.attstattarget != 0 and row.attgenerated != "v"]


def _target(row: Any) -> int:
    return int(row.attstattarget) if row.attstattarget is not None else int(settings.default_statistics_target)


def _analyze(rel: Any, names: list[str], params: Any, in_outer_transaction: bool) -> None:
    if params.verbose:
        schema = lookup(c.NAMESPACEOID, rel.form.relnamespace).nspname
        report(Severity.INFO, f'analyzing "{schema}.{rel.name}"')
    started = _store.now()
    progress.start_command(progress.COMMAND_ANALYZE, rel.rd_id)
    rows = _chosen(rel, names)
    target_rows = max([100, *(300 * _target(row) for row in rows)])
    seed = int.from_bytes(os.urandom(8), "little")
    progress.update_param(progress.Analyze.PHASE, progress.AnalyzePhase.ACQUIRE_SAMPLE_ROWS)
    values, widths, count, total, dead, pages, scanned = sample_rows(
        rel, target_rows, seed, [row.attnum for row in rows]
    )
    if params.verbose:
        report(
            Severity.INFO,
            f'"{rel.name}": scanned {scanned} of {pages} pages, containing {int(total)} live rows and {int(dead)} '
            f"dead rows; {count} rows in sample, {int(total)} estimated total rows",
        )
    progress.update_param(progress.Analyze.PHASE, progress.AnalyzePhase.COMPUTE_STATS)
    if count:
        for row, column, width in zip(rows, values, widths, strict=True):
            statistics = column_statistics(row, column, width, total)
            if statistics is not None:
                store(rel.rd_id, row.attnum, statistics)
    progress.update_param(progress.Analyze.PHASE, progress.AnalyzePhase.FINALIZE_ANALYZE)
    _update_class(rel, pages, total, in_outer_transaction)
    tables.report_analyze(
        0 if rel.is_shared else session.database_id, rel.rd_id, int(total), int(dead), started,
        reset_counter=not names, is_autovacuum=params.automatic,
    )
    progress.end_command()


def _update_class(rel: Any, pages: int, total: float, outer: bool) -> None:
    visible, frozen = map_counts(rel)
    update_relation_statistics(
        rel.rd_id, pages, total, visible, frozen, has_index=bool(rel.index_oids), in_outer_transaction=outer
    )
    for oid in rel.index_oids:
        index = try_relation_open(oid, 1)
        if index is None:
            continue
        try:
            blocks = relation_pages(index)
        finally:
            relation_close(index, 0)
        update_relation_statistics(oid, blocks, total, 0, 0, has_index=False, in_outer_transaction=outer)


def _sort_key(type_oid: int, collation: int) -> Callable[[Any], Any] | None:
    """A key that orders values as the type's default b-tree class does; None where the values' own order is it."""
    base = _comparable_type(type_oid)
    if base in _NATIVE_ORDER and base not in (700, 701, 1700):
        return None
    if base in (25, 1043) and collate.is_bytewise(collation):
        return None
    return functools.cmp_to_key(comparator(base, collation))


def _comparable_type(type_oid: int) -> int:
    """The type whose comparison orders these values: node trees are ordered as text."""
    base = lk.base_type(type_oid)
    return 25 if base == 194 else base


def column_statistics(row: Any, values: list[Any], width_total: int, total_rows: float) -> ColumnStatistics | None:
    """Work out a column's statistics (std_typanalyze, compute_scalar_stats)."""
    operators = lk.type_operators(row.atttypid)
    present = [value for value in values if value is not None]
    sample = len(values)
    nulls = sample - len(present)
    kind = lookup(c.TYPEOID, row.atttypid)
    if not present:
        return ColumnStatistics(1.0, kind.typlen if kind.typlen > 0 else 0, 0.0, [])
    null_fraction = nulls / sample
    width = kind.typlen if kind.typlen > 0 else int(width_total / len(present))
    if not operators.eq:
        return ColumnStatistics(null_fraction, width, 0.0, [])
    if not operators.lt:
        return _unordered(row, values, null_fraction, width, total_rows, operators.eq)
    return _scalar(row, values, null_fraction, width, total_rows, operators)


def _is_wide(value: Any) -> bool:
    return isinstance(value, (str, bytes)) and len(value) > _WIDTH_THRESHOLD


def _distinct(
    ndistinct: int, nmultiple: int, wide: int, nonnull: int, null_fraction: float, total_rows: float
) -> float:
    """How many values there are: a number, or the negative share of the rows (Haas and Stokes's Duj1)."""
    if nmultiple == 0:
        result = -1.0 * (1.0 - null_fraction)
    elif wide == 0 and nmultiple == ndistinct:
        result = float(ndistinct)
    else:
        f1 = ndistinct - nmultiple + wide
        d = f1 + nmultiple
        n = nonnull
        population = total_rows * (1.0 - null_fraction)
        estimate = n * d / ((n - f1) + f1 * n / population) if population > 0 else 0.0
        estimate = min(max(estimate, d), population)
        result = math.floor(estimate + 0.5)
    if result > 0.1 * total_rows:
        result = -(result / total_rows)
    return result


def _scalar(
    row: Any, values: list[Any], null_fraction: float, width: int, total_rows: float, operators: Any
) -> ColumnStatistics:
    sample = len(values)
    target = _target(row)
    usable = [(value, place) for place, value in enumerate(v for v in values if v is not None) if not _is_wide(value)]
    wide = sum(1 for value in values if value is not None and _is_wide(value))
    nonnull = len(usable) + wide
    if not usable:
        return ColumnStatistics(null_fraction, width, -1.0 * (1.0 - null_fraction), [])
    key = _sort_key(row.atttypid, row.attcollation)
    usable.sort(key=(lambda item: item[0]) if key is None else (lambda item: key(item[0])))
    compare = None if key is None else comparator(_comparable_type(row.atttypid), row.attcollation)
    groups: list[tuple[int, int]] = []
    first = 0
    product = 0.0
    for i, (value, place) in enumerate(usable):
        product += i * float(place)
        following = usable[i + 1][0] if i + 1 < len(usable) else None
        same = following is not None and (value == following if compare is None else compare(value, following) == 0)
        if not same:
            groups.append((first, i + 1 - first))
            first = i + 1
    ndistinct = len(groups)
    multiple = [group for group in groups if group[1] > 1]
    distinct = _distinct(ndistinct, len(multiple), wide, nonnull, null_fraction, total_rows)
    tracked = sorted(multiple, key=lambda group: -group[1])[:target]
    if len(multiple) == ndistinct and wide == 0 and distinct > 0 and ndistinct <= target:
        common = tracked
    else:
        kept = _worthy([count for _, count in tracked], distinct, null_fraction, sample, total_rows)
        common = tracked[:kept]
    slots: list[Slot] = []
    collation = row.attcollation
    if common:
        slots.append(Slot(
            KIND_MCV, operators.eq, collation, tuple(count / sample for _, count in common),
            [usable[start][0] for start, _ in common],
        ))  # fmt: skip
    bounds = min(ndistinct - len(common), target + 1)
    if bounds >= 2:
        taken = {start for start, _ in common}
        rest: list[Any] = []
        for start, count in groups:
            if start not in taken:
                rest += [usable[j][0] for j in range(start, start + count)]
        slots.append(Slot(KIND_HISTOGRAM, operators.lt, collation, None, _histogram(rest, bounds)))
    n = len(usable)
    if n > 1:
        sum_x = (n - 1) * n / 2.0
        sum_x2 = (n - 1) * n * (2 * n - 1) / 6.0
        correlation = (n * product - sum_x * sum_x) / (n * sum_x2 - sum_x * sum_x)
        slots.append(Slot(KIND_CORRELATION, operators.lt, collation, (correlation,), None))
    return ColumnStatistics(null_fraction, width, distinct, slots)


def _histogram(values: list[Any], bounds: int) -> list[Any]:
    """Values at equal distances, both ends included."""
    last = len(values) - 1
    step, fraction = divmod(last, bounds - 1)
    position = rest = 0
    chosen = []
    for _ in range(bounds):
        chosen.append(values[position])
        position += step
        rest += fraction
        if rest >= bounds - 1:
            position += 1
            rest -= bounds - 1
    return chosen


def _worthy(counts: list[int], distinct: float, null_fraction: float, sample: int, total: float) -> int:
    """How many of the most common values are more common than the rest, beyond sampling error (analyze_mcv_list)."""
    n = len(counts)
    if sample == total or total <= 1.0:
        return n
    in_table = -distinct * total if distinct < 0 else distinct
    before = sum(counts[:-1]) if counts else 0
    while n > 0:
        share = 1.0 - before / sample - null_fraction
        share = min(max(share, 0.0), 1.0)
        others = in_table - (n - 1)
        if others > 1:
            share /= others
        k = total * counts[n - 1] / sample
        variance = sample * k * (total - k) * (total - sample) / (total * total * (total - 1))
        deviation = math.sqrt(max(variance, 0.0))
        if counts[n - 1] > share * sample + 2 * deviation + 0.5:
            break
        n -= 1
        if n == 0:
            break
        before -= counts[n - 1]
    return n


def _unordered(
    row: Any, values: list[Any], null_fraction: float, width: int, total_rows: float, equality: int
) -> ColumnStatistics:
    """Types that only know equality (compute_distinct_stats)."""
    counts: dict[Any, int] = {}
    wide = 0
    for value in values:
        if value is None:
            continue
        if _is_wide(value):
            wide += 1
        else:
            counts[value] = counts.get(value, 0) + 1
    multiple = sorted(((v, n) for v, n in counts.items() if n > 1), key=lambda item: -item[1])
    nonnull = sum(counts.values()) + wide
    distinct = _distinct(len(counts), len(multiple), wide, nonnull, null_fraction, total_rows)
    target = _target(row)
    tracked = multiple[:target]
    if not (len(multiple) == len(counts) and wide == 0 and distinct > 0 and len(counts) <= target):
        tracked = tracked[: _worthy([n for _, n in tracked], distinct, null_fraction, len(values), total_rows)]
    slots = []
    if tracked:
        slots.append(Slot(
            KIND_MCV, equality, row.attcollation, tuple(n / len(values) for _, n in tracked), [v for v, _ in tracked]
        ))  # fmt: skip
    return ColumnStatistics(null_fraction, width, distinct, slots)


def _array_payload(type_oid: int, values: list[Any]) -> bytes:
    """The array that stavalues holds, as bytes after the varlena header; not every type has an array type."""
    payload: bytes = array_to_disk(Array(type_oid, (len(values),), (1,), tuple(values)))
    return payload


def store(relid: int, attnum: int, statistics: ColumnStatistics) -> None:
    """Write a column's row of pg_statistic (update_attstats)."""
    type_oid = lookup(c.ATTNUM, relid, attnum).atttypid
    columns: dict[str, Any] = {
        "starelid": relid, "staattnum": attnum, "stainherit": False, "stanullfrac": statistics.null_fraction,
        "stawidth": statistics.width, "stadistinct": statistics.distinct,
    }  # fmt: skip
    for number in range(1, 6):
        slot = statistics.slots[number - 1] if number <= len(statistics.slots) else None
        columns[f"stakind{number}"] = slot.kind if slot else 0
        columns[f"staop{number}"] = slot.operator if slot else 0
        columns[f"stacoll{number}"] = slot.collation if slot else 0
        columns[f"stanumbers{number}"] = slot.numbers if slot else None
        columns[f"stavalues{number}"] = (
            _array_payload(type_oid, slot.values) if slot is not None and slot.values is not None else None
        )
    row = PgStatistic(**columns)
    old = lookup(c.STATRELATTINH, relid, attnum, False)
    if old is None:
        insert_row(row)
    else:
        row.t_self = old.t_self
        update_row(row, old)

