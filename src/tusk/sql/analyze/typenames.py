"""TypeName nodes to types (parse_type.c's business): lookup, modifiers, arrays, %TYPE, type names in text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tusk.catalog.cache import TYPEOID, lookup
from tusk.catalog.names import format_type
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.names import collation_oid, deconstruct, name_list_to_string, type_oid_by_name
from tusk.sql.analyze.relations import NoLock, relation_info, relation_oid
from tusk.sql.analyze.state import ParseState, error_at, position_of_errors
from tusk.sql.nodes import nodefuncs
from tusk.sql.nodes.literals import Float, Integer, String
from tusk.sql.nodes.parsetree import A_Const, ColumnRef, SelectStmt, TypeName


def type_name_to_string(name: TypeName) -> str:
    """The name as written, for messages (TypeNameToString)."""
    text = name_list_to_string(name.names) if name.names else format_type(name.typeOid)
    if name.pct_type:
        text += "%TYPE"
    return text + ("[]" if name.arrayBounds else "")


def _percent_type(pstate: ParseState | None, name: TypeName, missing_ok: bool) -> int:
    names = nodefuncs.string_list(name.names)
    if len(names) == 1:
        raise error_at(
            pstate,
            errcode.SYNTAX_ERROR,
            f"improper %TYPE reference (too few dotted names): {'.'.join(names)}",
            name.location,
        )
    if len(names) > 4:
        raise error_at(
            pstate,
            errcode.SYNTAX_ERROR,
            f"improper %TYPE reference (too many dotted names): {'.'.join(names)}",
            name.location,
        )
    schema = names[-3] if len(names) > 2 else None
    relation = relation_oid(schema, names[-2], NoLock, names[0] if len(names) == 4 else None)
    if not relation:
        if missing_ok:
            return 0
        shown = f"{schema}.{names[-2]}" if schema else names[-2]
        raise SqlError(errcode.UNDEFINED_TABLE, f'relation "{shown}" does not exist')
    attribute = relation_info(relation).by_name.get(names[-1])
    if attribute is None:
        if missing_ok:
            return 0
        raise error_at(
            pstate,
            errcode.UNDEFINED_COLUMN,
            f'column "{names[-1]}" of relation "{names[-2]}" does not exist',
            name.location,
        )
    return attribute.atttypid  # type: ignore[no-any-return]


def lookup_type_name(pstate: ParseState | None, name: TypeName, missing_ok: bool = False) -> tuple[Any, int] | None:
    """(pg_type row, typmod) of a TypeName, None when there is no such type (LookupTypeNameExtended).

    A shell type is returned too; callers check ``typisdefined``.
    """
    if not name.names:
        oid = name.typeOid
    elif name.pct_type:
        oid = _percent_type(pstate, name, missing_ok)
        if name.arrayBounds:
            oid = lk.array_type(oid)
    else:
        schema, own = deconstruct(nodefuncs.string_list(name.names))
        if schema is not None:
            with position_of_errors(pstate, name.location):
                oid = type_oid_by_name(schema, own, missing_ok)
        else:
            oid = type_oid_by_name(None, own)
        if name.arrayBounds:
            oid = lk.array_type(oid) if oid else 0
    row = lookup(TYPEOID, oid) if oid else None
    if row is None:
        return None
    return row, type_name_typmod(pstate, name, row)


def type_name_typmod(pstate: ParseState | None, name: TypeName, row: Any) -> int:
    """The typmod that a TypeName's modifiers mean (typenameTypeMod)."""
    if not name.typmods:
        return int(name.typemod)
    if not row.typisdefined:
        raise error_at(
            pstate,
            errcode.SYNTAX_ERROR,
            f'type modifier cannot be specified for shell type "{type_name_to_string(name)}"',
            name.location,
        )
    if row.typmodin == 0:
        raise error_at(
            pstate,
            errcode.SYNTAX_ERROR,
            f'type modifier is not allowed for type "{type_name_to_string(name)}"',
            name.location,
        )
    texts = []
    for modifier in name.typmods:
        text = None
        if isinstance(modifier, A_Const):
            value = modifier.val
            if isinstance(value, Integer):
                text = str(value.ival)
            elif isinstance(value, Float):
                text = value.fval
            elif isinstance(value, String):
                text = value.sval
        elif isinstance(modifier, ColumnRef) and len(modifier.fields) == 1 and isinstance(modifier.fields[0], String):
            text = modifier.fields[0].sval
        if text is None:
            raise error_at(
                pstate, errcode.SYNTAX_ERROR, "type modifiers must be simple constants or identifiers", name.location
            )
        texts.append(text)
    with position_of_errors(pstate, name.location):
        return call_typmod_in(row.typmodin, texts)


