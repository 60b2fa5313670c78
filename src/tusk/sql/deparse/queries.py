"""Query trees as SQL text (get_query_def)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.names import quote_identifier
from tusk.errors import feature_not_supported
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.relations import relation_info
from tusk.sql.deparse.context import INDENT_JOIN, INDENT_STD, INDENT_VAR, PRETTY_INDENT, Context
from tusk.sql.deparse.expressions import (
    collation_text,
    output_name,
    put,
    put_function_call,
    put_order_by,
    put_sort_group,
    put_subscripts,
    put_top,
    put_variable,
    put_window,
    relation_text,
    type_text,
)
from tusk.sql.deparse.naming import Columns, Namespace
from tusk.sql.nodes import enums, primitives
from tusk.sql.nodes.base import copy_tree, replace
from tusk.sql.nodes.nodefuncs import increment_sublevels_up, mutate_levels
from tusk.sql.nodes.parsetree import Query, SetOperationStmt

UNNEST = 2331


def query_text(query: Query, flags: int = PRETTY_INDENT, wrap: int = 0, names: list[str] | None = None) -> str:
    """A query as text; ``names`` are its output columns', as of a view."""
    ctx = Context([], flags, wrap)
    put_query(ctx, query, names, True)
    return ctx.text()


def flatten_group(query: Query, tree: Any) -> Any:
    """Replace references to the grouping step by the grouping expressions (flatten_group_exprs)."""

    def change(node: Any, level: int) -> Any:
        if not isinstance(node, primitives.Var) or node.varlevelsup != level:
            return None
        rte = query.rtable[node.varno - 1]
        if rte.rtekind != enums.RTE_GROUP:
            return node
        expr = copy_tree(rte.groupexprs[node.varattno - 1])
        return increment_sublevels_up(expr, level) if level else expr

    return mutate_levels(tree, change)


def put_query(ctx: Context, query: Query, names: list[str] | None, visible: bool) -> None:
    """Append a query nested in what ``ctx`` prints."""
    if query.hasGroupRTE:
        query = replace(
            query, targetList=flatten_group(query, query.targetList), havingQual=flatten_group(query, query.havingQual)
        )
    inner = Context([], ctx.flags, ctx.wrap, ctx.indent)
    inner.namespaces = [Namespace(query, ctx.namespaces), *ctx.namespaces]
    inner.parts = ctx.parts
    size = len(query.rtable) - (1 if query.hasGroupRTE else 0)
    inner.varprefix = bool(ctx.namespaces) or size != 1
    inner.columns_visible = visible
    inner.result_names = names
    kind = query.commandType
    if kind == enums.CMD_SELECT:
        _select(inner, query)
    elif kind == enums.CMD_INSERT:
        _insert(inner, query)
    elif kind == enums.CMD_UPDATE:
        _update(inner, query)
    elif kind == enums.CMD_DELETE:
        _delete(inner, query)
    elif kind == enums.CMD_NOTHING:
        inner.put("NOTHING")
    else:
        raise feature_not_supported(f"showing a {kind.name[4:]} query as text")
    ctx.parts = inner.parts


_STRENGTHS = {
    enums.LCS_FORKEYSHARE: " FOR KEY SHARE", enums.LCS_FORSHARE: " FOR SHARE",
    enums.LCS_FORNOKEYUPDATE: " FOR NO KEY UPDATE", enums.LCS_FORUPDATE: " FOR UPDATE",
}  # fmt: skip


