"""In-place updates."""

from collections.abc import Callable

from tusk.access._relation import Relation

def set_invalidation(
    messages_for: Callable[[Relation, bytes], tuple[bytes, bool, int, int]], send: Callable[[bytes, bool], object]
) -> None: ...
def update_in_place(rel: Relation, tid: tuple[int, int], new_tuple: bytes) -> bool: ...
