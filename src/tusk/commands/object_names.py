"""From the name of an object in a statement to its address (get_object_address)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import namespace as ns
from tusk.catalog import objectaddress as oa
from tusk.catalog._runtime import lock_object, lock_shared_object
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.names import format_type
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze.operators import operator_oid
from tusk.sql.analyze.typenames import lookup_type_name, type_name_oid, type_name_to_string
from tusk.sql.nodes import ObjectType, RangeVar, TypeName, enums, make
from tusk.sql.nodes.nodefuncs import string_list

RELATION_WORDS = {
    enums.OBJECT_TABLE: ("table", "rp", "a table"), enums.OBJECT_INDEX: ("index", "iI", "an index"),
    enums.OBJECT_SEQUENCE: ("sequence", "S", "a sequence"), enums.OBJECT_VIEW: ("view", "v", "a view"),
    enums.OBJECT_MATVIEW: ("materialized view", "m", "a materialized view"),
    enums.OBJECT_FOREIGN_TABLE: ("foreign table", "f", "a foreign table"),
}  # fmt: skip
_SHARED = {oa.AUTHID, oa.DATABASE, oa.TABLESPACE, oa.SUBSCRIPTION, oa.PARAMETER_ACL}
_BY_PLAIN_NAME: dict[Any, tuple[str, int, str, str]] = {
    # object type: (catalog, class, name column, what messages call it)
    enums.OBJECT_ACCESS_METHOD: ("pg_am", oa.AM, "amname", "access method"),
    enums.OBJECT_DATABASE: ("pg_database", oa.DATABASE, "datname", "database"),
    enums.OBJECT_EXTENSION: ("pg_extension", oa.EXTENSION, "extname", "extension"),
    enums.OBJECT_TABLESPACE: ("pg_tablespace", oa.TABLESPACE, "spcname", "tablespace"),
    enums.OBJECT_ROLE: ("pg_authid", oa.AUTHID, "rolname", "role"),
    enums.OBJECT_SCHEMA: ("pg_namespace", oa.NAMESPACE, "nspname", "schema"),
    enums.OBJECT_LANGUAGE: ("pg_language", oa.LANGUAGE, "lanname", "language"),
    enums.OBJECT_FDW: ("pg_foreign_data_wrapper", oa.FDW, "fdwname", "foreign-data wrapper"),
    enums.OBJECT_FOREIGN_SERVER: ("pg_foreign_server", oa.FOREIGN_SERVER, "srvname", "server"),
    enums.OBJECT_EVENT_TRIGGER: ("pg_event_trigger", oa.EVENT_TRIGGER, "evtname", "event trigger"),
    enums.OBJECT_PUBLICATION: ("pg_publication", oa.PUBLICATION, "pubname", "publication"),
    enums.OBJECT_SUBSCRIPTION: ("pg_subscription", oa.SUBSCRIPTION, "subname", "subscription"),
}  # fmt: skip
_QUALIFIED = {
    enums.OBJECT_COLLATION: (oa.COLLATION, ns.get_collation_oid),
    enums.OBJECT_CONVERSION: (oa.CONVERSION, ns.get_conversion_oid),
    enums.OBJECT_STATISTIC_EXT: (oa.STATISTIC_EXT, ns.get_statistics_object_oid),
    enums.OBJECT_TSPARSER: (oa.TS_PARSER, ns.get_ts_parser_oid),
    enums.OBJECT_TSDICTIONARY: (oa.TS_DICT, ns.get_ts_dict_oid),
    enums.OBJECT_TSTEMPLATE: (oa.TS_TEMPLATE, ns.get_ts_template_oid),
    enums.OBJECT_TSCONFIGURATION: (oa.TS_CONFIG, ns.get_ts_config_oid),
}
_FUNCTION_KINDS = {
    enums.OBJECT_FUNCTION: "function", enums.OBJECT_PROCEDURE: "procedure", enums.OBJECT_AGGREGATE: "aggregate",
    enums.OBJECT_ROUTINE: "routine",
}  # fmt: skip


def range_var_from_names(names: list[str]) -> Any:
    """A RangeVar from one to three names."""
    if len(names) > 3:
        raise SqlError(errcode.SYNTAX_ERROR, f"improper relation name (too many dotted names): {'.'.join(names)}")
    relation = RangeVar(relname=names[-1], inh=True, relpersistence="p", location=-1)
    if len(names) > 1:
        relation.schemaname = names[-2]
    if len(names) > 2:
        relation.catalogname = names[-3]
    return relation


def object_address(kind: ObjectType, node: Any, lockmode: int, missing_ok: bool = False) -> ObjectAddress | None:
    """The address of an existing object, locked; None where it may be missing and is."""
    if kind in RELATION_WORDS:
        return relation_address(kind, string_list(node), lockmode, missing_ok)
    if kind == enums.OBJECT_COLUMN:
        return _column(string_list(node), lockmode, missing_ok)
    if kind in (enums.OBJECT_TYPE, enums.OBJECT_DOMAIN):
        address = type_address(kind, node, missing_ok)
    elif kind in _BY_PLAIN_NAME:
        address = _plain(kind, node, missing_ok)
    elif kind in _QUALIFIED:
        classid, find = _QUALIFIED[kind]
        oid = find(string_list(node), missing_ok)
        address = ObjectAddress(classid, oid) if oid else None
    elif kind in _FUNCTION_KINDS:
        oid = function_oid(kind, node, missing_ok)
        address = ObjectAddress(oa.PROC, oid) if oid else None
    elif kind in (enums.OBJECT_RULE, enums.OBJECT_TRIGGER, enums.OBJECT_TABCONSTRAINT, enums.OBJECT_POLICY):
        return _part_of_relation(kind, string_list(node), lockmode, missing_ok)
    elif kind == enums.OBJECT_DOMCONSTRAINT:
        address = _domain_constraint(node, missing_ok)
    elif kind == enums.OBJECT_OPERATOR:
        arguments = [0 if a is None else type_name_oid(None, a) for a in node.objargs]
        oid = operator_oid(string_list(node.objname), arguments[0], arguments[1])
        if not oid and not missing_ok:
            raise SqlError(
                errcode.UNDEFINED_FUNCTION,
                f"operator does not exist: {' '.join([format_type(arguments[0])] if arguments[0] else [])} "
                f"{'.'.join(string_list(node.objname))} {format_type(arguments[1])}".replace("  ", " "),
            )
        address = ObjectAddress(oa.OPERATOR, oid) if oid else None
    elif kind == enums.OBJECT_CAST:
        source, target = (type_name_oid(None, item) for item in node)
        row = lookup(c.CASTSOURCETARGET, source, target)
        if row is None and not missing_ok:
            raise SqlError(
                errcode.UNDEFINED_OBJECT,
                f"cast from type {format_type(source)} to type {format_type(target)} does not exist",
            )
        address = None if row is None else ObjectAddress(oa.CAST, row.oid)
    elif kind in (enums.OBJECT_OPCLASS, enums.OBJECT_OPFAMILY):
        names = string_list(node)
        method = lookup(c.AMNAME, names[0])
        if method is None:
            raise SqlError(errcode.UNDEFINED_OBJECT, f'access method "{names[0]}" does not exist')
        find_class = ns.get_opclass_oid if kind == enums.OBJECT_OPCLASS else ns.get_opfamily_oid
        oid = find_class(method.oid, names[1:], missing_ok)
        classid = oa.OPCLASS if kind == enums.OBJECT_OPCLASS else oa.OPFAMILY
        address = ObjectAddress(classid, oid) if oid else None
    else:
        raise feature_not_supported(f"naming objects of type {kind.name}")
    if address is not None and lockmode:
        if address.classid in _SHARED:
            lock_shared_object(address.classid, address.objid, 0, lockmode)
        else:
            lock_object(address.classid, address.objid, 0, lockmode)
    return address


def relation_address(kind: ObjectType, names: list[str], lockmode: int, missing_ok: bool) -> ObjectAddress | None:
    """A relation of a certain kind by name (get_relation_by_qualified_name)."""
    relation = range_var_from_names(names)
    oid = ns.range_var_get_relid(relation, lockmode, missing_ok=missing_ok)
    if not oid:
        return None
    _, kinds, article = RELATION_WORDS[kind]
    row = lookup(c.RELOID, oid)
    if row.relkind not in kinds:
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{row.relname}" is not {article}')
    return ObjectAddress(oa.CLASS, oid)


def _column(names: list[str], lockmode: int, missing_ok: bool) -> ObjectAddress | None:
    if len(names) < 2:
        raise SqlError(errcode.SYNTAX_ERROR, "column name must be qualified")
    oid = ns.range_var_get_relid(range_var_from_names(names[:-1]), lockmode, missing_ok=missing_ok)
    if not oid:
        return None
    row = lookup(c.ATTNAME, oid, names[-1])
    if row is None or row.attisdropped:
        if missing_ok:
            return None
        raise SqlError(
            errcode.UNDEFINED_COLUMN,
            f'column "{names[-1]}" of relation "{lookup(c.RELOID, oid).relname}" does not exist',
        )
    return ObjectAddress(oa.CLASS, oid, row.attnum)


def type_address(kind: ObjectType, node: Any, missing_ok: bool) -> ObjectAddress | None:
    """A type, or a domain where one is asked for (get_object_address_type)."""
    name = node if isinstance(node, TypeName) else make.make_type_name(string_list(node))
    found = lookup_type_name(None, name, missing_ok)
    if found is None:
        if missing_ok:
            return None
        raise SqlError(errcode.UNDEFINED_OBJECT, f'type "{type_name_to_string(name)}" does not exist')
    if kind == enums.OBJECT_DOMAIN and found[0].typtype != "d":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{type_name_to_string(name)}" is not a domain')
    return ObjectAddress(oa.TYPE, found[0].oid)


def _plain(kind: ObjectType, node: Any, missing_ok: bool) -> ObjectAddress | None:
    catalog, classid, column, noun = _BY_PLAIN_NAME[kind]
    name = node.sval if hasattr(node, "sval") else node if isinstance(node, str) else ".".join(string_list(node))
    rows = scan_rows(catalog, **{column: name})
    if not rows:
        if missing_ok:
            return None
        code = {"database": errcode.UNDEFINED_DATABASE, "schema": errcode.UNDEFINED_SCHEMA}.get(
            noun, errcode.UNDEFINED_OBJECT
        )
        raise SqlError(code, f'{noun} "{name}" does not exist')
    return ObjectAddress(classid, rows[0].oid)


def function_oid(kind: ObjectType, node: Any, missing_ok: bool) -> int:
    """A function, procedure or aggregate by name and argument types (LookupFuncWithArgs)."""
    names = string_list(node.objname)
    noun = _FUNCTION_KINDS[kind]
    candidates = ns.functions_named(names, missing_ok)
    shown = ".".join(names)
    wanted = {"function": "fw", "procedure": "p", "aggregate": "a", "routine": "fpwa"}[noun]
    if node.args_unspecified:
        first = min((place for place, _ in candidates), default=0)
        rows = [row for place, row in candidates if place == first and row.prokind in wanted]
        if len(rows) > 1:
            raise SqlError(
                errcode.AMBIGUOUS_FUNCTION, f'{noun} name "{shown}" is not unique',
                hint=f"Specify the argument list to select the {noun} unambiguously.",
            )
        if rows:
            oid: int = rows[0].oid
            return oid
        if missing_ok:
            return 0
        raise SqlError(errcode.UNDEFINED_FUNCTION, f'could not find a {noun} named "{shown}"')
    types = [type_name_oid(None, argument) for argument in node.objargs]
    match = next((row for _, row in candidates if list(row.proargtypes) == types), None)
    text = f"{shown}({', '.join(format_type(t) for t in types)})"
    if match is None:
        if missing_ok:
            return 0
        if noun == "aggregate" and not types:
            raise SqlError(errcode.UNDEFINED_FUNCTION, f"aggregate {shown}(*) does not exist")
        raise SqlError(errcode.UNDEFINED_FUNCTION, f"{noun} {text} does not exist")
    if match.prokind not in wanted:
        article = {"function": "a function", "procedure": "a procedure", "aggregate": "an aggregate"}[noun]
        if noun == "aggregate":
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f"function {text} is not an aggregate")
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f"{text} is not {article}")
    oid = match.oid
    return oid


def _part_of_relation(kind: ObjectType, names: list[str], lockmode: int, missing_ok: bool) -> ObjectAddress | None:
    relation = range_var_from_names(names[:-1])
    oid = ns.range_var_get_relid(relation, lockmode, missing_ok=missing_ok)
    if not oid:
        return None
    catalog, relation_column, name_column, classid, noun, preposition = {
        enums.OBJECT_RULE: ("pg_rewrite", "ev_class", "rulename", oa.REWRITE, "rule", "for relation"),
        enums.OBJECT_TRIGGER: ("pg_trigger", "tgrelid", "tgname", oa.TRIGGER, "trigger", "for table"),
        enums.OBJECT_TABCONSTRAINT: ("pg_constraint", "conrelid", "conname", oa.CONSTRAINT, "constraint", "for table"),
        enums.OBJECT_POLICY: ("pg_policy", "polrelid", "polname", oa.POLICY, "policy", "for table"),
    }[kind]
    rows = [row for row in scan_rows(catalog, **{relation_column: oid}) if getattr(row, name_column) == names[-1]]
    if not rows:
        if missing_ok:
            return None
        raise SqlError(
            errcode.UNDEFINED_OBJECT,
            f'{noun} "{names[-1]}" {preposition} "{lookup(c.RELOID, oid).relname}" does not exist',
        )
    return ObjectAddress(classid, rows[0].oid)


def _domain_constraint(node: Any, missing_ok: bool) -> ObjectAddress | None:
    domain = type_address(enums.OBJECT_DOMAIN, node[0], missing_ok)
    if domain is None:
        return None
    name = node[1].sval
    for row in scan_rows("pg_constraint", contypid=domain.objid):
        if row.conname == name:
            return ObjectAddress(oa.CONSTRAINT, row.oid)
    if missing_ok:
        return None
    raise SqlError(
        errcode.UNDEFINED_OBJECT, f'constraint "{name}" for domain {format_type(domain.objid)} does not exist'
    )


def check_object_ownership(address: ObjectAddress) -> None:
    """42501 unless the current user owns the object (check_object_ownership)."""
    if address.classid == oa.CONSTRAINT:
        row = lookup(c.CONSTROID, address.objid)
        acl.require_owner(oa.CLASS if row.conrelid else oa.TYPE, row.conrelid or row.contypid)
    elif address.classid in (oa.TRIGGER, oa.REWRITE, oa.POLICY):
        catalog, column = {
            oa.TRIGGER: ("pg_trigger", "tgrelid"), oa.REWRITE: ("pg_rewrite", "ev_class"),
            oa.POLICY: ("pg_policy", "polrelid"),
        }[address.classid]  # fmt: skip
        acl.require_owner(oa.CLASS, getattr(scan_rows(catalog, oid=address.objid)[0], column))
    elif address.classid == oa.AUTHID:
        if lookup(c.AUTHOID, address.objid).rolsuper:
            if not acl.superuser():
                raise SqlError(
                    errcode.INSUFFICIENT_PRIVILEGE, "permission denied",
                    detail='The current user must have the SUPERUSER attribute.',
                )
        elif not acl.is_admin_of_role(_user(), address.objid):
            raise SqlError(
                errcode.INSUFFICIENT_PRIVILEGE, "permission denied",
                detail='The current user must have the CREATEROLE attribute and the ADMIN option on role '
                f'"{acl.role_name(address.objid)}".',
            )
    elif address.classid == oa.CAST:
        row = scan_rows("pg_cast", oid=address.objid)[0]
        if not any(acl.object_ownercheck(oa.TYPE, t, _user()) for t in (row.castsource, row.casttarget)):
            raise SqlError(
                errcode.INSUFFICIENT_PRIVILEGE,
                f"must be owner of type {format_type(row.castsource)} or type {format_type(row.casttarget)}",
            )
    elif address.classid in (oa.AM, oa.TS_PARSER, oa.TS_TEMPLATE):
        if not acl.superuser():
            raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, "must be superuser")
    elif address.classid == oa.TYPE:
        if not acl.object_ownercheck(oa.TYPE, address.objid, _user()):
            raise SqlError(
                errcode.INSUFFICIENT_PRIVILEGE, f"must be owner of type {format_type(address.objid)}"
            )
    else:
        acl.require_owner(address.classid, address.objid)


def _user() -> int:
    return session.current_user_id

