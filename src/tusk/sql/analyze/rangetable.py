"""The range table and the names that reach into it: adding entries, finding tables and columns, expanding ``*``."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import ATTNUM, lookup
from tusk.catalog.names import format_type
from tusk.catalog.oids import INT8OID, RECORDARRAYOID, RECORDOID
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.relations import (
    AccessShareLock,
    RelationInfo,
    RowShareLock,
    relation_info,
    relation_oid,
)
from tusk.sql.analyze.rowtypes import (
    COMPOSITE,
    COMPOSITE_DOMAIN,
    OTHER,
    RECORD,
    Column,
    expr_result_type,
    relation_columns,
)
from tusk.sql.analyze.state import ExprKind, NSColumn, NSItem, ParseState, position_of_errors
from tusk.sql.analyze.typenames import column_collation, type_name_oid_typmod
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.make import make_alias, make_target, make_var
from tusk.sql.nodes.nodefuncs import expr_collation, expr_location, expr_type, expr_typmod
from tusk.sql.nodes.parsetree import Query, RangeTblEntry, RangeTblFunction, RTEPermissionInfo
from tusk.sql.nodes.primitives import FuncExpr, RangeTblRef, RangeVar, RowExpr, Var

ACL_INSERT, ACL_SELECT, ACL_UPDATE, ACL_DELETE = 1, 2, 4, 8
FIRST_LOW_INVALID = -7
SYSTEM_COLUMNS = {"tableoid": -6, "xmin": -2, "xmax": -4, "cmin": -3, "cmax": -5, "ctid": -1}
_SYSTEM_TYPES = {-1: 27, -2: 28, -3: 29, -4: 28, -5: 29, -6: 26}
_SYSTEM_NAMES = {number: name for name, number in SYSTEM_COLUMNS.items()}


def names_of(alias: Any) -> list[str]:
    """The column names of an Alias."""
    return [name.sval for name in alias.colnames]


def rte_of(pstate: ParseState, rtindex: int, levelsup: int = 0) -> RangeTblEntry:
    """A range table entry of this or an outer query."""
    while levelsup:
        assert pstate.parent is not None
        pstate = pstate.parent
        levelsup -= 1
    return pstate.rtable[rtindex - 1]  # type: ignore[no-any-return]


def nsitem_by_rtindex(
    pstate: ParseState, rtindex: int, levelsup: int, returning_type: int = enums.VAR_RETURNING_DEFAULT
) -> NSItem:
    """The visible namespace item of a range table entry (GetNSItemByVar)."""
    while levelsup:
        assert pstate.parent is not None
        pstate = pstate.parent
        levelsup -= 1
    for item in pstate.namespace:
        if item.rtindex == rtindex and item.returning_type == returning_type:
            return item
    raise SqlError(errcode.INTERNAL_ERROR, "nsitem not found (internal error)")


def perminfo_of(perminfos: list[Any], rte: RangeTblEntry) -> RTEPermissionInfo:
    """The permission info of a relation entry."""
    return perminfos[rte.perminfoindex - 1]  # type: ignore[no-any-return]


# Adding entries -----------------------------------------------------------------------------------------------------


def _add(pstate: ParseState, rte: RangeTblEntry, columns: list[NSColumn], perminfo: Any = None) -> NSItem:
    pstate.rtable.append(rte)
    rtindex = len(pstate.rtable)
    for number, column in enumerate(columns, 1):
        if column.varno == -1:
            column.varno = column.varnosyn = rtindex
            column.varattno = column.varattnosyn = number
    return NSItem(rte.eref, rte, rtindex, columns, perminfo)


def _columns(described: list[Column]) -> list[NSColumn]:
    return [
        NSColumn() if column.dropped else NSColumn(-1, 0, column.type_oid, column.typmod, column.collation)
        for column in described
    ]


def _columns_of_lists(types: list[int], typmods: list[int], collations: list[int]) -> list[NSColumn]:
    return [
        NSColumn(-1, 0, type_oid, typmod, collation) if type_oid else NSColumn()
        for type_oid, typmod, collation in zip(types, typmods, collations, strict=True)
    ]


def _relation_aliases(described: list[Column], alias: Any, eref: Any) -> None:
    """Fill in column names from the user's and the relation's own (buildRelationAliases)."""
    given = list(alias.colnames) if alias is not None else []
    used, dropped = 0, 0
    result: list[Any] = []
    for column in described:
        if column.dropped:
            result.append(String(sval=""))
            dropped += 1
        elif used < len(given):
            result.append(given[used])
            used += 1
        else:
            result.append(String(sval=column.name))
    if used < len(given):
        raise SqlError(
            errcode.INVALID_COLUMN_REFERENCE,
            f'table "{eref.aliasname}" has {len(described) - dropped} columns available '
            f"but {len(given)} columns specified",
        )
    eref.colnames = result
    if given:
        kept, count = [], 0
        for name in result:
            if count == len(given):
                break
            kept.append(name)
            count += name.sval != ""
        alias.colnames = kept


def _add_perminfo(pstate: ParseState, rte: RangeTblEntry) -> RTEPermissionInfo:
    info = RTEPermissionInfo(relid=rte.relid, inh=rte.inh)
    pstate.rteperminfos.append(info)
    rte.perminfoindex = len(pstate.rteperminfos)
    return info


def _unsupported_kind(info: RelationInfo) -> SqlError | None:
    what = {"i": "indexes", "I": "partitioned indexes", "c": "composite types"}.get(info.kind)
    if what is None:
        return None
    return SqlError(
        errcode.WRONG_OBJECT_TYPE,
        f'cannot open relation "{info.name}"',
        detail=f"This operation is not supported for {what}.",
    )


def is_locked_refname(pstate: ParseState, refname: str | None) -> bool:
    """Whether FOR UPDATE/SHARE names this table, or all (isLockedRefname)."""
    if pstate.locked_from_parent:
        return True
    return any(
        not clause.lockedRels or any(target.relname == refname for target in clause.lockedRels)
        for clause in pstate.locking_clause
    )


def open_table(pstate: ParseState, relation: RangeVar, lockmode: int) -> RelationInfo:
    """Find and lock the table a query names; 42P01 (parserOpenTable)."""
    name = relation.relname or ""
    with position_of_errors(pstate, relation.location):
        oid = relation_oid(relation.schemaname, name, lockmode, relation.catalogname)
    if not oid:
        if relation.schemaname:
            raise pstate.error(
                errcode.UNDEFINED_TABLE, f'relation "{relation.schemaname}.{name}" does not exist', relation.location
            )
        if _is_future_cte(pstate, name):
            raise pstate.error(
                errcode.UNDEFINED_TABLE,
                f'relation "{name}" does not exist',
                relation.location,
                detail=f'There is a WITH item named "{name}", but it cannot be referenced from this part of the query.',
                hint="Use WITH RECURSIVE, or re-order the WITH items to remove forward references.",
            )
        raise pstate.error(errcode.UNDEFINED_TABLE, f'relation "{name}" does not exist', relation.location)
    info = relation_info(oid)
    problem = _unsupported_kind(info)
    if problem is not None:
        problem.position = pstate.position(relation.location)
        raise problem
    return info


def _is_future_cte(pstate: ParseState | None, name: str) -> bool:
    while pstate is not None:
        if any(cte.ctename == name for cte in pstate.future_ctes):
            return True
        pstate = pstate.parent
    return False


def add_relation(pstate: ParseState, relation: RangeVar, alias: Any, inh: bool, in_from: bool) -> NSItem:
    """A table of FROM (addRangeTableEntry)."""
    refname = alias.aliasname if alias is not None else relation.relname
    lockmode = RowShareLock if is_locked_refname(pstate, refname) else AccessShareLock
    info = open_table(pstate, relation, lockmode)
    return add_open_relation(pstate, info, lockmode, alias, inh, in_from, ACL_SELECT, refname)


def add_open_relation(
    pstate: ParseState,
    info: RelationInfo,
    lockmode: int,
    alias: Any,
    inh: bool,
    in_from: bool,
    required: int = ACL_SELECT,
    refname: str | None = None,
) -> NSItem:
    """An entry for a relation that is open already (addRangeTableEntryForRelation)."""
    if refname is None:
        refname = alias.aliasname if alias is not None else info.name
    rte = RangeTblEntry(
        rtekind=enums.RTE_RELATION,
        alias=alias,
        eref=make_alias(refname),
        relid=info.oid,
        inh=inh,
        relkind=info.kind,
        rellockmode=lockmode,
        inFromCl=in_from,
    )
    described = relation_columns(info.oid)
    _relation_aliases(described, alias, rte.eref)
    perminfo = _add_perminfo(pstate, rte)
    perminfo.requiredPerms = required
    return _add(pstate, rte, _columns(described), perminfo)


def add_subquery(pstate: ParseState, subquery: Query, alias: Any, lateral: bool, in_from: bool) -> NSItem:
    """A sub-SELECT of FROM or a member of a set operation (addRangeTableEntryForSubquery)."""
    eref = copy_tree(alias) if alias is not None else make_alias("unnamed_subquery")
    given = len(eref.colnames)
    targets = [target for target in subquery.targetList if not target.resjunk]
    eref.colnames += [String(sval=target.resname) for target in targets[given:]]
    if len(targets) < given:
        raise SqlError(
            errcode.INVALID_COLUMN_REFERENCE,
            f'table "{eref.aliasname}" has {len(targets)} columns available but {given} columns specified',
        )
    rte = RangeTblEntry(
        rtekind=enums.RTE_SUBQUERY, alias=alias, eref=eref, subquery=subquery, lateral=lateral, inFromCl=in_from
    )
    columns = [NSColumn(-1, 0, expr_type(t.expr), expr_typmod(t.expr), expr_collation(t.expr)) for t in targets]
    item = _add(pstate, rte, columns)
    item.rel_visible = alias is not None
    return item


def _result_name(expr: Any) -> str | None:
    """The name of a function's single OUT parameter (get_func_result_name)."""
    if not isinstance(expr, FuncExpr):
        return None
    row = lk.proc_row(expr.funcid)
    if row.proallargtypes is None or row.proargmodes is None or row.proargnames is None:
        return None
    names = [name for name, mode in zip(row.proargnames, row.proargmodes, strict=False) if mode in "obt"]
    return names[0] if len(names) == 1 and names[0] else None


