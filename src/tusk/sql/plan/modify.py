"""ModifyTable: INSERT, UPDATE and DELETE over the plan that finds the rows (optimizer/plan/createplan.c,
util/plancat.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog._relcache import relation_close, relation_open
from tusk.catalog.cache import lookup
from tusk.errors import SqlError, errcode
from tusk.sql.nodes import ModifyTable, TargetEntry, Var, enums
from tusk.sql.plan.exprs import and_list
from tusk.sql.plan.relation_info import load_relation
from tusk.sql.plan.structures import IndexInfo, Rel, Root, fingerprint


def make_modify_table(root: Root, plan: Any) -> ModifyTable:
    """The node on top; the plan below computes new rows and the addresses of old ones."""
    parse = root.parse
    node = ModifyTable(
        lefttree=plan, operation=parse.commandType, canSetTag=parse.canSetTag, nominalRelation=parse.resultRelation,
        resultRelations=[parse.resultRelation], rowMarks=root.row_marks, epqParam=root.glob.new_param(2281),
        returningOldAlias=parse.returningOldAlias, returningNewAlias=parse.returningNewAlias,
        onConflictAction=enums.ONCONFLICT_NONE,
    )  # fmt: skip
    if parse.commandType == enums.CMD_UPDATE:
        node.updateColnosLists = [[entry.resno for entry in parse.targetList if not entry.resjunk]]
    if parse.commandType == enums.CMD_MERGE:
        for action in parse.mergeActionList:
            action.qual = and_list(action.qual)
        node.mergeActionLists = [parse.mergeActionList]
        node.mergeJoinConditions = [and_list(parse.mergeJoinCondition)]
    if parse.returningList:
        node.returningLists = [parse.returningList]
    if parse.withCheckOptions:
        node.withCheckOptionLists = [parse.withCheckOptions]
    if parse.onConflict is not None:
        _on_conflict(root, node)
    return node


def _on_conflict(root: Root, node: ModifyTable) -> None:
    conflict = root.parse.onConflict
    node.onConflictAction = conflict.action
    node.arbiterIndexes = infer_arbiter_indexes(root)
    if conflict.action != enums.ONCONFLICT_UPDATE:
        return
    node.onConflictCols = [entry.resno for entry in conflict.onConflictSet if not entry.resjunk]
    node.onConflictSet = [
        TargetEntry(expr=entry.expr, resno=number, resname=entry.resname)
        for number, entry in enumerate((e for e in conflict.onConflictSet if not e.resjunk), 1)
    ]
    node.onConflictWhere = and_list(conflict.onConflictWhere)
    node.exclRelRTI = conflict.exclRelIndex
    node.exclRelTlist = conflict.exclRelTlist


def infer_arbiter_indexes(root: Root) -> list[int]:
    """The unique indexes that ON CONFLICT means; [] for all (ON CONFLICT DO NOTHING without a target). 42P10."""
    conflict = root.parse.onConflict
    if not conflict.arbiterElems and not conflict.constraint:
        return []
    rte = root.rte(root.parse.resultRelation)
    rel = Rel(relids=0, rtindex=root.parse.resultRelation, rte=rte)
    load_relation(root, rel)
    if conflict.constraint:
        index_oid = _constraint_index(conflict.constraint)
        return [index_oid]
    wanted_columns = {elem.expr.varattno for elem in conflict.arbiterElems if type(elem.expr) is Var}
    wanted_exprs = {fingerprint(elem.expr) for elem in conflict.arbiterElems if type(elem.expr) is not Var}
    where = {fingerprint(item) for item in and_list(conflict.arbiterWhere)}
    found = [
        index.oid
        for index in rel.indexes
        if index.unique and _matches(index, wanted_columns, wanted_exprs, where, conflict.arbiterElems)
    ]
    if not found:
        raise SqlError(
            errcode.INVALID_COLUMN_REFERENCE,
            "there is no unique or exclusion constraint matching the ON CONFLICT specification",
        )
    return found


def _matches(index: IndexInfo, columns: set[int], exprs: set[Any], where: set[Any], elems: list[Any]) -> bool:
    own_columns = {key for key in index.keys[: index.nkeys] if key}
    own_exprs = {fingerprint(expr) for expr in index.expressions}
    if own_columns != columns or own_exprs != exprs:
        return False
    if any(fingerprint(item) not in where for item in index.predicate):
        return False
    for elem in elems:
        if elem.infercollid and elem.infercollid not in index.collations:
            return False
        if elem.inferopclass and lookup(c.CLAOID, elem.inferopclass).opcfamily not in index.opfamilies:
            return False
    return True


def _constraint_index(constraint: int) -> int:
    row = lookup(c.CONSTROID, constraint)
    if row is None or not row.conindid:
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, "constraint in ON CONFLICT clause has no associated index"
        )
    index = relation_open(row.conindid, 0)
    try:
        if index.indisexclusion and not index.indisunique:
            raise SqlError(
                errcode.WRONG_OBJECT_TYPE, "ON CONFLICT DO UPDATE not supported with exclusion constraints"
            )
    finally:
        relation_close(index, 0)
    return int(row.conindid)
