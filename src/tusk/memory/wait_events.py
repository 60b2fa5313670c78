"""Wait events: what a process's posted id means, and the rows of pg_wait_events."""

import re

from tusk.memory import _lwlock
from tusk.memory.wait_event_names import EVENTS

PG_WAIT_LWLOCK = 0x01000000
PG_WAIT_LOCK = 0x03000000
PG_WAIT_BUFFERPIN = 0x04000000
PG_WAIT_ACTIVITY = 0x05000000
PG_WAIT_CLIENT = 0x06000000
PG_WAIT_EXTENSION = 0x07000000
PG_WAIT_IPC = 0x08000000
PG_WAIT_TIMEOUT = 0x09000000
PG_WAIT_IO = 0x0A000000
PG_WAIT_INJECTIONPOINT = 0x0B000000

CLASS_NAMES = {
    PG_WAIT_LWLOCK: "LWLock",
    PG_WAIT_LOCK: "Lock",
    PG_WAIT_BUFFERPIN: "BufferPin",
    PG_WAIT_ACTIVITY: "Activity",
    PG_WAIT_CLIENT: "Client",
    PG_WAIT_EXTENSION: "Extension",
    PG_WAIT_IPC: "IPC",
    PG_WAIT_TIMEOUT: "Timeout",
    PG_WAIT_IO: "IO",
    PG_WAIT_INJECTIONPOINT: "InjectionPoint",
}

# In the order of LockTagType (storage/lock.h).
LOCK_TYPES = ("relation", "extend", "frozenid", "page", "tuple", "transactionid", "virtualxid", "spectoken", "object",
              "userlock", "advisory", "applytransaction")

_by_id = {event_id: (kind, name) for kind, name, _, event_id in EVENTS}
ids: dict[str, int] = {constant: event_id for _, _, constant, event_id in EVENTS if constant}
by_name: dict[str, int] = {name: event_id for _, name, _, event_id in EVENTS}


def describe(event_id: int) -> tuple[str | None, str | None]:
    """(wait_event_type, wait_event) of pg_stat_activity for a posted id; (None, None) for 0."""
    if event_id == 0:
        return None, None
    class_id, number = event_id & 0xFF000000, event_id & 0xFFFF
    kind = CLASS_NAMES.get(class_id)
    if kind is None:
        return "???", "unknown wait event"
    if class_id == PG_WAIT_LWLOCK:
        return kind, _lwlock.tranche_name(number)
    if class_id == PG_WAIT_LOCK:
        return kind, LOCK_TYPES[number] if number < len(LOCK_TYPES) else "???"
    if class_id == PG_WAIT_EXTENSION:
        return kind, "Extension"
    return _by_id.get(event_id, (kind, "unknown wait event"))


_TEXT = {
    "LWLock": "Waiting for the lightweight lock named {}.",
    "Lock": "Waiting for a heavyweight lock of type {}.",
    "BufferPin": "Waiting for the only pin on a buffer.",
    "Activity": "Main loop of a server process is idle: {}.",
    "Client": "Waiting for the peer at the other end of a connection: {}.",
    "Extension": "Waiting in an extension.",
    "IPC": "Waiting for another process of the server: {}.",
    "Timeout": "Waiting for time to pass: {}.",
    "IO": "Waiting for a file operation: {}.",
}


def rows() -> list[tuple[str, str, str]]:
    """The rows of pg_wait_events: type, name, description."""
    found = [(kind, name) for kind, name, _, _ in EVENTS]
    found += [("LWLock", name) for name in _lwlock.tranche_ids().values()]
    found += [("Lock", name) for name in LOCK_TYPES]
    found.append(("Extension", "Extension"))
    result = []
    for kind, name in sorted(found, key=lambda row: (row[0].lower(), row[1].lower())):
        words = name if kind in ("LWLock", "Lock") else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
        result.append((kind, name, _TEXT[kind].format(words)))
    return result