def _definition_columns(pstate: ParseState, definitions: list[Any], function: RangeTblFunction) -> list[Column]:
    columns: list[Column] = []
    for definition in definitions:
        if definition.typeName.setof:
            raise pstate.error(
                errcode.INVALID_TABLE_DEFINITION,
                f'column "{definition.colname}" cannot be declared SETOF',
                definition.location,
            )
        type_oid, typmod = type_name_oid_typmod(pstate, definition.typeName)
        collation = column_collation(pstate, definition, type_oid)
        if any(column.name == definition.colname for column in columns):
            raise SqlError(errcode.DUPLICATE_COLUMN, f'column name "{definition.colname}" specified more than once')
        row = lk.type_row(type_oid)
        if row.typtype == "p" and type_oid not in (RECORDOID, 2287):
            raise SqlError(
                errcode.INVALID_TABLE_DEFINITION,
                f'column "{definition.colname}" has pseudo-type {format_type(type_oid)}',
            )
        columns.append(Column(definition.colname, type_oid, typmod, collation))
        function.funccolnames.append(String(sval=definition.colname))
        function.funccoltypes.append(type_oid)
        function.funccoltypmods.append(typmod)
        function.funccolcollations.append(collation)
    return columns


def add_functions(
    pstate: ParseState,
    names: list[str],
    exprs: list[Any],
    definitions: list[list[Any]],
    item: Any,
    lateral: bool,
    in_from: bool,
) -> NSItem:
    """Functions of FROM: one, or ROWS FROM, with ordinality or not (addRangeTableEntryForFunction)."""
    alias = item.alias
    eref = make_alias(alias.aliasname if alias is not None else names[0])
    functions = []
    described: list[Column] = []
    for name, expr, columns_given in zip(names, exprs, definitions, strict=True):
        function = RangeTblFunction(funcexpr=expr)
        kind, type_oid, columns = expr_result_type(expr)
        if columns_given:
            if kind in (COMPOSITE, COMPOSITE_DOMAIN):
                raise pstate.error(
                    errcode.SYNTAX_ERROR,
                    "a column definition list is redundant for a function with OUT parameters"
                    if expr_type(expr) == RECORDOID
                    else "a column definition list is redundant for a function returning a named composite type",
                    expr_location(columns_given),
                )
            if kind != RECORD:
                raise pstate.error(
                    errcode.SYNTAX_ERROR,
                    'a column definition list is only allowed for functions returning "record"',
                    expr_location(columns_given),
                )
            columns = _definition_columns(pstate, columns_given, function)
        elif kind == RECORD:
            raise pstate.error(
                errcode.SYNTAX_ERROR,
                'a column definition list is required for functions returning "record"',
                expr_location(expr),
            )
        elif kind == OTHER:
            raise pstate.error(
                errcode.DATATYPE_MISMATCH,
                f'function "{name}" in FROM has unsupported return type {format_type(type_oid)}',
                expr_location(expr),
            )
        elif columns is None:
            own = _result_name(expr) or (alias.aliasname if len(exprs) == 1 and alias is not None else name)
            columns = [Column(own, type_oid, expr_typmod(expr), expr_collation(expr))]
        function.funccolcount = len(columns)
        functions.append(function)
        described += columns
    if item.ordinality:
        described.append(Column("ordinality", INT8OID, -1, 0))
    if len(described) > 1664:
        raise pstate.error(
            errcode.TOO_MANY_COLUMNS,
            "functions in FROM can return at most 1664 columns",
            expr_location(exprs),
        )
    rte = RangeTblEntry(
        rtekind=enums.RTE_FUNCTION,
        alias=alias,
        eref=eref,
        functions=functions,
        funcordinality=item.ordinality,
        lateral=lateral,
        inFromCl=in_from,
    )
    _relation_aliases(described, alias, eref)
    return _add(pstate, rte, _columns(described))