def _select(ctx: Context, query: Query) -> None:
    _with(ctx, query)
    ctx.targets, ctx.windows = query.targetList, query.windowClause
    if query.setOperations is not None:
        _set_operation(ctx, query.setOperations, query)
    else:
        _basic_select(ctx, query)
    if query.sortClause:
        ctx.keyword(" ORDER BY ", -INDENT_STD, INDENT_STD, 1)
        put_order_by(ctx, query.sortClause, query.targetList, query.setOperations is not None)
    if query.limitOffset is not None:
        ctx.keyword(" OFFSET ", -INDENT_STD, INDENT_STD, 0)
        put(ctx, query.limitOffset, False)
    if query.limitCount is not None:
        if query.limitOption == enums.LIMIT_OPTION_WITH_TIES:
            ctx.keyword(" FETCH FIRST (", -INDENT_STD, INDENT_STD, 0)
            put(ctx, query.limitCount, False)
            ctx.put(") ROWS WITH TIES")
        else:
            ctx.keyword(" LIMIT ", -INDENT_STD, INDENT_STD, 0)
            if isinstance(query.limitCount, primitives.Const) and query.limitCount.constisnull:
                ctx.put("ALL")
            else:
                put(ctx, query.limitCount, False)
    if query.hasForUpdate:
        for mark in query.rowMarks:
            if mark.pushedDown:
                continue
            ctx.keyword(_STRENGTHS[mark.strength], -INDENT_STD, INDENT_STD, 0)
            ctx.put(f" OF {quote_identifier(ctx.namespaces[0].names[mark.rti - 1] or '')}")
            if mark.waitPolicy == enums.LockWaitError:
                ctx.put(" NOWAIT")
            elif mark.waitPolicy == enums.LockWaitSkip:
                ctx.put(" SKIP LOCKED")


def _with(ctx: Context, query: Query) -> None:
    if not query.cteList:
        return
    if ctx.pretty_indent:
        ctx.indent += INDENT_STD
        ctx.put(" ")
    ctx.put("WITH RECURSIVE " if query.hasRecursive else "WITH ")
    for place, cte in enumerate(query.cteList):
        ctx.put(", " if place else "", quote_identifier(cte.ctename))
        if cte.aliascolnames:
            ctx.put("(", ", ".join(quote_identifier(name.sval) for name in cte.aliascolnames), ")")
        ctx.put(" AS ")
        if cte.ctematerialized == enums.CTEMaterializeAlways:
            ctx.put("MATERIALIZED ")
        elif cte.ctematerialized == enums.CTEMaterializeNever:
            ctx.put("NOT MATERIALIZED ")
        ctx.put("(")
        if ctx.pretty_indent:
            ctx.keyword("", 0, 0, 0)
        put_query(ctx, cte.ctequery, None, True)
        if ctx.pretty_indent:
            ctx.keyword("", 0, 0, 0)
        ctx.put(")")
    if ctx.pretty_indent:
        ctx.indent -= INDENT_STD
        ctx.keyword("", 0, 0, 0)
    else:
        ctx.put(" ")


def _simple_values(ctx: Context, query: Query) -> Any:
    """The VALUES entry of a query that is nothing else (get_simple_values_rte)."""
    result = None
    for rte in query.rtable:
        if rte.rtekind == enums.RTE_VALUES and rte.inFromCl:
            if result is not None:
                return None
            result = rte
        elif rte.rtekind == enums.RTE_RELATION and not rte.inFromCl:
            continue
        else:
            return None
    if result is None:
        return None
    if len(query.targetList) != len(result.eref.colnames):
        return None
    for place, (target, name) in enumerate(zip(query.targetList, result.eref.colnames, strict=True)):
        if target.resjunk or output_name(ctx, target, place) != name.sval:
            return None
    return result


