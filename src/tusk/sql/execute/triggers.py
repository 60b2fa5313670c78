"""AFTER triggers: the queue of row events, fired at the end of the statement or, deferred, before commit.

Built-in triggers keep foreign keys (`referential`) and recheck deferrable unique constraints. Triggers in other
languages go through the function's handler. BEFORE and INSTEAD OF triggers and statement triggers are not built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tusk.catalog.cache import PROCOID, lookup
from tusk.errors import feature_not_supported
from tusk.sql.nodes import enums
from tusk.transaction import xact

Tid = tuple[int, int]
TRIGGER_ROW, TRIGGER_BEFORE, TRIGGER_INSERT, TRIGGER_DELETE, TRIGGER_UPDATE = 1, 2, 4, 8, 16
TRIGGER_TRUNCATE, TRIGGER_INSTEAD = 32, 64
UNIQUE_KEY_RECHECK = 1250
EVENTS = {
    enums.CMD_INSERT: TRIGGER_INSERT, enums.CMD_DELETE: TRIGGER_DELETE, enums.CMD_UPDATE: TRIGGER_UPDATE,
    enums.CMD_MERGE: TRIGGER_INSERT | TRIGGER_DELETE | TRIGGER_UPDATE,
}  # fmt: skip


class Event(NamedTuple):
    """One row event of one trigger."""

    trigger: Any
    relation: int
    kind: int
    old: Tid | None
    new: Tid | None
    index: int = 0  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    subtransaction: int = 0


class UniqueRecheck:
    """Stands for the trigger of a deferrable unique constraint."""

    __slots__ = ("tgconstraint", "tgconstrindid", "tgdeferrable", "tgfoid", "tginitdeferred", "tgname")

    def __init__(self, index: int, constraint: Any) -> None:
        self.tgname = "unique_key_recheck"
        self.tgfoid = UNIQUE_KEY_RECHECK
        self.tgconstrindid = index
        self.tgconstraint = constraint.oid if constraint is not None else 0
        self.tgdeferrable = constraint is not None and constraint.condeferrable
        self.tginitdeferred = constraint is not None and constraint.condeferred


class Queue:
    """Events of one statement, then the deferred ones of the transaction."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def recheck_unique(self, relation: Any, index: Any, tid: Tid) -> None:
        """A deferrable unique index may have a duplicate: look again later."""
        constraint = next((row for row in relation.extra.constraints if row.conindid == index.rd_id
                           and row.contype in "pux"), None)  # fmt: skip
        trigger = UniqueRecheck(index.rd_id, constraint)
        self.events.append(Event(trigger, relation.rd_id, TRIGGER_INSERT, None, tid, index.rd_id))


deferred_events: list[Event] = []
# Constraints set by SET CONSTRAINTS in this transaction: constraint oid (0: all) -> is deferred.
deferral: dict[int, bool] = {}
_fire: dict[str, Callable[[Event, Any], None]] = {}


def trigger_function(prosrc: str) -> Callable[[Callable[[Event, Any], None]], Callable[[Event, Any], None]]:
    """Register a built-in trigger function: called with the event and the EState (None when deferred)."""

    def decorate(function: Callable[[Event, Any], None]) -> Callable[[Event, Any], None]:
        _fire[prosrc] = function
        return function

    return decorate


def _prosrc(trigger: Any) -> str:
    row = lookup(PROCOID, trigger.tgfoid)
    return str(row.prosrc)


def row_triggers(relation: Any, operation: int, on_conflict: int) -> list[Any]:
    """The enabled AFTER ROW triggers that an operation may fire."""
    if relation.extra is None:
        return []
    wanted = EVENTS[enums.CmdType(operation)]
    if on_conflict == enums.ONCONFLICT_UPDATE:
        wanted |= TRIGGER_UPDATE
    found = []
    for trigger in relation.extra.triggers:
        if trigger.tgenabled == "D" or not trigger.tgtype & wanted:
            continue
        if trigger.tgtype & (TRIGGER_BEFORE | TRIGGER_INSTEAD) or not trigger.tgtype & TRIGGER_ROW:
            raise feature_not_supported("BEFORE, INSTEAD OF and statement triggers")
        if _prosrc(trigger) == "unique_key_recheck":
            continue
        found.append(trigger)
    return found


