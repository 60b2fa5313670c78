"""GRANT and REVOKE on objects and columns, and ALTER DEFAULT PRIVILEGES (aclchk.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, insert_row, new_oid, update_row
from tusk.catalog.cache import lookup, lookup_list, scan_rows
from tusk.catalog.namespace import get_namespace_oid, range_var_get_relid
from tusk.catalog.rows import PgDefaultAcl
from tusk.catalog.session import session
from tusk.commands.object_names import function_oid, type_address
from tusk.commands.role_names import grantee_of, role_of
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.nodes import enums

_BITS = {
    "insert": acl.ACL_INSERT, "select": acl.ACL_SELECT, "update": acl.ACL_UPDATE, "delete": acl.ACL_DELETE,
    "truncate": acl.ACL_TRUNCATE, "references": acl.ACL_REFERENCES, "trigger": acl.ACL_TRIGGER,
    "execute": acl.ACL_EXECUTE, "usage": acl.ACL_USAGE, "create": acl.ACL_CREATE, "temporary": acl.ACL_CREATE_TEMP,
    "temp": acl.ACL_CREATE_TEMP, "connect": acl.ACL_CONNECT, "set": acl.ACL_SET,
    "alter system": acl.ACL_ALTER_SYSTEM, "maintain": acl.ACL_MAINTAIN, "rule": 0,
}  # fmt: skip
# Object type of the statement -> (class, kind of ACL, what errors call the kind).
_TARGETS: dict[Any, tuple[int, str, str]] = {
    enums.OBJECT_TABLE: (oa.CLASS, "table", "relation"), enums.OBJECT_SEQUENCE: (oa.CLASS, "sequence", "sequence"),
    enums.OBJECT_DATABASE: (oa.DATABASE, "database", "database"),
    enums.OBJECT_DOMAIN: (oa.TYPE, "type", "domain"), enums.OBJECT_TYPE: (oa.TYPE, "type", "type"),
    enums.OBJECT_FUNCTION: (oa.PROC, "function", "function"),
    enums.OBJECT_PROCEDURE: (oa.PROC, "function", "procedure"),
    enums.OBJECT_ROUTINE: (oa.PROC, "function", "routine"),
    enums.OBJECT_LANGUAGE: (oa.LANGUAGE, "language", "language"),
    enums.OBJECT_SCHEMA: (oa.NAMESPACE, "schema", "schema"),
    enums.OBJECT_TABLESPACE: (oa.TABLESPACE, "tablespace", "tablespace"),
    enums.OBJECT_FDW: (oa.FDW, "foreign-data wrapper", "foreign-data wrapper"),
    enums.OBJECT_FOREIGN_SERVER: (oa.FOREIGN_SERVER, "foreign server", "foreign server"),
}  # fmt: skip


def _bit(name: str) -> int:
    found = _BITS.get(name)
    if found is None:
        raise SqlError(errcode.SYNTAX_ERROR, f'unrecognized privilege type "{name}"')
    return found


def _bit_name(bit: int) -> str:
    return acl.PRIVILEGE_NAMES[bit.bit_length() - 1]


@utility("GrantStmt")
def grant(statement: Any, _context: UtilityContext) -> None:
    """GRANT, REVOKE on objects (ExecuteGrantStmt)."""
    if statement.grantor is not None and role_of(statement.grantor) != session.current_user_id:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "grantor must be current user")
    target = _TARGETS.get(statement.objtype)
    if target is None:
        raise feature_not_supported(f"GRANT on objects of type {statement.objtype.name}")
    classid, kind, noun = target
    grantees = [grantee_of(spec) for spec in statement.grantees]
    if statement.grant_option and statement.is_grant and 0 in grantees:
        raise SqlError(errcode.INVALID_GRANT_OPERATION, "grant options can only be granted to roles")
    for oid in _objects(statement, classid):
        _grant_on(statement, classid, oid, kind, noun, grantees)


def _objects(statement: Any, classid: int) -> list[int]:
    if statement.targtype == enums.ACL_TARGET_ALL_IN_SCHEMA:
        return _all_in_schemas(statement)
    found: list[int] = []
    for node in statement.objects:
        match classid:
            case oa.CLASS:
                found.append(range_var_get_relid(node, 0))
            case oa.PROC:
                found.append(function_oid(statement.objtype, node, False))
            case oa.TYPE:
                address = type_address(statement.objtype, node, False)
                assert address is not None
                found.append(address.objid)
            case _:
                name = node.sval
                info = acl.KINDS[classid]
                catalog = info.cache.catalog
                rows = scan_rows(catalog, **{info.name: name})
                if not rows:
                    code = {oa.DATABASE: errcode.UNDEFINED_DATABASE, oa.NAMESPACE: errcode.UNDEFINED_SCHEMA}
                    raise SqlError(code.get(classid, errcode.UNDEFINED_OBJECT), f'{info.noun} "{name}" does not exist')
                found.append(rows[0].oid)
    return found


def _all_in_schemas(statement: Any) -> list[int]:
    found: list[int] = []
    for node in statement.objects:
        namespace = get_namespace_oid(node.sval, False)
        if statement.objtype == enums.OBJECT_TABLE:
            found += [r.oid for r in scan_rows("pg_class", relnamespace=namespace) if r.relkind in "rvmfp"]
        elif statement.objtype == enums.OBJECT_SEQUENCE:
            found += [r.oid for r in scan_rows("pg_class", relnamespace=namespace) if r.relkind == "S"]
        else:
            kinds = {enums.OBJECT_FUNCTION: "fwa", enums.OBJECT_PROCEDURE: "p"}.get(statement.objtype, "fwap")
            found += [r.oid for r in scan_rows("pg_proc", pronamespace=namespace) if r.prokind in kinds]
    return found


def _grant_on(statement: Any, classid: int, oid: int, kind: str, noun: str, grantees: list[int]) -> None:
    """One object, its columns included."""
    if classid == oa.CLASS:
        row = lookup(c.RELOID, oid)
        if row.relkind in "iI":
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{row.relname}" is an index')
        if row.relkind == "c":
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{row.relname}" is a composite type')
        if kind == "sequence" and row.relkind != "S":
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{row.relname}" is not a sequence')
        if row.relkind == "S":
            kind = "sequence"
    if classid == oa.TYPE:
        row = lookup(c.TYPEOID, oid)
        if row.typelem and row.typsubscript == 6179 and row.typlen == -1:
            raise SqlError(
                errcode.INVALID_GRANT_OPERATION, "cannot set privileges of array types",
                hint="Set the privileges of the element type instead.",
            )
    everything = acl.ALL_RIGHTS[kind]
    wanted = 0
    columns: list[tuple[int, list[str]]] = []
    if not statement.privileges:
        wanted = everything
    for item in statement.privileges:
        bit = _bit(item.priv_name) if item.priv_name is not None else acl.ALL_RIGHTS["column"]
        if item.cols:
            if classid != oa.CLASS:
                raise SqlError(
                    errcode.INVALID_GRANT_OPERATION, "column privileges are only valid for relations"
                )
            if bit & ~acl.ALL_RIGHTS["column"]:
                raise SqlError(
                    errcode.INVALID_GRANT_OPERATION, f"invalid privilege type {_bit_name(bit)} for column"
                )
            columns.append((bit, [col.sval for col in item.cols]))
            continue
        if bit & ~everything:
            if kind == "sequence" and statement.objtype == enums.OBJECT_TABLE:
                # History's sake: tables' privileges on sequences are passed over with a warning.
                if bit & ~acl.ALL_RIGHTS["table"]:
                    raise SqlError(
                        errcode.INVALID_GRANT_OPERATION, f"invalid privilege type {_bit_name(bit)} for {noun}"
                    )
                report(
                    Severity.WARNING,
                    f'sequence "{lookup(c.RELOID, oid).relname}" only supports USAGE, SELECT, and UPDATE privileges',
                    sqlstate=errcode.INVALID_GRANT_OPERATION,
                )
                bit &= everything
            else:
                raise SqlError(
                    errcode.INVALID_GRANT_OPERATION, f"invalid privilege type {_bit_name(bit)} for {noun}"
                )
        wanted |= bit
    if wanted:
        change_privileges(
            classid, oid, kind, wanted, grantees, is_grant=statement.is_grant, option=statement.grant_option,
            cascade=statement.behavior == enums.DROP_CASCADE, all_privileges=not statement.privileges,
        )
    if classid == oa.CLASS:
        if wanted and not statement.is_grant:
            # A revoke on the table takes the columns' privileges too.
            for attribute in lookup_list(c.ATTNUM, oid):
                if attribute.attacl is not None and not attribute.attisdropped:
                    _change_column(oid, attribute, wanted & acl.ALL_RIGHTS["column"], grantees, statement)
        for bit, names in columns:
            for name in names:
                attribute = lookup(c.ATTNAME, oid, name)
                if attribute is None or attribute.attisdropped:
                    raise SqlError(
                        errcode.UNDEFINED_COLUMN,
                        f'column "{name}" of relation "{lookup(c.RELOID, oid).relname}" does not exist',
                    )
                _change_column(oid, attribute, bit, grantees, statement)


def _merge(
    old: acl.Acl, grantees: Sequence[int], grantor: int, owner: int, bits: int, *, is_grant: bool, option: bool,
    cascade: bool,
) -> acl.Acl:  # fmt: skip
    """The ACL after the statement (merge_acl_with_grant)."""
    result = old
    for grantee in grantees:
        if is_grant:
            result = acl.acl_grant(result, grantee, grantor, bits, option)
        else:
            result = acl.acl_revoke(
                result, grantee, grantor, bits, option_only=option, cascade=cascade, owner=owner
            )
    return result


def _restrict(
    wanted: int, options: int, noun: str, name: str, *, is_grant: bool, all_privileges: bool,
    held: int, column: str | None = None,
) -> int:  # fmt: skip
    """What may be granted of what is wanted; warnings where it is less (restrict_and_check_grant)."""
    if not options:
        if not held:
            raise acl.aclcheck_error(noun, name)
    result = wanted & options
    label = f'column "{column}" of relation "{name}"' if column is not None else f'"{name}"'
    if is_grant:
        if result == 0:
            report(Severity.WARNING, f"no privileges were granted for {label}",
                   sqlstate=errcode.WARNING_PRIVILEGE_NOT_GRANTED)
        elif not all_privileges and result != wanted:
            report(Severity.WARNING, f"not all privileges were granted for {label}",
                   sqlstate=errcode.WARNING_PRIVILEGE_NOT_GRANTED)
    elif result == 0:
        report(Severity.WARNING, f"no privileges could be revoked for {label}",
               sqlstate=errcode.WARNING_PRIVILEGE_NOT_REVOKED)
    elif not all_privileges and result != wanted:
        report(Severity.WARNING, f"not all privileges could be revoked for {label}",
               sqlstate=errcode.WARNING_PRIVILEGE_NOT_REVOKED)
    return result


def change_privileges(
    classid: int, oid: int, kind: str, wanted: int, grantees: Sequence[int], *, is_grant: bool, option: bool,
    cascade: bool, all_privileges: bool,
) -> None:  # fmt: skip
    """GRANT or REVOKE on one object (ExecGrant_common)."""
    info = acl.KINDS[classid]
    row = lookup(info.cache, oid)
    owner = getattr(row, info.owner)
    stored = getattr(row, info.acl)
    old: acl.Acl = acl.acl_default(kind, owner) if stored is None else stored
    grantor, options = acl.select_best_grantor(session.current_user_id, wanted, old, owner)
    held = acl.object_acl_mask(classid, oid, session.current_user_id, acl.ALL_BITS)
    noun, name = acl.object_noun(classid, oid)
    bits = _restrict(
        wanted, options, noun, name, is_grant=is_grant, all_privileges=all_privileges, held=held
    )
    new = _merge(old, grantees, grantor, owner, bits, is_grant=is_grant, option=option, cascade=cascade)
    update_row(row.copy(**{info.acl: new}), row)
    if classid == oa.CLASS:
        from tusk.catalog import inval

        inval.invalidate_relcache(oid)
    dep.update_acl_dependencies(
        classid, oid, 0, owner, acl.acl_members(stored), acl.acl_members(new)
    )
    command_counter_increment()


def _change_column(relid: int, attribute: Any, bits: int, grantees: Sequence[int], statement: Any) -> None:
    """GRANT or REVOKE on one column (ExecGrant_Attribute)."""
    if not bits:
        return
    table = lookup(c.RELOID, relid)
    attribute = lookup(c.ATTNUM, relid, attribute.attnum)
    old: acl.Acl = attribute.attacl or ()
    table_acl = acl.acl_default("table", table.relowner) if table.relacl is None else table.relacl
    grantor, options = acl.select_best_grantor(session.current_user_id, bits, (*old, *table_acl), table.relowner)
    held = acl.class_acl_mask(relid, session.current_user_id, acl.ALL_BITS)
    allowed = _restrict(
        bits, options, "table", table.relname, is_grant=statement.is_grant,
        all_privileges=not statement.privileges, held=held, column=attribute.attname,
    )
    new = _merge(
        old, grantees, grantor, table.relowner, allowed, is_grant=statement.is_grant, option=statement.grant_option,
        cascade=statement.behavior == enums.DROP_CASCADE,
    )
    update_row(attribute.copy(attacl=new or None), attribute)
    dep.update_acl_dependencies(
        oa.CLASS, relid, attribute.attnum, table.relowner, acl.acl_members(old), acl.acl_members(new)
    )
    command_counter_increment()


# ALTER DEFAULT PRIVILEGES

_DEFAULT_KINDS = {
    enums.OBJECT_TABLE: ("r", "table", "relation"), enums.OBJECT_SEQUENCE: ("S", "sequence", "sequence"),
    enums.OBJECT_FUNCTION: ("f", "function", "function"), enums.OBJECT_TYPE: ("T", "type", "type"),
    enums.OBJECT_SCHEMA: ("n", "schema", "schema"), enums.OBJECT_LARGEOBJECT: ("L", "large object", "large object"),
}  # fmt: skip


@utility("AlterDefaultPrivilegesStmt")
def alter_default_privileges(statement: Any, _context: UtilityContext) -> None:
    """ALTER DEFAULT PRIVILEGES (ExecAlterDefaultPrivilegesStmt)."""
    roles = [session.current_user_id]
    schemas = [0]
    for item in statement.options:
        if item.defname == "roles":
            roles = [role_of(spec) for spec in item.arg]
        elif item.defname == "schemas":
            schemas = [get_namespace_oid(node.sval, False) for node in item.arg]
    action = statement.action
    letter, kind, noun = _DEFAULT_KINDS[action.objtype]
    everything = acl.ALL_RIGHTS[kind]
    bits = 0 if action.privileges else everything
    for item in action.privileges:
        if item.cols:
            raise SqlError(errcode.INVALID_GRANT_OPERATION, "default privileges cannot be set for columns")
        bit = _bit(item.priv_name)
        if bit & ~everything:
            raise SqlError(errcode.INVALID_GRANT_OPERATION, f"invalid privilege type {_bit_name(bit)} for {noun}")
        bits |= bit
    grantees = [grantee_of(spec) for spec in action.grantees]
    for role in roles:
        if not acl.has_privs_of_role(session.current_user_id, role):
            raise SqlError(
                errcode.INSUFFICIENT_PRIVILEGE, "permission denied to change default privileges"
            )
        for schema in schemas:
            if schema and kind in ("schema", "large object"):
                raise SqlError(
                    errcode.INVALID_GRANT_OPERATION,
                    f"cannot use IN SCHEMA clause when using GRANT/REVOKE ON {kind.upper()}S",
                )
            _set_default(role, schema, letter, kind, bits, grantees, action)


def _set_default(
    role: int, schema: int, letter: str, kind: str, bits: int, grantees: Sequence[int], action: Any
) -> None:
    base: acl.Acl = () if schema else acl.acl_default(kind, role)
    row = lookup(c.DEFACLROLENSPOBJ, role, schema, letter)
    old: acl.Acl = base if row is None else row.defaclacl
    new = _merge(
        old, grantees, role, role, bits, is_grant=action.is_grant, option=action.grant_option,
        cascade=action.behavior == enums.DROP_CASCADE,
    )
    if sorted(new) == sorted(base):
        if row is not None:
            dep.perform_deletion(oa.ObjectAddress(oa.DEFAULT_ACL, row.oid), dep.RESTRICT)
        return
    if row is None:
        oid = new_oid("pg_default_acl")
        insert_row(PgDefaultAcl(
            oid=oid, defaclrole=role, defaclnamespace=schema, defaclobjtype=letter, defaclacl=new
        ))  # fmt: skip
        dep.record_owner(oa.DEFAULT_ACL, oid, role)
        if schema:
            dep.record_dependency(
                oa.ObjectAddress(oa.DEFAULT_ACL, oid), oa.ObjectAddress(oa.NAMESPACE, schema), dep.AUTO
            )
        members: set[int] = set()
    else:
        oid = row.oid
        update_row(row.copy(defaclacl=new), row)
        members = acl.acl_members(row.defaclacl)
    dep.update_acl_dependencies(oa.DEFAULT_ACL, oid, 0, role, members, acl.acl_members(new))
    command_counter_increment()

