"""INSERT, UPDATE, DELETE and MERGE on simple views, turned to the table below (rewriteTargetView)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import scan_rows
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze.rangetable import FIRST_LOW_INVALID
from tusk.sql.analyze.relations import RowExclusiveLock, relation_info
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree
from tusk.sql.nodes.parsetree import Query, RTEPermissionInfo, WithCheckOption
from tusk.sql.nodes.primitives import RangeTblRef, Var
from tusk.sql.rewrite.manip import add_qual, change_varno, has_sublink, replace_vars
from tusk.sql.rewrite.rules import check_option, is_security_barrier, is_security_invoker, rules_of

_TRIGGER_INSTEAD_ROW = 64 | 1
_TRIGGER_EVENTS = {enums.CMD_INSERT: 4, enums.CMD_DELETE: 8, enums.CMD_UPDATE: 16}
_NOT_SIMPLE = "Views that do not select from a single table or view are not automatically updatable."


def has_instead_trigger(relation: int, command: int, actions: list[Any]) -> bool:
    """Whether INSTEAD OF triggers take care of a command on a view (view_has_instead_trigger)."""
    row = relation_info(relation).row
    if not row.relhastriggers:
        return False
    types = [
        trigger.tgtype
        for trigger in scan_rows("pg_trigger", tgrelid=relation)
        if trigger.tgtype & _TRIGGER_INSTEAD_ROW == _TRIGGER_INSTEAD_ROW
    ]
    commands: list[Any] = (
        [action.commandType for action in actions if action.commandType in _TRIGGER_EVENTS]
        if command == enums.CMD_MERGE
        else [command]
    )
    return all(any(kind & _TRIGGER_EVENTS[each] for kind in types) for each in commands)


def view_query(relation: int) -> Query:
    """The query of a view; shared (get_view_query)."""
    for rule in rules_of(relation):
        if rule.event == enums.CMD_SELECT:
            return rule.actions[0]
    raise SqlError(errcode.INTERNAL_ERROR, "failed to find _RETURN rule for view")


def not_updatable_because(query: Query, check_columns: bool) -> str | None:
    """Why a view's query is not automatically updatable, None if it is (view_query_is_auto_updatable)."""
    for found, what in (
        (query.distinctClause, "containing DISTINCT"),
        (query.groupClause or query.groupingSets, "containing GROUP BY"),
        (query.havingQual is not None, "containing HAVING"),
        (query.setOperations is not None, "containing UNION, INTERSECT, or EXCEPT"),
        (query.cteList, "containing WITH"),
        (query.limitOffset is not None or query.limitCount is not None, "containing LIMIT or OFFSET"),
        (query.hasAggs, "that return aggregate functions"),
        (query.hasWindowFuncs, "that return window functions"),
        (query.hasTargetSRFs, "that return set-returning functions"),
    ):
        if found:
            return f"Views {what} are not automatically updatable."
    items = query.jointree.fromlist
    if len(items) != 1 or not isinstance(items[0], RangeTblRef):
        return _NOT_SIMPLE
    base = query.rtable[items[0].rtindex - 1]
    if base.rtekind != enums.RTE_RELATION or base.relkind not in "rfvp":
        return _NOT_SIMPLE
    if base.tablesample is not None:
        return "Views containing TABLESAMPLE are not automatically updatable."
    if check_columns and all(column_not_updatable_because(items[0].rtindex, target) for target in query.targetList):
        return "Views that have no updatable columns are not automatically updatable."
    return None


def column_not_updatable_because(rtindex: int, target: Any) -> str | None:
    """Why a view's column cannot be assigned to, None if it can (view_col_is_auto_updatable)."""
    if target.resjunk:
        return "Junk view columns are not updatable."
    var = target.expr
    if not isinstance(var, Var) or var.varno != rtindex or var.varlevelsup:
        return "View columns that are not columns of their base relation are not updatable."
    if var.varattno < 0:
        return "View columns that refer to system columns are not updatable."
    if var.varattno == 0:
        return "View columns that return whole-row references are not updatable."
    return None


_COMMANDS = {
    enums.CMD_INSERT: ("insert into", "inserting into", "INSERT"),
    enums.CMD_UPDATE: ("update", "updating", "UPDATE"),
    enums.CMD_DELETE: ("delete from", "deleting from", "DELETE"),
}


def not_updatable(name: str, command: int, actions: list[Any], detail: str | None) -> SqlError:
    """55000 for a view that cannot be changed (error_view_not_updatable)."""
    if command == enums.CMD_MERGE:
        for action in actions:
            if action.commandType in _COMMANDS:
                verb, doing, event = _COMMANDS[action.commandType]
                return SqlError(
                    errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                    f'cannot {verb} view "{name}"',
                    detail=detail,
                    hint=f"To enable {doing} the view using MERGE, provide an INSTEAD OF {event} trigger.",
                )
    verb, doing, event = _COMMANDS[enums.CmdType(command)]
    return SqlError(
        errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
        f'cannot {verb} view "{name}"',
        detail=detail,
        hint=f"To enable {doing} the view, provide an INSTEAD OF {event} trigger "
        f"or an unconditional ON {event} DO INSTEAD rule.",
    )


def _changes(query: Query) -> list[tuple[int, list[Any]]]:
    """(command, target list) of everything in the query that assigns to columns."""
    if query.commandType == enums.CMD_MERGE:
        return [
            (action.commandType, action.targetList)
            for action in query.mergeActionList
            if action.commandType in (enums.CMD_INSERT, enums.CMD_UPDATE)
        ]
    if query.commandType in (enums.CMD_INSERT, enums.CMD_UPDATE):
        changes = [(int(query.commandType), query.targetList)]
        if query.onConflict is not None:
            changes.append((int(enums.CMD_UPDATE), query.onConflict.onConflictSet))
        return changes
    return []


