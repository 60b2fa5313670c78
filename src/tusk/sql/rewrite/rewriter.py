"""The rewriter: defaults into target lists, rules, views (QueryRewrite)."""

from __future__ import annotations

from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze.relations import relation_info
from tusk.sql.nodes import enums
from tusk.sql.nodes.parsetree import Query, RangeTblEntry
from tusk.sql.nodes.primitives import RangeTblRef
from tusk.sql.rewrite.defaults import finish_values, rewrite_target_list, rewrite_values
from tusk.sql.rewrite.firing import fire_rules
from tusk.sql.rewrite.rules import rules_of
from tusk.sql.rewrite.updatable import has_instead_trigger, rewrite_target_view
from tusk.sql.rewrite.views import expand_views

_COMMANDS = {enums.CMD_INSERT: "INSERT", enums.CMD_UPDATE: "UPDATE", enums.CMD_DELETE: "DELETE"}


def rewrite(query: Query) -> list[Query]:
    """The queries to run for one analysed query: none, itself, or others. Takes the query over and changes it."""
    if query.commandType == enums.CMD_UTILITY:
        return [query]
    results = _rewrite_changes(query, ())
    for position, result in enumerate(results):
        results[position] = expand_views(result)
    _set_tag(query, results)
    return results


def _set_tag(original: Query, results: list[Query]) -> None:
    """Decide whose row count the client is told: the original's, else the last INSTEAD one of its kind."""
    if any(result.querySource == enums.QSRC_ORIGINAL for result in results):
        return
    last = None
    for result in results:
        if result.commandType == original.commandType and result.querySource in (
            enums.QSRC_INSTEAD_RULE,
            enums.QSRC_QUAL_INSTEAD_RULE,
        ):
            last = result
    if last is not None:
        last.canSetTag = True


def _values_of_insert(query: Query) -> tuple[RangeTblEntry | None, int]:
    for item in query.jointree.fromlist:
        if isinstance(item, RangeTblRef):
            rte = query.rtable[item.rtindex - 1]
            if rte.rtekind == enums.RTE_VALUES:
                return rte, item.rtindex
    return None, 0


def _complete_targets(query: Query) -> tuple[RangeTblEntry | None, bool]:
    """Defaults and column order; returns the VALUES entry and whether DEFAULTs remain in it."""
    info = relation_info(query.rtable[query.resultRelation - 1].relid)
    command = query.commandType
    values, remaining = None, False
    if command == enums.CMD_INSERT:
        values, index = _values_of_insert(query)
        unused: set[int] = set()
        query.targetList = rewrite_target_list(query.targetList, command, query.override, info, values, index, unused)
        if values is not None:
            remaining = not rewrite_values(query, values, index, info, unused)
        conflict = query.onConflict
        if conflict is not None and conflict.action == enums.ONCONFLICT_UPDATE:
            conflict.onConflictSet = rewrite_target_list(conflict.onConflictSet, enums.CMD_UPDATE, query.override, info)
    elif command == enums.CMD_UPDATE:
        query.targetList = rewrite_target_list(query.targetList, command, query.override, info)
    elif command == enums.CMD_MERGE:
        for action in query.mergeActionList:
            if action.commandType in (enums.CMD_INSERT, enums.CMD_UPDATE):
                action.targetList = rewrite_target_list(action.targetList, action.commandType, action.override, info)
    return values, remaining


def _rewrite_changes(query: Query, events: tuple[tuple[int, int], ...]) -> list[Query]:
    """Rules and updatable views of a data-modifying query, and of such queries in WITH (RewriteQuery)."""
    for cte in query.cteList:
        inner = cte.ctequery
        if inner.commandType == enums.CMD_SELECT:
            continue
        results = _rewrite_changes(inner, events)
        if not results:
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED,
                "DO INSTEAD NOTHING rules are not supported for data-modifying statements in WITH",
            )
        if len(results) > 1:
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED,
                "multi-statement DO INSTEAD rules are not supported for data-modifying statements in WITH",
            )
        cte.ctequery = results[0]
    if query.commandType == enums.CMD_SELECT or not query.resultRelation:
        return [query]
    entry = query.rtable[query.resultRelation - 1]
    values, remaining = _complete_targets(query)
    info = relation_info(entry.relid)
    rules = [rule for rule in rules_of(entry.relid) if rule.event == query.commandType and rule.enabled != "D"]
    if rules:
        if query.onConflict is not None:
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED,
                "INSERT with ON CONFLICT clause cannot be used with table that has INSERT or UPDATE rules",
            )
        fired, is_replaced = fire_rules(query, rules, info.name)
        event = (entry.relid, int(query.commandType))
        if event in events:
            raise SqlError(
                errcode.INVALID_OBJECT_DEFINITION,
                f'infinite recursion detected in rules for relation "{info.name}"',
            )
        products = [
            product for action in fired for product in _rewrite_changes(action, (*events, event))
        ]
        if is_replaced and query.returningList:
            command = _COMMANDS[query.commandType]
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED, f'cannot perform {command} RETURNING on relation "{info.name}"',
                hint=f"You need an unconditional ON {command} DO INSTEAD rule with a RETURNING clause.",
            )
        if is_replaced:
            return products
        if products:
            raise feature_not_supported(f'rule "{rules[0].name}" on relation "{info.name}"')
    if info.kind == "v" and not has_instead_trigger(entry.relid, query.commandType, query.mergeActionList):
        event = (entry.relid, int(query.commandType))
        if event in events:
            raise SqlError(
                errcode.INVALID_OBJECT_DEFINITION,
                f'infinite recursion detected in rules for relation "{info.name}"',
            )
        return _rewrite_changes(rewrite_target_view(query), (*events, event))
    if values is not None and remaining:
        finish_values(values)
    return [query]
