"""Addresses of database objects and what messages call them (objectaddress.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tusk.catalog import cache as c
from tusk.catalog import namespace as ns
from tusk.catalog.acl import role_name
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.names import format_operator, format_procedure, format_type
from tusk.errors import SqlError, errcode

AM, AMOP, AMPROC, ATTRDEF, AUTHID, AUTH_MEMBERS, CAST, CLASS = 2601, 2602, 2603, 2604, 1260, 1261, 2605, 1259
COLLATION, CONSTRAINT, CONVERSION, DATABASE, DEFAULT_ACL, ENUM, EVENT_TRIGGER = 3456, 2606, 2607, 1262, 826, 3501, 3466
EXTENSION, FDW, FOREIGN_SERVER, LANGUAGE, LARGE_OBJECT, NAMESPACE, OPCLASS = 3079, 2328, 1417, 2612, 2613, 2615, 2616
OPERATOR, OPFAMILY, PARAMETER_ACL, POLICY, PROC, PUBLICATION = 2617, 2753, 6243, 3256, 1255, 6104
PUBLICATION_NAMESPACE, PUBLICATION_REL, REWRITE, STATISTIC_EXT, SUBSCRIPTION = 6237, 6106, 2618, 3381, 6100
TABLESPACE, TRANSFORM, TRIGGER, TS_CONFIG, TS_DICT, TS_PARSER, TS_TEMPLATE = 1213, 3576, 2620, 3602, 3600, 3601, 3764
TYPE, USER_MAPPING = 1247, 1418

RELKIND_WORDS = {
    "r": "table", "p": "table", "i": "index", "I": "index", "S": "sequence", "t": "toast table", "v": "view",
    "m": "materialized view", "c": "composite type", "f": "foreign table",
}  # fmt: skip


class ObjectAddress(NamedTuple):
    """The catalog it is in, its OID there, and the column number for a column."""

    classid: int
    objid: int
    subid: int = 0


def relation_description(oid: int, missing_ok: bool = False) -> str | None:
    """``table t``: what kind of relation it is, and its name."""
    row = lookup(c.RELOID, oid)
    if row is None:
        if missing_ok:
            return None
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for relation {oid}")
    schema = None if ns.relation_is_visible(oid) else ns.get_namespace_name(row.relnamespace)
    return f"{RELKIND_WORDS.get(row.relkind, 'relation')} {quote_qualified_identifier(schema, row.relname)}"


def opfamily_description(oid: int) -> str:
    """``operator family f for access method btree``."""
    row = lookup(c.OPFAMILYOID, oid)
    schema = None if ns.opfamily_is_visible(oid) else ns.get_namespace_name(row.opfnamespace)
    return (
        f"operator family {quote_qualified_identifier(schema, row.opfname)} "
        f"for access method {lookup(c.AMOID, row.opfmethod).amname}"
    )


def _relation(address: ObjectAddress) -> str | None:
    text = relation_description(address.objid, True)
    if text is None or not address.subid:
        return text
    row = lookup(c.ATTNUM, address.objid, address.subid)
    return None if row is None else f"column {row.attname} of {text}"


def _visible_name(
    noun: str, cache: c.SysCache, name: str, namespace: str, visible: Callable[[int], bool | None]
) -> Callable[[ObjectAddress], str | None]:
    def describe(address: ObjectAddress) -> str | None:
        row = lookup(cache, address.objid)
        if row is None:
            return None
        schema = None if visible(address.objid) else ns.get_namespace_name(getattr(row, namespace))
        return f"{noun} {quote_qualified_identifier(schema, getattr(row, name))}"

    return describe


def _plain_name(noun: str, cache: c.SysCache, name: str) -> Callable[[ObjectAddress], str | None]:
    def describe(address: ObjectAddress) -> str | None:
        row = lookup(cache, address.objid)
        return None if row is None else f"{noun} {getattr(row, name)}"

    return describe


def _one(catalog: str, oid: int) -> Any:
    rows = scan_rows(catalog, oid=oid)
    return rows[0] if rows else None


def _proc(address: ObjectAddress) -> str | None:
    return f"function {format_procedure(address.objid)}" if lookup(c.PROCOID, address.objid) else None


def _type(address: ObjectAddress) -> str | None:
    return f"type {format_type(address.objid)}" if lookup(c.TYPEOID, address.objid) else None


def _operator(address: ObjectAddress) -> str | None:
    return f"operator {format_operator(address.objid)}" if lookup(c.OPEROID, address.objid) else None


def _cast(address: ObjectAddress) -> str | None:
    row = _one("pg_cast", address.objid)
    return row and f"cast from {format_type(row.castsource)} to {format_type(row.casttarget)}"


def _constraint(address: ObjectAddress) -> str | None:
    row = lookup(c.CONSTROID, address.objid)
    if row is None:
        return None
    if row.conrelid:
        return f"constraint {row.conname} on {relation_description(row.conrelid)}"
    return f"constraint {row.conname}"


def _attrdef(address: ObjectAddress) -> str | None:
    row = _one("pg_attrdef", address.objid)
    return row and f"default value for {_relation(ObjectAddress(CLASS, row.adrelid, row.adnum))}"


def _opclass(address: ObjectAddress) -> str | None:
    row = lookup(c.CLAOID, address.objid)
    if row is None:
        return None
    schema = None if ns.opclass_is_visible(address.objid) else ns.get_namespace_name(row.opcnamespace)
    method = lookup(c.AMOID, row.opcmethod).amname
    return (
        f"operator class {quote_qualified_identifier(schema, row.opcname)} for access method {quote_identifier(method)}"
    )


def _opfamily(address: ObjectAddress) -> str | None:
    return opfamily_description(address.objid) if lookup(c.OPFAMILYOID, address.objid) else None


def _amop(address: ObjectAddress) -> str | None:
    row = _one("pg_amop", address.objid)
    return row and (
        f"operator {row.amopstrategy} ({format_type(row.amoplefttype)}, {format_type(row.amoprighttype)}) of "
        f"{opfamily_description(row.amopfamily)}: {format_operator(row.amopopr)}"
    )


def _amproc(address: ObjectAddress) -> str | None:
    row = _one("pg_amproc", address.objid)
    return row and (
        f"function {row.amprocnum} ({format_type(row.amproclefttype)}, {format_type(row.amprocrighttype)}) of "
        f"{opfamily_description(row.amprocfamily)}: {format_procedure(row.amproc)}"
    )


def _on_relation(noun: str, catalog: str, name: str, relation: str) -> Callable[[ObjectAddress], str | None]:
    def describe(address: ObjectAddress) -> str | None:
        row = _one(catalog, address.objid)
        return (
            row and f"{noun} {getattr(row, name)} on {relation_description(getattr(row, relation))}"
        )

    return describe


def _role(address: ObjectAddress) -> str | None:
    row = lookup(c.AUTHOID, address.objid)
    return row and f"role {row.rolname}"


def _membership(address: ObjectAddress) -> str | None:
    row = _one("pg_auth_members", address.objid)
    return row and f"membership of role {role_name(row.member)} in role {role_name(row.roleid)}"


def _user_mapping(address: ObjectAddress) -> str | None:
    row = lookup(c.USERMAPPINGOID, address.objid)
    if row is None:
        return None
    user = role_name(row.umuser) if row.umuser else "public"
    return f"user mapping for {user} on server {lookup(c.FOREIGNSERVEROID, row.umserver).srvname}"


def _default_acl(address: ObjectAddress) -> str | None:
    row = _one("pg_default_acl", address.objid)
    if row is None:
        return None
    what = {"r": "relations", "S": "sequences", "f": "functions", "T": "types", "n": "schemas", "L": "large objects"}
    text = f"default privileges on new {what[row.defaclobjtype]} belonging to role {role_name(row.defaclrole)}"
    return f"{text} in schema {ns.get_namespace_name(row.defaclnamespace)}" if row.defaclnamespace else text


def _transform(address: ObjectAddress) -> str | None:
    row = lookup(c.TRFOID, address.objid)
    return row and f"transform for {format_type(row.trftype)} language {lookup(c.LANGOID, row.trflang).lanname}"


def _publication_rel(address: ObjectAddress) -> str | None:
    row = lookup(c.PUBLICATIONREL, address.objid)
    return row and (
        f"publication of {relation_description(row.prrelid)} in publication "
        f"{lookup(c.PUBLICATIONOID, row.prpubid).pubname}"
    )


def _publication_namespace(address: ObjectAddress) -> str | None:
    row = lookup(c.PUBLICATIONNAMESPACE, address.objid)
    return row and (
        f"publication of schema {ns.get_namespace_name(row.pnnspid)} in publication "
        f"{lookup(c.PUBLICATIONOID, row.pnpubid).pubname}"
    )


DESCRIBERS: dict[int, Callable[[ObjectAddress], str | None]] = {
    CLASS: _relation, PROC: _proc, TYPE: _type, OPERATOR: _operator, CAST: _cast, CONSTRAINT: _constraint,
    ATTRDEF: _attrdef, OPCLASS: _opclass, OPFAMILY: _opfamily, AMOP: _amop, AMPROC: _amproc,
    COLLATION: _visible_name("collation", c.COLLOID, "collname", "collnamespace", ns.collation_is_visible),
    CONVERSION: _visible_name("conversion", c.CONVOID, "conname", "connamespace", ns.conversion_is_visible),
    STATISTIC_EXT: _visible_name(
        "statistics object", c.STATEXTOID, "stxname", "stxnamespace", ns.statistics_is_visible
    ),
    TS_PARSER: _visible_name("text search parser", c.TSPARSEROID, "prsname", "prsnamespace", ns.ts_parser_is_visible),
    TS_DICT: _visible_name("text search dictionary", c.TSDICTOID, "dictname", "dictnamespace", ns.ts_dict_is_visible),
    TS_TEMPLATE: _visible_name("text search template", c.TSTEMPLATEOID, "tmplname", "tmplnamespace",
                               ns.ts_template_is_visible),
    TS_CONFIG: _visible_name("text search configuration", c.TSCONFIGOID, "cfgname", "cfgnamespace",
                             ns.ts_config_is_visible),
    LANGUAGE: _plain_name("language", c.LANGOID, "lanname"), AM: _plain_name("access method", c.AMOID, "amname"),
    NAMESPACE: _plain_name("schema", c.NAMESPACEOID, "nspname"),
    DATABASE: _plain_name("database", c.DATABASEOID, "datname"),
    TABLESPACE: _plain_name("tablespace", c.TABLESPACEOID, "spcname"),
    FDW: _plain_name("foreign-data wrapper", c.FOREIGNDATAWRAPPEROID, "fdwname"),
    FOREIGN_SERVER: _plain_name("server", c.FOREIGNSERVEROID, "srvname"),
    EXTENSION: _plain_name("extension", c.EXTENSIONOID, "extname"),
    EVENT_TRIGGER: _plain_name("event trigger", c.EVENTTRIGGEROID, "evtname"),
    PARAMETER_ACL: _plain_name("parameter", c.PARAMETERACLOID, "parname"),
    PUBLICATION: _plain_name("publication", c.PUBLICATIONOID, "pubname"),
    SUBSCRIPTION: _plain_name("subscription", c.SUBSCRIPTIONOID, "subname"),
    REWRITE: _on_relation("rule", "pg_rewrite", "rulename", "ev_class"),
    TRIGGER: _on_relation("trigger", "pg_trigger", "tgname", "tgrelid"),
    POLICY: _on_relation("policy", "pg_policy", "polname", "polrelid"),
    AUTHID: _role, AUTH_MEMBERS: _membership, USER_MAPPING: _user_mapping, DEFAULT_ACL: _default_acl,
    TRANSFORM: _transform, PUBLICATION_REL: _publication_rel, PUBLICATION_NAMESPACE: _publication_namespace,
}  # fmt: skip


def object_description(address: ObjectAddress, missing_ok: bool = False) -> str | None:
    """What messages call an object: ``table t``, ``column c of table t``, ``function f(integer)``."""
    if address.classid == LARGE_OBJECT:
        return f"large object {address.objid}"
    describe = DESCRIBERS.get(address.classid)
    if describe is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"unsupported object class: {address.classid}")
    text = describe(address)
    if text is None and not missing_ok:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for object {address.classid}/{address.objid}")
    return text