def call_typmod_in(function: int, texts: list[str]) -> int:
    """Call a type's typmod input function on the modifiers' texts."""
    from tusk.types.registry import CallContext, lookup_function
    from tusk.types.values import Array

    definition = lookup_function(lk.proc_row(function).prosrc)
    argument = Array.of(2275, texts)
    result = definition.call(CallContext(), argument) if definition.context else definition.call(argument)
    return int(result)


def type_name_type(pstate: ParseState | None, name: TypeName) -> tuple[Any, int]:
    """(pg_type row, typmod); 42704 when there is no such type or only a shell (typenameType)."""
    found = lookup_type_name(pstate, name)
    if found is None:
        raise error_at(
            pstate, errcode.UNDEFINED_OBJECT, f'type "{type_name_to_string(name)}" does not exist', name.location
        )
    if not found[0].typisdefined:
        raise error_at(
            pstate, errcode.UNDEFINED_OBJECT, f'type "{type_name_to_string(name)}" is only a shell', name.location
        )
    return found


def type_name_oid(pstate: ParseState | None, name: TypeName) -> int:
    """The OID of a type by name."""
    return type_name_type(pstate, name)[0].oid  # type: ignore[no-any-return]


def type_name_oid_typmod(pstate: ParseState | None, name: TypeName) -> tuple[int, int]:
    """The OID and typmod of a type by name (typenameTypeIdAndMod)."""
    row, typmod = type_name_type(pstate, name)
    return row.oid, typmod


def lookup_collation(pstate: ParseState | None, names: list[Any], location: int) -> int:
    """The OID of a collation by name list; 42704 at its place (LookupCollation)."""
    with position_of_errors(pstate, location):
        return collation_oid(nodefuncs.string_list(names))


def column_collation(pstate: ParseState | None, column: Any, type_oid: int) -> int:
    """The collation a ColumnDef gets: from its COLLATE clause or type; 42804 if not collatable."""
    natural = lk.type_collation(type_oid)
    location = column.location
    if column.collClause is not None:
        location = column.collClause.location
        result = lookup_collation(pstate, column.collClause.collname, location)
    elif column.collOid:
        result = column.collOid
    else:
        return natural
    if not natural and result:
        raise error_at(
            pstate,
            errcode.DATATYPE_MISMATCH,
            f"collations are not supported by type {format_type(type_oid)}",
            location,
        )
    return result


def parse_type_name(text: str) -> TypeName:
    """The TypeName of a type's name as it may stand in a cast (typeStringToTypeName)."""
    from tusk.sql.parse import parse

    bad = SqlError(errcode.SYNTAX_ERROR, f'invalid type name "{text}"')
    if not text.strip():
        raise bad
    try:
        statements = parse(f"SELECT NULL::{text}")
    except SqlError as error:
        error.add_context(f'invalid type name "{text}"')
        error.position = 0
        raise
    if len(statements) != 1 or not isinstance(statements[0].stmt, SelectStmt):
        raise bad
    select = statements[0].stmt
    cast = select.targetList[0].val if len(select.targetList) == 1 and select.targetList[0].name is None else None
    name = getattr(cast, "typeName", None)
    if name is None or select.fromClause or select.whereClause is not None or name.setof:
        raise bad
    return name  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def _parsed(text: str) -> TypeName:
    return parse_type_name(text)


def parse_type(text: str) -> tuple[int, int]:
    """(OID, typmod) of a type's name in text (parseTypeString)."""
    return type_name_oid_typmod(None, _parsed(text))
