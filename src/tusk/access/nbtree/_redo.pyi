"""Replay of b-tree records."""

from collections.abc import Callable
from typing import Any

def set_conflict_hook(function: Callable[[int, bool, Any, bool], None] | None) -> None: ...
def masked_page(page: bytes, block: int) -> bytes: ...
