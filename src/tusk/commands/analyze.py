"""ANALYZE: a random sample of a table, and what pg_statistic is told of each column (analyze.c).

For each column: the share of NULLs, the average width, an estimate of how many values there are (Haas and Stokes), the
most common values, a histogram of the rest, and how the order of values follows the order of rows.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
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
from tusk.commands.vacuum_heap import Usage, open_for
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
KIND_MCV, KIND_HISTOGRAM, KIND_CORRELATION, KIND_MCELEM, KIND_DECHIST = 1, 2, 3, 4, 5
_ARRAY_TYPANALYZE = 3816
_ARRAY_WIDTH_THRESHOLD = 0x10000
_WIDTH_THRESHOLD = 1024
_NATIVE_ORDER = {20, 21, 23, 26, 16, 1082, 1083, 1114, 1184, 1700, 700, 701, 17, 19, 3220, 2950}


class Slot(NamedTuple):
    """One kind of statistics."""

    kind: int
    operator: int
    collation: int
    numbers: tuple[float, ...] | None
    values: list[Any] | None
    value_type: int = 0             # of `values`; 0: the column's


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
    usage = Usage()
    started = _store.now()
    if params.verbose:
        schema = lookup(c.NAMESPACEOID, rel.form.relnamespace).nspname
        report(Severity.INFO, f'analyzing "{schema}.{rel.name}"')
    rows = _chosen(rel, names)
    target_rows = max([100, *(300 * _target(row) for row in rows)])
    seed = int.from_bytes(os.urandom(8), "little")
    progress.start_command(progress.COMMAND_ANALYZE, rel.rd_id)
    progress.update_param(progress.Analyze.PHASE, progress.AnalyzePhase.ACQUIRE_SAMPLE_ROWS)
    sample = sample_rows(rel, target_rows, seed)
    total = sample.estimated
    if params.verbose:
        report(
            Severity.INFO,
            f'"{rel.name}": scanned {sample.blocks_read} of {sample.blocks} pages, containing {int(total)} live rows '
            f"and {int(sample.dead)} dead rows; {sample.rows} rows in sample, {int(total)} estimated total rows",
        )
    if sample.rows:
        progress.update_param(progress.Analyze.PHASE, progress.AnalyzePhase.COMPUTE_STATS)
        for row in rows:
            statistics = column_statistics(row, sample, total)
            if statistics is not None:
                store(rel.rd_id, row.attnum, statistics)
    progress.update_param(progress.Analyze.PHASE, progress.AnalyzePhase.FINALIZE_ANALYZE)
    _update_class(rel, sample.blocks, total, in_outer_transaction)
    tables.report_analyze(
        0 if rel.is_shared else session.database_id, rel.rd_id, int(total), int(sample.dead), started,
        reset_counter=not names, is_autovacuum=params.automatic,
    )
    progress.end_command()
    _say_what_it_took(rel, params, usage)


def _say_what_it_took(rel: Any, params: Any, usage: Usage) -> None:
    """VERBOSE, and log_autovacuum_min_duration."""
    least = params.log_min_duration_ms
    if not params.verbose and not (params.automatic and least >= 0 and (least == 0 or usage.elapsed_ms() >= least)):
        return
    schema = lookup(c.NAMESPACEOID, rel.form.relnamespace).nspname
    name = f"{lookup(c.DATABASEOID, session.database_id).datname}.{schema}.{rel.name}"
    what = "automatic analyze of" if params.automatic else "finished analyzing"
    report(
        Severity.LOG if params.automatic else Severity.INFO, "\n".join([f'{what} table "{name}"', *usage.lines()])
    )


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


# Families whose comparison depends on the type it is asked for: no one C function does.
_POLYMORPHIC = {2277, 2283, 3500, 3831, 4537, 2249}


def _native_comparison(type_oid: int, operators: Any) -> str:
    """The prosrc of the type's b-tree comparison, '' where it has to be Python's."""
    if operators.btree_intype in _POLYMORPHIC:
        return ""
    proc = lookup(c.AMPROCNUM, operators.btree_family, operators.btree_intype, operators.btree_intype, 1)
    return str(lookup(c.PROCOID, proc.amproc).prosrc) if proc is not None else ""


def column_statistics(row: Any, sample: Any, total_rows: float) -> ColumnStatistics | None:
    """Work out a column's statistics (std_typanalyze, compute_scalar_stats)."""
    operators = lk.type_operators(row.atttypid)
    kind = lookup(c.TYPEOID, row.atttypid)
    prosrc = _native_comparison(row.atttypid, operators) if operators.eq and operators.lt else ""
    if prosrc:
        try:
            column = sample.sorted_column(row.attnum, prosrc, row.attcollation, _target(row))
        except SqlError as error:
            if error.sqlstate != errcode.FEATURE_NOT_SUPPORTED:
                raise
        else:
            found = _native(row, column, sample.rows, kind, total_rows, operators)
            return _with_options(row, _with_elements(row, sample, found))
    values, width_total = sample.values(row.attnum)
    present = [value for value in values if value is not None]
    nulls = len(values) - len(present)
    if not present:
        return ColumnStatistics(1.0, kind.typlen if kind.typlen > 0 else 0, 0.0, [])
    null_fraction = nulls / len(values)
    width = kind.typlen if kind.typlen > 0 else int(width_total / len(present))
    if not operators.eq:
        return _with_options(row, ColumnStatistics(null_fraction, width, 0.0, []))
    if not operators.lt:
        return _with_options(row, _unordered(row, values, null_fraction, width, total_rows, operators.eq))
    found = _scalar(row, values, null_fraction, width, total_rows, operators)
    return _with_options(row, _with_elements(row, sample, found))


