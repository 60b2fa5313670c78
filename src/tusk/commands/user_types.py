"""CREATE and ALTER TYPE and DOMAIN: enums, composite types, domains (typecmds.c, pg_enum.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tusk.catalog import acl, heap
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, delete_row, insert_row, new_oid, update_row
from tusk.catalog.acl import default_acl_for_new_object
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.facts import builtin_rows
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.names import format_type
from tusk.catalog.namespace import (
    get_namespace_name,
    qualified_name_get_creation_namespace,
)
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.rows import PgEnum
from tusk.catalog.session import session
from tusk.commands import expressions
from tusk.commands.object_names import type_address
from tusk.commands.table_definition import Definition, check_column_type
from tusk.commands.tables import check_type_usage, creation_namespace, relation_column
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.analyze.coerce import coerce_to_boolean
from tusk.sql.analyze.collate import assign_expr_collations
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.state import ExprKind, ParseState
from tusk.sql.analyze.typenames import column_collation, type_name_oid_typmod
from tusk.sql.execute import domain_checks as _domain_checks  # noqa: F401  # registers the service
from tusk.sql.nodes import CoerceToDomainValue, ColumnDef, enums
from tusk.sql.nodes.nodefuncs import string_list

_ENUM_IN, _ENUM_OUT, _ENUM_RECV, _ENUM_SEND = 3504, 3505, 3532, 3533
_DOMAIN_IN, _DOMAIN_RECV = 2597, 2598


def _new_type_name(names: list[Any]) -> tuple[int, str]:
    """(schema, name) of a type to be made; 42501, and 42710 where the name is taken."""
    namespace, name = qualified_name_get_creation_namespace(string_list(names))
    acl.require_privilege(oa.NAMESPACE, namespace, acl.ACL_CREATE)
    existing = lookup(c.TYPENAMENSP, name, namespace)
    if existing is not None and not heap.move_array_type_away(existing.oid):
        raise SqlError(errcode.DUPLICATE_OBJECT, f'type "{name}" already exists')
    return namespace, name


def _create_with_array(row: Any, references: Sequence[ObjectAddress] = ()) -> int:
    """Insert a type with its array type; returns its OID."""
    array = new_oid("pg_type")
    row.oid = new_oid("pg_type")
    row.typarray = array
    insert_row(row)
    heap.record_type_dependencies(row, extra=references)
    array_row = heap.array_type_row(
        array, heap.array_type_name(row.typname, row.typnamespace), row.typnamespace, row.typowner, row.oid,
        row.typalign, row.typcollation,
    )
    insert_row(array_row)
    heap.record_type_dependencies(array_row, is_implicit_array=True)
    command_counter_increment()
    oid: int = row.oid
    return oid


# Enums


@utility("CreateEnumStmt")
def create_enum(statement: Any, _context: UtilityContext) -> None:
    """CREATE TYPE AS ENUM (DefineEnum)."""
    namespace, name = _new_type_name(statement.typeName)
    template = next(row for row in builtin_rows("pg_type") if row.typname == "int4")
    owner = session.current_user_id
    row = template.copy(
        typname=name, typnamespace=namespace, typowner=owner, typlen=4, typbyval=True, typtype="e", typcategory="E",
        typispreferred=False, typsubscript=0, typelem=0, typinput=_ENUM_IN, typoutput=_ENUM_OUT,
        typreceive=_ENUM_RECV, typsend=_ENUM_SEND, typalign="i", typstorage="p", t_self=None,
        typacl=default_acl_for_new_object("type", owner, namespace),
    )  # fmt: skip
    oid = _create_with_array(row)
    labels = [value.sval for value in statement.vals]
    for label in labels:
        _check_label(label)
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise SqlError(errcode.DUPLICATE_OBJECT, f'enum label "{twice}" used more than once')
    oids = sorted(_even_oid() for _ in labels)
    for number, (label, label_oid) in enumerate(zip(labels, oids, strict=True), 1):
        insert_row(PgEnum(oid=label_oid, enumtypid=oid, enumsortorder=float(number), enumlabel=label))
    command_counter_increment()


def _even_oid() -> int:
    """Even OIDs sort as the labels were given: they can be compared without a look at pg_enum."""
    while True:
        oid = new_oid("pg_enum")
        if oid % 2 == 0:
            return int(oid)


def _check_label(label: str) -> None:
    if len(label.encode()) > 63 or not label:
        raise SqlError(
            errcode.INVALID_NAME, f'invalid enum label "{label}"', detail="Labels must be 63 bytes or less."
        )


@utility("AlterEnumStmt")
def alter_enum(statement: Any, _context: UtilityContext) -> None:
    """ALTER TYPE ADD VALUE, RENAME VALUE (AlterEnum)."""
    address = type_address(enums.OBJECT_TYPE, statement.typeName, False)
    assert address is not None
    row = lookup(c.TYPEOID, address.objid)
    if row.typtype != "e":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f"{format_type(row.oid)} is not an enum")
    acl.require_owner(oa.TYPE, row.oid)
    labels = sorted(scan_rows("pg_enum", enumtypid=row.oid), key=lambda r: r.enumsortorder)
    if statement.oldVal is not None:
        _rename_label(labels, statement.oldVal, statement.newVal)
    else:
        _add_label(row.oid, labels, statement)


def _rename_label(labels: list[Any], old: str, new: str) -> None:
    _check_label(new)
    row = next((label for label in labels if label.enumlabel == old), None)
    if row is None:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'"{old}" is not an existing enum label')
    if any(label.enumlabel == new for label in labels):
        raise SqlError(errcode.DUPLICATE_OBJECT, f'enum label "{new}" already exists')
    update_row(row.copy(enumlabel=new), row)


def _add_label(type_oid: int, labels: list[Any], statement: Any) -> None:
    """A new value at the end or beside another one (AddEnumLabel)."""
    new = statement.newVal
    _check_label(new)
    if any(label.enumlabel == new for label in labels):
        if not statement.skipIfNewValExists:
            raise SqlError(errcode.DUPLICATE_OBJECT, f'enum label "{new}" already exists')
        report(Severity.NOTICE, f'enum label "{new}" already exists, skipping', sqlstate=errcode.DUPLICATE_OBJECT)
        return
    if statement.newValNeighbor is None:
        order = labels[-1].enumsortorder + 1 if labels else 1.0
        at_end = True
    else:
        place = next((i for i, label in enumerate(labels) if label.enumlabel == statement.newValNeighbor), None)
        if place is None:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, f'"{statement.newValNeighbor}" is not an existing enum label'
            )
        if statement.newValIsAfter:
            place += 1
        at_end = place == len(labels)
        if at_end:
            order = labels[-1].enumsortorder + 1
        elif place == 0:
            order = labels[0].enumsortorder - 1
        else:
            import struct

            middle = (labels[place - 1].enumsortorder + labels[place].enumsortorder) / 2
            order = struct.unpack("f", struct.pack("f", middle))[0]
            if order in (labels[place - 1].enumsortorder, labels[place].enumsortorder):
                # No number fits in between: number all of them anew.
                for i, label in enumerate(labels):
                    update_row(label.copy(enumsortorder=float(i + 1 + (i >= place))), label)
                order = float(place + 1)
    highest = max((label.oid for label in labels), default=0)
    while True:
        oid = new_oid("pg_enum")
        # An even OID says that it sorts where its number is; others are compared by their sort order.
        if oid % 2 == 0 if at_end and highest < oid else oid % 2 == 1:
            break
    insert_row(PgEnum(oid=oid, enumtypid=type_oid, enumsortorder=order, enumlabel=new))
    command_counter_increment()


# Composite types


@utility("CompositeTypeStmt")
def create_composite(statement: Any, context: UtilityContext) -> None:
    """CREATE TYPE AS (...) (DefineCompositeType)."""
    relation = statement.typevar
    namespace, _ = creation_namespace(relation)
    existing = lookup(c.TYPENAMENSP, relation.relname, namespace)
    if existing is not None and not heap.move_array_type_away(existing.oid):
        raise SqlError(errcode.DUPLICATE_OBJECT, f'type "{relation.relname}" already exists')
    definition = Definition(context, relation.relname, namespace, "p")
    for element in statement.coldeflist:
        assert isinstance(element, ColumnDef)
        definition.add_column(element)
    columns = [relation_column(planned) for planned in definition.columns]
    heap.check_column_names(columns, "c")
    for column in columns:
        check_type_usage(column.type_oid)
        check_column_type(column.name, column.type_oid, column.collation)
    heap.create_relation(relation.relname, namespace, columns, relkind="c")


# Domains


@utility("CreateDomainStmt")
def create_domain(statement: Any, context: UtilityContext) -> None:
    """CREATE DOMAIN (DefineDomain)."""
    namespace, name = _new_type_name(statement.domainname)
    state = ParseState(text=context.query_text)
    base, typmod = type_name_oid_typmod(state, statement.typeName)
    base_row = lookup(c.TYPEOID, base)
    if base_row.typtype not in "bcderm":
        raise SqlError(
            errcode.DATATYPE_MISMATCH, f'"{base_row.typname}" is not a valid base type for a domain'
        )
    check_type_usage(base)
    column = ColumnDef(collClause=statement.collClause, location=-1)
    collation = column_collation(state, column, base)
    default, not_null, checks = _domain_constraints(statement.constraints, name, base, typmod, context)
    owner = session.current_user_id
    row = base_row.copy(
        typname=name, typnamespace=namespace, typowner=owner, typtype="d", typispreferred=False, typsubscript=0,
        typrelid=0, typelem=0, typinput=_DOMAIN_IN, typreceive=_DOMAIN_RECV, typmodin=0, typmodout=0, typnotnull=False,
        typbasetype=base, typtypmod=typmod, typndims=len(statement.typeName.arrayBounds), typcollation=collation,
        typdefaultbin=None if default is None else expressions.tree_text(default[0]),
        typdefault=None if default is None else default[1], t_self=None,
        typacl=default_acl_for_new_object("type", owner, namespace),
    )  # fmt: skip
    references = expressions.references(default[0]) if default is not None else []
    oid = _create_with_array(row, references)
    for node in checks:
        add_domain_check(oid, node, context)
    if not_null is not None:
        add_domain_not_null(oid, not_null)
    command_counter_increment()


def _domain_constraints(
    nodes: Sequence[Any], name: str, base: int, typmod: int, context: UtilityContext
) -> tuple[tuple[Any, str] | None, Any, list[Any]]:
    default: tuple[Any, str] | None = None
    saw_default = False
    not_null: Any = None
    saw_null = False
    checks = []
    for node in nodes:
        match node.contype:
            case enums.CONSTR_DEFAULT:
                if saw_default:
                    raise SqlError(errcode.SYNTAX_ERROR, "multiple default expressions")
                saw_default = True
                default = _domain_default(node.raw_expr, name, base, typmod, context)
            case enums.CONSTR_NOTNULL:
                if saw_null:
                    raise SqlError(errcode.SYNTAX_ERROR, "conflicting NULL/NOT NULL constraints")
                not_null = node
            case enums.CONSTR_NULL:
                if not_null is not None:
                    raise SqlError(errcode.SYNTAX_ERROR, "conflicting NULL/NOT NULL constraints")
                saw_null = True
            case enums.CONSTR_CHECK:
                if node.is_no_inherit:
                    raise SqlError(
                        errcode.INVALID_OBJECT_DEFINITION,
                        "check constraints for domains cannot be marked NO INHERIT",
                    )
                checks.append(node)
            case enums.CONSTR_UNIQUE:
                raise SqlError(errcode.SYNTAX_ERROR, "unique constraints not possible for domains")
            case enums.CONSTR_PRIMARY:
                raise SqlError(errcode.SYNTAX_ERROR, "primary key constraints not possible for domains")
            case enums.CONSTR_FOREIGN:
                raise SqlError(errcode.SYNTAX_ERROR, "foreign key constraints not possible for domains")
            case _:
                raise SqlError(
                    errcode.FEATURE_NOT_SUPPORTED, "specifying constraint deferrability not supported for domains"
                )
    return default, not_null, checks


def _domain_default(
    raw: Any, name: str, base: int, typmod: int, context: UtilityContext
) -> tuple[Any, str] | None:
    tree = expressions.cook_default(ParseState(text=context.query_text), raw, base, typmod, name)
    from tusk.sql.nodes import Const

    if isinstance(tree, Const) and tree.constisnull:
        return None
    from tusk.sql.deparse.expression import deparse_expression

    return tree, deparse_expression(tree, [])


def _type_name(oid: int) -> str:
    row = lookup(c.TYPEOID, oid)
    name: str = row.typname
    return name


def add_domain_check(domain: int, node: Any, context: Any) -> tuple[str, Any]:
    """A CHECK of a domain (domainAddCheckConstraint)."""
    row = lookup(c.TYPEOID, domain)
    existing = {r.conname for r in scan_rows("pg_constraint", contypid=domain)}
    name = node.conname
    if name:
        if name in existing:
            raise SqlError(
                errcode.DUPLICATE_OBJECT,
                f'constraint "{name}" for domain "{row.typname}" already exists',
            )
    else:
        name = heap.choose_constraint_name(row.typname, None, "check", row.typnamespace, existing)
    pstate = ParseState(text=context.query_text)

    def value(pstate: ParseState, ref: Any) -> Any:
        if len(ref.fields) == 1 and getattr(ref.fields[0], "sval", None) == "value":
            return CoerceToDomainValue(
                typeId=row.typbasetype, typeMod=row.typtypmod, collation=row.typcollation, location=ref.location
            )
        return None

    pstate.pre_columnref_hook = value
    tree = transform_expr(pstate, node.raw_expr, ExprKind.DOMAIN_CHECK)
    tree = coerce_to_boolean(pstate, tree, "CHECK")
    assign_expr_collations(pstate, tree)
    if pstate.rtable:
        raise SqlError(
            errcode.INVALID_COLUMN_REFERENCE, "cannot use table references in domain check constraint"
        )
    heap.create_constraint(
        name, row.typnamespace, "c", type_oid=domain, expression=expressions.tree_text(tree),
        references=expressions.references(tree), validated=not node.skip_validation,
    )  # fmt: skip
    _type_changed(domain)
    return name, tree


def add_domain_not_null(domain: int, node: Any) -> None:
    """NOT NULL of a domain (domainAddNotNullConstraint)."""
    row = lookup(c.TYPEOID, domain)
    existing = {r.conname for r in scan_rows("pg_constraint", contypid=domain)}
    name = node.conname
    if name and name in existing:
        raise SqlError(
            errcode.DUPLICATE_OBJECT, f'constraint "{name}" for domain "{row.typname}" already exists'
        )
    name = name or heap.choose_constraint_name(row.typname, None, "not_null", row.typnamespace, existing)
    heap.create_constraint(name, row.typnamespace, "n", type_oid=domain, validated=not node.skip_validation)
    row = lookup(c.TYPEOID, domain)
    update_row(row.copy(typnotnull=True), row)
    command_counter_increment()


def _type_changed(domain: int) -> None:
    """Have everybody look at the type again: its constraints are not part of its row."""
    row = lookup(c.TYPEOID, domain)
    update_row(row.copy(), row)
    command_counter_increment()


@utility("AlterDomainStmt")
def alter_domain(statement: Any, context: UtilityContext) -> None:
    """ALTER DOMAIN: default, NOT NULL, constraints."""
    address = type_address(enums.OBJECT_DOMAIN, statement.typeName, False)
    assert address is not None
    domain = address.objid
    row = lookup(c.TYPEOID, domain)
    if not acl.object_ownercheck(oa.TYPE, domain, session.current_user_id):
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f"must be owner of type {format_type(domain)}")
    kind = str(statement.subtype)
    if kind.isdigit():
        kind = chr(int(kind))
    match kind:
        case "T":
            _alter_default(domain, row, statement.def_, context)
        case "N":
            if row.typnotnull:
                for constraint in scan_rows("pg_constraint", contypid=domain):
                    if constraint.contype == "n":
                        dep.perform_deletion(ObjectAddress(oa.CONSTRAINT, constraint.oid), dep.RESTRICT)
                row = lookup(c.TYPEOID, domain)
                update_row(row.copy(typnotnull=False), row)
        case "O":
            if not row.typnotnull:
                from tusk.sql.nodes import Constraint

                _check_columns(domain, None, row.typname)
                add_domain_not_null(domain, Constraint(contype=enums.CONSTR_NOTNULL, initially_valid=True))
        case "C":
            node = statement.def_
            if node.contype == enums.CONSTR_NOTNULL:
                if not row.typnotnull:
                    _check_columns(domain, None, row.typname)
                    add_domain_not_null(domain, node)
            elif node.contype == enums.CONSTR_CHECK:
                name, tree = add_domain_check(domain, node, context)
                if not node.skip_validation:
                    _check_columns(domain, tree, name)
            else:
                raise SqlError(errcode.SYNTAX_ERROR, "unique constraints not possible for domains")
        case "X":
            _drop_constraint(domain, statement)
        case "V":
            constraint = _named(domain, statement.name)
            if constraint.contype != "c":
                raise SqlError(
                    errcode.WRONG_OBJECT_TYPE,
                    f'constraint "{statement.name}" of domain "{row.typname}" is not a check constraint',
                )
            _check_columns(domain, expressions.tree_of(constraint.conbin), constraint.conname)
            update_row(constraint.copy(convalidated=True), constraint)
        case _:
            raise feature_not_supported(f"ALTER DOMAIN {kind}")


def _named(domain: int, name: str) -> Any:
    for constraint in scan_rows("pg_constraint", contypid=domain):
        if constraint.conname == name:
            return constraint
    raise SqlError(
        errcode.UNDEFINED_OBJECT, f'constraint "{name}" of domain "{_type_name(domain)}" does not exist'
    )


def _alter_default(domain: int, row: Any, raw: Any, context: UtilityContext) -> None:
    default = None
    if raw is not None:
        default = _domain_default(raw, row.typname, row.typbasetype, row.typtypmod, context)
    changed = row.copy(
        typdefaultbin=None if default is None else expressions.tree_text(default[0]),
        typdefault=None if default is None else default[1],
    )
    update_row(changed, row)
    for record in scan_rows("pg_depend", classid=oa.TYPE, objid=domain):
        if record.refclassid not in (oa.NAMESPACE, oa.TYPE, oa.COLLATION) and record.deptype == "n":
            delete_row(record)
    if default is not None:
        dep.record_dependencies(ObjectAddress(oa.TYPE, domain), expressions.references(default[0]))
    command_counter_increment()


def _drop_constraint(domain: int, statement: Any) -> None:
    for constraint in scan_rows("pg_constraint", contypid=domain):
        if constraint.conname == statement.name:
            if constraint.contype == "n":
                row = lookup(c.TYPEOID, domain)
                update_row(row.copy(typnotnull=False), row)
            dep.perform_deletion(ObjectAddress(oa.CONSTRAINT, constraint.oid), int(statement.behavior))
            _type_changed(domain)
            return
    text = f'constraint "{statement.name}" of domain "{_type_name(domain)}" does not exist'
    if not statement.missing_ok:
        raise SqlError(errcode.UNDEFINED_OBJECT, text)
    report(Severity.NOTICE, f"{text}, skipping")


def _check_columns(domain: int, tree: Any, name: str) -> None:
    """Whether values of the domain in tables break a new constraint (validateDomainCheckConstraint)."""
    from tusk.commands.queries import run_text
    from tusk.sql.deparse.expression import deparse_expression

    for attribute in scan_rows("pg_attribute", atttypid=domain):
        relation = lookup(c.RELOID, attribute.attrelid)
        if relation is None or relation.relkind not in "rm" or attribute.attisdropped:
            continue
        table = quote_qualified_identifier(get_namespace_name(relation.relnamespace), relation.relname)
        column = quote_identifier(attribute.attname)
        if tree is None:
            if run_text(f"SELECT 1 FROM ONLY {table} WHERE {column} IS NULL", limit=1):
                raise SqlError(
                    errcode.NOT_NULL_VIOLATION,
                    f'column "{attribute.attname}" of table "{relation.relname}" contains null values',
                )
            continue
        base = format_type(lookup(c.TYPEOID, domain).typbasetype)
        text = deparse_expression(tree, []).replace("VALUE", f"({table}.{column}::{base})")
        if run_text(f"SELECT 1 FROM ONLY {table} WHERE NOT ({text})", limit=1):
            raise SqlError(
                errcode.CHECK_VIOLATION,
                f'column "{attribute.attname}" of table "{relation.relname}" contains values that violate the new '
                "constraint", constraint=name,
            )
