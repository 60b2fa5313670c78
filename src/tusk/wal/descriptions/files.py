"""Storage, CLOG, Database, Tablespace, MultiXact, RelMap, Sequence, CommitTs: files and small shared state.

Layouts: catalog/storage_xlog.h, access/clog.h, commands/dbcommands_xlog.h, commands/tablespace.h, access/multixact.h,
utils/relmapper.h, commands/sequence.h, access/commit_ts.h.
"""

import struct

from tusk.wal._redo import DecodedRecord
from tusk.wal.descriptions.common import relation_path

_MEMBER_STATUS = ("(keysh) ", "(sh) ", "(fornokeyupd) ", "(forupd) ", "(nokeyupd) ", "(upd) ")

STORAGE_NAMES = {0x10: "CREATE", 0x20: "TRUNCATE"}
CLOG_NAMES = {0x00: "ZEROPAGE", 0x10: "TRUNCATE"}
DATABASE_NAMES = {0x00: "CREATE_FILE_COPY", 0x10: "CREATE_WAL_LOG", 0x20: "DROP"}
TABLESPACE_NAMES = {0x00: "CREATE", 0x10: "DROP"}
MULTIXACT_NAMES = {0x00: "ZERO_OFF_PAGE", 0x10: "ZERO_MEM_PAGE", 0x20: "CREATE_ID", 0x30: "TRUNCATE_ID"}
RELMAP_NAMES = {0x00: "UPDATE"}
SEQUENCE_NAMES = {0x00: "LOG"}
COMMIT_TS_NAMES = {0x00: "ZEROPAGE", 0x10: "TRUNCATE"}


def describe_storage(record: DecodedRecord) -> str:
    """File creation and truncation."""
    if record.xl_info & 0xF0 == 0x10:
        spc, db, rel, fork = struct.unpack_from("<IIIi", record.data)
        return relation_path(spc, db, rel, fork)
    nblocks, spc, db, rel, flags = struct.unpack_from("<IIIIi", record.data)
    return f"{relation_path(spc, db, rel)} to {nblocks} blocks flags {flags}"


def describe_clog(record: DecodedRecord) -> str:
    """Pages of the commit log."""
    if record.xl_info & 0xF0 == 0x00:
        return f"page {struct.unpack_from('<q', record.data)[0]}"
    page, oldest = struct.unpack_from("<qI", record.data)
    return f"page {page}; oldestXact {oldest}"


def describe_database(record: DecodedRecord) -> str:
    """Directories of databases."""
    match record.xl_info & 0xF0:
        case 0x00:
            db, spc, source_db, source_spc = struct.unpack_from("<IIII", record.data)
            return f"copy dir {source_spc}/{source_db} to {spc}/{db}"
        case 0x10:
            db, spc = struct.unpack_from("<II", record.data)
            return f"create dir {spc}/{db}"
        case _:
            db, count = struct.unpack_from("<Ii", record.data)
            tablespaces = struct.unpack_from(f"<{count}I", record.data, 8)
            return "dir" + "".join(f" {spc}/{db}" for spc in tablespaces)


def describe_tablespace(record: DecodedRecord) -> str:
    """Directories of tablespaces."""
    (oid,) = struct.unpack_from("<I", record.data)
    if record.xl_info & 0xF0 == 0x00:
        path = record.data[4:].split(b"\0")[0].decode("utf-8", "replace")
        return f'{oid} "{path}"'
    return str(oid)


def describe_multixact(record: DecodedRecord) -> str:
    """Pages and members of multixacts."""
    data = record.data
    match record.xl_info & 0xF0:
        case 0x00 | 0x10:
            return str(struct.unpack_from("<q", data)[0])
        case 0x20:
            multi, offset, count = struct.unpack_from("<IIi", data)
            members = struct.iter_unpack("<II", data[12 : 12 + 8 * count])
            return f"{multi} offset {offset} nmembers {count}: " + "".join(
                f"{xid} " + (_MEMBER_STATUS[status] if status < 6 else "(unk) ") for xid, status in members
            )
        case _:
            _db, start, end, start_member, end_member = struct.unpack_from("<IIIII", data)
            return f"offsets [{start}, {end}), members [{start_member}, {end_member})"


def describe_relmap(record: DecodedRecord) -> str:
    """New relation maps."""
    db, spc, size = struct.unpack_from("<IIi", record.data)
    return f"database {db} tablespace {spc} size {size}"


def describe_sequence(record: DecodedRecord) -> str:
    """The sequence whose tuple is logged."""
    return "rel {}/{}/{}".format(*struct.unpack_from("<III", record.data))


def describe_commit_ts(record: DecodedRecord) -> str:
    """Pages of commit timestamps."""
    if record.xl_info & 0xF0 == 0x00:
        return str(struct.unpack_from("<q", record.data)[0])
    page, oldest = struct.unpack_from("<qI", record.data)
    return f"pageno {page}, oldestXid {oldest}"
