"""Target lists of the planning steps: what each must compute for those above it (optimizer/util/tlist.c,
optimizer/prep/preptlist.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog._relcache import relation_close, relation_open
from tusk.sql.nodes import (
    Aggref,
    GroupingFunc,
    JoinExpr,
    PlanRowMark,
    Query,
    TargetEntry,
    Var,
    WindowFunc,
    children,
    enums,
)
from tusk.sql.nodes.base import Node
from tusk.sql.nodes.make import make_const, make_target
from tusk.sql.plan.exprs import returns_set
from tusk.sql.plan.jointree import need_var
from tusk.sql.plan.structures import Root, fingerprint

_TID, _OID, _RECORD = 27, 26, 2249
_CTID, _TABLEOID = -1, -6


class TargetBuilder:
    """Collects expressions, each once, into a list of TargetEntry."""

    def __init__(self) -> None:
        self.entries: list[TargetEntry] = []
        self._known: dict[Any, TargetEntry] = {}

    def add(self, expr: Any, ref: int = 0, name: str | None = None) -> None:
        """Add an expression unless it is there; give it a sort/group reference if it has none."""
        key = fingerprint(expr)
        entry = self._known.get(key)
        if entry is not None and ref and entry.ressortgroupref not in (0, ref):
            entry = None
        if entry is None:
            entry = make_target(expr, len(self.entries) + 1, name)
            self.entries.append(entry)
            self._known.setdefault(key, entry)
        if ref:
            entry.ressortgroupref = ref


def parts_of(tree: Any, *, into_aggs: bool, into_windows: bool, stop: set[Any]) -> list[Any]:
    """The Vars, and where not looked into the aggregates and window functions, that an expression is made of.

    An expression whose fingerprint is in ``stop`` is a part by itself.
    """
    found: list[Any] = []

    def look(node: Any) -> None:
        if type(node) is list:
            for item in node:
                look(item)
            return
        if not isinstance(node, Node):
            return
        kind = type(node)
        if stop and fingerprint(node) in stop:
            found.append(node)
            return
        if kind is Var:
            if node.varlevelsup == 0:
                found.append(node)
            return
        if kind in (Aggref, GroupingFunc) and not into_aggs:
            found.append(node)
            return
        if kind is WindowFunc and not into_windows:
            found.append(node)
            return
        if kind is Query:
            return
        for child in children(node):
            look(child)

    look(tree)
    return found


def group_input_target(root: Root, target: list[TargetEntry], having: Any) -> list[TargetEntry]:
    """What the scan/join step must give to grouping: the grouping expressions and the columns of the rest."""
    parse = root.parse
    refs = {clause.tleSortGroupRef for clause in parse.groupClause}
    builder = TargetBuilder()
    rest: list[Any] = []
    for entry in target:
        if entry.ressortgroupref in refs:
            builder.add(entry.expr, entry.ressortgroupref)
        else:
            rest.append(entry.expr)
    for part in parts_of([*rest, having], into_aggs=True, into_windows=True, stop=set()):
        builder.add(part)
    return builder.entries


def group_output_target(root: Root, target: list[TargetEntry], having: Any) -> list[TargetEntry]:
    """What grouping must give to window functions: grouping expressions, aggregates, and columns they fix."""
    del having
    return _collect(root, target, into_windows=True)


def window_input_target(root: Root, target: list[TargetEntry]) -> list[TargetEntry]:
    """What the window steps start from: everything in the output except the window functions themselves."""
    return _collect(root, target, into_windows=True)


def _collect(root: Root, target: list[TargetEntry], *, into_windows: bool) -> list[TargetEntry]:
    parse = root.parse
    refs = {clause.tleSortGroupRef for clause in parse.groupClause}
    for window in parse.windowClause:
        refs |= {clause.tleSortGroupRef for clause in (*window.partitionClause, *window.orderClause)}
    builder = TargetBuilder()
    stop: set[Any] = set()
    for entry in target:
        if entry.ressortgroupref in refs:
            builder.add(entry.expr, entry.ressortgroupref)
            stop.add(fingerprint(entry.expr))
    for entry in target:
        if entry.ressortgroupref in refs:
            continue
        for part in parts_of(entry.expr, into_aggs=False, into_windows=into_windows, stop=stop):
            builder.add(part)
    return builder.entries


def window_functions(tree: Any) -> list[WindowFunc]:
    """All window functions of a target list."""
    found: list[WindowFunc] = []

    def look(node: Any) -> None:
        if type(node) is list:
            for item in node:
                look(item)
        elif isinstance(node, Node) and type(node) is not Query:
            if type(node) is WindowFunc:
                found.append(node)
            for child in children(node):
                look(child)

    look(tree)
    return found


def split_sets(target: list[TargetEntry], done: set[Any]) -> list[TargetEntry] | None:
    """The target of the next ProjectSet on the way to ``target``: the set-returning calls that depend on no other one
    that is still to do, and everything else that is needed. ``done`` has the fingerprints of those computed already
    and grows. None where no call is left to do, ``target`` itself where all stand at the top of their entries."""
    inner: list[Any] = []
    nested = False

    def look(node: Any, top: bool) -> bool:
        nonlocal nested
        below = False
        if type(node) is list:
            return any(look(item, False) for item in node)
        if not isinstance(node, Node) or type(node) is Query:
            return False
        if done and fingerprint(node) in done:
            return False
        for child in children(node):
            below |= look(child, False)
        if returns_set(node):
            if not below:
                inner.append(node)
            if below or not top:
                nested = True
            return True
        return below

    for entry in target:
        look(entry.expr, True)
    if not inner:
        return None
    if not nested:
        return target
    builder = TargetBuilder()
    stop = {fingerprint(call) for call in inner} | done
    for entry in target:
        if entry.ressortgroupref and fingerprint(entry.expr) in stop:
            builder.add(entry.expr, entry.ressortgroupref)
    for entry in target:
        for part in parts_of(entry.expr, into_aggs=False, into_windows=False, stop=stop):
            builder.add(part)
    done |= stop
    return builder.entries


# Data modification


def preprocess_target(root: Root) -> None:
    """Make root.target: for INSERT every column in order, for UPDATE and DELETE the row's address, for row locks
    the addresses of the rows to lock."""
    parse = root.parse
    target = [_copy(entry) for entry in parse.targetList]
    if parse.commandType == enums.CMD_MERGE:
        target = []
    elif parse.commandType == enums.CMD_INSERT:
        target = _expand_insert(parse, target)
    elif parse.commandType == enums.CMD_UPDATE:
        for number, entry in enumerate((e for e in target if not e.resjunk), 1):
            entry.resno = number
        _number(target)
    root.target = target
    if parse.commandType in (enums.CMD_UPDATE, enums.CMD_DELETE):
        _add_junk(root, _system_var(parse.resultRelation, _CTID, _TID), "ctid")
    elif parse.commandType == enums.CMD_MERGE:
        _merge_columns(root)
    _row_marks(root)
    for mark in root.row_marks:
        if mark.allMarkTypes & ~(1 << enums.ROW_MARK_COPY):
            _add_junk(root, _system_var(mark.rti, _CTID, _TID), f"ctid{mark.rowmarkId}")
        if mark.allMarkTypes & 1 << enums.ROW_MARK_COPY:
            whole = Var(varno=mark.rti, varattno=0, vartype=_RECORD, vartypmod=-1, varnosyn=mark.rti, location=-1)
            _add_junk(root, whole, f"wholerow{mark.rowmarkId}")
    if parse.returningList and parse.commandType != enums.CMD_INSERT:
        for part in parts_of(parse.returningList, into_aggs=False, into_windows=False, stop=set()):
            if type(part) is Var and part.varno != parse.resultRelation and not _has(root.target, part):
                _add_junk(root, part, None)


def _merge_columns(root: Root) -> None:
    """The target row's address, null where there is none, and what the actions look at in the source row."""
    parse = root.parse
    address = _system_var(parse.resultRelation, _CTID, _TID)
    join = parse.jointree.fromlist[0]
    if type(join) is JoinExpr and join.jointype in (enums.JOIN_RIGHT, enums.JOIN_FULL):
        address.varnullingrels = frozenset((join.rtindex,))
    _add_junk(root, address, "ctid")
    for action in parse.mergeActionList:
        if action.commandType == enums.CMD_INSERT:
            action.targetList = _expand_insert(parse, action.targetList)
        elif action.commandType == enums.CMD_UPDATE:
            action.updateColnos = [entry.resno for entry in action.targetList if not entry.resjunk]
    wanted = [
        [action.qual for action in parse.mergeActionList],
        [entry.expr for action in parse.mergeActionList for entry in action.targetList],
        parse.mergeJoinCondition,
    ]
    for part in parts_of(wanted, into_aggs=False, into_windows=False, stop=set()):
        if type(part) is Var and part.varno != parse.resultRelation and not _has(root.target, part):
            _add_junk(root, part, None)


