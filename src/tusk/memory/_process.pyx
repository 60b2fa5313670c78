"""The process slots: one PGPROC for each process that can be attached to shared memory.

Slots exist up to a ceiling; `set_connection_limit` says how many regular ones may be in use. Free lists are kept per
kind, under a spinlock. The dense arrays in PROC_HDR belong to the process array (package transaction).
"""

import os
from typing import Any

from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

from tusk.memory cimport _wait
from tusk.memory._atomics cimport (
    atomic_compare_exchange_u32,
    atomic_fetch_add_u32,
    atomic_read_u32,
    spin_lock,
    spin_unlock,
)
from tusk.memory._dlist cimport dlist_init, dlist_is_empty, dlist_pop_head, dlist_push_head, dlist_push_tail
from tusk.memory._lwlock cimport LWTRANCHE_LOCK_FASTPATH, lwlock_initialize, lwlock_release_all

from tusk.errors import Fatal, errcode
from tusk.memory._segment import declare_area
from tusk.memory._wait import reset_wait_word

cdef extern from *:
    """
    #include <linux/futex.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static inline long tusk_sem_wait(uint32_t *word) {
        return syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
    }
    static inline long tusk_sem_wake(uint32_t *word) {
        return syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
    """
    long _futex_wait "tusk_sem_wait"(uint32_t *word) noexcept nogil
    long _futex_wake "tusk_sem_wake"(uint32_t *word) noexcept nogil

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_NONBLOCK
        EFD_CLOEXEC

KIND_NAMES = ("regular", "autovacuum", "background worker", "walsender", "auxiliary", "prepared")

_counts: list[int] = [0] * NUM_PROC_KINDS
_limits: list[int] = [0] * NUM_PROC_KINDS
_latch_fds: list[int] = []
MyProcNumber = INVALID_PROC_NUMBER


def _slot_counts(settings: Any) -> tuple[list[int], list[int]]:
    """(slots, slots that may be used) of each kind."""
    limits = [
        settings.max_connections,
        getattr(settings, "autovacuum_worker_slots", 16) + NUM_SPECIAL_WORKER_PROCS,
        getattr(settings, "max_worker_processes", 8),
        getattr(settings, "max_wal_senders", 10),
        NUM_AUXILIARY_PROCS,
        getattr(settings, "max_prepared_transactions", 0),
    ]
    counts = list(limits)
    counts[0] = max(limits[0], getattr(settings, "max_connections_ceiling", 0) or 0)
    return counts, limits


def fast_path_groups(max_locks_per_transaction: int) -> int:
    """Groups of 16 fast-path lock slots per process (InitializeFastPathLocks): a power of two from 1 to 1024."""
    groups = 1
    while groups < FP_LOCK_GROUPS_PER_BACKEND_MAX and groups * FP_LOCK_SLOTS_PER_GROUP < max_locks_per_transaction:
        groups *= 2
    return groups


def _pad(nbytes: int) -> int:
    return (nbytes + 127) // 128 * 128


def _size(settings: Any) -> int:
    global _counts, _limits
    _counts, _limits = _slot_counts(settings)
    total = sum(_counts)
    return (_pad(total * sizeof(PGPROC)) + _pad(total * sizeof(TransactionId)) + _pad(total * sizeof(XidCacheStatus))
            + _pad(total))


def _attach(address: int) -> None:
    global _procs_base
    _procs_base = <char *> <uintptr_t> address


cdef char *_procs_base = NULL
cdef char *_fast_path_base = NULL


def _header_size(settings: Any) -> int:
    return sizeof(PROC_HDR)


def _header_attach(address: int) -> None:
    global ProcGlobal
    ProcGlobal = <PROC_HDR *> <uintptr_t> address


def _fast_path_size(settings: Any) -> int:
    global FastPathLockGroupsPerBackend
    FastPathLockGroupsPerBackend = fast_path_groups(getattr(settings, "max_locks_per_transaction", 64))
    return sum(_slot_counts(settings)[0]) * FastPathLockGroupsPerBackend * (8 + 4 * FP_LOCK_SLOTS_PER_GROUP)


def _fast_path_attach(address: int) -> None:
    global _fast_path_base
    _fast_path_base = <char *> <uintptr_t> address


def _make_latches(nlatches: int) -> None:
    """One eventfd per slot, once in the postmaster's life; children inherit them."""
    import resource

    missing = nlatches - len(_latch_fds)
    if missing <= 0:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < nlatches + 1000:
        wanted = nlatches + 1000 if hard == resource.RLIM_INFINITY else min(hard, max(nlatches + 1000, 4096))
        if wanted > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    for _ in range(missing):
        _latch_fds.append(os.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))


