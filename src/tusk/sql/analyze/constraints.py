"""Constraints of a relation, through whatever holds pg_constraint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.facts import builtin_rows


def _builtin(relation: int) -> list[Any]:
    return [row for row in builtin_rows("pg_constraint") if row.conrelid == relation]


_reader: Callable[[int], list[Any]] = _builtin


def set_constraint_reader(reader: Callable[[int], list[Any]] | None) -> None:
    """Choose where a relation's pg_constraint rows come from; None is the built-in facts."""
    global _reader
    _reader = _builtin if reader is None else reader


def constraints_of(relation: int) -> list[Any]:
    """The pg_constraint rows of a relation."""
    return _reader(relation)


def primary_key(relation: int) -> tuple[int, tuple[int, ...]] | None:
    """(constraint, column numbers) of a relation's primary key if it is not deferrable (get_primary_key_attnos)."""
    for row in _reader(relation):
        if row.contype == "p":
            return None if row.condeferrable else (row.oid, row.conkey)
    return None
