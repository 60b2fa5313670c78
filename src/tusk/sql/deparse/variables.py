"""Variables and parameters: what they are called, in a query and in a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.identifiers import quote_identifier
from tusk.catalog.oids import RECORDOID
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import rowtypes
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.namespaces import (
    SYSTEM_COLUMNS,
    Namespace,
    column_name,
    entry_attribute_name,
    name_query,
)
from tusk.sql.deparse.writer import Deparser, emits
from tusk.sql.nodes import base, enums
from tusk.sql.nodes.plantree import (
    Append,
    CteScan,
    ForeignScan,
    IndexOnlyScan,
    MergeAppend,
    ModifyTable,
    NestLoop,
    RecursiveUnion,
    SubqueryScan,
    WorkTableScan,
)
from tusk.sql.nodes.primitives import (
    Aggref,
    FieldSelect,
    GroupingFunc,
    Param,
    ReturningExpr,
    RowExpr,
    SubPlan,
    Var,
)


@emits(Var)
def _var(d: Deparser, node: Any, show_implicit: bool) -> None:
    write_variable(d, node, 0, False)


def write_top_level(d: Deparser, node: Any, show_implicit: bool) -> None:
    """An expression where a whole-row variable must not be taken for ``table.*`` (get_rule_expr_toplevel)."""
    if type(node) is Var:
        write_variable(d, node, 0, True)
    else:
        d.expression(node, show_implicit)


def write_top_level_list(d: Deparser, nodes: list[Any], show_implicit: bool) -> None:
    """Several of them, with commas."""
    for number, node in enumerate(nodes):
        if number:
            d.put(", ")
        write_top_level(d, node, show_implicit)


def _referent(d: Deparser, namespace: Namespace, var: Any) -> tuple[int, int]:
    """The range table index and column that the user's text named, if known and meant."""
    if var.varnosyn > 0 and namespace.plan is None:
        return var.varnosyn, var.varattnosyn
    return var.varno, var.varattno


def _parent_column(d: Deparser, namespace: Namespace, varno: int, attnum: int) -> tuple[int, int]:
    """Show a child table's column as the parent's, below an Append that stands for the parent."""
    if not d.append_parents or not namespace.appendrels:
        return varno, attnum
    parent, column, found = varno, attnum, False
    info = namespace.appendrels.get(parent)
    while info is not None and namespace.rtable[info.parent_relid - 1].rtekind == enums.RTE_RELATION:
        found = False
        if column > 0:
            if column > info.num_child_cols:
                break
            column = info.parent_colnos[column - 1]
            if column == 0:
                break
        parent, found = info.parent_relid, True
        info = namespace.appendrels.get(parent)
    return (parent, column) if found and parent in d.append_parents else (varno, attnum)


def write_variable(d: Deparser, var: Any, levels_up: int, top_level: bool) -> str | None:
    """Append a variable; its column name, None when it is none (get_variable)."""
    level = var.varlevelsup + levels_up
    if level >= len(d.namespaces):
        raise SqlError(errcode.INTERNAL_ERROR, f"bogus varlevelsup: {var.varlevelsup} offset {levels_up}")
    namespace = d.namespaces[level]
    varno, attnum = _referent(d, namespace, var)
    if not 1 <= varno <= len(namespace.rtable):
        resolve_special(d, var, lambda node: _write_special(d, node))
        return None
    varno, attnum = _parent_column(d, namespace, varno, attnum)
    rte = namespace.rtable[varno - 1]
    table: str | None
    if var.varreturningtype == enums.VAR_RETURNING_OLD:
        table = namespace.old_alias
    elif var.varreturningtype == enums.VAR_RETURNING_NEW:
        table = namespace.new_alias
    else:
        table = namespace.rtable_names[varno - 1]
    columns = namespace.columns_of(varno)
    if (
        rte.rtekind in (enums.RTE_SUBQUERY, enums.RTE_CTE)
        and attnum > len(rte.eref.colnames)
        and namespace.inner_plan is not None
    ):
        # A scan of a subquery may pass on columns of the subplan that have no name in the query.
        target = _target(namespace.inner_targets, attnum)
        _inside(d, namespace.inner_plan, lambda: _write_special(d, target.expr))
        return None
    if rte.rtekind == enums.RTE_JOIN and rte.alias is None:
        if attnum > 0 and rte.joinaliasvars:
            alias_of = rte.joinaliasvars[attnum - 1]
            if type(alias_of) is Var:
                return write_variable(d, alias_of, level, top_level)
        table = None
    if attnum == 0:
        name = None
    elif attnum > 0:
        if attnum > len(columns.names):
            raise SqlError(errcode.INTERNAL_ERROR, f"invalid attnum {attnum} for relation \"{rte.eref.aliasname}\"")
        name = columns.names[attnum - 1] or "?dropped?column?"
    else:
        name = SYSTEM_COLUMNS[attnum]
    prefix = d.var_prefix or name is None or var.varreturningtype != enums.VAR_RETURNING_DEFAULT
    if d.var_in_order_by and not d.in_group_by and not prefix:
        prefix = _names_other_output(d, var, name)
    if table is not None and prefix:
        d.put(quote_identifier(table) + ".")
    if name is not None:
        d.put(quote_identifier(name))
    else:
        d.put("*")
        if top_level:
            d.put("::" + nm.type_text(var.vartype, var.vartypmod))
    return name


