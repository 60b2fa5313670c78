"""EXPLAIN: plans, and with ANALYZE what running them took (explain.c).

A plan becomes a tree of properties, from which the text and JSON forms are written.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.commands.destination import ResultColumn, send_rows
from tusk.commands.explain_nodes import NodeWriter
from tusk.commands.explain_usage import usage_lines, usage_properties
from tusk.commands.options import boolean_of, position, string_of
from tusk.commands.utility import UtilityContext, describes_rows, utility
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql import analyze, execute, plan, rewrite
from tusk.sql.nodes import RawStmt, enums
from tusk.sql.nodes.base import copy_tree
from tusk.stats._usage import Usage
from tusk.transaction import _snapshot as snapshots

JSON, TEXT = 114, 25


@dataclass
class Options:
    """Options of EXPLAIN."""

    analyze: bool = False
    verbose: bool = False
    costs: bool = True
    buffers: bool = False
    wal: bool = False
    timing: bool = True
    summary: bool | None = None
    settings: bool = False
    generic_plan: bool = False
    format: str = "text"


def read_options(items: list[Any], context: Any) -> Options:
    """The options, checked (ParseExplainOptionList)."""
    options = Options()
    timing_set = buffers_set = False
    for item in items:
        match item.defname:
            case "analyze":
                options.analyze = boolean_of(item)
            case "verbose":
                options.verbose = boolean_of(item)
            case "costs":
                options.costs = boolean_of(item)
            case "buffers":
                options.buffers = boolean_of(item)
                buffers_set = True
            case "timing":
                options.timing = boolean_of(item)
                timing_set = True
            case "summary":
                options.summary = boolean_of(item)
            case "wal":
                options.wal = boolean_of(item)
            case "settings" | "memory" | "serialize" as name:
                if item.arg is None or string_of(item).lower() not in ("off", "false", "none"):
                    raise feature_not_supported(f"EXPLAIN option {name.upper()}")
            case "generic_plan":
                options.generic_plan = boolean_of(item)
            case "format":
                options.format = string_of(item)
                if options.format in ("xml", "yaml"):
                    raise feature_not_supported(f"EXPLAIN format {options.format}")
                if options.format not in ("text", "json"):
                    raise SqlError(
                        errcode.INVALID_PARAMETER_VALUE,
                        f'unrecognized value for EXPLAIN option "format": "{options.format}"',
                        position=position(context, item.location) if context is not None else 0,
                    )
            case name:
                raise SqlError(
                    errcode.SYNTAX_ERROR, f'unrecognized EXPLAIN option "{name}"',
                    position=position(context, item.location) if context is not None else 0,
                )
    if options.wal and not options.analyze:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "EXPLAIN option WAL requires ANALYZE")
    if timing_set and options.timing and not options.analyze:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "EXPLAIN option TIMING requires ANALYZE")
    if options.generic_plan and options.analyze:
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, "EXPLAIN options ANALYZE and GENERIC_PLAN cannot be used together"
        )
    if not buffers_set:
        options.buffers = options.analyze
    if not timing_set:
        options.timing = options.analyze
    if options.summary is None:
        options.summary = options.analyze
    return options


@describes_rows("ExplainStmt")
def explain_columns(statement: Any, _session: Any) -> list[ResultColumn]:
    """One column called QUERY PLAN."""
    form = next((string_of(item) for item in statement.options if item.defname == "format" and item.arg), "text")
    return [ResultColumn("QUERY PLAN", JSON if form == "json" else TEXT)]


@utility("ExplainStmt")
def explain(statement: Any, context: UtilityContext) -> str:
    """EXPLAIN (ExplainQuery)."""
    options = read_options(statement.options, context)
    query = statement.query
    if isinstance(query, RawStmt):
        query = analyze.analyze(query, context.query_text, [])
    columns = explain_columns(statement, context.session)
    lines: list[str] = []
    documents: list[Any] = []
    queries = [query] if query.commandType == enums.CMD_UTILITY else rewrite.rewrite(copy_tree(query))
    for one in queries:
        text, document = _one(one, options, context)
        if lines:
            lines.append("")
        lines += text
        documents.append(document)
    if not queries:
        lines = ["Query rewrites to nothing"]
    if options.format == "json":
        rows = [(json.dumps(documents, indent=2, ensure_ascii=False),)]
    else:
        rows = [(line,) for line in lines]
    send_rows(context.destination, columns, rows)
    return "EXPLAIN"


def _one(query: Any, options: Options, context: UtilityContext) -> tuple[list[str], Any]:
    """EXPLAIN of one query after rewriting."""
    into: Any = None
    if query.commandType == enums.CMD_UTILITY:
        inner = query.utilityStmt
        if type(inner).__name__ == "CreateTableAsStmt":
            into = inner
            query = rewrite.rewrite(copy_tree(inner.query))[0]
        elif type(inner).__name__ == "DeclareCursorStmt":
            query = rewrite.rewrite(copy_tree(inner.query))[0]
        elif type(inner).__name__ == "ExecuteStmt":
            raise feature_not_supported("EXPLAIN EXECUTE")
        else:
            text = "NOTIFY" if type(inner).__name__ == "NotifyStmt" else "Utility statements have no plan structure"
            return [text], {"Utility Statement": text}
    if into is not None and options.analyze:
        raise feature_not_supported("EXPLAIN ANALYZE CREATE TABLE AS")
    usage = Usage()
    usage.begin()
    started = time.perf_counter()
    planned = plan.plan(query, context.query_text, 0, None if options.generic_plan else context.parameters)
    planning_ms = (time.perf_counter() - started) * 1000
    usage.end()
    return explain_plan(planned, options, context.query_text, context.parameters, planning_ms, usage)


def explain_plan(
    planned: Any, options: Options, text: str, parameters: Any, planning_ms: float | None, planning: Usage | None = None
) -> tuple[list[str], Any]:
    """The text and the JSON document of one plan, which is run for ANALYZE (ExplainOnePlan)."""
    executor = execute.Executor(planned, text)
    execution_ms = 0.0
    if options.analyze:
        snapshots.push_active(snapshots.transaction_snapshot())
        try:
            snapshots.update_active_command_id()
            began = time.perf_counter()
            executor.start(parameters, snapshots.active_snapshot(), instrument=True)
            try:
                for _ in executor.run():
                    pass
                executor.finish()
                writer = NodeWriter(planned, executor, options)
                tree = writer.top()
            finally:
                executor.end()
            execution_ms = (time.perf_counter() - began) * 1000
        finally:
            snapshots.pop_active()
    else:
        writer = NodeWriter(planned, executor, options)
        tree = writer.top()
    lines = writer.text(tree)
    document: dict[str, Any] = {"Plan": writer.document(tree)}
    if options.buffers and planning is not None:
        shown = usage_lines(planning, buffers=True, wal=False)
        if shown:
            lines += ["Planning:", *(f"  {line}" for line in shown)]
        document["Planning"] = usage_properties(planning, buffers=True, wal=False)
    if options.summary and planning_ms is not None:
        lines.append(f"Planning Time: {planning_ms:.3f} ms")
        document["Planning Time"] = round(planning_ms, 3)
    if options.analyze:
        document["Triggers"] = []
        if options.summary:
            lines.append(f"Execution Time: {execution_ms:.3f} ms")
            document["Execution Time"] = round(execution_ms, 3)
    return lines, document


def relation_name(oid: int) -> str:
    """A relation's bare name."""
    row = lookup(c.RELOID, oid)
    return "???" if row is None else str(row.relname)
