"""Write the built-in facts of the system catalogs from a freshly initialised PostgreSQL 18 cluster.

Usage: python tools/extract_catalogs.py CONNINFO INCLUDE_SERVER_DIR

The cluster must be the untouched result of ``initdb -U postgres`` with locale C.UTF-8; the database asked is
template1. Written below ``src/tusk/catalog/``:

* ``data/<catalog>.json``: the rows, one JSON array a line, columns in attribute order;
* ``data/tables.json``: the tables of information_schema with their rows;
* ``data/schema.json``: each catalog's columns, indexes and TOAST table;
* ``rows.py``: one class per catalog; ``cacheids.py``: the syscaches; ``oids.py``: OIDs under their header names.

Stored node trees of views, SQL function bodies and checks are left out (null): Tusk derives these itself from
its own SQL. Columns that record physical state (pages, tuples, frozen xids) are left at their initial values.
"""

import json
import re
import sys
from pathlib import Path

import psycopg

HOME = Path(__file__).parents[1] / "src/tusk/catalog"
EXPRESSION = {
    "regproc": "{}::oid", "int2vector": "to_json({}::int2[])", "oidvector": "to_json({}::oid[]::int8[])",
    "_aclitem": "to_json({}::text[])", "aclitem": "{}::text", "_char": "to_json({}::text[])",
    "pg_node_tree": "{}::text", "xid": "{}::text::int8", "bytea": "encode({}, 'hex')", "pg_lsn": "({} - '0/0')::int8",
    "timestamptz": "(extract(epoch from {}) * 1000000 - 946684800000000)::int8", "oid": "{}::int8",
    "_oid": "to_json({}::int8[])",
}
WITHOUT_ROWS = {"pg_statistic", "pg_statistic_ext", "pg_statistic_ext_data"}
LEFT_OUT = {("pg_rewrite", "ev_action"), ("pg_proc", "prosqlbody"), ("pg_constraint", "conbin")}
INITIAL = {
    ("pg_class", "relpages"): 0, ("pg_class", "reltuples"): -1, ("pg_class", "relallvisible"): 0,
    ("pg_class", "relallfrozen"): 0, ("pg_database", "datfrozenxid"): 3, ("pg_authid", "rolpassword"): None,
}
ANNOTATION = {
    "bool": "bool", "name": "str", "text": "str", "char": "str", "pg_node_tree": "str", "float4": "float",
    "int2vector": "tuple[int, ...]", "oidvector": "tuple[int, ...]", "_oid": "tuple[int, ...]",
    "_int2": "tuple[int, ...]",
    "_text": "tuple[str, ...]", "_char": "tuple[str, ...]", "_float4": "tuple[float, ...]", "bytea": "bytes",
    "_aclitem": "tuple[AclItem, ...]", "pg_ndistinct": "bytes", "pg_dependencies": "bytes", "pg_mcv_list": "bytes",
    "anyarray": "Any", "_pg_statistic": "Any",
}
ACL_CHARS = "arwdDxtXUCTcsAm"


def acl_item(text, roles):
    """Turn ``grantee=privileges/grantor`` into [grantee, grantor, privilege bits with grant options above bit 32]."""
    grantee, rest = text.split("=", 1)
    privileges, grantor = rest.rsplit("/", 1)
    bits = 0
    for i, char in enumerate(privileges):
        if char != "*":
            bits |= 1 << ACL_CHARS.index(char)
            if privileges[i + 1 : i + 2] == "*":
                bits |= 1 << (ACL_CHARS.index(char) + 32)
    return [roles[grantee] if grantee else 0, roles[grantor], bits]


def class_name(catalog):
    """pg_ts_config_map -> PgTsConfigMap."""
    return "".join(part.capitalize() for part in catalog.split("_"))


