"""VACUUM of b-trees."""

from collections.abc import Iterable

from tusk.access._relation import Relation

def vacuum_entries(index: Relation, heap: Relation | None, dead: Iterable[tuple[int, int]]) -> dict[str, float]: ...
