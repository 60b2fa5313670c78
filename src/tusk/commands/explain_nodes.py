"""Plan nodes as EXPLAIN shows them: names, targets, costs, conditions, counts (explain.c's ExplainNode)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.catalog.identifiers import quote_identifier
from tusk.catalog.namespace import get_namespace_name
from tusk.commands.explain_usage import usage_lines, usage_properties
from tusk.sql.deparse.plans import PlanNames
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import Node, walk
from tusk.stats._usage import Usage

_JOIN_WORDS = {
    enums.JOIN_INNER: "", enums.JOIN_LEFT: "Left", enums.JOIN_FULL: "Full", enums.JOIN_RIGHT: "Right",
    enums.JOIN_SEMI: "Semi", enums.JOIN_ANTI: "Anti", enums.JOIN_RIGHT_SEMI: "Right Semi",
    enums.JOIN_RIGHT_ANTI: "Right Anti",
}  # fmt: skip
_NAMES = {
    "SeqScan": "Seq Scan", "IndexScan": "Index Scan", "IndexOnlyScan": "Index Only Scan",
    "BitmapIndexScan": "Bitmap Index Scan", "BitmapHeapScan": "Bitmap Heap Scan", "TidScan": "Tid Scan",
    "TidRangeScan": "Tid Range Scan", "SubqueryScan": "Subquery Scan", "FunctionScan": "Function Scan",
    "ValuesScan": "Values Scan", "CteScan": "CTE Scan", "WorkTableScan": "WorkTable Scan",
    "ProjectSet": "ProjectSet", "MergeAppend": "Merge Append", "RecursiveUnion": "Recursive Union",
    "BitmapAnd": "BitmapAnd", "BitmapOr": "BitmapOr", "Material": "Materialize", "WindowAgg": "WindowAgg",
    "LockRows": "LockRows", "GatherMerge": "Gather Merge", "SampleScan": "Sample Scan",
    "TableFuncScan": "Table Function Scan", "NamedTuplestoreScan": "Named Tuplestore Scan",
}  # fmt: skip
_OPERATIONS = {
    enums.CMD_INSERT: "Insert", enums.CMD_UPDATE: "Update", enums.CMD_DELETE: "Delete", enums.CMD_MERGE: "Merge",
}  # fmt: skip


@dataclass
class Entry:
    """One node: its label, its properties in order, and what is below it."""

    plan: Any
    relationship: str
    label: str
    subplan_name: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    numbers: str = ""
    properties: list[tuple[str, Any, str | None]] = field(default_factory=list)
    children: list[Entry] = field(default_factory=list)
    usage: Usage | None = None


class NodeWriter:
    """Walks one plan."""

    def __init__(self, planned: Any, executor: Any, options: Any) -> None:
        self.planned = planned
        self.options = options
        # Columns show their table where there are several; the group entry is none.
        self.several = len([rte for rte in planned.rtable if rte.rtekind != enums.RTE_GROUP]) > 1
        self.estate = executor.estate
        self.names = PlanNames(planned, _used_relations(planned))
        self.states: dict[int, Any] = {}
        for state in self.estate.plan_states:
            self.states[id(state.plan)] = state
            if state.instrument is not None:
                state.instrument.end_loop()

    def top(self) -> Entry:
        """The tree of the whole plan."""
        return self._node(self.planned.planTree, [], "", None)

    # Names and places

    def _relation(self, rti: int) -> tuple[str, str | None, str]:
        """(name, schema, alias) of a range table entry."""
        rte = self.planned.rtable[rti - 1]
        alias = self.names.name_of(rti) or rte.eref.aliasname
        match rte.rtekind:
            case enums.RTE_RELATION:
                row = lookup(c.RELOID, rte.relid)
                return row.relname, get_namespace_name(row.relnamespace), alias
            case enums.RTE_FUNCTION:
                if len(rte.functions) == 1 and type(rte.functions[0].funcexpr).__name__ == "FuncExpr":
                    row = lookup(c.PROCOID, rte.functions[0].funcexpr.funcid)
                    return row.proname, get_namespace_name(row.pronamespace), alias
                return "", None, alias
            case enums.RTE_CTE:
                return rte.ctename, None, alias
        return "", None, alias

    def _target(self, entry: Entry, rti: int, kind: str) -> str:
        """`` on table alias`` and its facts."""
        name, schema, alias = self._relation(rti)
        text = " on"
        if name:
            key = {"CteScan": "CTE Name", "FunctionScan": "Function Name", "WorkTableScan": "CTE Name"}.get(
                kind, "Relation Name"
            )
            entry.facts[key] = name
            if self.options.verbose and schema is not None:
                entry.facts["Schema"] = schema
                text += f" {quote_identifier(schema)}.{quote_identifier(name)}"
            else:
                text += f" {quote_identifier(name)}"
        entry.facts["Alias"] = alias
        if not name or alias != name:
            text += f" {quote_identifier(alias)}"
        return text

    # One node

    def _node(self, plan: Any, ancestors: list[Any], relationship: str, subplan_name: str | None) -> Entry:
        kind = type(plan).__name__
        entry = Entry(plan, relationship, "", subplan_name)
        self._label(entry, plan, kind)
        self._costs(entry, plan)
        self._properties(entry, plan, kind, ancestors)
        if self.options.analyze and (self.options.buffers or self.options.wal):
            state = self.states.get(id(plan))
            entry.usage = state.instrument.buffers if state is not None and state.instrument is not None else Usage()
        self._below(entry, plan, kind, [plan, *ancestors])
        return entry

    def _label(self, entry: Entry, plan: Any, kind: str) -> None:
        name = _NAMES.get(kind, kind)
        facts = entry.facts
        facts["Node Type"] = name
        if kind == "ModifyTable":
            operation = _OPERATIONS[plan.operation]
            facts["Node Type"] = "ModifyTable"
            facts["Operation"] = operation
            name = operation
        elif kind == "Agg":
            strategy = {
                enums.AGG_PLAIN: ("Plain", "Aggregate"), enums.AGG_SORTED: ("Sorted", "GroupAggregate"),
                enums.AGG_HASHED: ("Hashed", "HashAggregate"), enums.AGG_MIXED: ("Mixed", "MixedAggregate"),
            }[plan.aggstrategy]
            facts["Node Type"] = "Aggregate"
            facts["Strategy"], name = strategy
            facts["Partial Mode"] = "Simple"
        elif kind == "SetOp":
            command = {
                enums.SETOPCMD_INTERSECT: "Intersect", enums.SETOPCMD_INTERSECT_ALL: "Intersect All",
                enums.SETOPCMD_EXCEPT: "Except", enums.SETOPCMD_EXCEPT_ALL: "Except All",
            }[plan.cmd]
            facts["Strategy"] = "Hashed" if plan.strategy == enums.SETOP_HASHED else "Sorted"
            facts["Command"] = command
            name = f"{'HashSetOp' if plan.strategy == enums.SETOP_HASHED else 'SetOp'} {command}"
        if entry.relationship:
            facts["Parent Relationship"] = entry.relationship
        if entry.subplan_name:
            facts["Subplan Name"] = entry.subplan_name
        facts["Parallel Aware"] = bool(plan.parallel_aware)
        facts["Async Capable"] = bool(plan.async_capable)
        if plan.parallel_aware:
            name = f"Parallel {name}"
        if kind in ("NestLoop", "MergeJoin", "HashJoin"):
            word = _JOIN_WORDS[plan.jointype]
            base = {"NestLoop": "Nested Loop", "MergeJoin": "Merge", "HashJoin": "Hash"}[kind]
            facts["Node Type"] = {"NestLoop": "Nested Loop", "MergeJoin": "Merge Join", "HashJoin": "Hash Join"}[kind]
            facts["Join Type"] = word or "Inner"
            if word:
                name = f"{base} {word} Join"
            else:
                name = base if kind == "NestLoop" else f"{base} Join"
        entry.label = name
        if kind in ("IndexScan", "IndexOnlyScan"):
            backward = plan.indexorderdir == enums.BackwardScanDirection
            facts["Scan Direction"] = "Backward" if backward else "Forward"
            index = lookup(c.RELOID, plan.indexid).relname
            facts["Index Name"] = index
            entry.label += f"{' Backward' if backward else ''} using {quote_identifier(index)}"
            entry.label += self._target(entry, plan.scan.scanrelid if hasattr(plan, "scan") else plan.scanrelid, kind)
        elif kind == "BitmapIndexScan":
            index = lookup(c.RELOID, plan.indexid).relname
            facts["Index Name"] = index
            entry.label += f" on {quote_identifier(index)}"
        elif kind == "ModifyTable":
            entry.label += self._target(entry, plan.nominalRelation, kind)
        elif kind in _SCANS and plan.scanrelid > 0:
            entry.label += self._target(entry, plan.scanrelid, kind)

    def _costs(self, entry: Entry, plan: Any) -> None:
        parts = []
        if self.options.costs:
            parts.append(
                f"  (cost={plan.startup_cost:.2f}..{plan.total_cost:.2f} rows={plan.plan_rows:.0f} "
                f"width={plan.plan_width})"
            )
            entry.facts.update({
                "Startup Cost": round(plan.startup_cost, 2), "Total Cost": round(plan.total_cost, 2),
                "Plan Rows": round(plan.plan_rows), "Plan Width": plan.plan_width,
            })  # fmt: skip
        if self.options.analyze:
            state = self.states.get(id(plan))
            instrument = state.instrument if state is not None else None
            if instrument is not None and instrument.nloops > 0:
                loops = instrument.nloops
                rows = instrument.ntuples / loops
                text = ""
                if self.options.timing:
                    first, total = instrument.startup / loops * 1000, instrument.total / loops * 1000
                    text = f"time={first:.3f}..{total:.3f} "
                    entry.facts["Actual Startup Time"] = round(first, 3)
                    entry.facts["Actual Total Time"] = round(total, 3)
                parts.append(f" (actual {text}rows={rows:.2f} loops={loops:.0f})")
                entry.facts["Actual Rows"] = round(rows, 2)
                entry.facts["Actual Loops"] = round(loops)
            else:
                parts.append(" (never executed)")
                if self.options.timing:
                    entry.facts["Actual Startup Time"] = entry.facts["Actual Total Time"] = 0.0
                entry.facts["Actual Rows"] = 0.0
                entry.facts["Actual Loops"] = 0
        entry.facts["Disabled"] = bool(plan.disabled_nodes) and not _children_disabled(plan)
        entry.numbers = "".join(parts)

    # Properties

    def _expression(self, expr: Any, plan: Any, ancestors: list[Any], *, prefix: bool | None = None) -> str:
        if prefix is None:
            prefix = self.options.verbose or self.several
        return self.names.expression(expr, plan, ancestors, prefix=prefix)

    def _qual(self, entry: Entry, label: str, qual: Any, plan: Any, ancestors: list[Any], *, is_scan: bool) -> bool:
        """A condition, implicitly ANDed."""
        if not qual:
            return False
        clauses = qual if isinstance(qual, list) else [qual]
        tree = clauses[0]
        if len(clauses) > 1:
            from tusk.sql.nodes.make import make_bool

            tree = make_bool(enums.AND_EXPR, clauses)
        is_subquery = type(plan).__name__ == "SubqueryScan"
        verbose = self.options.verbose
        prefix = (verbose or is_subquery) if is_scan else self.several or verbose
        entry.properties.append((label, self.names.expression(tree, plan, ancestors, prefix=prefix), None))
        return True

    def _removed(self, entry: Entry, label: str, which: int, plan: Any) -> None:
        """``Rows Removed by ...`` after its condition."""
        if not self.options.analyze:
            return
        state = self.states.get(id(plan))
        if state is None or state.instrument is None:
            return
        count = state.instrument.nfiltered1 if which == 1 else state.instrument.nfiltered2
        loops = state.instrument.nloops
        if count > 0 and loops > 0:
            value = count / loops
            entry.properties.append((label, round(value), f"{value:.0f}"))

    def _properties(self, entry: Entry, plan: Any, kind: str, ancestors: list[Any]) -> None:
        if kind == "NestLoop" or kind in ("HashJoin", "MergeJoin"):
            entry.facts["Inner Unique"] = bool(plan.inner_unique)
        if self.options.verbose:
            self._output(entry, plan, kind, ancestors)
            if kind in ("NestLoop", "HashJoin", "MergeJoin"):
                entry.properties.append(("Inner Unique", bool(plan.inner_unique), str(bool(plan.inner_unique)).lower()))
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, entry, plan, ancestors)
        elif kind in _SCANS or kind == "Result":
            if kind == "Result":
                self._qual(entry, "One-Time Filter", plan.resconstantqual, plan, ancestors, is_scan=False)
            if self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=kind in _SCANS):
                self._removed(entry, "Rows Removed by Filter", 1, plan)
        elif self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=False):
            self._removed(entry, "Rows Removed by Filter", 1, plan)

    def _output(self, entry: Entry, plan: Any, kind: str, ancestors: list[Any]) -> None:
        if kind in ("Append", "MergeAppend", "RecursiveUnion", "ModifyTable") or not plan.targetlist:
            if kind == "ModifyTable" and plan.returningLists:
                shown = [self._expression(t.expr, plan, ancestors, prefix=True) for t in plan.returningLists[0]]
                entry.properties.append(("Output", shown, ", ".join(shown)))
            return
        several = self.several
        shown = [self._expression(t.expr, plan, ancestors, prefix=several) for t in plan.targetlist]
        entry.properties.append(("Output", shown, ", ".join(shown)))

    def _index_scan(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        only = type(plan).__name__ == "IndexOnlyScan"
        original = plan.indexqual if only else plan.indexqualorig
        if self._qual(entry, "Index Cond", original, plan, ancestors, is_scan=True) and (
            plan.recheckqual if only else plan.indexqualorig
        ):
            self._removed(entry, "Rows Removed by Index Recheck", 2, plan)
        self._qual(
            entry, "Order By", plan.indexorderby if only else plan.indexorderbyorig, plan, ancestors, is_scan=True
        )
        if self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=True):
            self._removed(entry, "Rows Removed by Filter", 1, plan)
        self._searches(entry, plan)
        if only and self.options.analyze:
            fetches = self._detail(plan, "Heap Fetches", 0)
            entry.properties.append(("Heap Fetches", fetches, f"{fetches}"))

    def _searches(self, entry: Entry, plan: Any) -> None:
        """How often the index was descended: once for each loop, unless the scan counted."""
        state = self.states.get(id(plan))
        if self.options.analyze and state is not None and state.instrument is not None:
            count = state.instrument.details.get("Index Searches", round(state.instrument.nloops))
            entry.properties.append(("Index Searches", count, f"{count}"))

    def _bitmap_index_scan(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        self._qual(entry, "Index Cond", plan.indexqualorig, plan, ancestors, is_scan=True)
        self._searches(entry, plan)

    def _bitmap_heap_scan(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        if self._qual(entry, "Recheck Cond", plan.bitmapqualorig, plan, ancestors, is_scan=True):
            self._removed(entry, "Rows Removed by Index Recheck", 2, plan)
        if self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=True):
            self._removed(entry, "Rows Removed by Filter", 1, plan)
        if self.options.analyze:
            exact, lossy = self._detail(plan, "Exact Heap Blocks", 0), self._detail(plan, "Lossy Heap Blocks", 0)
            if exact or lossy:
                words = ([f"exact={exact}"] if exact else []) + ([f"lossy={lossy}"] if lossy else [])
                entry.properties.append(("Heap Blocks", {"exact": exact, "lossy": lossy}, " ".join(words)))

    def _join(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        kind = type(plan).__name__
        if kind == "HashJoin":
            self._qual(entry, "Hash Cond", plan.hashclauses, plan, ancestors, is_scan=False)
        elif kind == "MergeJoin":
            self._qual(entry, "Merge Cond", plan.mergeclauses, plan, ancestors, is_scan=False)
        if self._qual(entry, "Join Filter", plan.joinqual, plan, ancestors, is_scan=False):
            self._removed(entry, "Rows Removed by Join Filter", 1, plan)
        if self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=False):
            self._removed(entry, "Rows Removed by Filter", 2, plan)

    def _detail(self, plan: Any, name: str, default: Any) -> Any:
        state = self.states.get(id(plan))
        if state is None or state.instrument is None:
            return default
        return state.instrument.details.get(name, default)

    def _keys(self, entry: Entry, label: str, plan: Any, columns: list[int], child: Any, ancestors: list[Any],
              suffixes: list[str] | None = None) -> None:  # fmt: skip
        """Sort or group keys: output columns of a node by number."""
        if not columns:
            return
        shown = []
        for i, number in enumerate(columns):
            target = next(t for t in child.targetlist if t.resno == number)
            text = self._expression(target.expr, child, ancestors)
            shown.append(text + (suffixes[i] if suffixes else ""))
        entry.properties.append((label, shown, ", ".join(shown)))
        del plan

    def _sort(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        suffixes = [
            _sort_suffix(op, collation, nulls_first, _column_type(plan, number))
            for number, op, collation, nulls_first in zip(
                plan.sortColIdx, plan.sortOperators, plan.collations, plan.nullsFirst, strict=True
            )
        ]
        self._keys(entry, "Sort Key", plan, plan.sortColIdx, plan, ancestors, suffixes)
        if self.options.analyze:
            method = self._detail(plan, "Sort Method", None)
            if method is not None:
                space, where = self._detail(plan, "Sort Space Used", 0), self._detail(plan, "Sort Space Type", "Memory")
                entry.properties.append(("Sort Method", method, f"{method}  {where}: {space}kB"))
                entry.facts.update({"Sort Space Used": space, "Sort Space Type": where})

    def _merge_append(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        suffixes = [
            _sort_suffix(op, collation, nulls_first, _column_type(plan, number))
            for number, op, collation, nulls_first in zip(
                plan.sortColIdx, plan.sortOperators, plan.collations, plan.nullsFirst, strict=True
            )
        ]
        self._keys(entry, "Sort Key", plan, plan.sortColIdx, plan, ancestors, suffixes)

    def _agg(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        if plan.groupingSets:
            entry.properties.append(("Grouping Sets", len(plan.groupingSets), None))
        else:
            self._keys(entry, "Group Key", plan, plan.grpColIdx, plan.lefttree, [plan, *ancestors])
        if self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=False):
            self._removed(entry, "Rows Removed by Filter", 1, plan)
        if self.options.analyze and plan.aggstrategy in (enums.AGG_HASHED, enums.AGG_MIXED):
            memory = self._detail(plan, "Peak Memory Usage", None)
            if memory is not None:
                batches = self._detail(plan, "HashAgg Batches", 1)
                disk = self._detail(plan, "Disk Usage", 0)
                text = f"{batches}  Memory Usage: {memory}kB"
                entry.properties.append(("Batches", batches, f"{text}  Disk Usage: {disk}kB" if disk else text))
                entry.facts.update({"HashAgg Batches": batches, "Peak Memory Usage": memory, "Disk Usage": disk})

    def _group(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        self._keys(entry, "Group Key", plan, plan.grpColIdx, plan.lefttree, [plan, *ancestors])
        self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=False)

    def _hash(self, entry: Entry, plan: Any, _ancestors: list[Any]) -> None:
        if not self.options.analyze:
            return
        memory = self._detail(plan, "Hash Memory", None)
        if memory is not None:
            buckets, batches = self._detail(plan, "Hash Buckets", 1024), self._detail(plan, "Hash Batches", 1)
            entry.facts.update({"Hash Buckets": buckets, "Hash Batches": batches, "Peak Memory Usage": memory})
            entry.properties.append(("Buckets", None, f"{buckets}  Batches: {batches}  Memory Usage: {memory}kB"))

    def _modify(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        if plan.onConflictAction == enums.ONCONFLICT_NONE:
            return
        word = "NOTHING" if plan.onConflictAction == enums.ONCONFLICT_NOTHING else "UPDATE"
        entry.properties.append(("Conflict Resolution", word, word))
        if plan.arbiterIndexes:
            names = [lookup(c.RELOID, oid).relname for oid in plan.arbiterIndexes]
            entry.properties.append(("Conflict Arbiter Indexes", names, ", ".join(names)))
        self._qual(entry, "Conflict Filter", plan.onConflictWhere, plan, ancestors, is_scan=False)

    def _sample_scan(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        """``Sampling: method (arguments) REPEATABLE (seed)``."""
        sample = plan.tablesample
        prefix = self.several or self.options.verbose
        method = lookup(c.PROCOID, sample.tsmhandler).proname
        args = [self._expression(arg, plan, ancestors, prefix=prefix) for arg in sample.args]
        text = f"{quote_identifier(method)} ({', '.join(args)})"
        facts: list[tuple[str, Any, Any]] = [("Sampling Method", method, None), ("Sampling Parameters", args, None)]
        if sample.repeatable is not None:
            seed = self._expression(sample.repeatable, plan, ancestors, prefix=prefix)
            text += f" REPEATABLE ({seed})"
            facts.append(("Repeatable Seed", seed, None))
        if self.options.format == "text":
            entry.properties.append(("Sampling", text, text))
        else:
            entry.properties += facts
        if self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=True):
            self._removed(entry, "Rows Removed by Filter", 1, plan)

    def _function_scan(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        if self.options.verbose:
            shown = [self._expression(f.funcexpr, plan, ancestors) for f in plan.functions]
            entry.properties.append(("Function Call", ", ".join(shown), None))
        if self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=True):
            self._removed(entry, "Rows Removed by Filter", 1, plan)

    def _tid_scan(self, entry: Entry, plan: Any, ancestors: list[Any]) -> None:
        quals = plan.tidquals if type(plan).__name__ == "TidScan" else plan.tidrangequals
        tree: Any = quals
        if type(plan).__name__ == "TidScan" and len(quals) > 1:
            from tusk.sql.nodes.make import make_bool

            tree = [make_bool(enums.OR_EXPR, quals)]
        self._qual(entry, "TID Cond", tree, plan, ancestors, is_scan=True)
        if self._qual(entry, "Filter", plan.qual, plan, ancestors, is_scan=True):
            self._removed(entry, "Rows Removed by Filter", 1, plan)

    # Children

    def _below(self, entry: Entry, plan: Any, kind: str, ancestors: list[Any]) -> None:
        for subplan in plan.initPlan:
            entry.children.append(self._subplan(subplan, "InitPlan", ancestors))
        if plan.lefttree is not None:
            entry.children.append(self._node(plan.lefttree, ancestors, "Outer", None))
        if plan.righttree is not None:
            entry.children.append(self._node(plan.righttree, ancestors, "Inner", None))
        if kind in ("Append", "MergeAppend", "BitmapAnd", "BitmapOr"):
            members = plan.appendplans if kind == "Append" else plan.mergeplans if kind == "MergeAppend" else (
                plan.bitmapplans
            )
            for member in members:
                entry.children.append(self._node(member, ancestors, "Member", None))
        elif kind == "SubqueryScan":
            entry.children.append(self._node(plan.subplan, ancestors, "Subquery", None))
        for subplan in _subplans_of(plan):
            entry.children.append(self._subplan(subplan, "SubPlan", ancestors))

    def _subplan(self, subplan: Any, relationship: str, ancestors: list[Any]) -> Entry:
        plan = self.planned.subplans[subplan.plan_id - 1]
        return self._node(plan, [subplan, *ancestors], relationship, subplan.plan_name)

    # Forms

    def text(self, entry: Entry, indent: int = 0, is_top: bool = True) -> list[str]:
        """The lines of the text form."""
        lines = []
        space = "  " * indent
        if entry.subplan_name:
            lines.append(f"{space}{entry.subplan_name}")
            indent += 1
            space = "  " * indent
        if is_top:
            lines.append(f"{entry.label}{entry.numbers}")
            body = "  "
            child_indent = 1
        else:
            lines.append(f"{space}->  {entry.label}{entry.numbers}")
            body = space + "      "
            child_indent = indent + 3
        if entry.facts.get("Disabled"):
            lines.append(f"{body}Disabled: true")
        for label, value, shown in entry.properties:
            lines.append(f"{body}{label}: {value if shown is None else shown}")
        if entry.usage is not None:
            lines += [
                f"{body}{line}"
                for line in usage_lines(entry.usage, buffers=self.options.buffers, wal=self.options.wal)
            ]
        for child in entry.children:
            lines += self.text(child, child_indent, False)
        return lines

    def document(self, entry: Entry) -> dict[str, Any]:
        """The JSON form."""
        result = dict(entry.facts)
        for label, value, _ in entry.properties:
            if isinstance(value, dict):
                for word, number in value.items():
                    result[f"{word.title()} Heap Blocks"] = number
            elif value is not None:
                result[label] = value
        if entry.usage is not None:
            result |= usage_properties(entry.usage, buffers=self.options.buffers, wal=self.options.wal)
        if entry.children:
            result["Plans"] = [self.document(child) for child in entry.children]
        return result


_SCANS = frozenset(
    {"SeqScan", "IndexScan", "IndexOnlyScan", "BitmapHeapScan", "TidScan", "TidRangeScan", "SubqueryScan",
     "FunctionScan", "ValuesScan", "CteScan", "WorkTableScan", "SampleScan", "TableFuncScan"}
)  # fmt: skip
_HANDLERS: dict[str, Callable[[NodeWriter, Entry, Any, list[Any]], None]] = {
    "IndexScan": NodeWriter._index_scan, "IndexOnlyScan": NodeWriter._index_scan,
    "BitmapIndexScan": NodeWriter._bitmap_index_scan, "BitmapHeapScan": NodeWriter._bitmap_heap_scan,
    "NestLoop": NodeWriter._join, "HashJoin": NodeWriter._join, "MergeJoin": NodeWriter._join,
    "Sort": NodeWriter._sort, "MergeAppend": NodeWriter._merge_append, "Agg": NodeWriter._agg,
    "Group": NodeWriter._group, "Hash": NodeWriter._hash, "ModifyTable": NodeWriter._modify,
    "FunctionScan": NodeWriter._function_scan, "TidScan": NodeWriter._tid_scan,
    "TidRangeScan": NodeWriter._tid_scan, "SampleScan": NodeWriter._sample_scan,
}  # fmt: skip


def _children_disabled(plan: Any) -> bool:
    """Whether what a plan counts as disabled is all below it (plan_is_disabled)."""
    below = 0
    for child in (plan.lefttree, plan.righttree):
        if child is not None:
            below += child.disabled_nodes
    for name in ("appendplans", "mergeplans", "bitmapplans"):
        below += sum(child.disabled_nodes for child in getattr(plan, name, None) or ())
    subplan = getattr(plan, "subplan", None)
    if subplan is not None:
        below += subplan.disabled_nodes
    return bool(plan.disabled_nodes <= below)


def _used_relations(planned: Any) -> frozenset[int]:
    """Range table entries that the plan shows (ExplainPreScanNode)."""
    used: set[int] = set()

    def visit(node: Node) -> bool:
        scanrelid = getattr(node, "scanrelid", 0)
        if scanrelid:
            used.add(scanrelid)
        if type(node).__name__ == "ModifyTable":
            used.add(node.nominalRelation)
            if node.exclRelRTI:
                used.add(node.exclRelRTI)
        return False

    walk(planned.planTree, visit)
    walk(planned.subplans, visit)
    return frozenset(used)


_EXPRESSION_FIELDS = (
    "targetlist", "qual", "joinqual", "resconstantqual", "hashclauses", "mergeclauses", "indexqual", "functions",
    "values_lists", "limitOffset", "limitCount", "returningLists", "onConflictSet", "onConflictWhere", "startOffset",
    "endOffset", "runCondition",
)  # fmt: skip


def _subplans_of(plan: Any) -> list[Any]:
    """SubPlan nodes in a plan node's own expressions, each plan once."""
    found: dict[int, Any] = {}

    def visit(node: Node) -> bool:
        if type(node).__name__ == "SubPlan":
            found.setdefault(node.plan_id, node)
        return False

    for name in _EXPRESSION_FIELDS:
        value = getattr(plan, name, None)
        if value is not None:
            walk(value, visit)
    return [found[number] for number in sorted(found)]


def _column_type(plan: Any, number: int) -> int:
    from tusk.sql.nodes.nodefuncs import expr_type

    return expr_type(next(t for t in plan.targetlist if t.resno == number).expr)


def _sort_suffix(operator: int, collation: int, nulls_first: bool, type_oid: int) -> str:
    """`` COLLATE ... DESC NULLS LAST`` (show_sortorder_options)."""
    from tusk.sql.analyze import lookup as lk

    text = ""
    if collation and collation != 100:
        row = lookup(c.COLLOID, collation)
        kind = lookup(c.TYPEOID, type_oid)
        if kind.typcollation != collation:
            text += f" COLLATE {quote_identifier(row.collname)}"
    operators = lk.type_operators(type_oid)
    reverse = operator == operators.gt
    if reverse:
        text += " DESC"
    elif operator != operators.lt:
        text += f" USING {lookup(c.OPEROID, operator).oprname}"
        properties = lk.equality_op_for_ordering_op(operator)
        reverse = bool(properties[1])
    if nulls_first and not reverse:
        text += " NULLS FIRST"
    elif not nulls_first and reverse:
        text += " NULLS LAST"
    return text