def _header_init(address: int, size: int) -> None:
    """Lay out all slots; runs after every area was attached."""
    cdef int total = sum(_counts)
    cdef PGPROC *procs = <PGPROC *> _procs_base
    cdef PGPROC *proc
    cdef char *cursor = _procs_base + <size_t> _pad(total * sizeof(PGPROC))
    cdef int kind, i, k
    cdef int groups = FastPathLockGroupsPerBackend
    ProcGlobal.allProcs = procs
    ProcGlobal.allProcCount = total
    ProcGlobal.xids = <TransactionId *> cursor
    cursor += <size_t> _pad(total * sizeof(TransactionId))
    ProcGlobal.subxidStates = <XidCacheStatus *> cursor
    cursor += <size_t> _pad(total * sizeof(XidCacheStatus))
    ProcGlobal.statusFlags = <uint8_t *> cursor
    ProcGlobal.walwriterProc = INVALID_PROC_NUMBER
    ProcGlobal.checkpointerProc = INVALID_PROC_NUMBER
    ProcGlobal.bgwriterProc = INVALID_PROC_NUMBER
    ProcGlobal.avLauncherProc = INVALID_PROC_NUMBER
    ProcGlobal.startupProc = INVALID_PROC_NUMBER
    ProcGlobal.startupBufferPinWaitBufId = -1
    ProcGlobal.procArrayGroupFirst = <uint32_t> INVALID_PROC_NUMBER
    ProcGlobal.clogGroupFirst = <uint32_t> INVALID_PROC_NUMBER
    ProcGlobal.fp_groups = groups
    _make_latches(total - _counts[PROC_KIND_PREPARED])
    i = 0
    for kind in range(NUM_PROC_KINDS):
        dlist_init(&ProcGlobal.free[kind])
        ProcGlobal.counts[kind] = _counts[kind]
        ProcGlobal.limits[kind] = _limits[kind]
        for k in range(_counts[kind]):
            proc = &procs[i]
            proc.procno = i
            proc.kind = kind
            proc.vxid_procNumber = INVALID_PROC_NUMBER
            proc.pgxactoff = -1
            proc.latch_fd = _latch_fds[i] if kind != PROC_KIND_PREPARED else -1
            proc.procArrayGroupNext = <uint32_t> INVALID_PROC_NUMBER
            proc.clogGroupNext = <uint32_t> INVALID_PROC_NUMBER
            _init_lists(proc)
            lwlock_initialize(&proc.fpInfoLock, LWTRANCHE_LOCK_FASTPATH)
            proc.fpLockBits = <uint64_t *> (_fast_path_base + <size_t> i * groups * (8 + 4 * FP_LOCK_SLOTS_PER_GROUP))
            proc.fpRelId = <Oid *> (proc.fpLockBits + groups)
            dlist_push_tail(&ProcGlobal.free[kind], &proc.links)
            i += 1


cdef void _init_lists(PGPROC *proc) noexcept nogil:
    cdef int i
    for i in range(NUM_LOCK_PARTITIONS):
        dlist_init(&proc.myProcLocks[i])
    dlist_init(&proc.lockGroupMembers)


declare_area("PGPROC structures", _size, None, _attach)
declare_area("Fast-Path Lock Array", _fast_path_size, None, _fast_path_attach)
declare_area("Proc Header", _header_size, _header_init, _header_attach)

_exhausted = {
    PROC_KIND_REGULAR: "sorry, too many clients already",
    PROC_KIND_AUTOVACUUM: "sorry, too many clients already",
    PROC_KIND_BGWORKER: "sorry, too many clients already",
    PROC_KIND_WALSENDER: 'number of requested standby connections exceeds "max_wal_senders"',
    PROC_KIND_AUXILIARY: "all AuxiliaryProcs are in use",
    PROC_KIND_PREPARED: "maximum number of prepared transactions reached",
}


cdef PGPROC *_take_slot(int kind) noexcept nogil:
    cdef PGPROC *proc = NULL
    spin_lock(&ProcGlobal.freelist_lock)
    if ProcGlobal.used[kind] < ProcGlobal.limits[kind] and not dlist_is_empty(&ProcGlobal.free[kind]):
        # links is the first member of PGPROC.
        proc = <PGPROC *> dlist_pop_head(&ProcGlobal.free[kind])
        proc.in_use = 1
        ProcGlobal.used[kind] += 1
    spin_unlock(&ProcGlobal.freelist_lock)
    return proc


