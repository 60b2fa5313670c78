"""The SQL functions over all this: pg_get_viewdef() and its kin. Importing the module registers them."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import AUTHOID, PROCOID, RELOID, lookup
from tusk.catalog.namespace import relation_oid_by_name, split_identifier_string
from tusk.catalog.objectaddress import ObjectAddress, object_description
from tusk.errors import SqlError, errcode
from tusk.sql.deparse import constraints, indexes, routines
from tusk.sql.deparse.expression import stored_expression
from tusk.sql.deparse.identities import object_identity
from tusk.sql.deparse.writer import PRETTY_INDENT, PRETTY_PAREN, WRAP_COLUMN_DEFAULT, pretty_flags
from tusk.types.registry import ColumnInfo, bless_record, function
from tusk.types.values import Array, Record

TEXTOID, RECORDOID = 25, 2249
_RELATION_CLASS = 1259


def _relation_named(name: str) -> int:
    names = split_identifier_string(name, ".")
    if not names:
        raise SqlError(errcode.INVALID_NAME, "invalid name syntax")
    return relation_oid_by_name(names[-1], names[-2] if len(names) > 1 else None)


# Views


@function("pg_get_viewdef")
def _viewdef(relid: int) -> str | None:
    return constraints.view_definition(relid, PRETTY_INDENT, WRAP_COLUMN_DEFAULT)


@function("pg_get_viewdef_ext")
def _viewdef_ext(relid: int, pretty: bool) -> str | None:
    return constraints.view_definition(relid, pretty_flags(pretty), WRAP_COLUMN_DEFAULT)


@function("pg_get_viewdef_wrap")
def _viewdef_wrap(relid: int, wrap: int) -> str | None:
    return constraints.view_definition(relid, pretty_flags(True), wrap)


@function("pg_get_viewdef_name")
def _viewdef_name(name: str) -> str | None:
    return constraints.view_definition(_relation_named(name), PRETTY_INDENT, WRAP_COLUMN_DEFAULT)


@function("pg_get_viewdef_name_ext")
def _viewdef_name_ext(name: str, pretty: bool) -> str | None:
    return constraints.view_definition(_relation_named(name), pretty_flags(pretty), WRAP_COLUMN_DEFAULT)


# Parts of tables


def _expression(tree: str, relid: int, flags: int) -> str | None:
    if relid and lookup(RELOID, relid) is None:
        return None
    return stored_expression(tree, relid, flags)


@function("pg_get_expr")
def _expr(tree: str, relid: int) -> str | None:
    return _expression(tree, relid, PRETTY_INDENT)


@function("pg_get_expr_ext")
def _expr_ext(tree: str, relid: int, pretty: bool) -> str | None:
    return _expression(tree, relid, pretty_flags(pretty))


@function("pg_get_indexdef")
def _indexdef(index: int) -> str | None:
    return indexes.index_definition(index, 0)


@function("pg_get_indexdef_ext")
def _indexdef_ext(index: int, column: int, pretty: bool) -> str | None:
    return indexes.index_definition(index, pretty_flags(pretty), column=column, attributes_only=column != 0)


@function("pg_get_constraintdef")
def _constraintdef(constraint: int) -> str | None:
    return constraints.constraint_definition(constraint, PRETTY_INDENT)


@function("pg_get_constraintdef_ext")
def _constraintdef_ext(constraint: int, pretty: bool) -> str | None:
    return constraints.constraint_definition(constraint, pretty_flags(pretty))


@function("pg_get_triggerdef")
def _triggerdef(trigger: int) -> str | None:
    return constraints.trigger_definition(trigger, False)


@function("pg_get_triggerdef_ext")
def _triggerdef_ext(trigger: int, pretty: bool) -> str | None:
    return constraints.trigger_definition(trigger, pretty)


@function("pg_get_ruledef")
def _ruledef(rule: int) -> str | None:
    return constraints.rule_definition(rule, PRETTY_INDENT)


@function("pg_get_ruledef_ext")
def _ruledef_ext(rule: int, pretty: bool) -> str | None:
    return constraints.rule_definition(rule, pretty_flags(pretty))


@function("pg_get_partkeydef")
def _partkeydef(relid: int) -> str | None:
    return indexes.partition_key_definition(relid, PRETTY_INDENT)


@function("pg_get_statisticsobjdef")
def _statisticsobjdef(oid: int) -> str | None:
    return indexes.statistics_definition(oid, PRETTY_PAREN)


@function("pg_get_statisticsobjdef_columns")
def _statisticsobjdef_columns(oid: int) -> str | None:
    return indexes.statistics_definition(oid, PRETTY_PAREN, columns_only=True)


@function("pg_get_statisticsobjdef_expressions")
def _statisticsobjdef_expressions(oid: int) -> Array | None:
    shown = indexes.statistics_expressions(oid, PRETTY_PAREN)
    return None if shown is None else Array(TEXTOID, (len(shown),), (1,), tuple(shown))


# Functions


@function("pg_get_functiondef")
def _functiondef(oid: int) -> str | None:
    return routines.function_definition(oid)


@function("pg_get_function_arguments")
def _function_arguments(oid: int) -> str | None:
    row = lookup(PROCOID, oid)
    return None if row is None else routines.arguments_text(row, defaults=True)[0]


@function("pg_get_function_identity_arguments")
def _function_identity_arguments(oid: int) -> str | None:
    row = lookup(PROCOID, oid)
    return None if row is None else routines.identity_arguments(row)


@function("pg_get_function_result")
def _function_result(oid: int) -> str | None:
    row = lookup(PROCOID, oid)
    return None if row is None or row.prokind == "p" else routines.result_text(row)


@function("pg_get_function_arg_default")
def _function_arg_default(oid: int, number: int) -> str | None:
    row = lookup(PROCOID, oid)
    return None if row is None else routines.argument_default(row, number)


@function("pg_get_function_sqlbody")
def _function_sqlbody(oid: int) -> str | None:
    row = lookup(PROCOID, oid)
    return None if row is None or row.prosqlbody is None else routines.sql_body(row)


# Objects


@function("pg_get_userbyid")
def _userbyid(oid: int) -> str:
    row = lookup(AUTHOID, oid)
    return f"unknown (OID={oid})" if row is None else str(row.rolname)


@function("pg_describe_object")
def _describe_object(classid: int, objid: int, objsubid: int) -> str | None:
    if not classid and not objid:
        # Pinned objects have no row of their own in pg_depend.
        return None
    address: Any = ObjectAddress(classid, objid, objsubid)
    return object_description(address, missing_ok=True)


@function("pg_identify_object")
def _identify_object(classid: int, oid: int, subid: int) -> Any:
    typmod = bless_record(tuple(ColumnInfo(name, TEXTOID) for name in ("type", "schema", "name", "identity")))
    return Record(RECORDOID, typmod, object_identity(classid, oid, subid) or (None, None, None, None))
