"""Operator classes and families by name."""

from __future__ import annotations

from tusk.catalog.cache import AMOID, CLAAMNAMENSP, lookup
from tusk.errors import SqlError, errcode
from tusk.sql.analyze.names import deconstruct
from tusk.sql.analyze.relations import provider


def opclass_oid(method: int, names: list[str], missing_ok: bool = False) -> int:
    """The operator class of an index method by name; 42704 (get_opclass_oid)."""
    schema, name = deconstruct(names)
    row = None
    if schema is not None:
        namespace = provider().namespace_oid(schema, missing_ok)
        row = lookup(CLAAMNAMENSP, method, name, namespace) if namespace else None
    else:
        for namespace in provider().search_path():
            row = lookup(CLAAMNAMENSP, method, name, namespace)
            if row is not None:
                break
    if row is not None:
        return row.oid  # type: ignore[no-any-return]
    if missing_ok:
        return 0
    access_method = lookup(AMOID, method)
    shown = "" if access_method is None else access_method.amname
    raise SqlError(
        errcode.UNDEFINED_OBJECT,
        f'operator class "{".".join(names)}" does not exist for access method "{shown}"',
    )