def add_values(
    pstate: ParseState,
    lists: list[list[Any]],
    types: list[int],
    typmods: list[int],
    collations: list[int],
    alias: Any,
    lateral: bool,
    in_from: bool,
) -> NSItem:
    """VALUES as a table (addRangeTableEntryForValues)."""
    eref = copy_tree(alias) if alias is not None else make_alias("*VALUES*")
    given, ncolumns = len(eref.colnames), len(lists[0])
    eref.colnames += [String(sval=f"column{number}") for number in range(given + 1, ncolumns + 1)]
    if ncolumns < given:
        raise SqlError(
            errcode.INVALID_COLUMN_REFERENCE,
            f'VALUES lists "{eref.aliasname}" have {ncolumns} columns available but {given} columns specified',
        )
    rte = RangeTblEntry(
        rtekind=enums.RTE_VALUES,
        alias=alias,
        eref=eref,
        values_lists=lists,
        coltypes=types,
        coltypmods=typmods,
        colcollations=collations,
        lateral=lateral,
        inFromCl=in_from,
    )
    return _add(pstate, rte, _columns_of_lists(types, typmods, collations))


def add_cte(pstate: ParseState, cte: Any, levelsup: int, relation: RangeVar, in_from: bool) -> NSItem:
    """A reference to a WITH item (addRangeTableEntryForCTE)."""
    alias = relation.alias
    query = cte.ctequery
    if isinstance(query, Query):
        cte.cterefcount += 1
    if isinstance(query, Query) and query.commandType != enums.CMD_SELECT and not query.returningList:
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED,
            f'WITH query "{cte.ctename}" does not have a RETURNING clause',
            relation.location,
        )
    eref = copy_tree(alias) if alias is not None else make_alias(cte.ctename)
    given, available = len(eref.colnames), len(cte.ctecolnames)
    eref.colnames += cte.ctecolnames[given:]
    if available < given:
        raise SqlError(
            errcode.INVALID_COLUMN_REFERENCE,
            f'table "{eref.aliasname}" has {available} columns available but {given} columns specified',
        )
    rte = RangeTblEntry(
        rtekind=enums.RTE_CTE,
        alias=alias,
        eref=eref,
        ctename=cte.ctename,
        ctelevelsup=levelsup,
        self_reference=not isinstance(query, Query),
        coltypes=list(cte.ctecoltypes),
        coltypmods=list(cte.ctecoltypmods),
        colcollations=list(cte.ctecolcollations),
        inFromCl=in_from,
    )
    added = search_and_cycle_columns(cte)
    for name, type_oid, typmod, collation in added:
        eref.colnames.append(String(sval=name))
        rte.coltypes.append(type_oid)
        rte.coltypmods.append(typmod)
        rte.colcollations.append(collation)
    item = _add(pstate, rte, _columns_of_lists(rte.coltypes, rte.coltypmods, rte.colcollations))
    if levelsup > 0:
        # Queries inside the item do not see them in a *.
        for column in item.columns[len(item.columns) - len(added) :]:
            column.dontexpand = True
    return item