def _basic_select(ctx: Context, query: Query) -> None:
    if ctx.pretty_indent:
        ctx.indent += INDENT_STD
        ctx.put(" ")
    values = _simple_values(ctx, query)
    if values is not None:
        _values(ctx, values.values_lists)
        return
    ctx.put("RETURN" if query.isReturn else "SELECT")
    if query.distinctClause:
        if query.hasDistinctOn:
            ctx.put(" DISTINCT ON (")
            for place, clause in enumerate(query.distinctClause):
                ctx.put(", " if place else "")
                put_sort_group(ctx, clause.tleSortGroupRef, query.targetList, False)
            ctx.put(")")
        else:
            ctx.put(" DISTINCT")
    _targets(ctx, query.targetList)
    _from(ctx, query, " FROM ")
    if query.jointree.quals is not None:
        ctx.keyword(" WHERE ", -INDENT_STD, INDENT_STD, 1)
        put(ctx, query.jointree.quals, False)
    if query.groupClause or query.groupingSets:
        ctx.keyword(" GROUP BY ", -INDENT_STD, INDENT_STD, 1)
        ctx.put("DISTINCT " if query.groupDistinct else "")
        saved, ctx.in_group_by = ctx.in_group_by, True
        if query.groupingSets:
            for place, item in enumerate(query.groupingSets):
                ctx.put(", " if place else "")
                _grouping_set(ctx, item, query.targetList, True)
        else:
            for place, clause in enumerate(query.groupClause):
                ctx.put(", " if place else "")
                put_sort_group(ctx, clause.tleSortGroupRef, query.targetList, False)
        ctx.in_group_by = saved
    if query.havingQual is not None:
        ctx.keyword(" HAVING ", -INDENT_STD, INDENT_STD, 0)
        put(ctx, query.havingQual, False)
    first = True
    for window in query.windowClause:
        if window.name is None:
            continue
        if first:
            ctx.keyword(" WINDOW ", -INDENT_STD, INDENT_STD, 1)
        else:
            ctx.put(", ")
        first = False
        ctx.put(f"{quote_identifier(window.name)} AS ")
        put_window(ctx, window, query.targetList)


def _grouping_set(ctx: Context, item: Any, targets: list[Any], omit_parens: bool) -> None:
    if item.kind == enums.GROUPING_SET_EMPTY:
        ctx.put("()")
        return
    if item.kind == enums.GROUPING_SET_SIMPLE:
        need = not omit_parens or len(item.content) != 1
        ctx.put("(" if need else "")
        for place, ref in enumerate(item.content):
            ctx.put(", " if place else "")
            put_sort_group(ctx, ref, targets, False)
        ctx.put(")" if need else "")
        return
    word = {enums.GROUPING_SET_ROLLUP: "ROLLUP(", enums.GROUPING_SET_CUBE: "CUBE("}.get(item.kind, "GROUPING SETS (")
    ctx.put(word)
    for place, part in enumerate(item.content):
        ctx.put(", " if place else "")
        _grouping_set(ctx, part, targets, item.kind != enums.GROUPING_SET_SETS)
    ctx.put(")")


def _values(ctx: Context, lists: list[list[Any]]) -> None:
    ctx.put("VALUES ")
    for place, row in enumerate(lists):
        ctx.put(", " if place else "", "(")
        for number, expr in enumerate(row):
            ctx.put("," if number else "")
            put_top(ctx, expr, False)
        ctx.put(")")


def _apart(ctx: Context, emit: Any) -> str:
    """The text of a part, printed aside so that its length is known before it is placed."""
    saved, ctx.parts = ctx.parts, []
    emit()
    text = ctx.text()
    ctx.parts = saved
    return text


def _targets(ctx: Context, targets: list[Any]) -> None:
    multiline = False
    place = 0
    for target in targets:
        if target.resjunk:
            continue
        ctx.put(", " if place else " ")
        name: str | None = None

        def emit(target: Any = target) -> None:
            nonlocal name
            if isinstance(target.expr, primitives.Var):
                name = put_variable(ctx, target.expr, 0, True)
            else:
                put(ctx, target.expr, True)
                name = None if ctx.columns_visible else "?column?"

        text = _apart(ctx, emit)
        label = output_name(ctx, target, place)
        if label and label != name:
            text += f" AS {quote_identifier(label)}"
        place += 1
        if ctx.pretty_indent and ctx.wrap >= 0:
            if text.startswith("\n"):
                ctx.strip_spaces()
                rest = text[1:]
            else:
                rest = text
                if place > 1 and (ctx.line_length() + len(text) > ctx.wrap or multiline):
                    ctx.keyword("", -INDENT_STD, INDENT_STD, INDENT_VAR)
            multiline = "\n" in rest
        ctx.put(text)


