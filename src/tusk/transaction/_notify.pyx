# cython: language_level=3
"""The queue of notifications: pg_notify, read by every listening backend at its own pace (PostgreSQL's async.c).

A notification is written before its transaction commits, with the transaction's id: who reads it waits for nothing but
looks whether that transaction has committed. Entries never cross a page; one without a database fills a page's rest.
The files are worth nothing after a restart and are deleted then.

Locks, in this order: NotifyQueueTailLock, NotifyQueueLock, bank locks of the log. A backend moves its own position
under a shared NotifyQueueLock; the head, and the list of listeners, want it exclusively.
"""

import os
import time

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from tusk._types cimport BLCKSZ, Oid, TransactionId
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    LW_SHARED,
    LWTRANCHE_NOTIFY_BUFFER,
    LWTRANCHE_NOTIFY_SLRU,
    LWLock,
    NotifyQueueLock,
    NotifyQueueTailLock,
    lwlock_acquire,
    lwlock_release,
    main_lock,
)
from tusk.memory._process cimport MyProc, MyProcNumber
from tusk.memory._procsignal cimport PROCSIG_NOTIFY_INTERRUPT, send_proc_signal
from tusk.transaction._clog cimport transaction_id_did_commit
from tusk.transaction._slru cimport (
    SLRU_PAGES_PER_SEGMENT,
    SlruCtl,
    slru_attach,
    slru_bank_lock,
    slru_initialize,
    slru_page,
    slru_read_page,
    slru_read_page_read_only,
    slru_segments,
    slru_set_dirty,
    slru_set_latest_page,
    slru_shmem_size,
    slru_truncate,
    slru_zero_page,
)
from tusk.transaction._snapshot cimport (
    Snapshot,
    get_latest_snapshot,
    register_snapshot,
    unregister_snapshot,
    xid_in_mvcc_snapshot,
)
from tusk.transaction._xact cimport get_current_transaction_id

from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.memory._process import _slot_counts
from tusk.memory._segment import declare_area

cdef enum:
    CLEANUP_DELAY = 4               # pages a listener of another database may lag before it is woken
    WARNING_INTERVAL_S = 5

cdef struct EntryHeader:
    int32_t length                  # with the strings, a multiple of 4
    Oid dboid                       # 0: fills the page
    TransactionId xid
    int32_t srcPid
    # channel and payload follow, each with a zero byte

cdef enum:
    HEADER_SIZE = 16
    EMPTY_SIZE = 20                 # header, two zero bytes, aligned

cdef struct Position:
    int64_t page
    int32_t offset

cdef struct Listener:
    int32_t pid                     # 0: does not listen
    Oid dboid
    int32_t next                    # the next listener's slot, -1 at the end
    Position at

cdef struct Queue:
    Position head                   # where the next entry goes
    Position tail                   # no listener needs what is before
    int64_t stop_page               # the oldest page that may have a file
    int32_t first_listener
    double last_warning

cdef SlruCtl ctl
cdef Queue *queue
cdef Listener *listeners
cdef int nslots = 0
cdef bint tail_should_move = False
cdef bint is_listener = False


cdef bint _page_precedes(int64_t a, int64_t b) noexcept nogil:
    return a < b


def _size(settings):
    global nslots
    wanted = settings.notify_buffers
    nslots = max(16, wanted - wanted % 16)
    return slru_shmem_size(nslots, 0)


def _attach(address):
    slru_attach(&ctl, <void *> <size_t> address, nslots, 0, b"notify", b"pg_notify", -1, True, _page_precedes)


def _init(address, size):
    slru_initialize(&ctl, LWTRANCHE_NOTIFY_BUFFER, LWTRANCHE_NOTIFY_SLRU)
    for segno in slru_segments(&ctl):
        os.unlink(f"pg_notify/{segno:015X}")


def _queue_size(settings):
    return sizeof(Queue) + sum(_slot_counts(settings)[0]) * sizeof(Listener)