def _check_columns(query: Query, name: str, view: Query, rtindex: int, changes: list[tuple[int, list[Any]]]) -> None:
    perminfo = query.rteperminfos[query.rtable[query.resultRelation - 1].perminfoindex - 1]
    modified = {number + FIRST_LOW_INVALID for number in perminfo.insertedCols | perminfo.updatedCols}
    for _, targets in changes:
        modified |= {target.resno for target in targets if not target.resjunk}
    for target in view.targetList:
        if target.resno not in modified:
            continue
        detail = column_not_updatable_because(rtindex, target)
        if detail is not None:
            verb = {enums.CMD_INSERT: "insert into", enums.CMD_UPDATE: "update", enums.CMD_MERGE: "merge into"}[
                query.commandType
            ]
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED,
                f'cannot {verb} column "{target.resname}" of view "{name}"',
                detail=detail,
            )


def _map_columns(columns: frozenset[int], targets: list[Any]) -> frozenset[int]:
    """The base table's columns behind a view's (adjust_view_column_set)."""
    result = set()
    numbers = {target.resno: target.expr.varattno for target in targets if isinstance(target.expr, Var)}
    for column in columns:
        number = column + FIRST_LOW_INVALID
        if number == 0:
            result |= {each - FIRST_LOW_INVALID for each in numbers.values()}
        elif number in numbers:
            result.add(numbers[number] - FIRST_LOW_INVALID)
    return frozenset(result)


def rewrite_target_view(query: Query) -> Query:
    """The query with its target view replaced by the view's table; 55000, 0A000."""
    entry = query.rtable[query.resultRelation - 1]
    info = relation_info(entry.relid)
    view: Query = copy_tree(view_query(entry.relid))
    changes = _changes(query)
    detail = not_updatable_because(view, bool(changes))
    if detail is not None:
        raise not_updatable(info.name, query.commandType, query.mergeActionList, detail)
    base_index = view.jointree.fromlist[0].rtindex
    if changes:
        _check_columns(query, info.name, view, base_index, changes)
    if query.onConflict is not None and query.onConflict.action == enums.ONCONFLICT_UPDATE:
        raise feature_not_supported("ON CONFLICT DO UPDATE on a view")
    view_perminfo = query.rteperminfos[entry.perminfoindex - 1]
    base = view.rtable[base_index - 1]
    base_perminfo = view.rteperminfos[base.perminfoindex - 1]
    if session.database_id:
        from tusk.catalog._relcache import lock_relation  # type: ignore[import-not-found,unused-ignore]

        lock_relation(base.relid, RowExclusiveLock)
    base.relkind = relation_info(base.relid).kind
    base.rellockmode = RowExclusiveLock
    if query.commandType == enums.CMD_INSERT:
        base.inh = False
    query.rtable.append(base)
    index = len(query.rtable)
    targets = view.targetList
    change_varno(targets, base_index, index)
    perminfo = RTEPermissionInfo(
        relid=base.relid,
        inh=base.inh,
        requiredPerms=view_perminfo.requiredPerms,
        checkAsUser=0 if is_security_invoker(info.row) else info.row.relowner,
        selectedCols=base_perminfo.selectedCols,
        insertedCols=_map_columns(view_perminfo.insertedCols, targets),
        updatedCols=_map_columns(view_perminfo.updatedCols, targets),
    )
    query.rteperminfos.append(perminfo)
    base.perminfoindex = len(query.rteperminfos)
    base.securityQuals, entry.securityQuals = entry.securityQuals, []
    old_index = query.resultRelation
    query = replace_vars(query, old_index, entry, targets, index)
    change_varno(query, old_index, index)
    by_number = {target.resno: target.expr for target in targets if not target.resjunk}
    for _, assigned in _changes(query):
        for target in assigned:
            if not target.resjunk:
                target.resno = by_number[target.resno].varattno
    if query.onConflict is not None:
        for element in query.onConflict.arbiterElems:
            change_varno(element, old_index, index)
    _add_conditions(query, info, view, base_index, index, bool(changes))
    return query


def _add_conditions(query: Query, info: Any, view: Query, base_index: int, index: int, changes: bool) -> None:
    quals = view.jointree.quals
    if query.commandType != enums.CMD_INSERT and quals is not None:
        own = copy_tree(quals)
        change_varno(own, base_index, index)
        if is_security_barrier(info.row):
            rte = query.rtable[index - 1]
            rte.securityQuals = [own, *rte.securityQuals]
            query.hasSubLinks = query.hasSubLinks or has_sublink(own)
        else:
            add_qual(query, own)
    if not changes:
        return
    option = check_option(info.row)
    cascaded = option == "cascaded"
    wanted = option in ("local", "cascaded")
    if query.withCheckOptions and query.withCheckOptions[0].cascaded:
        wanted = cascaded = True
    if wanted and (cascaded or quals is not None):
        check = WithCheckOption(kind=enums.WCO_VIEW_CHECK, relname=info.name, cascaded=cascaded)
        if quals is not None:
            check.qual = copy_tree(quals)
            change_varno(check.qual, base_index, index)
            query.hasSubLinks = query.hasSubLinks or has_sublink(check.qual)
        query.withCheckOptions = [check, *query.withCheckOptions]