def _names_other_output(d: Deparser, var: Any, name: str | None) -> bool:
    """Whether ORDER BY would take the bare name for another output column."""
    number = 0
    for target in d.target_list:
        if target.resjunk:
            continue
        number += 1
        shown = d.result_names[number - 1] if d.result_names and number <= len(d.result_names) else target.resname
        if shown is not None and shown == name and not base.equal(var, target.expr):
            return True
    return False


# Plans


def set_plan(namespace: Namespace, plan: Any) -> None:
    """Look from a plan node: what OUTER, INNER and INDEX variables mean there (set_deparse_plan)."""
    namespace.plan = plan
    kind = type(plan)
    if kind is Append:
        namespace.outer_plan = plan.appendplans[0] if plan.appendplans else None
    elif kind is MergeAppend:
        namespace.outer_plan = plan.mergeplans[0] if plan.mergeplans else None
    else:
        namespace.outer_plan = plan.lefttree
    namespace.outer_targets = namespace.outer_plan.targetlist if namespace.outer_plan is not None else []
    if kind is SubqueryScan:
        namespace.inner_plan = plan.subplan
    elif kind is CteScan:
        namespace.inner_plan = namespace.subplans[plan.ctePlanId - 1]
    elif kind is WorkTableScan:
        namespace.inner_plan = next(
            (a for a in namespace.ancestors if type(a) is RecursiveUnion and a.wtParam == plan.wtParam), None
        )
    elif kind is ModifyTable:
        namespace.inner_plan = namespace.outer_plan if plan.operation == enums.CMD_MERGE else plan
    else:
        namespace.inner_plan = plan.righttree
    if kind is ModifyTable and plan.operation == enums.CMD_INSERT:
        namespace.inner_targets = plan.exclRelTlist
    else:
        namespace.inner_targets = namespace.inner_plan.targetlist if namespace.inner_plan is not None else []
    if kind is IndexOnlyScan:
        namespace.index_targets = plan.indextlist
    elif kind is ForeignScan:
        namespace.index_targets = plan.fdw_scan_tlist
    else:
        namespace.index_targets = []


def _inside(d: Deparser, plan: Any, write: Callable[[], None]) -> None:
    """Write something as seen from a child of the current plan node."""
    here = d.namespaces[0]
    child = here.copy()
    child.ancestors = [here.plan, *here.ancestors]
    set_plan(child, plan)
    d.namespaces[0] = child
    try:
        write()
    finally:
        d.namespaces[0] = here


def _outside(d: Deparser, ancestors: list[Any], write: Callable[[], None]) -> None:
    """Write something as seen from an ancestor, the first of those given."""
    here = d.namespaces[0]
    above = here.copy()
    above.ancestors = ancestors[1:]
    set_plan(above, ancestors[0])
    d.namespaces[0] = above
    try:
        write()
    finally:
        d.namespaces[0] = here