def _copy(entry: TargetEntry) -> TargetEntry:
    return TargetEntry(
        expr=entry.expr, resno=entry.resno, resname=entry.resname, ressortgroupref=entry.ressortgroupref,
        resorigtbl=entry.resorigtbl, resorigcol=entry.resorigcol, resjunk=entry.resjunk,
    )  # fmt: skip


def _number(target: list[TargetEntry]) -> None:
    for number, entry in enumerate(target, 1):
        entry.resno = number


def _has(target: list[TargetEntry], expr: Any) -> bool:
    key = fingerprint(expr)
    return any(fingerprint(entry.expr) == key for entry in target)


def _add_junk(root: Root, expr: Any, name: str | None) -> None:
    root.target.append(make_target(expr, len(root.target) + 1, name, True))


def _system_var(rtindex: int, attno: int, type_oid: int) -> Var:
    return Var(
        varno=rtindex, varattno=attno, vartype=type_oid, vartypmod=-1, varnosyn=rtindex, varattnosyn=attno, location=-1
    )


def _expand_insert(parse: Query, target: list[TargetEntry]) -> list[TargetEntry]:
    """One entry for each column of the table, NULL where nothing was given (expand_insert_targetlist)."""
    given = {entry.resno: entry for entry in target if not entry.resjunk}
    relation = relation_open(parse.rtable[parse.resultRelation - 1].relid, 0)
    try:
        attributes = relation.extra.attributes
        full: list[TargetEntry] = []
        for attribute in sorted((a for a in attributes if a.attnum > 0), key=lambda a: a.attnum):
            entry = given.get(attribute.attnum)
            if entry is None:
                if attribute.attisdropped:
                    null: Any = make_const(23, -1, 0, None, True)
                else:
                    null = make_const(attribute.atttypid, attribute.atttypmod, attribute.attcollation, None, True)
                entry = make_target(null, attribute.attnum, attribute.attname)
            full.append(entry)
    finally:
        relation_close(relation, 0)
    for entry in target:
        if entry.resjunk:
            entry.resno = len(full) + 1
            full.append(entry)
    return full


