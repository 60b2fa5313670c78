"""What records are called and what they say, in pg_waldump's words."""

from collections.abc import Callable
from typing import NamedTuple

from tusk.wal._redo import DecodedRecord
from tusk.wal.descriptions import btree, files, heap, others, standby, transaction, xlog
from tusk.wal.rmgr import rmgr_name


class Description(NamedTuple):
    """How records of a resource manager are named and described."""

    identify: Callable[[int], str | None]
    describe: Callable[[DecodedRecord], str]


def _by_name(names: dict[int, str]) -> Callable[[int], str | None]:
    return lambda info: names.get(info & 0xF0)


_TABLE: dict[int, Description] = {
    0: Description(xlog.identify, xlog.describe),
    1: Description(transaction.identify, transaction.describe),
    2: Description(_by_name(files.STORAGE_NAMES), files.describe_storage),
    3: Description(_by_name(files.CLOG_NAMES), files.describe_clog),
    4: Description(_by_name(files.DATABASE_NAMES), files.describe_database),
    5: Description(_by_name(files.TABLESPACE_NAMES), files.describe_tablespace),
    6: Description(_by_name(files.MULTIXACT_NAMES), files.describe_multixact),
    7: Description(_by_name(files.RELMAP_NAMES), files.describe_relmap),
    8: Description(standby.identify, standby.describe),
    9: Description(heap.identify_heap2, heap.describe_heap2),
    10: Description(heap.identify_heap, heap.describe_heap),
    11: Description(btree.identify, btree.describe),
    12: Description(_by_name(others.HASH_NAMES), others.describe_hash),
    13: Description(_by_name(others.GIN_NAMES), others.describe_nothing),
    14: Description(_by_name(others.GIST_NAMES), others.describe_nothing),
    15: Description(_by_name(files.SEQUENCE_NAMES), files.describe_sequence),
    16: Description(_by_name(others.SPGIST_NAMES), others.describe_nothing),
    17: Description(others.identify_brin, others.describe_brin),
    18: Description(_by_name(files.COMMIT_TS_NAMES), files.describe_commit_ts),
    19: Description(_by_name(others.ORIGIN_NAMES), others.describe_origin),
    20: Description(lambda info: "Generic", others.describe_generic),
    21: Description(_by_name(others.MESSAGE_NAMES), others.describe_message),
}


def identity(rmid: int, info: int) -> str:
    """What kind of record it is, ``UNKNOWN (xx)`` for one that is not known."""
    entry = _TABLE.get(rmid)
    name = entry.identify(info) if entry is not None else None
    return name if name is not None else f"UNKNOWN ({info & 0xF0:x})"


def description(record: DecodedRecord) -> str:
    """What the record says."""
    entry = _TABLE.get(record.rmid)
    return entry.describe(record) if entry is not None else f"rmid: {record.rmid}"


def describe(record: DecodedRecord) -> str:
    """``Rmgr/KIND: description``, for the context of errors (xlog_outdesc)."""
    return f"{rmgr_name(record.rmid)}/{identity(record.rmid, record.xl_info)}: {description(record)}"
