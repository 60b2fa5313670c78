"""Where a new tuple goes: the page that last had room, else what the free space map names, else a new page.

Locks: two heap pages are locked in block order; a visibility map page is pinned before a heap page is locked, since
pinning may read it from disk (README rules 5 and 6).
"""

from tusk._types cimport (
    BLCKSZ, MAIN_FORK, BlockNumber, InvalidBlockNumber, OffsetNumber, maxalign, tid_set,
)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData, HeapTupleHeaderData, MaxHeapTupleSize
from tusk.access.heap._heap cimport HEAP_INSERT_FROZEN, HEAP_INSERT_SKIP_FSM, BulkInsertState
from tusk.errors import Panic, SqlError, errcode
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_UNLOCK, EB_LOCK_FIRST, RBM_NORMAL, BufferAccessStrategy, buffer_block,
    buffer_page, conditional_lock_buffer, extend_relation_by, extension_waiters, incr_buffer_ref, lock_buffer, mark_buffer_dirty,
    read_buffer, relation_nblocks, release_buffer,
)
from tusk.storage._freespace cimport (
    free_space_map_vacuum_range, get_page_with_free_space, record_and_get_page_with_free_space,
    record_page_with_free_space,
)
from tusk.storage._page cimport (
    PAI_IS_HEAP, PD_ALL_VISIBLE, page_add_item, page_get_heap_free_space, page_get_item, page_get_item_id, page_init,
    page_is_all_visible, page_is_new, page_set_flag,
)
from tusk.storage._visibilitymap cimport visibilitymap_pin, visibilitymap_pin_ok

# A page with less free space than this counts as full even when almost nothing is on it: 1/8 of its line pointers.

cdef size_t nearly_empty = 8160 - 36 * 4

cdef enum:
    MAX_EXTEND_BY = 64


cdef int put_heap_tuple(int buf, HeapTupleData *tup, bint token) except -1:
    """README rule 1: runs in a critical section, so the room was made sure of before."""
    cdef char *page = buffer_page(buf)
    cdef int offset = page_add_item(page, tup.t_data, tup.t_len, 0, PAI_IS_HEAP)
    if offset == 0:
        raise Panic(errcode.INTERNAL_ERROR, "failed to add tuple to page")
    tid_set(&tup.t_self, buffer_block(buf), <OffsetNumber> offset)
    if not token:
        (<HeapTupleHeaderData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> offset))).t_ctid = tup.t_self
    return offset


cdef int read_target(Relation rel, BlockNumber block, BulkInsertState bistate) except 0:
    """Pin a block, keeping the bulk inserter's pin on the one it fills."""
    cdef int buf
    if bistate is None:
        return read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    if bistate.current_buf:
        if buffer_block(bistate.current_buf) == block:
            incr_buffer_ref(bistate.current_buf)
            return bistate.current_buf
        release_buffer(bistate.current_buf)
        bistate.current_buf = 0
    buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, bistate.strategy)
    incr_buffer_ref(buf)
    bistate.current_buf = buf
    return buf


cdef int lock_pair(int buf, int other) except -1:
    """Lock one or two buffers in block order."""
    if other and other != buf:
        if buffer_block(other) < buffer_block(buf):
            lock_buffer(other, BUFFER_LOCK_EXCLUSIVE)
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
            return 0
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        lock_buffer(other, BUFFER_LOCK_EXCLUSIVE)
        return 0
    lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
    return 0


cdef int unlock_pair(int buf, int other) except -1:
    lock_buffer(buf, BUFFER_LOCK_UNLOCK)
    if other and other != buf:
        lock_buffer(other, BUFFER_LOCK_UNLOCK)
    return 0


cdef inline bint map_page_missing(int buf, int vm_buf) noexcept:
    return page_is_all_visible(buffer_page(buf)) and not visibilitymap_pin_ok(buffer_block(buf), vm_buf)


cdef int pin_map_pages(Relation rel, int buf, int other, int *vm_buf, int *vm_buf_other) except -1:
    """With both locked: pin the map pages that turn out to be needed, unlocking meanwhile. 1 if it had to unlock."""
    cdef bint need, need_other
    cdef int unlocked = 0
    while True:
        need = map_page_missing(buf, vm_buf[0])
        need_other = other != 0 and other != buf and map_page_missing(other, vm_buf_other[0])
        if not need and not need_other:
            return unlocked
        unlock_pair(buf, other)
        unlocked = 1
        if need:
            visibilitymap_pin(&rel.rd_locator, rel.relpersistence, buffer_block(buf), vm_buf)
        if need_other:
            visibilitymap_pin(&rel.rd_locator, rel.relpersistence, buffer_block(other), vm_buf_other)
        lock_pair(buf, other)


