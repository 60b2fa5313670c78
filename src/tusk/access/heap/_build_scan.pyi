"""Every tuple that a new index must have an entry for."""

from tusk.access._relation import Relation

Tid = tuple[int, int]

def rows_to_index(rel: Relation, unique: bool = ...) -> tuple[list[tuple[Tid, Tid, bool]], bool]: ...
