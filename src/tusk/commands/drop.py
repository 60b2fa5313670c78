"""DROP of everything (dropcmds.c, tablecmds.c's RemoveRelations)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import namespace as ns
from tusk.catalog import objectaddress as oa
from tusk.catalog.cache import lookup
from tusk.catalog.names import format_type
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.session import session
from tusk.commands.indexes import refuse_system_catalog
from tusk.commands.object_names import (
    RELATION_WORDS,
    check_object_ownership,
    object_address,
    range_var_from_names,
)
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.analyze.typenames import lookup_type_name, type_name_to_string
from tusk.sql.nodes import enums
from tusk.sql.nodes.nodefuncs import string_list

AccessExclusiveLock = 8
_HINTS = {
    "r": ("a table", "Use DROP TABLE to remove a table."), "p": ("a table", "Use DROP TABLE to remove a table."),
    "S": ("a sequence", "Use DROP SEQUENCE to remove a sequence."), "v": ("a view", "Use DROP VIEW to remove a view."),
    "m": ("a materialized view", "Use DROP MATERIALIZED VIEW to remove a materialized view."),
    "i": ("an index", "Use DROP INDEX to remove an index."), "I": ("an index", "Use DROP INDEX to remove an index."),
    "c": ("a type", "Use DROP TYPE to remove a type."),
    "f": ("a foreign table", "Use DROP FOREIGN TABLE to remove a foreign table."),
}  # fmt: skip
_MISSING_CODES = {"index": errcode.UNDEFINED_OBJECT}


@utility("DropStmt")
def drop(statement: Any, _context: UtilityContext) -> None:
    """DROP TABLE, INDEX, SEQUENCE, VIEW, SCHEMA, TYPE, ..."""
    if statement.concurrent:
        raise feature_not_supported("DROP INDEX CONCURRENTLY")
    if statement.removeType in RELATION_WORDS:
        addresses = _relations(statement)
    else:
        addresses = _objects(statement)
    dep.perform_multiple_deletions(addresses, int(statement.behavior), 0)


def _relations(statement: Any) -> list[ObjectAddress]:
    addresses = []
    noun, kinds, article = RELATION_WORDS[statement.removeType]
    for node in statement.objects:
        relation = range_var_from_names(string_list(node))

        def check(relation: Any, oid: int, _old: int) -> None:
            if oid:
                _check_droppable(relation, oid, kinds, article)

        oid = ns.range_var_get_relid(relation, AccessExclusiveLock, missing_ok=True, callback=check)
        if not oid:
            _missing(relation, noun, statement.missing_ok)
            continue
        addresses.append(ObjectAddress(oa.CLASS, oid))
    return addresses


def _missing(relation: Any, noun: str, missing_ok: bool) -> None:
    if relation.schemaname and not ns.lookup_namespace_no_error(relation.schemaname):
        text = f'schema "{relation.schemaname}" does not exist'
        code = errcode.UNDEFINED_SCHEMA
    else:
        text = f'{noun} "{relation.relname}" does not exist'
        code = _MISSING_CODES.get(noun, errcode.UNDEFINED_TABLE)
    if not missing_ok:
        raise SqlError(code, text)
    report(Severity.NOTICE, f"{text}, skipping")


def _check_droppable(relation: Any, oid: int, kinds: str, article: str) -> None:
    row = lookup(c.RELOID, oid)
    if row is None:
        return
    if row.relkind not in kinds:
        hint = _HINTS.get(row.relkind)
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, f'"{relation.relname}" is not {article}', hint=hint[1] if hint else None
        )
    user = session.current_user_id
    if not acl.object_ownercheck(oa.CLASS, oid, user) and not acl.object_ownercheck(
        oa.NAMESPACE, row.relnamespace, user
    ):
        raise acl.not_owner_error(*acl.object_noun(oa.CLASS, oid))
    refuse_system_catalog(oid)


def _objects(statement: Any) -> list[ObjectAddress]:
    """Objects other than relations (RemoveObjects)."""
    addresses = []
    for node in statement.objects:
        address = object_address(statement.removeType, node, AccessExclusiveLock, statement.missing_ok)
        if address is None:
            report(Severity.NOTICE, _skipping(statement.removeType, node))
            continue
        namespace = _namespace_of(address)
        if not namespace or not acl.object_ownercheck(oa.NAMESPACE, namespace, session.current_user_id):
            check_object_ownership(address)
        if address.classid == oa.PROC and statement.removeType == enums.OBJECT_FUNCTION:
            row = lookup(c.PROCOID, address.objid)
            if row.prokind == "a":
                raise SqlError(
                    errcode.WRONG_OBJECT_TYPE, f'"{row.proname}" is an aggregate function',
                    hint="Use DROP AGGREGATE to drop aggregate functions.",
                )
        addresses.append(address)
    return addresses


def _namespace_of(address: ObjectAddress) -> int:
    columns = {
        oa.TYPE: (c.TYPEOID, "typnamespace"), oa.PROC: (c.PROCOID, "pronamespace"),
        oa.COLLATION: (c.COLLOID, "collnamespace"), oa.OPERATOR: (c.OPEROID, "oprnamespace"),
    }.get(address.classid)  # fmt: skip
    if columns is None:
        return 0
    row = lookup(columns[0], address.objid)
    return 0 if row is None else getattr(row, columns[1])


def _skipping(kind: Any, node: Any) -> str:
    """The notice for an object that IF EXISTS did not find (does_not_exist_skipping)."""
    from tusk.commands.completion import _OBJECT_WORDS

    noun = _OBJECT_WORDS.get(kind.name, "object").lower()
    if kind in (enums.OBJECT_TYPE, enums.OBJECT_DOMAIN):
        names = string_list(node.names)
        if len(names) > 1 and not ns.lookup_namespace_no_error(names[-2]):
            return f'schema "{names[-2]}" does not exist, skipping'
        return f'type "{type_name_to_string(node)}" does not exist, skipping'
    if hasattr(node, "objname"):
        names = string_list(node.objname)
        for argument in node.objargs:
            if argument is not None and lookup_type_name(None, argument, True) is None:
                return f'type "{type_name_to_string(argument)}" does not exist, skipping'
        types = ",".join(
            format_type(found[0].oid) for argument in node.objargs
            if argument is not None and (found := lookup_type_name(None, argument, True)) is not None
        )  # fmt: skip
        return f"{noun} {'.'.join(names)}({types}) does not exist, skipping"
    if kind in (enums.OBJECT_TRIGGER, enums.OBJECT_RULE, enums.OBJECT_POLICY):
        names = string_list(node)
        relation = range_var_from_names(names[:-1])
        if not ns.range_var_get_relid(relation, 0, missing_ok=True):
            return f'relation "{".".join(names[:-1])}" does not exist, skipping'
        return f'{noun} "{names[-1]}" for relation "{".".join(names[:-1])}" does not exist, skipping'
    name = node.sval if hasattr(node, "sval") else ".".join(string_list(node))
    return f'{noun} "{name}" does not exist, skipping'
