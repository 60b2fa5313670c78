"""Everything above the joins: grouping, window functions, DISTINCT, ORDER BY, LIMIT, row locks, data modification
(grouping_planner of optimizer/plan/planner.c)."""

from __future__ import annotations

from itertools import chain
from typing import Any

from tusk.config import settings
from tusk.errors import feature_not_supported
from tusk.sql.nodes import Aggref, Const, GroupingSet, SortGroupClause, TargetEntry, enums
from tusk.sql.nodes.nodefuncs import walk_levels
from tusk.sql.plan import cost
from tusk.sql.plan.exprs import and_list, contains_set, returns_set
from tusk.sql.plan.fold import estimate_expression
from tusk.sql.plan.joins import sort_path
from tusk.sql.plan.minmax import min_max_path
from tusk.sql.plan.pathkeys import contained_in, pathkeys_for_clauses
from tusk.sql.plan.scans import call_rows
from tusk.sql.plan.selectivity import group_count
from tusk.sql.plan.structures import Path, Rel, Root
from tusk.sql.plan.targets import (
    TargetBuilder,
    group_input_target,
    group_output_target,
    parts_of,
    split_sets,
    window_functions,
    window_input_target,
)


def limit_estimates(root: Root) -> tuple[float, float]:
    """(rows to fetch, -1 unknown; offset) from LIMIT and OFFSET."""
    count, offset = -1.0, 0.0
    parse = root.parse
    if parse.limitCount is not None:
        value = estimate_expression(root, parse.limitCount)
        if type(value) is Const:
            count = -1.0 if value.constisnull else float(max(1, value.constvalue))
        else:
            count = 0.0
    if parse.limitOffset is not None:
        value = estimate_expression(root, parse.limitOffset)
        offset = float(max(0, value.constvalue)) if type(value) is Const and not value.constisnull else 0.0
    return count, offset


def project(path: Path, target: list[TargetEntry]) -> Path:
    """The path computing another target list."""
    startup, per_row = cost.eval_cost([entry.expr for entry in target])
    return Path(
        "Project", path.rel, path.rows, path.startup + startup, path.total + startup + per_row * path.rows,
        path.pathkeys, path.outer_rels, [path], {}, target, path.disabled,
    )  # fmt: skip


def project_sets(path: Path, target: list[TargetEntry]) -> Path:
    """ProjectSet, in as many steps as nested set-returning calls need."""
    done: set[Any] = set()
    while True:
        step = split_sets(target, done)
        if step is None:
            return project(path, target)
        startup, per_row = cost.eval_cost([entry.expr for entry in step])
        rows = path.rows * _set_rows(step)
        path = Path(
            "ProjectSet", path.rel, rows, path.startup + startup,
            path.total + (settings.cpu_tuple_cost + per_row) * rows, path.pathkeys, path.outer_rels, [path], {}, step,
            path.disabled,
        )  # fmt: skip
        if step is target:
            return path


def _set_rows(target: list[TargetEntry]) -> float:
    """How many rows the calls make of one."""
    return max((call_rows(entry.expr) for entry in target if returns_set(entry.expr)), default=1.0)


def plan_upper(root: Root, join_rel: Rel) -> Path:
    """The best path for the whole query level, given its joined relation."""
    parse = root.parse
    final = root.target
    has_groups = bool(parse.groupClause or parse.groupingSets or parse.hasAggs or parse.havingQual is not None)
    windows = active_windows(root, final) if parse.hasWindowFuncs else []
    sort_keys = pathkeys_for_clauses(root, parse.sortClause, final)
    best: Path | None = None
    for path in candidate_paths(root, join_rel):
        if root.constant_quals:
            path = gate(root, path)
        done = finish_path(root, path, final, has_groups, windows, sort_keys)
        if best is None or (done.disabled, _fraction_cost(root, done)) < (best.disabled, _fraction_cost(root, best)):
            best = done
    assert best is not None
    return best


def gate(root: Root, path: Path) -> Path:
    """The path under the conditions that have one value throughout the query: tested once."""
    startup, _ = cost.eval_cost(root.constant_quals)
    return Path(
        "Gate", path.rel, path.rows, path.startup + startup, path.total + startup, path.pathkeys, path.outer_rels,
        [path], {"quals": root.constant_quals}, path.target, path.disabled,
    )  # fmt: skip


def _fraction_cost(root: Root, path: Path) -> float:
    fraction = root.tuple_fraction
    if fraction <= 0 or root.parse.limitCount is not None:
        return path.total
    if fraction >= 1:
        fraction = min(1.0, fraction / max(1.0, path.rows))
    return path.startup + (path.total - path.startup) * fraction


