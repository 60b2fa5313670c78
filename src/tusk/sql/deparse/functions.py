"""The pg_get_*def family of functions. Imported for its effect: each registers itself under its prosrc name."""

from __future__ import annotations

from tusk.catalog.cache import ATTNAME, AUTHOID, PROCOID, RELOID, lookup, scan_rows
from tusk.catalog.names import quote_qualified_identifier
from tusk.catalog.namespace import get_namespace_name, relation_oid_by_name, split_identifier_string
from tusk.errors import SqlError, errcode
from tusk.sql.analyze.relations import relation_info
from tusk.sql.deparse.context import PRETTY_INDENT, PRETTY_PAREN, PRETTY_SCHEMA
from tusk.sql.deparse.objects import (
    arguments_text,
    body_text,
    constraint_text,
    expression_text,
    function_definition,
    index_text,
    result_text,
    rule_text,
    trigger_text,
)  # fmt: skip
from tusk.sql.deparse.queries import query_text
from tusk.sql.nodes import enums, read_node_tree
from tusk.sql.rewrite.rules import rules_of
from tusk.types.registry import function

_PRETTY = PRETTY_PAREN | PRETTY_INDENT | PRETTY_SCHEMA


def _flags(pretty: bool) -> int:
    return _PRETTY if pretty else PRETTY_INDENT


def view_definition(relid: int, flags: int, wrap: int = 0) -> str | None:
    """The query of a view with its semicolon, None when there is no such view (pg_get_viewdef_worker)."""
    row = lookup(RELOID, relid)
    if row is None or not row.relhasrules:
        return None
    for rule in rules_of(relid):
        if rule.event == enums.CMD_SELECT and rule.name == "_RETURN":
            names = [a.attname for a in relation_info(relid).attributes]
            return query_text(rule.actions[0], flags, wrap, names) + ";"
    return None


def _relation_named(name: str) -> int:
    names = split_identifier_string(name, ".")
    if not names:
        raise SqlError(errcode.INVALID_NAME, "invalid name syntax")
    return relation_oid_by_name(names[-1], names[-2] if len(names) > 1 else None)


@function("pg_get_viewdef")
def _viewdef(relid: int) -> str | None:
    return view_definition(relid, PRETTY_INDENT)


@function("pg_get_viewdef_ext")
def _viewdef_ext(relid: int, pretty: bool) -> str | None:
    return view_definition(relid, _flags(pretty))


@function("pg_get_viewdef_wrap")
def _viewdef_wrap(relid: int, wrap: int) -> str | None:
    return view_definition(relid, _PRETTY, wrap)


@function("pg_get_viewdef_name")
def _viewdef_name(name: str) -> str | None:
    return view_definition(_relation_named(name), PRETTY_INDENT)


@function("pg_get_viewdef_name_ext")
def _viewdef_name_ext(name: str, pretty: bool) -> str | None:
    return view_definition(_relation_named(name), _flags(pretty))


@function("pg_get_expr")
def _expr(tree: str, relid: int) -> str | None:
    return _expr_text(tree, relid, PRETTY_INDENT)


@function("pg_get_expr_ext")
def _expr_ext(tree: str, relid: int, pretty: bool) -> str | None:
    return _expr_text(tree, relid, _flags(pretty))


def _expr_text(tree: str, relid: int, flags: int) -> str | None:
    if relid and lookup(RELOID, relid) is None:
        return None
    return expression_text(read_node_tree(tree), relid, flags)


@function("pg_get_indexdef")
def _indexdef(index: int) -> str | None:
    return index_text(index)


@function("pg_get_indexdef_ext")
def _indexdef_ext(index: int, column: int, pretty: bool) -> str | None:
    return index_text(index, column, columns_only=column != 0, flags=_flags(pretty))


@function("pg_get_constraintdef")
def _constraintdef(constraint: int) -> str | None:
    return constraint_text(constraint, PRETTY_INDENT)


@function("pg_get_constraintdef_ext")
def _constraintdef_ext(constraint: int, pretty: bool) -> str | None:
    return constraint_text(constraint, _flags(pretty))


@function("pg_get_functiondef")
def _functiondef(oid: int) -> str | None:
    return function_definition(oid)


@function("pg_get_function_arguments")
def _arguments(oid: int) -> str | None:
    row = lookup(PROCOID, oid)
    return None if row is None else arguments_text(row, False, True)


@function("pg_get_function_identity_arguments")
def _identity_arguments(oid: int) -> str | None:
    row = lookup(PROCOID, oid)
    return None if row is None else arguments_text(row, False, False)


@function("pg_get_function_result")
def _result(oid: int) -> str | None:
    row = lookup(PROCOID, oid)
    return None if row is None else result_text(row)


@function("pg_get_function_sqlbody")
def _sqlbody(oid: int) -> str | None:
    row = lookup(PROCOID, oid)
    return None if row is None else body_text(row)


@function("pg_get_function_arg_default")
def _arg_default(oid: int, number: int) -> str | None:
    row = lookup(PROCOID, oid)
    if row is None or not row.proargdefaults:
        return None
    modes = row.proargmodes or ("i",) * len(row.proargtypes)
    if not 1 <= number <= len(modes) or modes[number - 1] not in "ibv":
        return None
    inputs = sum(mode in "ibv" for mode in modes[:number])
    defaults = read_node_tree(row.proargdefaults)
    place = inputs - 1 - (len(row.proargtypes) - len(defaults))
    return expression_text(defaults[place], 0) if place >= 0 else None


@function("pg_get_triggerdef")
def _triggerdef(oid: int) -> str | None:
    return trigger_text(oid, False)


@function("pg_get_triggerdef_ext")
def _triggerdef_ext(oid: int, pretty: bool) -> str | None:
    return trigger_text(oid, pretty)


@function("pg_get_ruledef")
def _ruledef(oid: int) -> str | None:
    return rule_text(oid, PRETTY_INDENT)


@function("pg_get_ruledef_ext")
def _ruledef_ext(oid: int, pretty: bool) -> str | None:
    return rule_text(oid, _flags(pretty))


@function("pg_get_userbyid")
def _userbyid(oid: int) -> str:
    row = lookup(AUTHOID, oid)
    return f"unknown (OID={oid})" if row is None else row.rolname


@function("pg_get_serial_sequence")
def _serial_sequence(table: str, column: str) -> str | None:
    relid = _relation_named(table)
    attribute = lookup(ATTNAME, relid, column)
    if attribute is None or attribute.attisdropped:
        raise SqlError(
            errcode.UNDEFINED_COLUMN, f'column "{column}" of relation "{relation_info(relid).name}" does not exist'
        )
    for row in scan_rows("pg_depend", refclassid=1259, refobjid=relid):
        if row.refobjsubid == attribute.attnum and row.classid == 1259 and row.deptype in "ai":
            sequence = lookup(RELOID, row.objid)
            if sequence is not None and sequence.relkind == "S":
                return quote_qualified_identifier(get_namespace_name(sequence.relnamespace), sequence.relname)
    return None