def statement_queue(estate: Any) -> Queue:
    """The queue of one statement."""
    return Queue()


def after_insert(estate: Any, relation: Any, triggers: list[Any], new: Tid) -> None:
    """A row was inserted."""
    for trigger in triggers:
        if trigger.tgtype & TRIGGER_INSERT:
            estate.triggers.events.append(Event(trigger, relation.rd_id, TRIGGER_INSERT, None, new))


def after_update(estate: Any, relation: Any, triggers: list[Any], old: Tid, new: Tid) -> None:
    """A row was updated."""
    for trigger in triggers:
        if trigger.tgtype & TRIGGER_UPDATE:
            estate.triggers.events.append(Event(trigger, relation.rd_id, TRIGGER_UPDATE, old, new))


def after_delete(estate: Any, relation: Any, triggers: list[Any], old: Tid) -> None:
    """A row was deleted."""
    for trigger in triggers:
        if trigger.tgtype & TRIGGER_DELETE:
            estate.triggers.events.append(Event(trigger, relation.rd_id, TRIGGER_DELETE, old, None))


def end_of_modify(estate: Any, relations: list[Any], operation: int) -> None:
    """A ModifyTable node has changed all its rows."""


def is_deferred(trigger: Any) -> bool:
    """Whether a trigger's events wait for the end of the transaction."""
    if not trigger.tgdeferrable:
        return False
    if trigger.tgconstraint in deferral:
        return deferral[trigger.tgconstraint]
    if 0 in deferral:
        return deferral[0]
    return bool(trigger.tginitdeferred)


def fire_statement(estate: Any) -> None:
    """At the end of a statement: fire what is not deferred; firing may queue more events."""
    queue = estate.triggers
    while queue is not None and queue.events:
        events, queue.events = queue.events, []
        for event in events:
            if is_deferred(event.trigger):
                deferred_events.append(event._replace(subtransaction=xact.current_subtransaction_id()))
            else:
                fire(event, estate)
    estate.triggers = None


def fire_deferred(constraints: set[int] | None = None) -> None:
    """Before commit (or for SET CONSTRAINTS ... IMMEDIATE, for some constraints only): fire what was deferred."""
    while True:
        chosen = [e for e in deferred_events if constraints is None or e.trigger.tgconstraint in constraints]
        if not chosen:
            return
        deferred_events[:] = [e for e in deferred_events if e not in chosen]
        for event in chosen:
            fire(event, None)


def forget_deferred() -> None:
    """At the end of a transaction."""
    deferred_events.clear()
    deferral.clear()


def forget_subtransaction(subtransaction: int, _parent: int) -> None:
    """Events queued in a subtransaction that is rolled back, or within it, are gone."""
    deferred_events[:] = [event for event in deferred_events if event.subtransaction < subtransaction]


def has_pending(relation: int) -> bool:
    """Whether events of a relation wait (its definition must not change then)."""
    return any(event.relation == relation for event in deferred_events)


def set_deferral(constraints: set[int] | None, deferred: bool) -> None:
    """SET CONSTRAINTS for some constraints (None: all)."""
    if constraints is None:
        deferral.clear()
        deferral[0] = deferred
    else:
        for constraint in constraints:
            deferral[constraint] = deferred
    if not deferred:
        fire_deferred(constraints)


def fire(event: Event, estate: Any) -> None:
    """Run one trigger."""
    row = lookup(PROCOID, event.trigger.tgfoid)
    function = _fire.get(row.prosrc) if row.prolang in (12, 13) else None
    if function is None:
        raise feature_not_supported(f"trigger function {row.proname}")
    function(event, estate)