def read_schema(connection):
    """Columns, indexes and TOAST table of each catalog, by name."""
    catalogs = {}
    for oid, name, rowtype, shared, toast, toast_index in connection.execute(
        "select c.oid, c.relname, c.reltype, c.relisshared, c.reltoastrelid,"
        " coalesce((select indexrelid from pg_index where indrelid = c.reltoastrelid), 0)"
        " from pg_class c where relnamespace = 11 and relkind = 'r' order by relname"
    ):
        columns = [list(row) for row in connection.execute(
            "select attname, atttypid, attlen, attalign::text, attbyval, attnotnull, attstorage::text, t.typname"
            " from pg_attribute a join pg_type t on t.oid = atttypid where attrelid = %s and attnum > 0"
            " order by attnum",
            [oid])]
        indexes = [list(row) for row in connection.execute(
            "select indexrelid, relname, indisunique, indisprimary, to_json(indkey::int2[]),"
            " to_json(indclass::oid[]::int8[]), to_json(indcollation::oid[]::int8[])"
            " from pg_index join pg_class c on c.oid = indexrelid where indrelid = %s order by indexrelid", [oid])]
        catalogs[name] = {"oid": oid, "rowtype": rowtype, "shared": shared, "toast": toast, "toast_index": toast_index,
                          "columns": columns, "indexes": indexes}
    return catalogs


def read_rows(connection, name, catalog, roles):
    """All rows of one catalog as JSON-able lists."""
    columns = catalog["columns"]
    expressions = [EXPRESSION.get(column[7], "{}").format(f'"{column[0]}"') for column in columns]
    first = catalog["indexes"][0][4] if catalog["indexes"] else [1]
    for index in catalog["indexes"]:
        if index[3]:
            first = index[4]
    order = ", ".join(f'"{columns[i - 1][0]}"' for i in first)
    rows = []
    for row in connection.execute(f"select {', '.join(expressions)} from {name} order by {order}"):
        values = list(row)
        for i, column in enumerate(columns):
            if (name, column[0]) in LEFT_OUT:
                values[i] = None
            elif (name, column[0]) in INITIAL:
                values[i] = INITIAL[name, column[0]]
            elif column[0] == "relfrozenxid" and values[i]:
                values[i] = 3
            elif column[7] == "_aclitem" and values[i] is not None:
                values[i] = [acl_item(item, roles) for item in values[i]]
            elif isinstance(values[i], float) and values[i] == int(values[i]):
                values[i] = int(values[i])
        rows.append(values)
    return rows


def read_tables(connection):
    """The plain tables of information_schema: [oid, toast oid, toast index oid, column kinds, rows]."""
    tables = []
    for oid, toast, toast_index in connection.execute(
        "select c.oid, c.reltoastrelid, i.indexrelid from pg_class c join pg_index i on i.indrelid = c.reltoastrelid"
        " where relnamespace = 'information_schema'::regnamespace and relkind = 'r' order by 1"
    ):
        kinds = [kind for (kind,) in connection.execute(
            "select case attlen when -1 then 'text' else 'int4' end from pg_attribute"
            " where attrelid = %s and attnum > 0 order by attnum", [oid])]
        name = connection.execute("select %s::regclass::text", [oid]).fetchone()[0]
        rows = [[row[i] if kinds[i] == "text" or row[i] is None else int(row[i]) for i in range(len(kinds))]
                for row in connection.execute(f"select * from {name} order by ctid")]
        tables.append([oid, toast, toast_index, kinds, rows])
    return tables


def write_rows_module(catalogs):
    """rows.py: a class per catalog."""
    out = [
        "# Generated by tools/extract_catalogs.py.",
        "# ruff: noqa: RUF023 (slots are in attribute order)",
        '"""A class per system catalog, with a slot per column; NULL is None, arrays and vectors are tuples."""',
        "", "from __future__ import annotations", "", "from typing import Any", "",
        "from tusk.catalog.rowbase import AclItem, Row", "",
    ]
    for name, catalog in catalogs.items():
        out += ["", f"class {class_name(name)}(Row):", f'    """{name}."""', ""]
        slots = ", ".join(f'"{column[0]}"' for column in catalog["columns"])
        out.append(f"    __slots__ = ({slots},)" if len(slots) < 90 else "    __slots__ = (\n" + "".join(
            f'        "{column[0]}",\n' for column in catalog["columns"]) + "    )")
        out += [f'    catalog_name = "{name}"', f'    catalog_oid = {catalog["oid"]}']
        for column in catalog["columns"]:
            kind = ANNOTATION.get(column[7], "int")
            out.append(f"    {column[0]}: {kind}{'' if column[5] else ' | None'}")
        out.append("")
    out += ["", "ROW_CLASSES: dict[str, type[Row]] = {"]
    out += [f'    "{name}": {class_name(name)},' for name in catalogs]
    out += ["}", ""]
    (HOME / "rows.py").write_text("\n".join(out))


