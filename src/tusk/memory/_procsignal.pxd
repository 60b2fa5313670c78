# cython: language_level=3
"""SIGUSR1 with a reason: flags in shared memory (storage/procsignal.h)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tusk.memory._process cimport MAX_CANCEL_KEY_LENGTH

cdef enum:
    PROCSIG_CATCHUP_INTERRUPT = 0
    PROCSIG_NOTIFY_INTERRUPT = 1
    PROCSIG_PARALLEL_MESSAGE = 2
    PROCSIG_WALSND_INIT_STOPPING = 3
    PROCSIG_BARRIER = 4
    PROCSIG_LOG_MEMORY_CONTEXT = 5
    PROCSIG_PARALLEL_APPLY_MESSAGE = 6
    PROCSIG_RECOVERY_CONFLICT_DATABASE = 7
    PROCSIG_RECOVERY_CONFLICT_TABLESPACE = 8
    PROCSIG_RECOVERY_CONFLICT_LOCK = 9
    PROCSIG_RECOVERY_CONFLICT_SNAPSHOT = 10
    PROCSIG_RECOVERY_CONFLICT_LOGICALSLOT = 11
    PROCSIG_RECOVERY_CONFLICT_BUFFERPIN = 12
    PROCSIG_RECOVERY_CONFLICT_STARTUP_DEADLOCK = 13
    PROCSIG_SLOTSYNC_MESSAGE = 14
    NUM_PROCSIGNALS = 15

cdef struct ProcSignalSlot:
    uint32_t pid
    uint32_t flags[NUM_PROCSIGNALS]
    uint32_t lock                   # spinlock over the cancel key
    uint32_t barrier_check_mask
    uint64_t barrier_generation
    uint8_t cancel_key_len
    uint8_t cancel_key[MAX_CANCEL_KEY_LENGTH]

# 0 if delivered, -1 if there is no such process. procno may be -1 (search by pid).
cdef int send_proc_signal(int pid, int reason, int procno) noexcept nogil
# Test and clear a flag of this process.
cdef bint take_proc_signal(int reason) noexcept nogil
# Why the postmaster sent SIGQUIT: 0 it did not, 1 a crash, 2 an immediate stop. Async-signal-safe.
cdef int quit_reason_in_signal_handler() noexcept nogil