def _from(ctx: Context, query: Query, prefix: str) -> None:
    first = True
    for item in query.jointree.fromlist:
        if isinstance(item, primitives.RangeTblRef) and not query.rtable[item.rtindex - 1].inFromCl:
            continue
        if first:
            ctx.keyword(prefix, -INDENT_STD, INDENT_STD, 2)
            first = False
            _from_item(ctx, item, query)
            continue
        ctx.put(", ")

        def emit(item: Any = item) -> None:
            _from_item(ctx, item, query)

        text = _apart(ctx, emit)
        if ctx.pretty_indent and ctx.wrap >= 0:
            if text.startswith("\n"):
                ctx.strip_spaces()
            elif ctx.line_length() + len(text) > ctx.wrap:
                ctx.keyword("", -INDENT_STD, INDENT_STD, INDENT_VAR)
        ctx.put(text)


def _from_item(ctx: Context, item: Any, query: Query) -> None:
    if isinstance(item, primitives.RangeTblRef):
        _table(ctx, item.rtindex, query)
    else:
        _join(ctx, item, query)


def _table(ctx: Context, rtindex: int, query: Query) -> None:
    rte = query.rtable[rtindex - 1]
    columns = ctx.namespaces[0].columns[rtindex - 1]
    ctx.put("LATERAL " if rte.lateral else "")
    definition = None
    if rte.rtekind == enums.RTE_RELATION:
        ctx.put("" if rte.inh else "ONLY ", relation_text(rte.relid, ctx.namespaces))
    elif rte.rtekind == enums.RTE_SUBQUERY:
        ctx.put("(")
        put_query(ctx, rte.subquery, None, True)
        ctx.put(")")
    elif rte.rtekind == enums.RTE_FUNCTION:
        definition = rte.functions[0]
        _functions(ctx, rte)
    elif rte.rtekind == enums.RTE_VALUES:
        ctx.put("(")
        _values(ctx, rte.values_lists)
        ctx.put(")")
    elif rte.rtekind == enums.RTE_CTE:
        ctx.put(quote_identifier(rte.ctename))
    else:
        raise feature_not_supported("showing this kind of table as text")
    _table_alias(ctx, rte, rtindex, columns, False)
    if definition is not None and definition.funccolnames:
        _column_definitions(ctx, definition, columns)
    else:
        _column_aliases(ctx, columns)
    if rte.rtekind == enums.RTE_RELATION and rte.tablesample is not None:
        sample = rte.tablesample
        name = quote_identifier(lk.proc_row(sample.tsmhandler).proname)
        ctx.put(f" TABLESAMPLE {name} (")
        put(ctx, sample.args, False)
        ctx.put(")")
        if sample.repeatable is not None:
            ctx.put(" REPEATABLE (")
            put(ctx, sample.repeatable, False)
            ctx.put(")")


def _functions(ctx: Context, rte: Any) -> None:
    functions = rte.functions
    if len(functions) == 1 and (not functions[0].funccolnames or not rte.funcordinality):
        put_function_call(ctx, functions[0].funcexpr, True)
    elif all(
        isinstance(each.funcexpr, primitives.FuncExpr) and each.funcexpr.funcid == UNNEST and not each.funccolnames
        for each in functions
    ):
        ctx.put("UNNEST(")
        put(ctx, [arg for each in functions for arg in each.funcexpr.args], True)
        ctx.put(")")
    else:
        ctx.put("ROWS FROM(")
        for place, each in enumerate(functions):
            ctx.put(", " if place else "")
            put_function_call(ctx, each.funcexpr, True)
            if each.funccolnames:
                ctx.put(" AS ")
                _column_definitions(ctx, each, None)
        ctx.put(")")
    if rte.funcordinality:
        ctx.put(" WITH ORDINALITY")


