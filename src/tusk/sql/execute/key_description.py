"""Keys in messages: ``(a, lower(b))=(1, x)`` for errors of unique indexes (BuildIndexValueDescription)."""

from __future__ import annotations

from typing import Any

from tusk.access.nbtree.keys import set_key_describer
from tusk.catalog._relcache import relation_by_oid
from tusk.catalog.acl import ACL_SELECT, attribute_aclcheck, class_aclcheck
from tusk.catalog.session import session
from tusk.types._kernel_datum import raw_to_python
from tusk.types.codec import codec_for


def text_of(value: Any, type_oid: int) -> str:
    """A value as shown in a message."""
    return "null" if value is None else codec_for(type_oid).output(value)


def key_text(names: list[str], values: list[str]) -> str:
    """``(a, b)=(1, x)``."""
    return f"({', '.join(names)})=({', '.join(values)})"


def describe_index_key(index: Any, datums: list[Any]) -> str | None:
    """The key columns of an index tuple given as raw datums."""
    heap = relation_by_oid(index.heap_oid)
    if heap is None or not may_see(heap, index):
        return None
    names, values = [], []
    for i in range(index.indnkeyatts):
        attnum = index.indkey[i]
        names.append(heap.desc.names[attnum - 1] if attnum > 0 else index.desc.names[i])
        type_oid = index.desc.attribute(i + 1)["atttypid"]
        values.append(text_of(raw_to_python(datums[i], type_oid), type_oid))
    return key_text(names, values)


def may_see(heap: Any, index: Any) -> bool:
    """Whether the user may read all key columns."""
    user = session.current_user_id
    if class_aclcheck(heap.rd_id, user, ACL_SELECT):
        return True
    return all(
        attnum > 0 and attribute_aclcheck(heap.rd_id, attnum, user, ACL_SELECT)
        for attnum in index.indkey[: index.indnkeyatts]
    )


set_key_describer(describe_index_key)
