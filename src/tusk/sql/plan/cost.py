"""Costs of paths, by PostgreSQL's formulas and cost settings (optimizer/path/costsize.c)."""

from __future__ import annotations

import math
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.config import settings
from tusk.sql.nodes import FuncExpr, OpExpr, ScalarArrayOpExpr, SubPlan
from tusk.sql.nodes.nodefuncs import function_of, walk_levels
from tusk.sql.plan.structures import Root

DISABLED = 1
_TUPLE_HEADER = 24


def eval_cost(exprs: Any) -> tuple[float, float]:
    """(start-up, per row) cost of evaluating expressions."""
    startup = per_row = 0.0

    def visit(node: Any, _level: int) -> None:
        nonlocal startup, per_row
        kind = type(node)
        if kind is OpExpr:
            per_row += _function_cost(function_of(node))
        elif kind is FuncExpr:
            per_row += _function_cost(node.funcid)
        elif kind is ScalarArrayOpExpr:
            per_row += _function_cost(function_of(node)) * 5
        elif kind is SubPlan:
            startup += node.startup_cost if node.useHashTable else 0
            per_row += settings.cpu_operator_cost if node.useHashTable else node.per_call_cost

    walk_levels(exprs, visit)
    return startup, per_row


def _function_cost(function: int) -> float:
    row = lookup(c.PROCOID, function)
    cost: float = row.procost if row is not None else 1.0
    return cost * float(settings.cpu_operator_cost)


def seqscan(pages: int, tuples: float, qual: Any) -> tuple[float, float]:
    """(start-up, total) of reading a whole table."""
    startup, per_row = eval_cost(qual)
    return startup, startup + settings.seq_page_cost * pages + (settings.cpu_tuple_cost + per_row) * tuples


def pages_fetched(tuples: float, pages: float) -> float:
    """Pages an index scan touches for so many random rows: Mackert and Lohman, with the cache it is told of."""
    total = max(1.0, pages)
    cache = max(1.0, float(settings.effective_cache_size))
    if total <= cache:
        touched = (2.0 * total * tuples) / (2.0 * total + tuples) if tuples else 0.0
        return min(math.ceil(touched), total)
    limit = (2.0 * total * cache) / (2.0 * total - cache)
    if tuples <= limit:
        return math.ceil((2.0 * total * tuples) / (2.0 * total + tuples))
    return math.ceil(cache + (tuples - limit) * (total - cache) / total)


def index_scan(
    *,
    index_pages: int,
    index_tuples: float,
    tree_height: int,
    heap_pages: int,
    selectivity: float,
    heap_tuples: float,
    correlation: float,
    index_only_fraction: float,
    qual_cost: tuple[float, float],
    nindexquals: int,
    num_scans: float,
    loop_count: float,
) -> tuple[float, float, float]:
    """(start-up, total, index part alone) of a b-tree index scan (btcostestimate, cost_index)."""
    operator = settings.cpu_operator_cost
    fetched_index = max(1.0, round(selectivity * index_tuples)) / max(1.0, num_scans)
    leaf_pages = max(1.0, math.ceil(fetched_index * index_pages / max(1.0, index_tuples)))
    if loop_count > 1:
        touched = pages_fetched(leaf_pages * num_scans * loop_count, index_pages) / loop_count
        index_io = touched * settings.random_page_cost
    else:
        index_io = leaf_pages * num_scans * settings.random_page_cost
    descent = math.ceil(math.log2(max(2.0, index_tuples))) * operator + (tree_height + 1) * 50.0 * operator
    index_cpu = fetched_index * num_scans * (settings.cpu_index_tuple_cost + nindexquals * operator)
    index_startup = descent * num_scans
    index_total = index_startup + index_io + index_cpu
    fetched = max(1.0, round(selectivity * heap_tuples))
    if loop_count > 1:
        most = pages_fetched(fetched * loop_count, heap_pages) * settings.random_page_cost / loop_count
        least_pages = math.ceil(selectivity * heap_pages)
        least = pages_fetched(least_pages * loop_count, heap_pages) * settings.random_page_cost / loop_count
    else:
        most = pages_fetched(fetched, heap_pages) * settings.random_page_cost
        pages = math.ceil(selectivity * heap_pages)
        least = settings.random_page_cost + max(0, pages - 1) * settings.seq_page_cost if pages > 0 else 0.0
    if index_only_fraction:
        most *= 1.0 - index_only_fraction
        least *= 1.0 - index_only_fraction
    heap_io = most + correlation * correlation * (least - most)
    startup, per_row = qual_cost
    total = index_total + heap_io + startup + (settings.cpu_tuple_cost + per_row) * fetched
    return index_startup + startup, total, index_total