def candidate_paths(root: Root, rel: Rel) -> list[Path]:
    """The paths worth finishing: the cheapest, the quickest to start, and those in some order."""
    chosen = {id(path): path for path in (rel.cheapest(), rel.cheapest_startup())}
    for path in rel.paths:
        if path.pathkeys and not path.outer_rels:
            chosen[id(path)] = path
    return list(chosen.values())


def finish_path(
    root: Root, path: Path, final: list[TargetEntry], has_groups: bool, windows: list[Any], sort_keys: list[Any],
    *, keep_target: bool = False,
) -> Path:  # fmt: skip
    """Put the steps above the joins on a path; ``keep_target``: it computes the final target already."""
    parse = root.parse
    sets_last = parse.hasTargetSRFs and bool(sort_keys) and not parse.distinctClause and not _sorted_by_set(root, final)
    if windows:
        top: list[TargetEntry] = window_input_target(root, final)
    else:
        top = final
    if has_groups:
        if windows or parse.hasTargetSRFs:
            top = group_output_target(root, final, parse.havingQual)
        path = group(root, path, top)
    elif windows:
        path = project(path, top)
    if windows:
        path = window_steps(root, path, windows, top, final if not parse.hasTargetSRFs else None)
        if parse.hasTargetSRFs:
            path = project_sets(path, final)
    elif parse.hasTargetSRFs:
        if sets_last:
            path = sort_path(_sortable(root, path, final), sort_keys, -1.0)
            path = project_sets(path, final)
            path.pathkeys = sort_keys
        else:
            path = project_sets(path, final)
    elif not has_groups and not keep_target:
        path = project(path, final)
    if parse.distinctClause:
        path = distinct(root, path, sort_keys)
    if sort_keys:
        path = sort_path(path, sort_keys, root.limit_tuples)
    if parse.rowMarks:
        path = Path(
            "LockRows", path.rel, path.rows, path.startup, path.total + settings.cpu_tuple_cost * path.rows, [],
            path.outer_rels, [path], {}, path.target, path.disabled,
        )  # fmt: skip
    if parse.limitCount is not None or parse.limitOffset is not None:
        path = limit(root, path)
    if parse.commandType != enums.CMD_SELECT:
        path = Path(
            "ModifyTable", path.rel, path.rows if parse.returningList else 0, path.startup, path.total, [],
            path.outer_rels, [path], {}, final, path.disabled,
        )  # fmt: skip
    return path


def _sorted_by_set(root: Root, final: list[TargetEntry]) -> bool:
    refs = {clause.tleSortGroupRef for clause in root.parse.sortClause}
    return any(contains_set(entry.expr) for entry in final if entry.ressortgroupref in refs)


def _sortable(root: Root, path: Path, final: list[TargetEntry]) -> Path:
    """The path computing what the sort before a ProjectSet needs."""
    from_target = window_input_target(root, [entry for entry in final if not contains_set(entry.expr)])
    refs = {clause.tleSortGroupRef for clause in root.parse.sortClause}
    builder = TargetBuilder()
    for entry in from_target:
        builder.add(entry.expr)
    for entry in final:
        if entry.ressortgroupref in refs:
            builder.add(entry.expr, entry.ressortgroupref)
    for entry in final:
        if contains_set(entry.expr):
            for part in parts_of(entry.expr, into_aggs=False, into_windows=False, stop=set()):
                builder.add(part)
    return project(path, builder.entries)


# Grouping


def _aggregates(tree: Any) -> list[Aggref]:
    found: list[Aggref] = []

    def visit(node: Any, level: int) -> Any:
        if type(node) is Aggref and node.agglevelsup == level:
            found.append(node)
            return "skip"
        return None

    walk_levels(tree, visit)
    return found


def expand_grouping_sets(parse: Any) -> list[list[int]]:
    """The grouping sets as lists of sort/group references: CUBE, ROLLUP and nested sets multiplied out."""
    product: list[list[int]] = [[]]
    for item in parse.groupingSets:
        parts = _expand_set(item)
        product = [left + [ref for ref in right if ref not in left] for left in product for right in parts]
    if parse.groupDistinct:
        unique: list[list[int]] = []
        for refs in product:
            if not any(set(refs) == set(other) for other in unique):
                unique.append(refs)
        product = unique
    return product


def _expand_set(item: GroupingSet) -> list[list[int]]:
    match item.kind:
        case enums.GROUPING_SET_EMPTY:
            return [[]]
        case enums.GROUPING_SET_SIMPLE:
            return [list(item.content)]
        case enums.GROUPING_SET_ROLLUP:
            groups = [list(part.content) for part in item.content]
            return [list(chain.from_iterable(groups[:size])) for size in range(len(groups), -1, -1)]
        case enums.GROUPING_SET_CUBE:
            groups = [list(part.content) for part in item.content]
            found = []
            for mask in range((1 << len(groups)) - 1, -1, -1):
                taken = (group for i, group in enumerate(groups) if mask >> (len(groups) - 1 - i) & 1)
                found.append(list(chain.from_iterable(taken)))
            return found
    return [refs for part in item.content for refs in _expand_set(part)]


