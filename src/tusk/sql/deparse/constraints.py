"""Definitions of constraints, triggers and rules."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import CONSTROID, INDEXRELID, RELOID, TABLESPACEOID, lookup, scan_rows
from tusk.catalog.identifiers import quote_identifier
from tusk.catalog.names import format_type
from tusk.sql.analyze.relations import relation_info
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.expression import stored_expression
from tusk.sql.deparse.indexes import index_definition
from tusk.sql.deparse.namespaces import Namespace, attribute_name, name_query, name_simple
from tusk.sql.deparse.writer import INDENT_STD, PRETTY_INDENT, PRETTY_SCHEMA, Deparser, pretty_flags, render_query
from tusk.sql.nodes import enums
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.nodetext import read_node_tree
from tusk.sql.nodes.parsetree import RangeTblEntry
from tusk.sql.nodes.primitives import Alias

_ACTIONS = {"a": "", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_MATCHES = {"f": " MATCH FULL", "p": " MATCH PARTIAL", "s": ""}


def _columns(relid: int, attnums: Any, period: str = "") -> str:
    """A list of columns; the last one of a temporal key has a word with it."""
    names = [quote_identifier(attribute_name(relid, attnum)) for attnum in attnums]
    if period == "PERIOD":
        names[-1] = f"PERIOD {names[-1]}"
    elif period:
        names[-1] += f" {period}"
    return ", ".join(names)


def _foreign_key(row: Any) -> str:
    period = "PERIOD" if row.conperiod else ""
    text = (
        f"FOREIGN KEY ({_columns(row.conrelid, row.conkey, period)}) REFERENCES "
        f"{nm.relation_text(row.confrelid)}({_columns(row.confrelid, row.confkey, period)})"
    )
    text += _MATCHES[row.confmatchtype]
    if _ACTIONS[row.confupdtype]:
        text += f" ON UPDATE {_ACTIONS[row.confupdtype]}"
    if _ACTIONS[row.confdeltype]:
        text += f" ON DELETE {_ACTIONS[row.confdeltype]}"
    if row.confdelsetcols:
        text += f" ({_columns(row.conrelid, row.confdelsetcols)})"
    return text


def _key(row: Any, full: bool) -> str:
    index = lookup(INDEXRELID, row.conindid)
    text = "PRIMARY KEY " if row.contype == "p" else "UNIQUE "
    if row.contype == "u" and index is not None and index.indnullsnotdistinct:
        text += "NULLS NOT DISTINCT "
    text += f"({_columns(row.conrelid, row.conkey, 'WITHOUT OVERLAPS' if row.conperiod else '')})"
    if index is not None and index.indnatts > index.indnkeyatts:
        text += f" INCLUDE ({_columns(row.conrelid, index.indkey[index.indnkeyatts :])})"
    if full and index is not None:
        rel = lookup(RELOID, row.conindid)
        if rel.reloptions:
            text += f" WITH ({nm.options_text(rel.reloptions)})"
        if rel.reltablespace:
            text += f" USING INDEX TABLESPACE {quote_identifier(lookup(TABLESPACEOID, rel.reltablespace).spcname)}"
    return text


def constraint_definition(oid: int, flags: int, full: bool = False) -> str | None:
    """A constraint as in CREATE TABLE; ``full`` adds ALTER TABLE before it (pg_get_constraintdef_worker)."""
    row = lookup(CONSTROID, oid)
    if row is None:
        return None
    text = ""
    if full:
        if row.conrelid:
            text = f"ALTER TABLE {nm.qualified_relation_text(row.conrelid)} "
        else:
            text = f"ALTER DOMAIN {format_type(row.contypid, qualify=True)} "
        text += f"ADD CONSTRAINT {quote_identifier(row.conname)} "
    match row.contype:
        case "f":
            text += _foreign_key(row)
        case "p" | "u":
            text += _key(row, full)
        case "c":
            text += f"CHECK ({stored_expression(row.conbin, row.conrelid, flags)})"
            text += " NO INHERIT" if row.connoinherit else ""
        case "n":
            text += "NOT NULL"
            if row.conrelid:
                text += f" {_columns(row.conrelid, row.conkey)}{' NO INHERIT' if row.connoinherit else ''}"
        case "t":
            text += "TRIGGER"
        case "x":
            text += index_definition(row.conindid, flags, exclusion_operators=tuple(row.conexclop)) or ""
    text += " DEFERRABLE" if row.condeferrable else ""
    text += " INITIALLY DEFERRED" if row.condeferred else ""
    if not row.conenforced:
        text += " NOT ENFORCED"
    elif not row.convalidated:
        text += " NOT VALID"
    return text


# Triggers

TRIGGER_ROW, TRIGGER_BEFORE, TRIGGER_INSERT, TRIGGER_DELETE = 1, 2, 4, 8
TRIGGER_UPDATE, TRIGGER_TRUNCATE, TRIGGER_INSTEAD = 16, 32, 64


def _old_and_new(relid: int, kind: str) -> list[Namespace]:
    """The namespace of a trigger's condition: the table twice, as old and new."""
    columns = [String(sval=a.attname if not a.attisdropped else "") for a in relation_info(relid).attributes]
    entries = [
        RangeTblEntry(
            rtekind=enums.RTE_RELATION,
            relid=relid,
            relkind=kind,
            alias=Alias(aliasname=name, colnames=[]),
            eref=Alias(aliasname=name, colnames=columns),
        )
        for name in ("old", "new")
    ]
    namespace = Namespace(entries)
    namespace.rtable_names = ["old", "new"]
    name_simple(namespace)
    return [namespace]