def _target(targets: list[Any], number: int) -> Any:
    for target in targets:
        if target.resno == number:
            return target
    raise SqlError(errcode.INTERNAL_ERROR, f"bogus varattno for plan variable: {number}")


def resolve_special(d: Deparser, node: Any, write: Callable[[Any], None]) -> None:
    """Follow a plan variable to the expression it stands for, and write that (resolve_special_varno)."""
    if type(node) is not Var:
        write(node)
        return
    namespace = d.namespaces[node.varlevelsup]
    if node.varno == enums.OUTER_VAR and namespace.outer_targets:
        target = _target(namespace.outer_targets, node.varattno)
        saved = d.append_parents
        if type(namespace.plan) in (Append, MergeAppend):
            d.append_parents = saved | namespace.plan.apprelids
        _inside(d, namespace.outer_plan, lambda: resolve_special(d, target.expr, write))
        d.append_parents = saved
    elif node.varno == enums.INNER_VAR and namespace.inner_targets:
        target = _target(namespace.inner_targets, node.varattno)
        if namespace.inner_plan is namespace.plan:
            resolve_special(d, target.expr, write)
        else:
            _inside(d, namespace.inner_plan, lambda: resolve_special(d, target.expr, write))
    elif node.varno == enums.INDEX_VAR and namespace.index_targets:
        resolve_special(d, _target(namespace.index_targets, node.varattno).expr, write)
    elif not 1 <= node.varno <= len(namespace.rtable):
        raise SqlError(errcode.INTERNAL_ERROR, f"bogus varno: {node.varno}")
    else:
        write(node)


def _write_special(d: Deparser, node: Any) -> None:
    """What a plan variable stands for, in parentheses unless it is a variable itself."""
    if type(node) is Var:
        d.expression(node, True)
        return
    d.put("(")
    d.expression(node, True)
    d.put(")")


