"""Plans of cursors that say which rows they stand on: what WHERE CURRENT OF asks (execCurrent.c)."""

from __future__ import annotations

from typing import Any

from tusk.sql.nodes import (
    BitmapHeapScan,
    IndexOnlyScan,
    IndexScan,
    Limit,
    PlannedStmt,
    Result,
    SampleScan,
    SeqScan,
    SubqueryScan,
    TargetEntry,
    TidRangeScan,
    TidScan,
    Var,
    enums,
)

_TABLE_SCANS = (SeqScan, SampleScan, IndexScan, BitmapHeapScan, TidScan, TidRangeScan)
_ROW_LOCKS = (
    enums.ROW_MARK_EXCLUSIVE, enums.ROW_MARK_NOKEYEXCLUSIVE, enums.ROW_MARK_SHARE, enums.ROW_MARK_KEYSHARE,
)  # fmt: skip
_TID, _CTID = 27, -1


def locked_row_ids(planned: PlannedStmt) -> list[tuple[int, int]]:
    """(relation, place of its TID in the top node's rows) for what FOR UPDATE and its kin lock."""
    names = {
        f"ctid{mark.rowmarkId}": planned.rtable[mark.rti - 1].relid
        for mark in planned.rowMarks
        if mark.markType in _ROW_LOCKS and not mark.isParent
    }
    targets = planned.planTree.targetlist
    return [(names[t.resname], place) for place, t in enumerate(targets) if t.resjunk and t.resname in names]


def uses_index_only_scan(planned: PlannedStmt) -> bool:
    """Whether a cursor's rows come from an index-only scan, which knows no TIDs."""
    return isinstance(_way_to_scan(planned.planTree)[-1], IndexOnlyScan)


def add_row_id(planned: PlannedStmt) -> list[tuple[int, int]]:
    """Where a plan is a simple scan of one table, let its rows carry the TID; returned as by `locked_row_ids`."""
    way = _way_to_scan(planned.planTree)
    scan = way[-1]
    if not isinstance(scan, _TABLE_SCANS):
        return []
    below = 0
    for node in reversed(way):
        if node is scan:
            varno, attno = scan.scanrelid, _CTID
        else:
            varno, attno = node.scanrelid if isinstance(node, SubqueryScan) else enums.OUTER_VAR, below
        var = Var(varno=varno, varattno=attno, vartype=_TID, vartypmod=-1, location=-1)
        below = len(node.targetlist) + 1
        node.targetlist = [*node.targetlist, TargetEntry(expr=var, resno=below, resname="ctid", resjunk=True)]
    return [(planned.rtable[scan.scanrelid - 1].relid, below - 1)]


def _way_to_scan(plan: Any) -> list[Any]:
    """The nodes from the top through those that pass rows on one by one (search_plan_tree)."""
    way = [plan]
    while True:
        match way[-1]:
            case Result() | Limit() if way[-1].lefttree is not None:
                way.append(way[-1].lefttree)
            case SubqueryScan():
                way.append(way[-1].subplan)
            case _:
                return way
