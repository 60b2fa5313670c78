"""What an index tells about a row in an error: ``Key (a)=(1) already exists.``"""

from collections.abc import Callable
from typing import Any

from tusk.access._tuple import deform_index_tuple
from tusk.errors import SqlError, errcode

KeyDescriber = Callable[[Any, list[Any]], str | None]

_describe: KeyDescriber | None = None


def set_key_describer(function: KeyDescriber | None) -> None:
    """Name the function that renders an index key (BuildIndexValueDescription).

    It is called with the index and the raw datums of its columns, and returns ``(a, b)=(1, x)``, or None when the
    user may not see the values.
    """
    global _describe
    _describe = function


def describe_key(index: Any, itup: bytes) -> str | None:
    """The key of an index tuple as text, None when it cannot be told."""
    if _describe is None:
        return None
    return _describe(index, deform_index_tuple(index.desc, itup))


def _origin(heap: Any) -> dict[str, Any]:
    return {"table": heap.name} if heap is not None else {}


def duplicate_key_error(index: Any, heap: Any, itup: bytes) -> SqlError:
    """23505 for an insertion."""
    key = describe_key(index, itup)
    return SqlError(
        errcode.UNIQUE_VIOLATION,
        f'duplicate key value violates unique constraint "{index.name}"',
        detail=f"Key {key} already exists." if key is not None else None,
        constraint=index.name,
        **_origin(heap),
    )


def duplicated_key_error(index: Any, heap: Any, itup: bytes) -> SqlError:
    """23505 for the building of an index."""
    key = describe_key(index, itup)
    return SqlError(
        errcode.UNIQUE_VIOLATION,
        f'could not create unique index "{index.name}"',
        detail=f"Key {key} is duplicated." if key is not None else "Duplicate keys exist.",
        constraint=index.name,
        **_origin(heap),
    )
