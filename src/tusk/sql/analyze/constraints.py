"""Constraints of a relation."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import scan_rows


def constraints_of(relation: int) -> list[Any]:
    """The pg_constraint rows of a relation."""
    return scan_rows("pg_constraint", conrelid=relation)


def primary_key(relation: int) -> tuple[int, tuple[int, ...]] | None:
    """(constraint, column numbers) of a relation's primary key if it is not deferrable (get_primary_key_attnos)."""
    for row in constraints_of(relation):
        if row.contype == "p":
            return None if row.condeferrable else (row.oid, row.conkey)
    return None