def group(root: Root, path: Path, output: list[TargetEntry]) -> Path:
    """GROUP BY and aggregates."""
    parse = root.parse
    having = and_list(parse.havingQual)
    source = group_input_target(root, root.target, parse.havingQual)
    path = project(path, source)
    aggs = _aggregates([[entry.expr for entry in output], having])
    trans = sum(cost.eval_cost(agg.args)[1] + settings.cpu_operator_cost for agg in aggs)
    if parse.groupingSets:
        return _grouping_sets(root, path, output, having, trans)
    clauses = parse.groupClause
    if not clauses:
        startup, total = cost.aggregate("plain", path.startup, path.total, path.rows, 1, 0, trans)
        plain = Path("Agg", path.rel, 1, startup, total, [], path.outer_rels, [path],
                     {"strategy": enums.AGG_PLAIN, "clauses": [], "having": having}, output, path.disabled)  # fmt: skip
        if root.constant_quals or any(entry.ressortgroupref for entry in output):
            return plain
        if root.min_max is None:
            root.min_max = min_max_path(root, plain, aggs, output, having) or plain
        return root.min_max if root.min_max.kind == "MinMax" else plain
    by_ref = {entry.ressortgroupref: entry.expr for entry in source if entry.ressortgroupref}
    groups = group_count(root, [by_ref[clause.tleSortGroupRef] for clause in clauses], path.rows)
    if having:
        groups = max(1.0, groups * 0.3)
    sortable = all(clause.sortop for clause in clauses)
    hashable = all(clause.hashable for clause in clauses) and not any(agg.aggorder or agg.aggdistinct for agg in aggs)
    options: list[Path] = []
    if sortable:
        keys = pathkeys_for_clauses(root, clauses, source)
        ordered = sort_path(path, keys, -1.0)
        startup, total = cost.aggregate(
            "sorted", ordered.startup, ordered.total, ordered.rows, groups, len(clauses), trans
        )
        kind = "Agg" if aggs or having else "Group"
        options.append(
            Path(kind, path.rel, groups, startup, total, keys, path.outer_rels, [ordered],
                 {"strategy": enums.AGG_SORTED, "clauses": clauses, "having": having}, output, ordered.disabled)
        )  # fmt: skip
    if hashable:
        startup, total = cost.aggregate("hashed", path.startup, path.total, path.rows, groups, len(clauses), trans)
        disabled = path.disabled + (0 if settings.enable_hashagg else cost.DISABLED)
        options.append(
            Path("Agg", path.rel, groups, startup, total, [], path.outer_rels, [path],
                 {"strategy": enums.AGG_HASHED, "clauses": clauses, "having": having, "groups": groups},
                 output, disabled)
        )  # fmt: skip
    if not options:
        raise feature_not_supported(
            "GROUP BY of columns that can neither be sorted nor hashed"
        )
    wanted = pathkeys_for_clauses(root, parse.sortClause, root.target) if parse.sortClause else []

    def finished(option: Path) -> tuple[int, float]:
        done = sort_path(option, wanted, root.limit_tuples) if wanted else option
        return done.disabled, done.total

    return min(options, key=finished)


def _grouping_sets(root: Root, path: Path, output: list[TargetEntry], having: list[Any], trans: float) -> Path:
    """GROUPING SETS: each set is hashed; the empty set and unhashable ones are sorted passes over the same input."""
    parse = root.parse
    sets = expand_grouping_sets(parse)
    by_ref = {clause.tleSortGroupRef: clause for clause in parse.groupClause}
    total = path.total + trans * path.rows * max(1, len(sets))
    groups = sum(_set_groups(root, path, refs) for refs in sets)
    return Path(
        "GroupingSets", path.rel, groups, path.total, total, [], path.outer_rels, [path],
        {"sets": sets, "clauses": by_ref, "having": having, "groups": groups}, output, path.disabled,
    )  # fmt: skip


def _set_groups(root: Root, path: Path, refs: list[int]) -> float:
    if not refs:
        return 1.0
    by_ref = {entry.ressortgroupref: entry.expr for entry in root.target if entry.ressortgroupref}
    return group_count(root, [by_ref[ref] for ref in refs if ref in by_ref], path.rows)


# Windows


