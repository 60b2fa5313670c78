"""The file that the cumulative statistics outlive the server in: pg_stat/pgstat.stat, in PostgreSQL 18's format.

Written by the checkpointer after the shutdown checkpoint; read and removed by the startup process. After a crash it is
removed unread: what it says no longer goes with the data.

| bytes | meaning |
| --- | --- |
| 4 | 0x01A5BCB7: the format |
| ``F``, 4, n | a kind that exists once: its number, its struct of pgstat.h |
| ``S``, 4, 4, 8, n | an entry: kind, database, object, its struct |
| ``N``, 4, 64, n | an entry by name (replication slots): kind, name, its struct |
| ``E`` | the end |
"""

from __future__ import annotations

import os
import struct

from tusk.errors import Severity, report
from tusk.stats import _store

FORMAT_ID = 0x01A5BCB7
FILE_NAME, TEMPORARY_NAME = "pg_stat/pgstat.stat", "pg_stat/pgstat.tmp"
_ARCHIVER, _WAL = 7, 12
_BACKEND, _REPLSLOT = 6, 4


def write() -> None:
    """Save all statistics; a failure is only logged, for the server stops all the same."""
    if not _store.exists():
        return
    pieces = [struct.pack("=i", FORMAT_ID)]
    for kind in range(_ARCHIVER, _WAL + 1):
        pieces.append(b"F" + struct.pack("=i", kind) + _store.read_fixed(kind))
    for (kind, database, oid), counters in _store.read_all().items():
        # A process's own counts end with it.
        if kind not in (_BACKEND, _REPLSLOT):
            pieces.append(b"S" + struct.pack("=iIQ", kind, database, oid) + counters)
    pieces.append(b"E")
    try:
        with open(TEMPORARY_NAME, "wb") as file:
            file.write(b"".join(pieces))
        os.rename(TEMPORARY_NAME, FILE_NAME)
    except OSError as error:
        report(Severity.LOG, f'could not write temporary statistics file "{TEMPORARY_NAME}": {error.strerror}')


def restore() -> None:
    """Take over the statistics of the last stop, and remove the file."""
    if not _store.exists():
        return
    try:
        with open(FILE_NAME, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return
    except OSError as error:
        report(Severity.LOG, f'could not open statistics file "{FILE_NAME}": {error.strerror}')
        return
    try:
        _load(data)
    except (struct.error, ValueError, IndexError):
        report(Severity.LOG, f'corrupted statistics file "{FILE_NAME}"')
        _store.drop_all()
    os.unlink(FILE_NAME)


def discard() -> None:
    """After a crash: do not read the file of an earlier stop."""
    try:
        os.unlink(FILE_NAME)
    except FileNotFoundError:
        return
    except OSError as error:
        report(Severity.LOG, f'could not unlink permanent statistics file "{FILE_NAME}": {error.strerror}')


def _load(data: bytes) -> None:
    if struct.unpack_from("=i", data)[0] != FORMAT_ID:
        raise ValueError("format")
    at = 4
    while (tag := data[at : at + 1]) != b"E":
        (kind,) = struct.unpack_from("=i", data, at + 1)
        if not 1 <= kind <= _WAL:
            raise ValueError("kind")
        size = _store.words(kind) * 8
        if tag == b"F":
            at += 5
            _store.write_fixed(kind, data[at : at + size])
        elif tag == b"S":
            kind, database, oid = struct.unpack_from("=iIQ", data, at + 1)
            at += 17
            _store.write_entry(kind, database, oid, data[at : at + size])
        elif tag == b"N":
            at += 5 + 64
        else:
            raise ValueError("tag")
        at += size
    if at + 1 != len(data):
        raise ValueError("length")