def _queue_attach(address):
    global queue, listeners
    queue = <Queue *> <size_t> address
    listeners = <Listener *> (queue + 1)


def _queue_init(address, size):
    queue.first_listener = -1


declare_area("notify", _size, _init, _attach)
declare_area("Async Queue Control", _queue_size, _queue_init, _queue_attach)


cdef inline bint _before(Position a, Position b) noexcept nogil:
    return a.page < b.page or (a.page == b.page and a.offset < b.offset)


cdef inline bint _same(Position a, Position b) noexcept nogil:
    return a.page == b.page and a.offset == b.offset


cdef inline bint _advance(Position *at, int length) noexcept nogil:
    """Step over an entry; True where that leads to the next page, as no entry fits into the rest of this one."""
    at.offset += length
    if at.offset + EMPTY_SIZE > BLCKSZ:
        at.page += 1
        at.offset = 0
        return True
    return False


# Listening.

def listen(database: int) -> None:
    """Become a listener: of what other sessions notify from the next commit on. Before the commit of a LISTEN."""
    global is_listener
    cdef int i, previous = -1
    cdef Position at
    if is_listener:
        return
    lwlock_acquire(main_lock(NotifyQueueLock), LW_EXCLUSIVE)
    # The furthest that a listener of the same database has read is no concern of ours; the list is kept in slot order.
    at = queue.tail
    i = queue.first_listener
    while i != -1:
        if listeners[i].dboid == <Oid> database and _before(at, listeners[i].at):
            at = listeners[i].at
        if i < MyProcNumber:
            previous = i
        i = listeners[i].next
    listeners[MyProcNumber].at = at
    listeners[MyProcNumber].pid = MyProc.pid
    listeners[MyProcNumber].dboid = <Oid> database
    if previous >= 0:
        listeners[MyProcNumber].next = listeners[previous].next
        listeners[previous].next = MyProcNumber
    else:
        listeners[MyProcNumber].next = queue.first_listener
        queue.first_listener = MyProcNumber
    lwlock_release(main_lock(NotifyQueueLock))
    is_listener = True


def needs_catching_up() -> bool:
    """Whether this listener has not read everything."""
    return is_listener and not _same(listeners[MyProcNumber].at, queue.head)


def unlisten() -> None:
    """Be no listener any more (asyncQueueUnregister)."""
    global is_listener
    cdef int i
    if not is_listener:
        return
    lwlock_acquire(main_lock(NotifyQueueLock), LW_EXCLUSIVE)
    if queue.first_listener == MyProcNumber:
        queue.first_listener = listeners[MyProcNumber].next
    else:
        i = queue.first_listener
        while i != -1:
            if listeners[i].next == MyProcNumber:
                listeners[i].next = listeners[MyProcNumber].next
                break
            i = listeners[i].next
    memset(&listeners[MyProcNumber], 0, sizeof(Listener))
    listeners[MyProcNumber].next = -1
    lwlock_release(main_lock(NotifyQueueLock))
    is_listener = False


# Writing.

cdef int _warn_if_filling() except -1:
    """Every few seconds, when the queue is more than half full: who holds it (the caller has the exclusive lock)."""
    cdef double now, used = _used()
    cdef int i
    cdef Position oldest
    if used < 0.5:
        return 0
    now = time.monotonic()
    if now - queue.last_warning < WARNING_INTERVAL_S:
        return 0
    queue.last_warning = now
    pid = 0
    oldest = queue.head
    i = queue.first_listener
    while i != -1:
        if _before(listeners[i].at, oldest):
            oldest = listeners[i].at
            pid = listeners[i].pid
        i = listeners[i].next
    report(
        Severity.WARNING, f"NOTIFY queue is {used * 100:.0f}% full",
        detail=f"The server process with PID {pid} is among those with the oldest transactions." if pid else None,
        hint="The NOTIFY queue cannot be emptied until that process ends its current transaction." if pid else None,
    )
    return 0


