"""The table of resource managers (access/rmgrlist.h): ids, names, and how their records are named and described.

Replay is C: access methods hand their routines to `tusk.wal._redo.register_redo` when they are imported. Descriptions
are Python, in `tusk.wal.descriptions`, one module per resource manager, since programs need them without a server.
"""

RMGR_NAMES: tuple[str, ...] = (
    "XLOG",
    "Transaction",
    "Storage",
    "CLOG",
    "Database",
    "Tablespace",
    "MultiXact",
    "RelMap",
    "Standby",
    "Heap2",
    "Heap",
    "Btree",
    "Hash",
    "Gin",
    "Gist",
    "Sequence",
    "SPGist",
    "BRIN",
    "CommitTs",
    "ReplicationOrigin",
    "Generic",
    "LogicalMessage",
)


def rmgr_name(rmid: int) -> str:
    """The name pg_waldump prints; ids of custom resource managers become ``custom###``."""
    return RMGR_NAMES[rmid] if rmid < len(RMGR_NAMES) else f"custom{rmid:03d}"


def rmgr_id(name: str) -> int | None:
    """The id of a resource manager by name, in any case."""
    for i, known in enumerate(RMGR_NAMES):
        if known.lower() == name.lower():
            return i
    return None
