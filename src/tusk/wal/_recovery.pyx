# cython: language_level=3
"""The redo loop: read a record, replay it, without Python in between for the common resource managers."""

from libc.stdint cimport uint8_t, uint64_t

from tusk._types cimport Lsn
from tusk.memory._interrupts cimport InterruptPending, check_for_interrupts
from tusk.wal._reader cimport WalReader
from tusk.wal._record cimport *
from tusk.wal._redo cimport DecodedRecord, apply_record
from tusk.wal._xlogctl cimport XLogCtl

import time
from collections.abc import Callable

from tusk.errors import SqlError
from tusk.wal import segments
from tusk.wal.controlfile import format_lsn


def replay(WalReader reader not None, describe: Callable[[DecodedRecord], str],
           progress: Callable[[int], None], double interval_seconds,
           on_segment: Callable[[int], None]) -> int:
    """Replay from the record that `reader` has just read to the end of valid WAL; returns the number of records.

    `describe` names a record for the context of an error; `progress` is called with an LSN about every interval;
    `on_segment` when replay enters another segment.
    """
    cdef DecodedRecord record = reader.record
    cdef uint64_t n = 0, segno, last_segno = <uint64_t> -1
    cdef double next_report = time.monotonic() + interval_seconds if interval_seconds > 0 else 0.0
    while True:
        n += 1
        if InterruptPending:
            check_for_interrupts()
        segno = record.lsn // reader.segment_size
        if segno != last_segno:
            on_segment(segno)
            last_segno = segno
        if next_report > 0 and n & 1023 == 0 and time.monotonic() >= next_report:
            progress(record.lsn)
            next_report = time.monotonic() + interval_seconds
        try:
            apply_record(record)
        except BaseException as error:
            if hasattr(error, "add_context"):
                error.add_context(f"WAL redo at {format_lsn(record.lsn)} for {describe(record)}")
            raise
        XLogCtl.replayed_upto = record.end_lsn
        if not reader.read_into():
            return n
        if record.header.xl_rmid == RM_XLOG_ID and record.info() == XLOG_OVERWRITE_CONTRECORD:
            check_overwrite(reader, record)


def check_overwrite(WalReader reader not None, DecodedRecord record not None) -> None:
    """An OVERWRITE_CONTRECORD must name the very record whose continuation was found missing."""
    cdef Lsn named = (<Lsn *> record.main_data)[0]
    if named != reader.overwritten_record:
        raise SqlError("XX001", f"mismatching overwritten LSN {format_lsn(named)} -> {format_lsn(reader.overwritten_record)}")
