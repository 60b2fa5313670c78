# cython: language_level=3
"""Posting what this process waits for (utils/wait_event.h): one store into its slot, seen by pg_stat_activity."""

from libc.stdint cimport uint32_t

cdef enum:
    PG_WAIT_LWLOCK = 0x01000000
    PG_WAIT_LOCK = 0x03000000
    PG_WAIT_BUFFERPIN = 0x04000000
    PG_WAIT_ACTIVITY = 0x05000000
    PG_WAIT_CLIENT = 0x06000000
    PG_WAIT_EXTENSION = 0x07000000
    PG_WAIT_IPC = 0x08000000
    PG_WAIT_TIMEOUT = 0x09000000
    PG_WAIT_IO = 0x0A000000
    PG_WAIT_INJECTIONPOINT = 0x0B000000

# Points into MyProc once there is one, to a private word before.
cdef uint32_t *my_wait_event_info


cdef inline void wait_start(uint32_t wait_event_info) noexcept nogil:
    my_wait_event_info[0] = wait_event_info


cdef inline void wait_end() noexcept nogil:
    my_wait_event_info[0] = 0