cdef double _used() noexcept:
    cdef int64_t pages = queue.head.page - queue.tail.page
    return <double> pages / <double> <int64_t> settings.max_notify_queue_pages


def append(database: int, notifications: list) -> None:
    """Write (channel, payload) pairs for the current transaction; the caller keeps others from committing meanwhile.

    54000 when the queue is full. A page at a time, so that readers get in between.
    """
    cdef Py_ssize_t at = 0, total = len(notifications)
    cdef TransactionId xid = get_current_transaction_id()
    while at < total:
        lwlock_acquire(main_lock(NotifyQueueLock), LW_EXCLUSIVE)
        _warn_if_filling()
        if queue.head.page - queue.tail.page >= <int64_t> settings.max_notify_queue_pages:
            lwlock_release(main_lock(NotifyQueueLock))
            raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED, "too many notifications in the NOTIFY queue")
        at = _fill_page(<Oid> database, xid, notifications, at)
        lwlock_release(main_lock(NotifyQueueLock))


cdef Py_ssize_t _fill_page(Oid database, TransactionId xid, list notifications, Py_ssize_t at) except -1:
    """Write entries from ``at`` on until the page is full; returns the first that is not written."""
    global tail_should_move
    cdef Position head = queue.head
    cdef LWLock *bank = slru_bank_lock(&ctl, head.page)
    cdef LWLock *next_bank
    cdef int slot
    cdef char *to
    cdef EntryHeader header
    cdef bytes strings
    lwlock_acquire(bank, LW_EXCLUSIVE)
    if head.page == 0 and head.offset == 0:
        slot = slru_zero_page(&ctl, 0)
    else:
        slot = slru_read_page(&ctl, head.page, True, 0)
    slru_set_dirty(&ctl, slot)
    while at < len(notifications):
        channel, payload = notifications[at]
        strings = channel + b"\0" + payload + b"\0"
        header.length = (HEADER_SIZE + <int32_t> len(strings) + 3) & ~3
        header.dboid = database
        header.xid = xid
        header.srcPid = MyProc.pid
        if head.offset + header.length <= BLCKSZ:
            at += 1
        else:
            header.length = BLCKSZ - head.offset
            header.dboid = 0
            header.xid = 0
            strings = b"\0\0"
        to = slru_page(&ctl, slot) + head.offset
        memset(to, 0, header.length)
        memcpy(to, &header, HEADER_SIZE)
        memcpy(to + HEADER_SIZE, <const char *> strings, len(strings))
        if _advance(&head, header.length):
            # The next page must exist before anybody can read there.
            next_bank = slru_bank_lock(&ctl, head.page)
            if next_bank != bank:
                lwlock_release(bank)
                bank = next_bank
                lwlock_acquire(bank, LW_EXCLUSIVE)
            slru_zero_page(&ctl, head.page)
            slru_set_latest_page(&ctl, head.page)
            if head.page % CLEANUP_DELAY == 0:
                tail_should_move = True
            break
    queue.head = head
    lwlock_release(bank)
    return at


def wake_listeners(database: int) -> bool:
    """After a commit that notified: signal who has to read. True if this process is one of them (SignalBackends)."""
    global tail_should_move
    cdef int i
    cdef bint own = False
    cdef list others = []
    lwlock_acquire(main_lock(NotifyQueueLock), LW_EXCLUSIVE)
    i = queue.first_listener
    while i != -1:
        if listeners[i].dboid == <Oid> database:
            wanted = not _same(listeners[i].at, queue.head)
        else:
            # It has nothing to read here, but must not keep the tail where it is for ever.
            wanted = queue.head.page - listeners[i].at.page >= CLEANUP_DELAY
        if wanted:
            others.append((listeners[i].pid, i))
        i = listeners[i].next
    lwlock_release(main_lock(NotifyQueueLock))
    for pid, procno in others:
        if pid == MyProc.pid:
            own = True
        else:
            send_proc_signal(pid, PROCSIG_NOTIFY_INTERRUPT, procno)
    if tail_should_move:
        tail_should_move = False
        move_tail()
    return own