def search_and_cycle_columns(cte: Any) -> list[tuple[str, int, int, int]]:
    """Name, type, typmod and collation of the columns that SEARCH and CYCLE add to a WITH item."""
    search, cycle = cte.search_clause, cte.cycle_clause
    added = []
    if search is not None:
        added.append((search.search_seq_column, RECORDOID if search.search_breadth_first else RECORDARRAYOID, -1, 0))
    if cycle is not None:
        added.append(
            (cycle.cycle_mark_column, cycle.cycle_mark_type, cycle.cycle_mark_typmod, cycle.cycle_mark_collation)
        )
        added.append((cycle.cycle_path_column, RECORDARRAYOID, -1, 0))
    return added


def add_join(
    pstate: ParseState,
    names: list[Any],
    columns: list[NSColumn],
    jointype: Any,
    merged: int,
    aliasvars: list[Any],
    left: list[int],
    right: list[int],
    using_alias: Any,
    alias: Any,
    in_from: bool,
) -> NSItem:
    """A join (addRangeTableEntryForJoin)."""
    eref = copy_tree(alias) if alias is not None else make_alias("unnamed_join")
    given = len(eref.colnames)
    if given > len(names):
        raise SqlError(
            errcode.INVALID_COLUMN_REFERENCE,
            f'join expression "{eref.aliasname}" has {len(names)} columns available but {given} columns specified',
        )
    eref.colnames += names[given:]
    rte = RangeTblEntry(
        rtekind=enums.RTE_JOIN,
        alias=alias,
        eref=eref,
        jointype=jointype,
        joinmergedcols=merged,
        joinaliasvars=aliasvars,
        joinleftcols=left,
        joinrightcols=right,
        join_using_alias=using_alias,
        inFromCl=in_from,
    )
    pstate.rtable.append(rte)
    return NSItem(eref, rte, len(pstate.rtable), columns)


def add_group(pstate: ParseState, targets: list[Any]) -> NSItem:
    """The output of the grouping step (addRangeTableEntryForGroup)."""
    eref = make_alias("*GROUP*", [String(sval=target.resname or "?column?") for target in targets])
    exprs = [copy_tree(target.expr) for target in targets]
    rte = RangeTblEntry(rtekind=enums.RTE_GROUP, eref=eref, groupexprs=exprs)
    columns = [NSColumn(-1, 0, expr_type(e), expr_typmod(e), expr_collation(e)) for e in exprs]
    return _add(pstate, rte, columns)


def add_to_query(pstate: ParseState, item: NSItem, to_joinlist: bool, rel_visible: bool, cols_visible: bool) -> None:
    """Make an entry part of the query and visible (addNSItemToQuery)."""
    if to_joinlist:
        pstate.joinlist.append(RangeTblRef(rtindex=item.rtindex))
    if rel_visible or cols_visible:
        item.rel_visible, item.cols_visible = rel_visible, cols_visible
        item.lateral_only, item.lateral_ok = False, True
        pstate.namespace.append(item)


# Finding names ------------------------------------------------------------------------------------------------------


def _check_lateral(pstate: ParseState, item: NSItem, location: int) -> None:
    if item.lateral_only and not item.lateral_ok:
        name = item.names.aliasname
        is_target = pstate.target_nsitem is not None and item.rte is pstate.target_nsitem.rte
        raise pstate.error(
            errcode.INVALID_COLUMN_REFERENCE,
            f'invalid reference to FROM-clause entry for table "{name}"',
            location,
            hint=(
                f'There is an entry for table "{name}", but it cannot be referenced from this part of the query.'
                if is_target
                else None
            ),
            detail=None if is_target else "The combining JOIN type must be INNER or LEFT for a LATERAL reference.",
        )