def bitmap_heap_scan(
    index_total: float, selectivity: float, heap_pages: int, heap_tuples: float, qual_cost: tuple[float, float]
) -> tuple[float, float]:
    """(start-up, total) of fetching the pages a bitmap names."""
    fetched = max(1.0, round(selectivity * heap_tuples))
    total_pages = max(1.0, float(heap_pages))
    pages = min(total_pages, math.ceil((2.0 * total_pages * fetched) / (2.0 * total_pages + fetched)))
    random, sequential = settings.random_page_cost, settings.seq_page_cost
    per_page = random - (random - sequential) * math.sqrt(pages / total_pages) if pages >= 2 else random
    startup, per_row = qual_cost
    begin = startup + index_total
    cpu = settings.cpu_tuple_cost + per_row + 0.1 * settings.cpu_operator_cost
    return begin, begin + pages * per_page + cpu * fetched


def sort(input_total: float, rows: float, width: int, limit: float) -> tuple[float, float]:
    """(start-up, total) of sorting."""
    rows = max(2.0, rows)
    bytes_in = rows * (width + _TUPLE_HEADER)
    memory = settings.work_mem * 1024.0
    comparison = 2.0 * settings.cpu_operator_cost
    out_rows, out_bytes = (limit, bytes_in * limit / rows) if 0 < limit < rows else (rows, bytes_in)
    if out_bytes > memory:
        pages = math.ceil(bytes_in / 8192)
        runs = bytes_in / memory
        merge_order = max(6.0, memory / (8192 * 33))
        passes = max(1.0, math.ceil(math.log(max(runs, 1.0001)) / math.log(merge_order)))
        work = comparison * rows * math.log2(rows)
        work += 2.0 * pages * passes * (settings.seq_page_cost * 0.75 + settings.random_page_cost * 0.25)
    elif rows > 2 * out_rows or bytes_in > memory:
        work = comparison * rows * math.log2(2.0 * out_rows)
    else:
        work = comparison * rows * math.log2(rows)
    startup = input_total + work
    return startup, startup + settings.cpu_operator_cost * rows


def materialize(input_total: float, rows: float, width: int) -> float:
    """Total of keeping rows."""
    total: float = input_total + 2 * settings.cpu_operator_cost * rows
    if rows * (width + _TUPLE_HEADER) > settings.work_mem * 1024:
        total += float(settings.seq_page_cost) * math.ceil(rows * width / 8192)
    return total


def rescan(total: float, kind: str, rows: float) -> float:
    """What a second reading of the same rows costs."""
    if kind in ("Material", "CteScan", "WorkTableScan", "FunctionScan"):
        return float(settings.cpu_operator_cost) * rows
    if kind == "Sort":
        return float(settings.cpu_operator_cost) * rows
    return total


def hash_buckets_fraction(ndistinct: float, rows: float) -> float:
    """The share of the inner rows a probe meets."""
    return max(1.0 / max(1.0, ndistinct), 1.0 / max(1.0, rows))


def aggregate(
    strategy: str, input_startup: float, input_total: float, rows: float, groups: float, nkeys: int, trans: float
) -> tuple[float, float]:
    """(start-up, total) of grouping: plain, sorted or hashed."""
    operator, per_tuple = settings.cpu_operator_cost, settings.cpu_tuple_cost
    if strategy == "plain":
        total = input_total + trans * rows + per_tuple
        return total, total
    if strategy == "sorted":
        total = input_total + (operator * nkeys + trans) * rows + per_tuple * groups
        return input_startup, total
    startup = input_total + (operator * nkeys + trans) * rows
    return startup, startup + per_tuple * groups


def target_cost(root: Root | None, target: Any) -> tuple[float, float]:
    """Cost of computing a target list whose entries are not just columns."""
    return eval_cost([entry.expr for entry in target])