cdef int add_pages(Relation rel, BulkInsertState bistate, int num_pages, bint use_fsm) except 0:
    """Extend the relation; the first new page comes back pinned, locked and initialised. Others that were asked for
    go to the bulk inserter, or to the free space map."""
    cdef int bufs[MAX_EXTEND_BY]
    cdef BlockNumber first = 0
    cdef int i, n
    cdef int by = num_pages if num_pages > 1 else 1
    cdef BufferAccessStrategy strategy = NULL
    if bistate is not None:
        strategy = bistate.strategy
        # Growing loads take ever larger bites.
        if bistate.already_extended_by > by:
            by = bistate.already_extended_by
    if not use_fsm:
        by = 1 if bistate is None else by       # nobody would find the others
    elif rel.relpersistence != c't':
        # Who waits for the extension lock wants a page too.
        by += by * extension_waiters(&rel.rd_locator)
    if by > MAX_EXTEND_BY:
        by = MAX_EXTEND_BY
    n = extend_relation_by(&rel.rd_locator, rel.relpersistence, MAIN_FORK, strategy, EB_LOCK_FIRST, by, bufs, &first)
    page_init(buffer_page(bufs[0]), BLCKSZ, 0)
    mark_buffer_dirty(bufs[0])
    for i in range(1, n):
        release_buffer(bufs[i])
    if bistate is not None:
        bistate.already_extended_by += n
        if n > 1:
            bistate.next_free = first + 1
            bistate.last_free = first + n - 1
        if bistate.current_buf:
            release_buffer(bistate.current_buf)
        incr_buffer_ref(bufs[0])
        bistate.current_buf = bufs[0]
    elif n > 1 and use_fsm:
        for i in range(1, n):
            record_page_with_free_space(&rel.rd_locator, rel.relpersistence, first + i, BLCKSZ - 24)
        free_space_map_vacuum_range(&rel.rd_locator, rel.relpersistence, first, first + n)
    return bufs[0]


cdef int buffer_for_tuple(
    Relation rel, size_t nbytes, int other_buf, int options, BulkInsertState bistate, int *vm_buf, int *vm_buf_other,
    int num_pages,
) except 0:
    cdef bint use_fsm = not options & HEAP_INSERT_SKIP_FSM
    cdef size_t save_free, wanted, free_space
    cdef BlockNumber target, nblocks
    cdef BlockNumber other_block = InvalidBlockNumber
    cdef int buf
    cdef long long found
    cdef char *page
    nbytes = maxalign(nbytes)
    if nbytes > MaxHeapTupleSize:
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED,
                       f"row is too big: size {nbytes}, maximum size {<int> MaxHeapTupleSize}")
    save_free = <size_t> (BLCKSZ * (100 - rel.fillfactor) // 100)
    wanted = nbytes + save_free
    if wanted > nearly_empty:
        wanted = nbytes if nbytes > nearly_empty else nearly_empty
    if other_buf:
        other_block = buffer_block(other_buf)

    if bistate is not None and bistate.current_buf:
        target = buffer_block(bistate.current_buf)
    else:
        target = rel.target_block
    if target == InvalidBlockNumber and use_fsm:
        found = get_page_with_free_space(&rel.rd_locator, rel.relpersistence, wanted)
        target = <BlockNumber> found
    if target == InvalidBlockNumber and use_fsm:
        nblocks = <BlockNumber> relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK)
        if nblocks > 0:
            target = nblocks - 1

    while target != InvalidBlockNumber:
        if target == other_block:
            buf = other_buf
        else:
            buf = read_target(rel, target, bistate)
        if page_is_all_visible(buffer_page(buf)):
            visibilitymap_pin(&rel.rd_locator, rel.relpersistence, target, vm_buf)
        lock_pair(buf, other_buf)
        pin_map_pages(rel, buf, other_buf, vm_buf, vm_buf_other)
        page = buffer_page(buf)
        if page_is_new(page):
            page_init(page, BLCKSZ, 0)      # left behind by a crash or by a bulk extension
            mark_buffer_dirty(buf)
        free_space = page_get_heap_free_space(page)
        if wanted <= free_space:
            rel.target_block = target
            return buf
        unlock_pair(buf, other_buf)
        if buf != other_buf:
            release_buffer(buf)
        if bistate is not None and bistate.next_free != InvalidBlockNumber:
            target = bistate.next_free
            if bistate.next_free >= bistate.last_free:
                bistate.next_free = bistate.last_free = InvalidBlockNumber
            else:
                bistate.next_free += 1
        elif not use_fsm:
            break
        else:
            found = record_and_get_page_with_free_space(&rel.rd_locator, rel.relpersistence, target, free_space, wanted)
            target = <BlockNumber> found

    buf = add_pages(rel, bistate, num_pages, use_fsm)
    target = buffer_block(buf)
    page = buffer_page(buf)
    if options & HEAP_INSERT_FROZEN:
        # Loading frozen rows makes the page all-visible: its map page will be wanted.
        lock_buffer(buf, BUFFER_LOCK_UNLOCK)
        visibilitymap_pin(&rel.rd_locator, rel.relpersistence, target, vm_buf)
        if other_buf:
            lock_pair(buf, other_buf)
        else:
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
    elif other_buf:
        # A new block comes after all others, so the other one should have been locked first.
        if not conditional_lock_buffer(other_buf):
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
            lock_buffer(other_buf, BUFFER_LOCK_EXCLUSIVE)
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
    if other_buf:
        pin_map_pages(rel, buf, other_buf, vm_buf, vm_buf_other)
    if nbytes > page_get_heap_free_space(page):
        # While it was unlocked somebody else found the new page; or the tuple fits no page, which cannot be.
        unlock_pair(buf, other_buf)
        release_buffer(buf)
        rel.target_block = InvalidBlockNumber
        return buffer_for_tuple(rel, nbytes, other_buf, options, bistate, vm_buf, vm_buf_other, num_pages)
    rel.target_block = target
    return buf