_MARK_TYPES = {
    enums.LCS_FORKEYSHARE: enums.ROW_MARK_KEYSHARE,
    enums.LCS_FORSHARE: enums.ROW_MARK_SHARE,
    enums.LCS_FORNOKEYUPDATE: enums.ROW_MARK_NOKEYEXCLUSIVE,
    enums.LCS_FORUPDATE: enums.ROW_MARK_EXCLUSIVE,
}


def _row_marks(root: Root) -> None:
    """PlanRowMarks: rows to lock, and rows whose old version a recheck will need (preprocess_rowmarks)."""
    parse = root.parse
    if not parse.rowMarks and parse.commandType not in (enums.CMD_UPDATE, enums.CMD_DELETE, enums.CMD_MERGE):
        return
    locked = {mark.rti: mark for mark in parse.rowMarks}
    for rtindex in root.rels:
        rte = root.rte(rtindex)
        if rtindex == parse.resultRelation:
            continue
        clause = locked.get(rtindex)
        strength, policy = enums.LCS_NONE, enums.LockWaitBlock
        if rte.rtekind != enums.RTE_RELATION:
            kind = enums.ROW_MARK_COPY
        elif clause is not None:
            kind, strength, policy = _MARK_TYPES[clause.strength], clause.strength, clause.waitPolicy
        else:
            kind = enums.ROW_MARK_REFERENCE
        if rte.rtekind == enums.RTE_RESULT:
            continue
        root.glob.row_marks.append(None)
        root.row_marks.append(
            PlanRowMark(
                rti=rtindex, prti=rtindex, rowmarkId=len(root.glob.row_marks), markType=kind,
                allMarkTypes=1 << kind, strength=strength, waitPolicy=policy, isParent=False,
            )  # fmt: skip
        )


def need_target(root: Root, exprs: Any) -> None:
    """Mark the columns of expressions as needed in the output of the join tree."""
    for part in parts_of(exprs, into_aggs=True, into_windows=True, stop=set()):
        rel = root.rels.get(part.varno)
        if rel is not None:
            need_var(rel, part, 1)