def _trigger_events(row: Any) -> str:
    events = []
    if row.tgtype & TRIGGER_INSERT:
        events.append("INSERT")
    if row.tgtype & TRIGGER_DELETE:
        events.append("DELETE")
    if row.tgtype & TRIGGER_UPDATE:
        events.append(f"UPDATE OF {_columns(row.tgrelid, row.tgattr)}" if row.tgattr else "UPDATE")
    if row.tgtype & TRIGGER_TRUNCATE:
        events.append("TRUNCATE")
    return " OR ".join(events)


def trigger_definition(oid: int, pretty: bool) -> str | None:
    """CREATE TRIGGER (pg_get_triggerdef_worker)."""
    rows = scan_rows("pg_trigger", oid=oid)
    if not rows:
        return None
    row = rows[0]
    if row.tgtype & TRIGGER_BEFORE:
        when = "BEFORE"
    else:
        when = "INSTEAD OF" if row.tgtype & TRIGGER_INSTEAD else "AFTER"
    table = nm.relation_text(row.tgrelid) if pretty else nm.qualified_relation_text(row.tgrelid)
    text = (
        f"CREATE {'CONSTRAINT ' if row.tgconstraint else ''}TRIGGER {quote_identifier(row.tgname)} {when} "
        f"{_trigger_events(row)} ON {table} "
    )
    if row.tgconstraint:
        if row.tgconstrrelid:
            text += f"FROM {nm.relation_text(row.tgconstrrelid)} "
        text += f"{'' if row.tgdeferrable else 'NOT '}DEFERRABLE INITIALLY "
        text += "DEFERRED " if row.tginitdeferred else "IMMEDIATE "
    if row.tgoldtable is not None or row.tgnewtable is not None:
        text += "REFERENCING "
        text += f"OLD TABLE AS {quote_identifier(row.tgoldtable)} " if row.tgoldtable is not None else ""
        text += f"NEW TABLE AS {quote_identifier(row.tgnewtable)} " if row.tgnewtable is not None else ""
    text += "FOR EACH ROW " if row.tgtype & TRIGGER_ROW else "FOR EACH STATEMENT "
    if row.tgqual is not None:
        namespaces = _old_and_new(row.tgrelid, lookup(RELOID, row.tgrelid).relkind)
        d = Deparser(namespaces, pretty_flags(pretty), var_prefix=True)
        d.expression(read_node_tree(row.tgqual), False)
        text += f"WHEN ({d.text}) "
    arguments = bytes(row.tgargs).split(b"\0")[: row.tgnargs] if row.tgnargs else []
    shown = ", ".join(nm.string_literal(argument.decode()) for argument in arguments)
    return f"{text}EXECUTE FUNCTION {nm.function_text(row.tgfoid, [])}({shown})"


# Rules and views

_EVENTS = {"1": "SELECT", "2": "UPDATE", "3": "INSERT", "4": "DELETE"}


def result_names(relid: int) -> list[str]:
    """The column names of a view."""
    return [attribute.attname for attribute in relation_info(relid).attributes]


def view_definition(relid: int, flags: int, wrap: int) -> str | None:
    """The query of a view, None for what is no view (pg_get_viewdef_worker)."""
    rules = scan_rows("pg_rewrite", ev_class=relid, rulename="_RETURN")
    if not rules or rules[0].ev_type != "1" or not rules[0].is_instead:
        return None
    actions = read_node_tree(rules[0].ev_action)
    if len(actions) != 1 or actions[0].commandType != enums.CMD_SELECT:
        return None
    return render_query(actions[0], [], result_names(relid), True, flags, wrap) + ";"


def _rule_query(action: Any) -> Any:
    """The query whose range table holds old and new: of INSERT ... SELECT it is the SELECT (getInsertSelectQuery)."""
    if action.commandType != enums.CMD_INSERT or action.jointree is None:
        return action
    if len(action.rtable) >= 2 and all(
        action.rtable[i].eref.aliasname == name for i, name in enumerate(("old", "new"))
    ):
        return action
    if len(action.jointree.fromlist) == 1:
        index = getattr(action.jointree.fromlist[0], "rtindex", 0)
        entry = action.rtable[index - 1] if index else None
        if entry is not None and entry.rtekind == enums.RTE_SUBQUERY and entry.subquery is not None:
            return entry.subquery
    return action


def rule_definition(oid: int, flags: int) -> str | None:
    """CREATE RULE (make_ruledef)."""
    rows = scan_rows("pg_rewrite", oid=oid)
    if not rows:
        return None
    row = rows[0]
    actions = read_node_tree(row.ev_action)
    indented = flags & PRETTY_INDENT
    table = nm.relation_text(row.ev_class) if flags & PRETTY_SCHEMA else nm.qualified_relation_text(row.ev_class)
    text = f"CREATE RULE {quote_identifier(row.rulename)} AS{chr(10) if indented else ''}"
    text += f"{'    ' if indented else ' '}ON {_EVENTS[row.ev_type]} TO {table}"
    names = result_names(row.ev_class) if row.ev_type == "1" else None
    if row.ev_qual not in (None, "<>"):
        text += ("\n  " if indented else "") + " WHERE "
        query = _rule_query(actions[0])
        namespace = Namespace()
        d = Deparser([namespace], flags, indent=INDENT_STD, var_prefix=len(query.rtable) != 1)
        name_query(namespace, query, [])
        d.expression(read_node_tree(row.ev_qual), False)
        text += d.text
    text += " DO "
    text += "INSTEAD " if row.is_instead else ""
    if len(actions) > 1:
        text += "("
        for action in actions:
            text += render_query(action, [], names, True, flags) + (";\n" if flags else "; ")
        return text + ");"
    if not actions:
        return text + "NOTHING;"
    return text + render_query(actions[0], [], names, True, flags) + ";"