def _table_alias(ctx: Context, rte: Any, rtindex: int, columns: Columns, use_as: bool) -> None:
    name = ctx.namespaces[0].names[rtindex - 1]
    if name is None:
        return
    needed = rte.alias is not None or columns.print_aliases
    if not needed:
        if rte.rtekind == enums.RTE_RELATION:
            needed = name != relation_info(rte.relid).name
        elif rte.rtekind == enums.RTE_CTE:
            needed = name != rte.ctename
        else:
            needed = rte.rtekind in (enums.RTE_FUNCTION, enums.RTE_SUBQUERY, enums.RTE_VALUES)
    if needed:
        ctx.put(" AS " if use_as else " ", quote_identifier(name))


def _column_aliases(ctx: Context, columns: Columns) -> None:
    if columns.print_aliases and columns.new_names:
        ctx.put("(", ", ".join(quote_identifier(name) for name in columns.new_names), ")")


def _column_definitions(ctx: Context, function: Any, columns: Columns | None) -> None:
    parts = []
    for place, own in enumerate(function.funccolnames):
        name = own.sval if columns is None else columns.names[place] or own.sval
        type_oid, collation = function.funccoltypes[place], function.funccolcollations[place]
        text = f"{quote_identifier(name)} {type_text(type_oid, function.funccoltypmods[place])}"
        if collation and collation != lk.type_collation(type_oid):
            text += f" COLLATE {collation_text(collation)}"
        parts.append(text)
    ctx.put("(", ", ".join(parts), ")")


_JOINS = {
    enums.JOIN_LEFT: " LEFT JOIN ", enums.JOIN_FULL: " FULL JOIN ", enums.JOIN_RIGHT: " RIGHT JOIN ",
}  # fmt: skip


def _join(ctx: Context, join: primitives.JoinExpr, query: Query) -> None:
    columns = ctx.namespaces[0].columns[join.rtindex - 1]
    outer = not ctx.pretty_paren or join.alias is not None
    right_parens = (
        ctx.pretty_paren
        and not isinstance(join.rarg, primitives.RangeTblRef)
        and not (isinstance(join.rarg, primitives.JoinExpr) and join.rarg.alias is not None)
    )
    ctx.put("(" if outer else "")
    _from_item(ctx, join.larg, query)
    if join.jointype == enums.JOIN_INNER:
        word = " JOIN " if join.quals is not None else " CROSS JOIN "
    else:
        word = _JOINS[join.jointype]
    ctx.keyword(word, -INDENT_STD, INDENT_STD, INDENT_JOIN)
    ctx.put("(" if right_parens else "")
    _from_item(ctx, join.rarg, query)
    ctx.put(")" if right_parens else "")
    if join.usingClause:
        ctx.put(" USING (", ", ".join(quote_identifier(name) for name in columns.using_names), ")")
        if join.join_using_alias is not None:
            ctx.put(f" AS {quote_identifier(join.join_using_alias.aliasname)}")
    elif join.quals is not None:
        ctx.put(" ON ", "" if ctx.pretty_paren else "(")
        put(ctx, join.quals, False)
        ctx.put("" if ctx.pretty_paren else ")")
    elif join.jointype != enums.JOIN_INNER:
        ctx.put(" ON TRUE")
    ctx.put(")" if outer else "")
    if join.alias is not None:
        ctx.put(" ", quote_identifier(ctx.namespaces[0].names[join.rtindex - 1] or ""))
        _column_aliases(ctx, columns)