# Reading.

def read_new(database: int) -> list:
    """All (pid, channel, payload) of committed transactions that this listener has not read, in order of commit.

    In a transaction. Stops at the first entry whose transaction still runs: its commit will wake us again.
    """
    cdef Position at, head
    cdef Snapshot snapshot
    cdef list found = []
    if not is_listener:
        return found
    lwlock_acquire(main_lock(NotifyQueueLock), LW_SHARED)
    at = listeners[MyProcNumber].at
    head = queue.head
    lwlock_release(main_lock(NotifyQueueLock))
    if _same(at, head):
        return found
    snapshot = register_snapshot(get_latest_snapshot())
    try:
        while not _same(at, head) and _read_page(<Oid> database, &at, head, snapshot, found):
            pass
    finally:
        lwlock_acquire(main_lock(NotifyQueueLock), LW_SHARED)
        listeners[MyProcNumber].at = at
        lwlock_release(main_lock(NotifyQueueLock))
        unregister_snapshot(snapshot)
    return found


cdef bint _read_page(Oid database, Position *at, Position head, Snapshot snapshot, list found) except -1:
    """Read on to the end of the page or to ``head``; False where a running transaction's entry is in the way."""
    cdef int slot
    cdef int64_t page = at.page
    cdef const char *entry
    cdef EntryHeader header
    cdef Position here
    cdef list entries = []
    # Copied first: to look at a transaction's state may read other logs, which nobody should wait for here.
    slot = slru_read_page_read_only(&ctl, page, 0)
    here = at[0]
    while not _same(here, head) and here.page == page:
        entry = slru_page(&ctl, slot) + here.offset
        memcpy(&header, entry, HEADER_SIZE)
        if header.dboid == database:
            entries.append((header.xid, header.srcPid, entry[HEADER_SIZE:header.length], header.length))
        else:
            entries.append((0, 0, None, header.length))
        _advance(&here, header.length)
    lwlock_release(slru_bank_lock(&ctl, page))
    for xid, pid, strings, length in entries:
        if strings is not None:
            if xid_in_mvcc_snapshot(xid, snapshot):
                return False
            if transaction_id_did_commit(xid):
                channel, payload, _ = (<bytes> strings).split(b"\0", 2)
                found.append((pid, channel, payload))
        _advance(at, length)
    return True


# The tail.

def move_tail() -> None:
    """Forget what all listeners have read, and delete the files that are no longer needed (asyncQueueAdvanceTail)."""
    cdef Position tail
    cdef int i
    cdef int64_t boundary
    lwlock_acquire(main_lock(NotifyQueueTailLock), LW_EXCLUSIVE)
    lwlock_acquire(main_lock(NotifyQueueLock), LW_EXCLUSIVE)
    tail = queue.head
    i = queue.first_listener
    while i != -1:
        if _before(listeners[i].at, tail):
            tail = listeners[i].at
        i = listeners[i].next
    queue.tail = tail
    lwlock_release(main_lock(NotifyQueueLock))
    # Files are deleted under the tail lock alone: nobody reads before the tail.
    boundary = tail.page - tail.page % SLRU_PAGES_PER_SEGMENT
    if queue.stop_page < boundary:
        slru_truncate(&ctl, tail.page)
        lwlock_acquire(main_lock(NotifyQueueLock), LW_EXCLUSIVE)
        queue.stop_page = tail.page
        lwlock_release(main_lock(NotifyQueueLock))
    lwlock_release(main_lock(NotifyQueueTailLock))


def usage() -> float:
    """The used part of the queue, 0 to 1."""
    move_tail()
    lwlock_acquire(main_lock(NotifyQueueLock), LW_SHARED)
    cdef double used = _used()
    lwlock_release(main_lock(NotifyQueueLock))
    return used
