"""What an index tells about a row in an error: ``Key (a)=(1) already exists.``"""

from collections.abc import Callable
from typing import Any

from tusk.errors import SqlError, errcode

_describe: Callable[[Any, bytes], str | None] | None = None
_schema_of: Callable[[Any], str | None] | None = None


def set_key_describer(
    describe: Callable[[Any, bytes], str | None] | None, schema_of: Callable[[Any], str | None] | None = None
) -> None:
    """Name the function that renders an index key (BuildIndexValueDescription), and one that names a table's schema.

    The first is called with the index and an index tuple; it returns ``(a, b)=(1, x)``, or None when the user may
    not see the values.
    """
    global _describe, _schema_of
    _describe, _schema_of = describe, schema_of


def describe_key(index: Any, itup: bytes) -> str | None:
    """The key of an index tuple as text, None when it cannot be told."""
    return _describe(index, itup) if _describe is not None else None


def origin(heap: Any) -> dict[str, Any]:
    """The error fields that name a table."""
    return {"table": heap.name, "schema": _schema_of(heap) if _schema_of is not None else None}


def duplicate_key_error(index: Any, heap: Any, itup: bytes) -> SqlError:
    """23505 for an insertion."""
    key = describe_key(index, itup)
    return SqlError(
        errcode.UNIQUE_VIOLATION,
        f'duplicate key value violates unique constraint "{index.name}"',
        detail=f"Key {key} already exists." if key is not None else None,
        constraint=index.name,
        **origin(heap),
    )


def duplicated_key_error(index: Any, heap: Any, itup: bytes) -> SqlError:
    """23505 for the building of an index."""
    key = describe_key(index, itup)
    return SqlError(
        errcode.UNIQUE_VIOLATION,
        f'could not create unique index "{index.name}"',
        detail=f"Key {key} is duplicated." if key is not None else "Duplicate keys exist.",
        constraint=index.name,
        **origin(heap),
    )
