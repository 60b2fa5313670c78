"""The toaster."""

from collections.abc import Callable

from tusk.access._relation import Relation

def set_toast_opener(function: Callable[[int], Relation]) -> None: ...
