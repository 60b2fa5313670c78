"""Checking a b-tree's structure."""

from tusk.access._index import IndexFormer
from tusk.access._relation import Relation

def check_index(index: Relation, heap: Relation | None = None, former: IndexFormer | None = None) -> dict[str, int]: ...