def init_process(kind: int = PROC_KIND_REGULAR, backend_type: int = 0) -> int:
    """Take a slot for this process and return its number (InitProcess, InitAuxiliaryProcess).

    FATAL 53300 when all slots of the kind are in use.
    """
    global MyProc, MyProcNumber
    if MyProc != NULL:
        raise Fatal(errcode.INTERNAL_ERROR, "you already exist")
    cdef PGPROC *proc = _take_slot(kind)
    if proc == NULL:
        message = _exhausted[kind]
        if kind == PROC_KIND_WALSENDER:
            message += f" (currently {ProcGlobal.limits[kind]})"
        raise Fatal(errcode.TOO_MANY_CONNECTIONS, message)
    _reset(proc)
    proc.pid = os.getpid()
    proc.backend_type = backend_type
    proc.isRegularBackend = kind == PROC_KIND_REGULAR
    if kind != PROC_KIND_AUXILIARY:
        proc.vxid_procNumber = proc.procno
    if kind == PROC_KIND_AUTOVACUUM:
        proc.statusFlags |= PROC_IS_AUTOVACUUM
    MyProc = proc
    MyProcNumber = proc.procno
    _wait.my_wait_event_info = &proc.wait_event_info
    try:
        os.read(proc.latch_fd, 8)       # what was sent to the slot's former owner
    except BlockingIOError:
        return proc.procno
    return proc.procno


cdef void _reset(PGPROC *proc) noexcept nogil:
    """Everything that the former owner may have left, except what belongs to the slot."""
    proc.semaphore = 0
    proc.waitStatus = PROC_WAIT_STATUS_OK
    proc.latch_is_set = 0
    proc.latch_maybe_sleeping = 0
    proc.xid = 0
    proc.xmin = 0
    proc.pgxactoff = -1
    proc.lxid = 0
    proc.databaseId = 0
    proc.roleId = 0
    proc.tempNamespaceId = 0
    proc.recoveryConflictPending = 0
    proc.statusFlags = 0
    proc.waitLock = NULL
    proc.waitProcLock = NULL
    proc.waitLockMode = 0
    proc.heldLocks = 0
    proc.waitStart = 0
    proc.delayChkptFlags = 0
    proc.waitLSN = 0
    proc.syncRepState = 0
    memset(&proc.syncRepLinks, 0, sizeof(proc.syncRepLinks))
    proc.subxidStatus.count = 0
    proc.subxidStatus.overflowed = 0
    proc.procArrayGroupMember = 0
    proc.procArrayGroupNext = <uint32_t> INVALID_PROC_NUMBER
    proc.clogGroupMember = 0
    proc.clogGroupNext = <uint32_t> INVALID_PROC_NUMBER
    proc.wait_event_info = 0
    proc.fpVXIDLock = 0
    proc.fpLocalTransactionId = 0
    memset(proc.fpLockBits, 0, FastPathLockGroupsPerBackend * 8)
    proc.lockGroupLeader = NULL
    memset(&proc.lockGroupLink, 0, sizeof(proc.lockGroupLink))
    memset(&proc.cvWaitLink, 0, sizeof(proc.cvWaitLink))
    proc.cvSignalled = 0
    _init_lists(proc)


def release_process() -> None:
    """Give the slot back (ProcKill). Locks of other kinds must have been released by their owners."""
    global MyProc, MyProcNumber
    if MyProc == NULL:
        return
    lwlock_release_all()
    cdef PGPROC *proc = MyProc
    reset_wait_word()
    MyProc = NULL
    MyProcNumber = INVALID_PROC_NUMBER
    proc.pid = 0
    proc.wait_event_info = 0
    proc.backend_type = 0
    proc.databaseId = 0
    proc.roleId = 0
    proc.vxid_procNumber = INVALID_PROC_NUMBER
    _give_slot(proc)


cdef void _give_slot(PGPROC *proc) noexcept nogil:
    cdef int kind = proc.kind
    spin_lock(&ProcGlobal.freelist_lock)
    if proc.in_use:
        proc.in_use = 0
        ProcGlobal.used[kind] -= 1
        dlist_push_head(&ProcGlobal.free[kind], &proc.links)
    spin_unlock(&ProcGlobal.freelist_lock)


def forget_process_after_fork() -> None:
    """In a forked child: the parent's slot is not this process's."""
    global MyProc, MyProcNumber
    MyProc = NULL
    MyProcNumber = INVALID_PROC_NUMBER
    reset_wait_word()