def _set_operation(ctx: Context, node: Any, query: Query) -> None:
    if isinstance(node, primitives.RangeTblRef):
        inner = query.rtable[node.rtindex - 1].subquery
        need = bool(
            inner.cteList or inner.sortClause or inner.rowMarks or inner.limitOffset is not None
            or inner.limitCount is not None or inner.setOperations is not None
        )  # fmt: skip
        ctx.put("(" if need else "")
        put_query(ctx, inner, ctx.result_names, ctx.columns_visible)
        ctx.put(")" if need else "")
        return
    assert isinstance(node, SetOperationStmt)
    left = node.larg
    need = isinstance(left, SetOperationStmt) and (left.op != node.op or left.all != node.all)
    extra = 0
    if need:
        ctx.put("(")
        extra = INDENT_STD
        ctx.keyword("", extra, 0, 0)
    _set_operation(ctx, left, query)
    if need:
        ctx.keyword(") ", -extra, 0, 0)
    elif ctx.pretty_indent:
        ctx.keyword("", -extra, 0, 0)
    else:
        ctx.put(" ")
    ctx.put({enums.SETOP_UNION: "UNION ", enums.SETOP_INTERSECT: "INTERSECT "}.get(node.op, "EXCEPT "))
    ctx.put("ALL " if node.all else "")
    need = isinstance(node.rarg, SetOperationStmt)
    extra = 0
    if need:
        ctx.put("(")
        extra = INDENT_STD
    ctx.keyword("", extra, 0, 0)
    saved, ctx.columns_visible = ctx.columns_visible, False
    _set_operation(ctx, node.rarg, query)
    ctx.columns_visible = saved
    if ctx.pretty_indent:
        ctx.indent -= extra
    if need:
        ctx.keyword(")", 0, 0, 0)


# Changes ----------------------------------------------------------------------------------------------------------------


def _indirection(ctx: Context, node: Any) -> Any:
    """Append the path to the assigned part of a column; returns the assigned value (processIndirection)."""
    domain = None
    while True:
        if isinstance(node, primitives.FieldStore):
            attribute = relation_info(lk.type_relid(lk.base_type(node.resulttype))).attribute(node.fieldnums[0])
            ctx.put(f".{quote_identifier(attribute.attname)}")
            node = node.newvals[0]
        elif isinstance(node, primitives.SubscriptingRef) and node.refassgnexpr is not None:
            put_subscripts(ctx, node)
            node = node.refassgnexpr
        elif isinstance(node, primitives.CoerceToDomain) and node.coercionformat == enums.COERCE_IMPLICIT_CAST:
            domain = node
            node = node.arg
            continue
        else:
            break
        domain = None
    return node if domain is None else domain


def _target_table(ctx: Context, query: Query, word: str) -> None:
    rte = query.rtable[query.resultRelation - 1]
    if ctx.pretty_indent:
        ctx.put(" ")
        ctx.indent += INDENT_STD
    ctx.put(f"{word}{'' if rte.inh or word.startswith('INSERT') else 'ONLY '}{relation_text(rte.relid, [])}")
    columns = ctx.namespaces[0].columns[query.resultRelation - 1]
    if word.startswith("INSERT"):
        if rte.alias is not None:
            ctx.put(f" AS {quote_identifier(rte.alias.aliasname)}")
        ctx.put(" ")
    else:
        _table_alias(ctx, rte, query.resultRelation, columns, False)


def _insert(ctx: Context, query: Query) -> None:
    _with(ctx, query)
    select = values = None
    for item in query.jointree.fromlist:
        if isinstance(item, primitives.RangeTblRef):
            rte = query.rtable[item.rtindex - 1]
            if rte.rtekind == enums.RTE_SUBQUERY:
                select = rte
            elif rte.rtekind == enums.RTE_VALUES:
                values = rte
    _target_table(ctx, query, "INSERT INTO ")
    rte = query.rtable[query.resultRelation - 1]
    exprs = []
    targets = [target for target in query.targetList if not target.resjunk]
    for place, target in enumerate(targets):
        ctx.put(", " if place else "(")
        ctx.put(quote_identifier(relation_info(rte.relid).attribute(target.resno).attname))
        exprs.append(_indirection(ctx, target.expr))
    ctx.put(") " if targets else "")
    if query.override == enums.OVERRIDING_SYSTEM_VALUE:
        ctx.put("OVERRIDING SYSTEM VALUE ")
    elif query.override == enums.OVERRIDING_USER_VALUE:
        ctx.put("OVERRIDING USER VALUE ")
    if select is not None:
        put_query(ctx, select.subquery, None, False)
    elif values is not None:
        _values(ctx, values.values_lists)
    elif exprs:
        ctx.keyword("VALUES (", -INDENT_STD, INDENT_STD, 2)
        for place, expr in enumerate(exprs):
            ctx.put(", " if place else "")
            put_top(ctx, expr, False)
        ctx.put(")")
    else:
        ctx.put("DEFAULT VALUES")
    if query.onConflict is not None:
        _on_conflict(ctx, query)
    _returning(ctx, query)


