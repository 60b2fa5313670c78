"""Table inheritance as the analyzer needs it."""

from __future__ import annotations

from tusk.errors import feature_not_supported


def has_ancestor(relation: int, ancestor: int) -> bool:
    """Whether a table descends from another, through pg_inherits (has_superclass walk of typeInheritsFrom)."""
    if relation == ancestor:
        return True
    try:
        from tusk.catalog.inheritance import parents_of  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise feature_not_supported("conversion between row types of inheriting tables") from None
    pending, seen = [relation], set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        for parent in parents_of(current):
            if parent == ancestor:
                return True
            pending.append(parent)
    return False
