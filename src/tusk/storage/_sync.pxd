# cython: language_level=3
"""Requests to fsync or unlink files at the next checkpoint (storage/sync.h)."""

from libc.stdint cimport int16_t, uint64_t

from tusk._types cimport RelFileLocator

cdef enum:
    SYNC_REQUEST = 0
    SYNC_UNLINK_REQUEST = 1
    SYNC_FORGET_REQUEST = 2
    SYNC_FILTER_REQUEST = 3

cdef enum:
    SYNC_HANDLER_MD = 0
    SYNC_HANDLER_CLOG = 1
    SYNC_HANDLER_COMMIT_TS = 2
    SYNC_HANDLER_MULTIXACT_OFFSET = 3
    SYNC_HANDLER_MULTIXACT_MEMBER = 4
    SYNC_HANDLER_NONE = 5

cdef struct FileTag:                # storage/sync.h
    int16_t handler
    int16_t forknum
    RelFileLocator rlocator
    uint64_t segno

# 1 if taken over (by this process's own table, or the checkpointer's queue), 0 if the queue is full and
# retry_on_error is false: then the caller fsyncs itself.
cdef int register_sync_request(const FileTag *tag, int request, bint retry_on_error) except -1