def find_table(
    pstate: ParseState, schema: str | None, refname: str, location: int
) -> tuple[NSItem, int] | None:
    """(item, levels up) of the table a name refers to, None if there is none (refnameNamespaceItem)."""
    relid = 0
    if schema is not None:
        relid = relation_oid(schema, refname, 0)
        if not relid:
            return None
    level = 0
    current: ParseState | None = pstate
    while current is not None:
        found = None
        for item in current.namespace:
            if not item.rel_visible or (item.lateral_only and not current.lateral_active):
                continue
            if relid:
                rte = item.rte
                matches = (
                    rte.rtekind == enums.RTE_RELATION
                    and rte.relid == relid
                    and rte.alias is None
                    and item.names.aliasname == rte.eref.aliasname
                )
            else:
                matches = item.names.aliasname == refname
            if matches:
                if found is not None:
                    shown = relid or f'"{refname}"'
                    raise pstate.error(errcode.AMBIGUOUS_ALIAS, f"table reference {shown} is ambiguous", location)
                _check_lateral(current, item, location)
                found = item
        if found is not None:
            return found, level
        current = current.parent
        level += 1
    return None


def _column_number(pstate: ParseState, rte: Any, names: Any, name: str, location: int) -> int:
    """The attribute number a name means in an entry, 0 if none (scanRTEForColumn)."""
    result = 0
    for number, own in enumerate(names.colnames, 1):
        if own.sval == name:
            if result:
                raise pstate.error(errcode.AMBIGUOUS_COLUMN, f'column reference "{name}" is ambiguous', location)
            result = number
    if result:
        return result
    if rte.rtekind == enums.RTE_RELATION and rte.relkind != "c":
        number = SYSTEM_COLUMNS.get(name, 0)
        if number and lookup(ATTNUM, rte.relid, number) is not None:
            return number
    return 0


def scan_nsitem_for_column(
    pstate: ParseState, item: NSItem, levelsup: int, name: str, location: int
) -> Var | None:
    """The Var for a column of an item, None if it has no such column (scanNSItemForColumn)."""
    number = _column_number(pstate, item.rte, item.names, name, location)
    if number == 0:
        return None
    if number < 0 and number != -6:
        if pstate.expr_kind == ExprKind.CHECK_CONSTRAINT:
            raise pstate.error(
                errcode.INVALID_COLUMN_REFERENCE,
                f'system column "{name}" reference in check constraint is invalid',
                location,
            )
        if pstate.expr_kind == ExprKind.GENERATED_COLUMN:
            raise pstate.error(
                errcode.INVALID_COLUMN_REFERENCE,
                f'cannot use system column "{name}" in column generation expression',
                location,
            )
        if pstate.expr_kind == ExprKind.MERGE_WHEN:
            raise pstate.error(
                errcode.INVALID_COLUMN_REFERENCE, f'cannot use system column "{name}" in MERGE WHEN condition', location
            )
    if number > 0:
        column = item.columns[number - 1]
        if not column.varno:
            raise pstate.error(
                errcode.UNDEFINED_COLUMN,
                f'column "{name}" of relation "{item.rte.eref.aliasname}" does not exist',
                location,
            )
        var = var_of_column(column, levelsup)
    else:
        var = make_var(item.rtindex, number, _SYSTEM_TYPES[number], -1, 0, levelsup)
        var.varreturningtype = enums.VarReturningType(item.returning_type)
    var.location = location
    mark_nullable(pstate, var)
    mark_selected(pstate, var)
    return var


def var_of_column(column: NSColumn, levelsup: int = 0) -> Var:
    """A Var for a namespace column, without nulling relations."""
    return Var(
        varno=column.varno,
        varattno=column.varattno,
        vartype=column.vartype,
        vartypmod=column.vartypmod,
        varcollid=column.varcollid,
        varlevelsup=levelsup,
        varreturningtype=enums.VarReturningType(column.varreturningtype),
        varnosyn=column.varnosyn,
        varattnosyn=column.varattnosyn,
    )


def var_from_nscolumn(pstate: ParseState, column: NSColumn) -> Var:
    """A Var for a column of this query, nulled by the joins seen so far (buildVarFromNSColumn)."""
    var = var_of_column(column)
    mark_nullable(pstate, var)
    return var


def mark_nullable(pstate: ParseState, var: Var) -> None:
    """Add the outer joins that may null the Var's relation (markNullableIfNeeded)."""
    for _ in range(var.varlevelsup):
        assert pstate.parent is not None
        pstate = pstate.parent
    if 0 < var.varno <= len(pstate.nullingrels):
        relids = pstate.nullingrels[var.varno - 1]
        if relids:
            var.varnullingrels = var.varnullingrels | relids


def mark_selected(pstate: ParseState, var: Var) -> None:
    """Note that the query reads a column, for the permission check (markVarForSelectPriv)."""
    for _ in range(var.varlevelsup):
        assert pstate.parent is not None
        pstate = pstate.parent
    _mark_rte_selected(pstate, var.varno, var.varattno)


def _mark_rte_selected(pstate: ParseState, rtindex: int, column: int) -> None:
    rte = pstate.rtable[rtindex - 1]
    if rte.rtekind == enums.RTE_RELATION:
        perminfo = perminfo_of(pstate.rteperminfos, rte)
        perminfo.requiredPerms |= ACL_SELECT
        perminfo.selectedCols = perminfo.selectedCols | {column - FIRST_LOW_INVALID}
    elif rte.rtekind == enums.RTE_JOIN and column == 0:
        join = pstate.joinexprs[rtindex - 1] if rtindex <= len(pstate.joinexprs) else None
        if join is None:
            raise SqlError(errcode.INTERNAL_ERROR, "could not find JoinExpr for whole-row reference")
        for side in (join.larg, join.rarg):
            _mark_rte_selected(pstate, side.rtindex, 0)


