"""Checking a table's pages."""

from collections.abc import Mapping

from tusk.access._relation import Relation

class HeapChecker:
    problems: list[tuple[int, int, str]]
    kinds: list[bytes | None]
    pointers: list[tuple[int, int, int, int, int, int]]
    live: int

def check_heap(rel: Relation, ids: Mapping[str, int], checksums: bool = ...) -> HeapChecker: ...
def toast_values(toast: Relation, kinds: list[bytes | None]) -> dict[int, list[tuple[int, int]]]: ...
def check_toast(
    pointers: list[tuple[int, int, int, int, int, int]], values: dict[int, list[tuple[int, int]]]
) -> list[tuple[int, int, str]]: ...
