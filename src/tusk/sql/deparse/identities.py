"""Names of objects for programs: pg_identify_object() (getObjectIdentity of objectaddress.c)."""

from __future__ import annotations

from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog.cache import SysCache, lookup, scan_rows
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.names import format_procedure, format_type
from tusk.catalog.namespace import get_namespace_name
from tusk.errors import feature_not_supported
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.namespaces import attribute_name

Identity = tuple[str, str | None, str | None, str]

_RELATIONS = {
    "r": "table", "p": "table", "i": "index", "I": "index", "S": "sequence", "t": "toast table", "v": "view",
    "m": "materialized view", "c": "composite type", "f": "foreign table",
}  # fmt: skip
_ROUTINES = {"a": "aggregate", "p": "procedure"}
# Objects with a name alone: what they are called, their cache and their name's column.
_PLAIN: dict[int, tuple[str, SysCache, str]] = {
    oa.NAMESPACE: ("schema", c.NAMESPACEOID, "nspname"),
    oa.LANGUAGE: ("language", c.LANGOID, "lanname"),
    oa.AM: ("access method", c.AMOID, "amname"),
    oa.AUTHID: ("role", c.AUTHOID, "rolname"),
    oa.DATABASE: ("database", c.DATABASEOID, "datname"),
    oa.TABLESPACE: ("tablespace", c.TABLESPACEOID, "spcname"),
    oa.EXTENSION: ("extension", c.EXTENSIONOID, "extname"),
    oa.FDW: ("foreign-data wrapper", c.FOREIGNDATAWRAPPEROID, "fdwname"),
    oa.FOREIGN_SERVER: ("server", c.FOREIGNSERVEROID, "srvname"),
    oa.EVENT_TRIGGER: ("event trigger", c.EVENTTRIGGEROID, "evtname"),
    oa.PUBLICATION: ("publication", c.PUBLICATIONOID, "pubname"),
    oa.SUBSCRIPTION: ("subscription", c.SUBSCRIPTIONOID, "subname"),
}
# Objects in a schema: the columns of name and schema, too.
_IN_SCHEMA: dict[int, tuple[str, SysCache, str, str]] = {
    oa.COLLATION: ("collation", c.COLLOID, "collname", "collnamespace"),
    oa.CONVERSION: ("conversion", c.CONVOID, "conname", "connamespace"),
    oa.STATISTIC_EXT: ("statistics object", c.STATEXTOID, "stxname", "stxnamespace"),
    oa.TS_PARSER: ("text search parser", c.TSPARSEROID, "prsname", "prsnamespace"),
    oa.TS_DICT: ("text search dictionary", c.TSDICTOID, "dictname", "dictnamespace"),
    oa.TS_TEMPLATE: ("text search template", c.TSTEMPLATEOID, "tmplname", "tmplnamespace"),
    oa.TS_CONFIG: ("text search configuration", c.TSCONFIGOID, "cfgname", "cfgnamespace"),
}
# Objects of a table: the catalog and the columns of name and table.
_ON_RELATION: dict[int, tuple[str, str, str, str]] = {
    oa.REWRITE: ("rule", "pg_rewrite", "rulename", "ev_class"),
    oa.TRIGGER: ("trigger", "pg_trigger", "tgname", "tgrelid"),
    oa.POLICY: ("policy", "pg_policy", "polname", "polrelid"),
}


def _schema(oid: int) -> str:
    return quote_identifier(get_namespace_name(oid) or "")


def _relation(oid: int, column: int) -> Identity | None:
    row = lookup(c.RELOID, oid)
    if row is None:
        return None
    kind, identity = _RELATIONS[row.relkind], nm.qualified_relation_text(oid)
    if column:
        kind += " column"
        identity += "." + quote_identifier(attribute_name(oid, column))
    return kind, _schema(row.relnamespace), quote_identifier(row.relname), identity


def _constraint(oid: int) -> Identity | None:
    row = lookup(c.CONSTROID, oid)
    if row is None:
        return None
    if row.conrelid:
        kind, owner = "table constraint", nm.qualified_relation_text(row.conrelid)
    else:
        kind, owner = "domain constraint", format_type(row.contypid, qualify=True)
    return kind, _schema(row.connamespace), None, f"{quote_identifier(row.conname)} on {owner}"


def _default(oid: int) -> Identity | None:
    rows = scan_rows("pg_attrdef", oid=oid)
    if not rows:
        return None
    column = quote_identifier(attribute_name(rows[0].adrelid, rows[0].adnum))
    return "default value", None, None, f"for {nm.qualified_relation_text(rows[0].adrelid)}.{column}"


def _routine(oid: int) -> Identity | None:
    row = lookup(c.PROCOID, oid)
    if row is None:
        return None
    kind = _ROUTINES.get(row.prokind, "function")
    return kind, _schema(row.pronamespace), None, format_procedure(oid, qualify=True)


def _type(oid: int) -> Identity | None:
    row = lookup(c.TYPEOID, oid)
    if row is None:
        return None
    return "type", _schema(row.typnamespace), quote_identifier(row.typname), format_type(oid, qualify=True)


def _by_table(classid: int, oid: int) -> Identity | None:
    if classid in _PLAIN:
        kind, cache, column = _PLAIN[classid]
        row = lookup(cache, oid)
        name = None if row is None else quote_identifier(getattr(row, column))
        return None if name is None else (kind, None, name, name)
    if classid in _IN_SCHEMA:
        kind, cache, column, namespace = _IN_SCHEMA[classid]
        row = lookup(cache, oid)
        if row is None:
            return None
        schema, name = get_namespace_name(getattr(row, namespace)), getattr(row, column)
        return kind, quote_identifier(schema or ""), quote_identifier(name), quote_qualified_identifier(schema, name)
    if classid in _ON_RELATION:
        kind, catalog, column, relation = _ON_RELATION[classid]
        rows = scan_rows(catalog, oid=oid)
        if not rows:
            return None
        table = nm.qualified_relation_text(getattr(rows[0], relation))
        return kind, None, None, f"{quote_identifier(getattr(rows[0], column))} on {table}"
    raise feature_not_supported(f"pg_identify_object() of catalog {classid}")


def object_identity(classid: int, oid: int, subid: int) -> Identity | None:
    """(type, schema, name, identity) of an object, None if it does not exist."""
    match classid:
        case oa.CLASS:
            return _relation(oid, subid)
        case oa.PROC:
            return _routine(oid)
        case oa.TYPE:
            return _type(oid)
        case oa.CONSTRAINT:
            return _constraint(oid)
        case oa.ATTRDEF:
            return _default(oid)
    return _by_table(classid, oid)
