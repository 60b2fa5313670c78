# cython: language_level=3
"""Reading and checking WAL (access/xlogreader.h)."""

from libc.stdint cimport uint32_t, uint64_t

from tusk._types cimport Lsn
from tusk.wal._record cimport XLogRecord
from tusk.wal._redo cimport DecodedRecord

cdef class WalReader:
    cdef readonly str directory
    cdef readonly uint64_t segment_size
    cdef readonly uint64_t system_identifier    # 0: not checked
    cdef readonly uint32_t timeline             # of the files to read; 0: of each page, whatever it says
    cdef readonly str error                     # why the last read_record returned no record; "" if it is just the end
    cdef readonly Lsn aborted_record            # a record that misses its continuation, and where that should be
    cdef readonly Lsn missing_continuation
    cdef readonly Lsn overwritten_record        # noted in an OVERWRITE_CONTRECORD page
    cdef readonly Lsn read_lsn                  # start of the last record returned
    cdef readonly Lsn end_lsn                   # where to read next
    cdef readonly Lsn error_lsn                 # where reading failed
    cdef readonly Lsn latest_page
    cdef readonly uint32_t latest_page_timeline
    cdef Lsn prev_lsn
    cdef bint random_access
    cdef readonly Lsn stop_at                   # 0, or the end of what may be read
    cdef char *window                           # part of a segment
    cdef Lsn window_start
    cdef uint64_t window_bytes
    cdef Lsn checked_page                       # last page whose header was found valid
    cdef int fd
    cdef uint64_t fd_segno
    cdef char *assembly                         # a record that spans pages
    cdef uint64_t assembly_size
    cdef Lsn end_lsn_after
    cdef DecodedRecord record

    cdef char *read_page(self, Lsn page, uint32_t wanted) except? NULL
    cdef bint check_first_page(self, uint64_t segno) except -1
    cdef bint check_page_header(self, Lsn page, const char *header) except -1
    cdef int check_record_header(self, Lsn at, const XLogRecord *header, bint random_access) except -1
    cdef int read_into(self) except -1          # 1: self.record holds the next record; 0: none, see `error`
    cdef int parse(self, const char *raw, uint32_t nbytes) except -1
    cdef int abandon(self, Lsn at, Lsn page) except -1
    cdef bint make_room(self, uint64_t nbytes) except -1
    cdef int fail(self, Lsn at, str message) except -1
