"""What the executor asks of others: filled by the modules that provide it."""

from __future__ import annotations

from typing import Any


def open_relation(oid: int) -> Any:
    """A relation whose lock this transaction holds already; replaced by `storage` glue when a database is open."""
    raise LookupError(f"could not open relation with OID {oid}")


def close_relation(relation: Any) -> None:
    """Give back what open_relation gave."""


def build_initplans(state: Any, plan: Any, estate: Any) -> None:
    """Prepare plan.initPlan; replaced by the module of subplans."""