def column_to_var(pstate: ParseState, name: str, local_only: bool, location: int) -> Var | None:
    """The Var that an unqualified column name means, innermost query first; 42702 (colNameToVar)."""
    level = 0
    current: ParseState | None = pstate
    while current is not None:
        result = None
        for item in current.namespace:
            if not item.cols_visible or (item.lateral_only and not current.lateral_active):
                continue
            found = scan_nsitem_for_column(pstate, item, level, name, location)
            if found is not None:
                if result is not None:
                    raise pstate.error(errcode.AMBIGUOUS_COLUMN, f'column reference "{name}" is ambiguous', location)
                _check_lateral(current, item, location)
                result = found
        if result is not None or local_only:
            return result
        current = current.parent
        level += 1
    return None


def find_cte(pstate: ParseState, name: str) -> tuple[Any, int] | None:
    """(WITH item, levels up) of a name (scanNameSpaceForCTE)."""
    level = 0
    current: ParseState | None = pstate
    while current is not None:
        for cte in current.ctenamespace:
            if cte.ctename == name:
                return cte, level
        current = current.parent
        level += 1
    return None


def check_namespace_conflicts(pstate: ParseState, first: list[NSItem], second: list[NSItem]) -> None:
    """42712 when two tables go by one name (checkNameSpaceConflicts)."""
    for one in first:
        if not one.rel_visible:
            continue
        for other in second:
            if not other.rel_visible or other.names.aliasname != one.names.aliasname:
                continue
            if (
                one.rte.rtekind == enums.RTE_RELATION
                and one.rte.alias is None
                and other.rte.rtekind == enums.RTE_RELATION
                and other.rte.alias is None
                and one.rte.relid != other.rte.relid
            ):
                continue
            raise SqlError(errcode.DUPLICATE_ALIAS, f'table name "{one.names.aliasname}" specified more than once')


# Errors about names that are not there ------------------------------------------------------------------------------


def _visible_item(pstate: ParseState, rte: Any, test: Any) -> bool:
    current: ParseState | None = pstate
    while current is not None:
        if any(item.rte is rte and test(item) for item in current.namespace):
            return True
        current = current.parent
    return False


def _visible_if_lateral(pstate: ParseState, rte: Any) -> bool:
    return not pstate.lateral_active and _visible_item(pstate, rte, lambda item: item.lateral_only and item.lateral_ok)


def missing_table(pstate: ParseState, relation: RangeVar) -> SqlError:
    """42P01 for a table name that is not in FROM (errorMissingRTE)."""
    name = relation.relname or ""
    cte = None if relation.schemaname else find_cte(pstate, name)
    relid = 0
    if cte is None:
        relid = relation_oid(relation.schemaname, name, 0)
    found = None
    level = 0
    current: ParseState | None = pstate
    while current is not None and found is None:
        for rte in current.rtable:
            if (
                (rte.rtekind == enums.RTE_RELATION and relid and rte.relid == relid)
                or (
                    rte.rtekind == enums.RTE_CTE
                    and cte is not None
                    and rte.ctename == name
                    and rte.ctelevelsup + level == cte[1]
                )
                or rte.eref.aliasname == name
            ):
                found = rte
                break
        current = current.parent
        level += 1
    if found is not None and found.alias is not None and found.eref.aliasname != name:
        item = find_table(pstate, None, found.eref.aliasname, relation.location)
        if item is not None and item[0].rte is found:
            return pstate.error(
                errcode.UNDEFINED_TABLE,
                f'invalid reference to FROM-clause entry for table "{name}"',
                relation.location,
                hint=f'Perhaps you meant to reference the table alias "{found.eref.aliasname}".',
            )
    if found is not None:
        return pstate.error(
            errcode.UNDEFINED_TABLE,
            f'invalid reference to FROM-clause entry for table "{name}"',
            relation.location,
            detail=f'There is an entry for table "{found.eref.aliasname}", '
            "but it cannot be referenced from this part of the query.",
            hint=(
                "To reference that table, you must mark this subquery with LATERAL."
                if _visible_if_lateral(pstate, found)
                else None
            ),
        )
    return pstate.error(errcode.UNDEFINED_TABLE, f'missing FROM-clause entry for table "{name}"', relation.location)


def levenshtein(a: str, b: str) -> int:
    """Edits needed to turn one string into the other."""
    previous = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (left != right)))
        previous = row
    return previous[-1]


MAX_FUZZY_DISTANCE = 3


class _Fuzzy:
    """The two nearest column names, as PostgreSQL ranks them."""

    def __init__(self) -> None:
        self.distance = MAX_FUZZY_DISTANCE + 1
        self.best: list[tuple[Any, str]] = []
        self.exact: list[Any] = []

    def consider(self, rte: Any, penalty: int, actual: str, wanted: str) -> None:
        if penalty > self.distance or not actual:
            return
        distance = levenshtein(actual, wanted)
        if distance > len(wanted) // 2:
            return
        distance += penalty
        if distance < self.distance:
            self.distance = distance
            self.best = [(rte, actual)]
        elif distance == self.distance:
            if len(self.best) == 2:
                self.best = []
                self.distance = distance - 1
            elif self.best:
                self.best.append((rte, actual))


