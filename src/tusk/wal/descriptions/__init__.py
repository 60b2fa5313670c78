"""What records are called and what they say, in pg_waldump's words: a module per resource manager."""

from tusk.wal._redo import DecodedRecord
from tusk.wal.rmgr import rmgr_name


def describe(record: DecodedRecord) -> str:
    """``Rmgr/IDENTITY: description`` for the context of errors."""
    return f"{rmgr_name(record.rmid)}/UNKNOWN ({record.xl_info & 0xF0:02X}): "