def _on_conflict(ctx: Context, query: Query) -> None:
    conflict = query.onConflict
    ctx.put(" ON CONFLICT")
    if conflict.arbiterElems:
        ctx.put("(")
        put(ctx, conflict.arbiterElems, False)
        ctx.put(")")
        if conflict.arbiterWhere is not None:
            saved, ctx.varprefix = ctx.varprefix, False
            ctx.keyword(" WHERE ", -INDENT_STD, INDENT_STD, 1)
            put(ctx, conflict.arbiterWhere, False)
            ctx.varprefix = saved
    elif conflict.constraint:
        from tusk.catalog.cache import CONSTROID, lookup

        ctx.put(f" ON CONSTRAINT {quote_identifier(lookup(CONSTROID, conflict.constraint).conname)}")
    if conflict.action == enums.ONCONFLICT_NOTHING:
        ctx.put(" DO NOTHING")
        return
    ctx.put(" DO UPDATE SET ")
    _assignments(ctx, query, conflict.onConflictSet)
    if conflict.onConflictWhere is not None:
        ctx.keyword(" WHERE ", -INDENT_STD, INDENT_STD, 1)
        put(ctx, conflict.onConflictWhere, False)


def _assignments(ctx: Context, query: Query, targets: list[Any]) -> None:
    rte = query.rtable[query.resultRelation - 1]
    if any(
        isinstance(target.expr, primitives.SubLink) and target.expr.subLinkType == enums.MULTIEXPR_SUBLINK
        for target in targets
    ):
        raise feature_not_supported("showing a multiple-column assignment as text")
    for place, target in enumerate(each for each in targets if not each.resjunk):
        ctx.put(", " if place else "")
        ctx.put(quote_identifier(relation_info(rte.relid).attribute(target.resno).attname))
        expr = _indirection(ctx, target.expr)
        ctx.put(" = ")
        put(ctx, expr, False)


def _update(ctx: Context, query: Query) -> None:
    _with(ctx, query)
    _target_table(ctx, query, "UPDATE ")
    ctx.put(" SET ")
    _assignments(ctx, query, query.targetList)
    _from(ctx, query, " FROM ")
    _where_and_returning(ctx, query)


def _delete(ctx: Context, query: Query) -> None:
    _with(ctx, query)
    _target_table(ctx, query, "DELETE FROM ")
    _from(ctx, query, " USING ")
    _where_and_returning(ctx, query)


def _where_and_returning(ctx: Context, query: Query) -> None:
    if query.jointree.quals is not None:
        ctx.keyword(" WHERE ", -INDENT_STD, INDENT_STD, 1)
        put(ctx, query.jointree.quals, False)
    _returning(ctx, query)


def _returning(ctx: Context, query: Query) -> None:
    if not query.returningList:
        return
    ctx.keyword(" RETURNING", -INDENT_STD, INDENT_STD, 1)
    options = []
    for word, alias in (("OLD", query.returningOldAlias), ("NEW", query.returningNewAlias)):
        if alias and alias != word.lower():
            options.append(f"{word} AS {quote_identifier(alias)}")
    if options:
        ctx.put(f" WITH ({', '.join(options)})")
    _targets(ctx, query.returningList)
