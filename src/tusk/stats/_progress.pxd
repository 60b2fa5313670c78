# cython: language_level=3
"""Progress of a command, in shared memory (commands/progress.h)."""

from libc.stdint cimport int64_t

from tusk._types cimport Oid

cdef enum:                          # ProgressCommandType: utils/backend_progress.h
    PROGRESS_COMMAND_INVALID = 0
    PROGRESS_COMMAND_VACUUM = 1
    PROGRESS_COMMAND_ANALYZE = 2
    PROGRESS_COMMAND_CLUSTER = 3
    PROGRESS_COMMAND_CREATE_INDEX = 4
    PROGRESS_COMMAND_BASEBACKUP = 5
    PROGRESS_COMMAND_COPY = 6
    PGSTAT_NUM_PROGRESS_PARAM = 20

# All of them do nothing in a process without a slot, or with track_activities off.
cdef void progress_start_command(int command, Oid relation) noexcept nogil
cdef void progress_update_param(int index, int64_t value) noexcept nogil
cdef void progress_update_multi(int n, const int *indexes, const int64_t *values) noexcept nogil
cdef void progress_incr_param(int index, int64_t increment) noexcept nogil
cdef void progress_end_command() noexcept nogil
