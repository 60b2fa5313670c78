"""Table inheritance as the analyzer needs it."""

from __future__ import annotations

from tusk.catalog.cache import scan_rows


def has_ancestor(relation: int, ancestor: int) -> bool:
    """Whether a table is another or descends from it, by pg_inherits."""
    pending, seen = [relation], set()
    while pending:
        current = pending.pop()
        if current == ancestor:
            return True
        if current not in seen:
            seen.add(current)
            pending += [row.inhparent for row in scan_rows("pg_inherits", inhrelid=current)]
    return False