def missing_column(pstate: ParseState, relname: str | None, name: str, location: int) -> SqlError:
    """42703 with the nearest names as a hint (errorMissingColumn)."""
    message = f"column {relname}.{name} does not exist" if relname else f'column "{name}" does not exist'
    fuzzy = _Fuzzy()
    current: ParseState | None = pstate
    while current is not None:
        for rte in current.rtable:
            if rte.rtekind == enums.RTE_JOIN:
                continue
            penalty = levenshtein(rte.eref.aliasname, relname) if relname else 0
            if penalty > MAX_FUZZY_DISTANCE:
                penalty = MAX_FUZZY_DISTANCE + 1
            for own in rte.eref.colnames:
                if own.sval == name and penalty == 0:
                    fuzzy.exact.append(rte)
                    break
                fuzzy.consider(rte, penalty, own.sval, name)
        current = current.parent
    if len(fuzzy.exact) > 1:
        return pstate.error(
            errcode.UNDEFINED_COLUMN,
            message,
            location,
            detail=f'There are columns named "{name}", '
            "but they are in tables that cannot be referenced from this part of the query.",
            hint=None if relname else "Try using a table-qualified name.",
        )
    if fuzzy.exact:
        rte = fuzzy.exact[0]
        hint = None
        if _visible_if_lateral(pstate, rte):
            hint = "To reference that column, you must mark this subquery with LATERAL."
        elif not relname and _visible_item(pstate, rte, lambda item: item.rel_visible and not item.lateral_only):
            hint = "To reference that column, you must use a table-qualified name."
        return pstate.error(
            errcode.UNDEFINED_COLUMN,
            message,
            location,
            detail=f'There is a column named "{name}" in table "{rte.eref.aliasname}", '
            "but it cannot be referenced from this part of the query.",
            hint=hint,
        )
    hint = None
    if len(fuzzy.best) == 2:
        (first, one), (second, other) = fuzzy.best
        hint = (
            f'Perhaps you meant to reference the column "{first.eref.aliasname}.{one}" '
            f'or the column "{second.eref.aliasname}.{other}".'
        )
    elif fuzzy.best:
        rte, one = fuzzy.best[0]
        hint = f'Perhaps you meant to reference the column "{rte.eref.aliasname}.{one}".'
    return pstate.error(errcode.UNDEFINED_COLUMN, message, location, hint=hint)


# Expansion ----------------------------------------------------------------------------------------------------------


def expand_item_vars(pstate: ParseState, item: NSItem, levelsup: int, location: int) -> list[tuple[str, Var]]:
    """(name, Var) of every column that ``*`` shows (expandNSItemVars)."""
    result = []
    for name, column in zip(item.names.colnames, item.columns, strict=False):
        if column.dontexpand or not name.sval or not column.varno:
            continue
        var = var_of_column(column, levelsup)
        var.location = location
        mark_nullable(pstate, var)
        result.append((name.sval, var))
    return result


def expand_item_targets(pstate: ParseState, item: NSItem, levelsup: int, mark: bool, location: int) -> list[Any]:
    """A target entry for every column that ``*`` shows (expandNSItemAttrs)."""
    if item.rte.rtekind == enums.RTE_RELATION and item.perminfo is not None:
        item.perminfo.requiredPerms |= ACL_SELECT
    targets = []
    for name, var in expand_item_vars(pstate, item, levelsup, location):
        targets.append(make_target(var, pstate.next_resno, name))
        pstate.next_resno += 1
        if mark:
            mark_selected(pstate, var)
    return targets


def whole_row_ref(pstate: ParseState, item: NSItem, levelsup: int, location: int) -> Any:
    """A reference to a table's row as a value (transformWholeRowRef)."""
    rte = item.rte
    if item.names is rte.eref or item.returning_type != enums.VAR_RETURNING_DEFAULT:
        var = make_whole_row_var(rte, item.rtindex, levelsup, True)
        var.location = location
        var.varreturningtype = enums.VarReturningType(item.returning_type)
        mark_nullable(pstate, var)
        mark_selected(pstate, var)
        return var
    fields = []
    for _, var in expand_item_vars(pstate, item, levelsup, location):
        mark_selected(pstate, var)
        fields.append(var)
    return RowExpr(
        args=fields,
        row_typeid=RECORDOID,
        row_format=enums.COERCE_IMPLICIT_CAST,
        colnames=list(item.names.colnames),
        location=location,
    )


def make_whole_row_var(rte: Any, varno: int, levelsup: int, allow_scalar: bool) -> Var:
    """A Var for the whole row of an entry (makeWholeRowVar)."""
    if rte.rtekind == enums.RTE_RELATION or (rte.rtekind == enums.RTE_SUBQUERY and rte.relid):
        type_oid = relation_info(rte.relid).row.reltype
        if not type_oid:
            raise SqlError(
                errcode.WRONG_OBJECT_TYPE, f'relation "{lk.relation_name(rte.relid)}" does not have a composite type'
            )
        return make_var(varno, 0, type_oid, -1, 0, levelsup)
    if rte.rtekind == enums.RTE_FUNCTION and len(rte.functions) == 1 and not rte.funcordinality:
        expr = rte.functions[0].funcexpr
        type_oid = expr_type(expr)
        if lk.is_composite(type_oid):
            return make_var(varno, 0, type_oid, -1, 0, levelsup)
        if allow_scalar:
            return make_var(varno, 1, type_oid, -1, expr_collation(expr), levelsup)
    return make_var(varno, 0, RECORDOID, -1, 0, levelsup)