@emits(ReturningExpr)
def _returning(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.expression(node.retexpr, show_implicit)


# Parameters


def _param_source(d: Deparser, param: Any) -> tuple[Any, list[Any]] | None:
    """The expression a parameter of a plan gets its value from, with the ancestors to see it from."""
    if param.paramkind != enums.PARAM_EXEC or not d.namespaces:
        return None
    namespace = d.namespaces[0]
    child = namespace.plan
    for number, ancestor in enumerate(namespace.ancestors):
        if type(ancestor) is NestLoop and child is ancestor.righttree:
            for nested in ancestor.nestParams:
                if nested.paramno == param.paramid:
                    return nested.paramval, namespace.ancestors[number:]
        if type(ancestor) is SubPlan:
            for paramid, argument in zip(ancestor.parParam, ancestor.args, strict=True):
                if paramid == param.paramid:
                    rest = namespace.ancestors[number + 1 :]
                    while rest and type(rest[0]) is SubPlan:
                        rest = rest[1:]
                    if not rest:
                        raise SqlError(errcode.INTERNAL_ERROR, "SubPlan cannot be outermost ancestor")
                    return argument, rest
            continue
        child = ancestor
    return None


def _param_generator(d: Deparser, param: Any) -> tuple[Any, int] | None:
    """The subplan that computes a parameter, and which of its columns it is."""
    if param.paramkind != enums.PARAM_EXEC or not d.namespaces:
        return None
    namespace = d.namespaces[0]
    if namespace.plan is None:
        return None
    for place in (namespace.plan, *namespace.ancestors):
        if type(place) is SubPlan:
            if param.paramid in place.paramIds:
                return place, place.paramIds.index(param.paramid)
            continue
        for initplan in place.initPlan:
            if param.paramid in initplan.setParam:
                return initplan, initplan.setParam.index(param.paramid)
    return None


@emits(Param)
def _param(d: Deparser, node: Any, show_implicit: bool) -> None:
    source = _param_source(d, node)
    if source is not None:
        expr, ancestors = source
        saved = d.var_prefix
        d.var_prefix = True
        bare = type(expr) in (Var, Aggref, GroupingFunc, Param)

        def write() -> None:
            d.put("" if bare else "(")
            d.expression(expr, False)
            d.put("" if bare else ")")

        _outside(d, ancestors, write)
        d.var_prefix = saved
        return
    generator = _param_generator(d, node)
    if generator is not None:
        subplan, column = generator
        d.put(f"({'hashed ' if subplan.useHashTable else ''}{subplan.plan_name}).col{column + 1}")
        return
    if node.paramkind == enums.PARAM_EXTERN and d.namespaces:
        outermost = d.namespaces[-1]
        if 0 < node.paramid <= len(outermost.argument_names) and outermost.argument_names[node.paramid - 1]:
            if any(namespace.rtable_names for namespace in d.namespaces):
                d.put(quote_identifier(outermost.function_name or "") + ".")
            d.put(quote_identifier(outermost.argument_names[node.paramid - 1] or ""))
            return
    d.put(f"${node.paramid}")


# Fields of rows


@emits(FieldSelect)
def _field_select(d: Deparser, node: Any, show_implicit: bool) -> None:
    bare = type(node.arg).__name__ in ("SubscriptingRef", "FieldSelect")
    d.put("" if bare else "(")
    d.expression(node.arg, True)
    d.put("" if bare else ")")
    d.put("." + quote_identifier(field_name(d, node.arg, node.fieldnum, 0)))


def field_name(d: Deparser, expr: Any, number: int, levels_up: int) -> str:
    """The name of a field of a row (get_name_for_var_field)."""
    if type(expr) is RowExpr and 0 < number <= len(expr.colnames):
        return column_name(expr.colnames[number - 1])
    if type(expr) is Param:
        source = _param_source(d, expr)
        if source is not None:
            found: list[str] = []
            _outside(d, source[1], lambda: found.append(field_name(d, source[0], number, 0)))
            return found[0]
    if type(expr) is not Var or expr.vartype != RECORDOID:
        return _named_by_type(expr, number)
    level = expr.varlevelsup + levels_up
    namespace = d.namespaces[level]
    varno, attnum = _referent(d, namespace, expr)
    if not 1 <= varno <= len(namespace.rtable):
        found = []
        resolve_special(d, expr, lambda node: found.append(field_name(d, node, number, 0)))
        return found[0]
    rte = namespace.rtable[varno - 1]
    if attnum == 0:
        return entry_attribute_name(rte, number)
    inner: Any = None
    parents = d.namespaces[level:]
    if rte.rtekind == enums.RTE_SUBQUERY and rte.subquery is not None:
        inner = rte.subquery
    elif rte.rtekind == enums.RTE_JOIN and rte.joinaliasvars:
        return field_name(d, rte.joinaliasvars[attnum - 1], number, level)
    elif rte.rtekind == enums.RTE_CTE:
        holder = level + rte.ctelevelsup
        if holder < len(d.namespaces):
            inner = next(
                (cte.ctequery for cte in d.namespaces[holder].ctes if cte.ctename == rte.ctename), None
            )
            parents = d.namespaces[holder:]
    if inner is not None:
        target = next(t for t in _output_columns(inner) if t.resno == attnum)
        namespace = Namespace()
        name_query(namespace, inner, parents)
        saved, d.namespaces = d.namespaces, [namespace, *parents]
        try:
            return field_name(d, target.expr, number, 0)
        finally:
            d.namespaces = saved
    if namespace.inner_plan is not None and rte.rtekind in (enums.RTE_SUBQUERY, enums.RTE_CTE):
        target = _target(namespace.inner_targets, attnum)
        names: list[str] = []
        _inside(d, namespace.inner_plan, lambda: names.append(field_name(d, target.expr, number, 0)))
        return names[0]
    return _named_by_type(expr, number)


def _output_columns(query: Any) -> list[Any]:
    if query.commandType == enums.CMD_SELECT:
        return query.targetList  # type: ignore[no-any-return]
    return query.returningList  # type: ignore[no-any-return]


def _named_by_type(expr: Any, number: int) -> str:
    _, _, columns = rowtypes.expr_result_type(expr)
    if columns is None or number > len(columns):
        raise SqlError(errcode.INTERNAL_ERROR, "record type has not been registered")
    return columns[number - 1].name


