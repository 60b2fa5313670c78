"""The catalogs of a real server behind our catalog caches, so that analysis and deparsing see its tables."""

from tusk.catalog import cache, namespace, rows
from tusk.catalog.schema import schema_of

_AS_TEXT = ("int2vector", "oidvector", "pg_node_tree", "char", "xid", "name")


class Reader:
    """Answers cache misses with queries."""

    def __init__(self, connection):
        self.connection = connection

    def _selected(self, column):
        if column.type_name in _AS_TEXT:
            return f'"{column.name}"::text'
        if column.type_name in ("regproc", "oid"):
            return f'"{column.name}"::oid::bigint'
        return "null" if column.type_name in ("_aclitem", "anyarray") else f'"{column.name}"'

    def __call__(self, catalog, columns, values):
        schema = schema_of(catalog)
        types = {column.name: column.type_name for column in schema.columns}
        tests = [f'"{name}" = {_literal(types[name], value)}' for name, value in zip(columns, values, strict=True)]
        found = self.connection.execute(
            f"select {', '.join(map(self._selected, schema.columns))} from pg_catalog.{catalog}"
            f" where {' and '.join(tests) or 'true'}"
        )
        return [
            rows.ROW_CLASSES[catalog].from_values(
                [_value(column.type_name, value) for column, value in zip(schema.columns, row, strict=True)]
            )
            for row in found.fetchall()
        ]


def _literal(type_name, value):
    if type_name in ("oidvector", "int2vector"):
        return f"'{' '.join(map(str, value))}'::{type_name}"
    if isinstance(value, (bool, int)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def _value(type_name, value):
    if value is None:
        return None
    if type_name in ("int2vector", "oidvector"):
        return tuple(int(word) for word in value.split())
    return tuple(value) if type_name.startswith("_") else value


def use(monkeypatch, connection, *schemas):
    """Read the catalogs through this connection, with these schemas as search path, until the test ends."""
    oids = tuple(
        connection.execute("select oid from pg_namespace where nspname = %s", (name,)).fetchone()[0] for name in schemas
    )

    def compute():
        namespace._path.oids = (11, *oids)
        namespace._path.creation_namespace = oids[0]

    monkeypatch.setattr(namespace, "_compute_path", compute)
    cache.set_reader(Reader(connection))


def stop():
    """Back to the built-in facts."""
    cache.set_reader(None)
    namespace._path.key = None