def read_defines(include):
    """Every ``#define NAME number`` of the catalogs' generated headers."""
    defines = {}
    for path in sorted(Path(include, "catalog").glob("pg_*_d.h")):
        for name, value in re.findall(r"^#define (\w+) (\d+)\s*(?:/\*.*)?$", path.read_text(), re.M):
            defines[name] = int(value)
    return defines


def write_caches(include, catalogs, defines):
    """cacheids.py: (name, id, catalog, index oid, key columns) of each syscache."""
    text = Path(include, "catalog/syscache_info.h").read_text()
    ids = re.search(r"enum SysCacheIdentifier\s*{(.*?)}", Path(include, "catalog/syscache_ids.h").read_text(), re.S)
    order = [name.strip() for name in ids.group(1).split(",") if name.strip()]
    by_oid = {catalog["oid"]: name for name, catalog in catalogs.items()}
    out = ["# Generated by tools/extract_catalogs.py.",
           '"""The syscaches: id, catalog, unique index and key columns."""', "",
           "# name: (id, catalog, index oid, key columns)",
           "CACHES: dict[str, tuple[int, str, int, tuple[str, ...]]] = {"]
    for name, relation, index, keys in re.findall(r"\[(\w+)\] = {\s*(\w+),\s*(\w+),\s*KEY\(([^)]*)\)", text):
        catalog = by_oid[defines[relation]]
        columns = tuple(re.sub(rf"^Anum_{catalog}_", "", key.strip()) for key in keys.split(","))
        keytext = ", ".join(f'"{column}"' for column in columns) + ("," if len(columns) == 1 else "")
        out.append(f'    "{name}": ({order.index(name)}, "{catalog}", {defines[index]}, ({keytext})),')
    out += ["}", ""]
    (HOME / "cacheids.py").write_text("\n".join(out))


def write_oids(defines):
    """oids.py: the OID constants of the headers (types, functions, catalogs, indexes ...)."""
    out = ["# Generated by tools/extract_catalogs.py.",
           '"""OIDs of built-in objects under the names PostgreSQL\'s headers give them."""', ""]
    out += [f"{name} = {value}" for name, value in sorted(defines.items())
            if not name.startswith(("Anum_", "Natts_")) and value > 0]
    (HOME / "oids.py").write_text("\n".join(out) + "\n")


def main(conninfo, include):
    """Extract everything."""
    (HOME / "data").mkdir(exist_ok=True)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        roles = dict(connection.execute("select rolname, oid from pg_authid"))
        catalogs = read_schema(connection)
        for name, catalog in catalogs.items():
            rows = [] if name in WITHOUT_ROWS else read_rows(connection, name, catalog, roles)
            text = ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows)
            path = HOME / "data" / f"{name}.json"
            if rows:
                path.write_text(f"[\n{text}\n]\n")
            else:
                path.unlink(missing_ok=True)
        tables = read_tables(connection)
    text = ",\n".join(
        json.dumps(table[:4], separators=(",", ":"))[:-1] + ",[\n"
        + ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in table[4]) + "]]"
        for table in tables)
    (HOME / "data/tables.json").write_text(f"[\n{text}\n]\n")
    lines = ",\n".join(f'"{name}":' + json.dumps(catalog, separators=(",", ":")) for name, catalog in catalogs.items())
    (HOME / "data/schema.json").write_text("{\n" + lines + "\n}\n")
    defines = read_defines(include)
    write_rows_module(catalogs)
    write_caches(include, catalogs, defines)
    write_oids(defines)


if __name__ == "__main__":
    main(*sys.argv[1:])
