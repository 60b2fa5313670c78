"""Checking a b-tree's structure."""

from tusk.access._index import IndexFormer
from tusk.access._relation import Relation

def check_index(
    index: Relation,
    heap: Relation | None = ...,
    former: IndexFormer | None = ...,
    kinds: list[bytes | None] | None = ...,
) -> dict[str, int]: ...
