"""The file pg_filenode.map: which file the mapped catalogs are in (utils/relmapper.h).

| offset | size | field |
| --- | --- | --- |
| 0 | 4 | magic 0x592717 |
| 4 | 4 | number of mappings |
| 8 | 512 | 64 pairs of relation OID and file number |
| 520 | 4 | CRC-32C of the bytes before |
"""

from __future__ import annotations

import struct

from tusk.errors import Fatal, errcode
from tusk.wal._crc32c import crc32c

RELMAPPER_FILENAME = "pg_filenode.map"
RELMAPPER_FILEMAGIC = 0x592717
MAX_MAPPINGS = 64
RELMAP_SIZE = 8 + MAX_MAPPINGS * 8 + 4


def pack_relation_map(mappings: dict[int, int]) -> bytes:
    """The file's bytes."""
    if len(mappings) > MAX_MAPPINGS:
        raise ValueError("ran out of space in relation map")
    body = struct.pack("<II", RELMAPPER_FILEMAGIC, len(mappings))
    for oid, number in mappings.items():
        body += struct.pack("<II", oid, number)
    body = body.ljust(RELMAP_SIZE - 4, b"\0")
    return body + struct.pack("<I", crc32c(body))


def unpack_relation_map(data: bytes, path: str) -> dict[int, int]:
    """The mappings; FATAL if the file is damaged."""
    if len(data) != RELMAP_SIZE:
        raise Fatal(errcode.DATA_CORRUPTED, f'could not read file "{path}": read {len(data)} of {RELMAP_SIZE}')
    magic, count = struct.unpack_from("<II", data)
    if magic != RELMAPPER_FILEMAGIC or count > MAX_MAPPINGS:
        raise Fatal(errcode.DATA_CORRUPTED, f'relation mapping file "{path}" contains invalid data')
    if struct.unpack_from("<I", data, RELMAP_SIZE - 4)[0] != crc32c(data[: RELMAP_SIZE - 4]):
        raise Fatal(errcode.DATA_CORRUPTED, f'relation mapping file "{path}" contains incorrect checksum')
    return dict(struct.iter_unpack("<II", data[8 : 8 + 8 * count]))