def rte_columns(rte: Any) -> list[Column]:
    """The columns of an entry by its own description (expandRTE)."""
    names = names_of(rte.eref)
    kind = rte.rtekind
    if kind == enums.RTE_RELATION:
        return [
            Column(name, column.type_oid, column.typmod, column.collation, column.dropped)
            for name, column in zip(names, relation_columns(rte.relid), strict=False)
        ]
    if kind == enums.RTE_SUBQUERY:
        exprs = [target.expr for target in rte.subquery.targetList if not target.resjunk]
    elif kind == enums.RTE_JOIN:
        exprs = rte.joinaliasvars
    elif kind == enums.RTE_GROUP:
        exprs = rte.groupexprs
    elif kind == enums.RTE_FUNCTION:
        return _function_columns(rte, names)
    else:
        return [
            Column(name, type_oid, typmod, collation)
            for name, type_oid, typmod, collation in zip(
                names, rte.coltypes, rte.coltypmods, rte.colcollations, strict=False
            )
        ]
    return [
        Column(name, expr_type(e), expr_typmod(e), expr_collation(e)) for name, e in zip(names, exprs, strict=False)
    ]


def _function_columns(rte: Any, names: list[str]) -> list[Column]:
    found: list[Column] = []
    for function in rte.functions:
        if function.funccoltypes:
            found += [
                Column("", type_oid, typmod, collation)
                for type_oid, typmod, collation in zip(
                    function.funccoltypes, function.funccoltypmods, function.funccolcollations, strict=True
                )
            ]
            continue
        _, type_oid, columns = expr_result_type(function.funcexpr)
        if columns is None:
            expr = function.funcexpr
            columns = [Column("", type_oid, expr_typmod(expr), expr_collation(expr))]
        found += columns
    if rte.funcordinality:
        found.append(Column("ordinality", INT8OID, -1, 0))
    return [column._replace(name=name) for name, column in zip(names, found, strict=False)]


def rte_attribute_name(rte: Any, number: int) -> str:
    """The name of a column of an entry, for messages and stored trees (get_rte_attribute_name)."""
    if number == 0:
        return "*"
    if number < 0:
        return _SYSTEM_NAMES[number]
    if rte.alias is not None and number <= len(rte.alias.colnames):
        return rte.alias.colnames[number - 1].sval  # type: ignore[no-any-return]
    if rte.rtekind == enums.RTE_RELATION:
        return relation_info(rte.relid).attribute(number).attname  # type: ignore[no-any-return]
    return rte.eref.colnames[number - 1].sval  # type: ignore[no-any-return]


def expand_record_variable(pstate: ParseState, var: Var, levelsup: int) -> list[Column]:
    """The columns of a record-typed Var, found where it comes from (expandRecordVariable)."""
    level = var.varlevelsup + levelsup
    owner = pstate
    for _ in range(level):
        assert owner.parent is not None
        owner = owner.parent
    rte = owner.rtable[var.varno - 1]
    if var.varattno == 0:
        return [column for column in rte_columns(rte) if not column.dropped]
    expr: Any = var
    if rte.rtekind == enums.RTE_SUBQUERY:
        target = next(t for t in rte.subquery.targetList if t.resno == var.varattno and not t.resjunk)
        expr = target.expr
        if isinstance(expr, Var):
            inner = ParseState(owner)
            inner.rtable = rte.subquery.rtable
            return expand_record_variable(inner, expr, 0)
    elif rte.rtekind == enums.RTE_JOIN:
        expr = rte.joinaliasvars[var.varattno - 1]
        if isinstance(expr, Var):
            return expand_record_variable(pstate, expr, var.varlevelsup + levelsup)
    elif rte.rtekind == enums.RTE_GROUP:
        expr = rte.groupexprs[var.varattno - 1]
        if isinstance(expr, Var):
            return expand_record_variable(pstate, expr, var.varlevelsup + levelsup)
    elif rte.rtekind == enums.RTE_CTE and not rte.self_reference:
        cte_owner = owner
        for _ in range(rte.ctelevelsup):
            assert cte_owner.parent is not None
            cte_owner = cte_owner.parent
        cte = next(c for c in cte_owner.ctenamespace if c.ctename == rte.ctename)
        query = cte.ctequery
        targets = query.targetList if query.commandType == enums.CMD_SELECT else query.returningList
        expr = next(t for t in targets if t.resno == var.varattno and not t.resjunk).expr
        if isinstance(expr, Var):
            inner = ParseState(cte_owner)
            inner.rtable = query.rtable
            return expand_record_variable(inner, expr, 0)
    _, _, columns = expr_result_type(expr)
    if columns is None:
        raise pstate.error(errcode.SYNTAX_ERROR, "record type has not been registered", var.location)
    return columns