def active_windows(root: Root, final: list[TargetEntry]) -> list[Any]:
    """The windows that some function uses, those with longer orders first so that sorts can be shared."""
    used = {function.winref for function in window_functions([entry.expr for entry in final])}
    windows = [window for window in root.parse.windowClause if window.winref in used]
    return sorted(windows, key=lambda window: (-len(window.partitionClause) - len(window.orderClause), window.winref))


def window_steps(
    root: Root, path: Path, windows: list[Any], source: list[TargetEntry], final: list[TargetEntry] | None
) -> Path:
    """One WindowAgg for each window, each over its own order."""
    functions = window_functions([entry.expr for entry in root.target])
    current = source
    for number, window in enumerate(windows):
        clauses: list[SortGroupClause] = [*window.partitionClause, *window.orderClause]
        keys = pathkeys_for_clauses(root, clauses, current)
        path = sort_path(path, keys, -1.0) if keys else path
        own = [function for function in functions if function.winref == window.winref]
        builder = TargetBuilder()
        for entry in current:
            builder.add(entry.expr, entry.ressortgroupref, entry.resname)
        for function in own:
            builder.add(function)
        is_last = number + 1 == len(windows)
        target = final if is_last and final is not None else builder.entries
        startup, per_row = cost.eval_cost([function.args for function in own])
        per_row += settings.cpu_tuple_cost + settings.cpu_operator_cost * len(own)
        total = path.total + startup + per_row * path.rows
        path = Path(
            "WindowAgg", path.rel, path.rows, path.startup + startup, total, path.pathkeys, path.outer_rels, [path],
            {"window": window, "functions": own, "top": is_last}, target, path.disabled,
        )  # fmt: skip
        current = target if target is not final else builder.entries
    return path


# DISTINCT, LIMIT


def distinct(root: Root, path: Path, sort_keys: list[Any]) -> Path:
    """DISTINCT by hashing or by sorting; DISTINCT ON keeps the first row of each group in the sort order."""
    parse = root.parse
    clauses = parse.distinctClause
    final = root.target
    keys = pathkeys_for_clauses(root, clauses, final)
    by_ref = {entry.ressortgroupref: entry.expr for entry in final if entry.ressortgroupref}
    groups = group_count(root, [by_ref[clause.tleSortGroupRef] for clause in clauses], path.rows)
    operator = settings.cpu_operator_cost
    order = keys
    if parse.hasDistinctOn and sort_keys:
        order = sort_keys if contained_in(keys, sort_keys) or _prefix_covers(keys, sort_keys) else keys
    elif sort_keys and contained_in(keys[: len(sort_keys)], sort_keys):
        order = keys
    ordered = sort_path(path, order, -1.0)
    by_sort = Path(
        "Unique", path.rel, groups, ordered.startup, ordered.total + operator * len(clauses) * ordered.rows,
        ordered.pathkeys, path.outer_rels, [ordered], {"clauses": clauses}, path.target, ordered.disabled,
    )  # fmt: skip
    if parse.hasDistinctOn or not all(clause.hashable for clause in clauses):
        return by_sort
    startup, total = cost.aggregate("hashed", path.startup, path.total, path.rows, groups, len(clauses), 0.0)
    disabled = path.disabled + (0 if settings.enable_hashagg else cost.DISABLED)
    by_hash = Path(
        "Agg", path.rel, groups, startup, total, [], path.outer_rels, [path],
        {"strategy": enums.AGG_HASHED, "clauses": clauses, "having": [], "groups": groups}, path.target, disabled,
    )  # fmt: skip
    if not all(clause.sortop for clause in clauses):
        return by_hash
    first = sort_path(by_sort, sort_keys, -1.0) if sort_keys else by_sort
    second = sort_path(by_hash, sort_keys, -1.0) if sort_keys else by_hash
    return by_sort if (first.disabled, first.total) <= (second.disabled, second.total) else by_hash


def _prefix_covers(keys: list[Any], sort_keys: list[Any]) -> bool:
    """Whether the first sort columns are the DISTINCT ON columns in some order."""
    wanted = {key.key for key in keys}
    return {key.key for key in sort_keys[: len(wanted)]} == wanted


def limit(root: Root, path: Path) -> Path:
    """LIMIT and OFFSET."""
    count, offset = limit_estimates(root)
    rows = path.rows
    if count < 0:
        kept = max(1.0, rows - offset)
    else:
        kept = max(1.0, min(count or rows * 0.1, rows - offset))
    share = min(1.0, (kept + offset) / max(1.0, rows))
    begin = min(1.0, offset / max(1.0, rows))
    run = path.total - path.startup
    return Path(
        "Limit", path.rel, kept, path.startup + run * begin, path.startup + run * share, path.pathkeys,
        path.outer_rels, [path], {}, path.target, path.disabled,
    )  # fmt: skip