def _with_elements(row: Any, sample: Any, found: ColumnStatistics) -> ColumnStatistics:
    """For arrays also: their most common elements, and how many different ones they have (compute_array_stats)."""
    kind = lookup(c.TYPEOID, lk.base_type(row.atttypid))
    if kind.typanalyze != _ARRAY_TYPANALYZE or not kind.typelem:
        return found
    operators = lk.type_operators(kind.typelem)
    if not operators.eq or not operators.lt:
        return found
    arrays = [value for value in sample.values(row.attnum)[0] if value is not None]
    frequency: dict[Any, int] = {}
    with_null = elements = 0
    sizes: dict[int, int] = {}
    for array in arrays:
        different = {element for element in array.elements if element is not None}
        with_null += any(element is None for element in array.elements)
        for element in different:
            frequency[element] = frequency.get(element, 0) + 1
        elements += len(different)
        sizes[len(different)] = sizes.get(len(different), 0) + 1
    if not arrays:
        return found
    target = _target(row)
    slots = list(found.slots)
    # Exact counts where PostgreSQL prunes as it goes; what it would be unsure of is left out here too.
    cutoff = 9 * elements // (target * 10 * 1000 // 7)
    common = sorted((item for item in frequency.items() if item[1] > cutoff), key=lambda item: -item[1])
    if common:
        most = common[0][1]
        common = common[: target * 10]
        least = common[-1][1]
        key = _sort_key(kind.typelem, row.attcollation)
        common.sort(key=(lambda item: item[0]) if key is None else (lambda item: key(item[0])))
        numbers = [count / len(arrays) for _, count in common]
        numbers += [least / len(arrays), most / len(arrays), with_null / len(arrays)]
        slots.append(Slot(
            KIND_MCELEM, operators.eq, row.attcollation, tuple(numbers), [element for element, _ in common],
            kind.typelem,
        ))  # fmt: skip
    counts = [float(n) for n in _spread(sorted(sizes.items()), len(arrays), target)]
    slots.append(Slot(
        KIND_DECHIST, operators.eq, row.attcollation, (*counts, elements / len(arrays)), None
    ))  # fmt: skip
    return found._replace(slots=slots[:5])


def _spread(sizes: list[tuple[int, int]], arrays: int, bounds: int) -> list[int]:
    """The numbers of elements at equal distances among the arrays."""
    at = 0
    left = sizes[0][1] * (bounds - 1)
    result = []
    for _ in range(bounds):
        while left <= 0 and at + 1 < len(sizes):
            at += 1
            left += sizes[at][1] * (bounds - 1)
        result.append(sizes[at][0])
        left -= arrays - 1
    return result


def _with_options(row: Any, found: ColumnStatistics) -> ColumnStatistics:
    """ALTER TABLE ... SET (n_distinct = ...) overrides what was found."""
    for option in row.attoptions or ():
        name, _, text = option.partition("=")
        if name == "n_distinct" and float(text) != 0.0:
            return found._replace(distinct=float(text))
    return found


def _native(
    row: Any, column: Any, rows: int, kind: Any, total_rows: float, operators: Any
) -> ColumnStatistics:
    """The same as _scalar, from values sorted as Datums."""
    target = _target(row)
    nonnull = column.count + column.wide
    if nonnull == 0:
        return ColumnStatistics(1.0, kind.typlen if kind.typlen > 0 else 0, 0.0, [])
    null_fraction = column.nulls / rows
    width = kind.typlen if kind.typlen > 0 else int(column.width_total / nonnull)
    if column.count == 0:
        return ColumnStatistics(null_fraction, width, -1.0 * (1.0 - null_fraction), [])
    distinct = _distinct(column.distinct, column.multiple, column.wide, nonnull, null_fraction, total_rows)
    common = column.tracked
    if not (
        column.multiple == column.distinct and column.wide == 0 and distinct > 0 and column.distinct <= target
    ):
        common = common[: _worthy([count for _, count in common], distinct, null_fraction, rows, total_rows)]
    slots: list[Slot] = []
    collation = row.attcollation
    if common:
        slots.append(Slot(
            KIND_MCV, operators.eq, collation, tuple(count / rows for _, count in common),
            [column.value(first) for first, _ in common],
        ))  # fmt: skip
    bounds = min(column.distinct - len(common), target + 1)
    if bounds >= 2:
        taken = sorted(common)
        left = column.count - sum(count for _, count in common)
        ranks = _histogram(range(left), bounds)
        slots.append(Slot(
            KIND_HISTOGRAM, operators.lt, collation, None, [column.value(_rank(rank, taken)) for rank in ranks]
        ))  # fmt: skip
    n = column.count
    if n > 1:
        sum_x = (n - 1) * n / 2.0
        sum_x2 = (n - 1) * n * (2 * n - 1) / 6.0
        correlation = (n * column.product - sum_x * sum_x) / (n * sum_x2 - sum_x * sum_x)
        slots.append(Slot(KIND_CORRELATION, operators.lt, collation, (correlation,), None))
    return ColumnStatistics(null_fraction, width, distinct, slots)


def _rank(rank: int, taken: list[tuple[int, int]]) -> int:
    """Where the rank-th value is among all, if those of the common ones are not counted."""
    for first, count in taken:
        if first > rank:
            break
        rank += count
    return rank


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


def _histogram(values: Sequence[Any], bounds: int) -> list[Any]:
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
            _array_payload(slot.value_type or type_oid, slot.values)
            if slot is not None and slot.values is not None
            else None
        )
    row = PgStatistic(**columns)
    old = lookup(c.STATRELATTINH, relid, attnum, False)
    if old is None:
        insert_row(row)
    else:
        row.t_self = old.t_self
        update_row(row, old)