def set_connection_limit(max_connections: int) -> None:
    """Change how many regular slots may be in use, up to the ceiling; needs no restart."""
    ProcGlobal.limits[PROC_KIND_REGULAR] = min(max_connections, ProcGlobal.counts[PROC_KIND_REGULAR])


def free_slots(kind: int = PROC_KIND_REGULAR) -> int:
    """Slots of the kind that are free now (HaveNFreeProcs)."""
    return max(0, <int> ProcGlobal.limits[kind] - <int> ProcGlobal.used[kind])


def my_proc_number() -> int:
    """This process's slot, -1 if it has none."""
    return MyProcNumber


def slot_count() -> int:
    """Number of all slots."""
    return proc_count()


def max_backends() -> int:
    """MaxBackends: slots of all kinds but auxiliary and prepared."""
    return sum(ProcGlobal.counts[kind] for kind in range(PROC_KIND_AUXILIARY))


def set_my_identity(database: int, role: int) -> None:
    """Fill in what is known after authentication."""
    MyProc.databaseId = database
    MyProc.roleId = role


def set_my_backend_type(backend_type: int) -> None:
    """BackendType of miscadmin.h."""
    MyProc.backend_type = backend_type


def announce(role: str) -> None:
    """Make this process findable: ``checkpointer``, ``walwriter``, ``bgwriter``, ``startup``, ``autovacuum launcher``."""
    if role == "checkpointer":
        ProcGlobal.checkpointerProc = MyProcNumber
    elif role == "walwriter":
        ProcGlobal.walwriterProc = MyProcNumber
    elif role == "bgwriter":
        ProcGlobal.bgwriterProc = MyProcNumber
    elif role == "startup":
        ProcGlobal.startupProc = MyProcNumber
    elif role == "autovacuum launcher":
        ProcGlobal.avLauncherProc = MyProcNumber
    else:
        raise ValueError(role)


def announced(role: str) -> int:
    """The slot of that process, -1 if it does not run."""
    cdef int procno = INVALID_PROC_NUMBER
    if role == "checkpointer":
        procno = ProcGlobal.checkpointerProc
    elif role == "walwriter":
        procno = ProcGlobal.walwriterProc
    elif role == "bgwriter":
        procno = ProcGlobal.bgwriterProc
    elif role == "startup":
        procno = ProcGlobal.startupProc
    elif role == "autovacuum launcher":
        procno = ProcGlobal.avLauncherProc
    if procno >= 0 and not proc_by_number(procno).in_use:
        return INVALID_PROC_NUMBER
    return procno


def slot_info(procno: int) -> dict[str, int] | None:
    """What pg_stat_activity and tests need to see of a slot; None if it is free."""
    cdef PGPROC *proc = proc_by_number(procno)
    if not proc.in_use:
        return None
    return {
        "procno": proc.procno,
        "pid": proc.pid,
        "kind": proc.kind,
        "backend_type": proc.backend_type,
        "database": proc.databaseId,
        "role": proc.roleId,
        "xid": proc.xid,
        "xmin": proc.xmin,
        "wait_event_info": proc.wait_event_info,
        "lock_group_leader": proc.lockGroupLeader.pid if proc.lockGroupLeader != NULL else 0,
    }


def procno_of_pid(pid: int) -> int:
    """The slot of a process, -1 if there is none."""
    cdef PGPROC *proc = proc_by_pid(pid)
    return proc.procno if proc != NULL else INVALID_PROC_NUMBER


cdef PGPROC *proc_by_pid(int pid) noexcept nogil:
    cdef uint32_t i
    if pid == 0 or ProcGlobal == NULL:
        return NULL
    for i in range(ProcGlobal.allProcCount):
        if ProcGlobal.allProcs[i].pid == pid:
            return &ProcGlobal.allProcs[i]
    return NULL


cdef void proc_semaphore_wait(uint32_t wait_event_info) noexcept nogil:
    cdef uint32_t value
    _wait.wait_start(wait_event_info)
    while True:
        value = atomic_read_u32(&MyProc.semaphore)
        if value == 0:
            _futex_wait(&MyProc.semaphore)
        elif atomic_compare_exchange_u32(&MyProc.semaphore, &value, value - 1):
            break
    _wait.wait_end()


cdef void proc_semaphore_wake(int procno) noexcept nogil:
    cdef PGPROC *proc = proc_by_number(procno)
    atomic_fetch_add_u32(&proc.semaphore, 1)
    _futex_wake(&proc.semaphore)
