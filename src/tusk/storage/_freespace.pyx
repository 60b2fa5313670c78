"""The free space map: which pages of a relation have room (storage/freespace.h, storage/fsm_internals.h).

One byte per page: free bytes in steps of 32. Each map page holds a binary tree in an array, parents the maximum of
their children; its leaves are heap pages (bottom level) or map pages of the level below. Three levels of 4069 leaves
address every block. Pages lie in depth-first order. The map is a hint: not WAL-logged, repaired when found wrong.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memset

from tusk._types cimport BLCKSZ, FSM_FORK, InvalidBlockNumber
from tusk.memory._critical cimport critical_end, critical_start
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE,
    BUFFER_LOCK_SHARE,
    BUFFER_LOCK_UNLOCK,
    EB_CLEAR_SIZE_CACHE,
    EB_CREATE_FORK_IF_NEEDED,
    RBM_ZERO_ON_ERROR,
    RELPERSISTENCE_PERMANENT,
    RELPERSISTENCE_TEMP,
    Buffer,
    buffer_page,
    extend_relation_to,
    lock_buffer,
    mark_buffer_dirty,
    mark_buffer_dirty_hint,
    read_buffer,
    release_buffer,
    unlock_release_buffer,
)
from tusk.storage._page cimport SizeOfPageHeaderData, page_init, page_is_new
from tusk.storage._smgr cimport (
    SMgrRelation,
    relation_path,
    smgr_exists,
    smgr_in_recovery,
    smgr_nblocks,
    smgr_open,
)
from tusk.memory._process cimport MyProcNumber

from tusk.errors import Severity, report

cdef enum:
    NODES_PER_PAGE = 8164           # 8192 - 24 - 4
    NON_LEAF_NODES = 4095
    SLOTS_PER_PAGE = 4069
    FSM_TREE_DEPTH = 3
    ROOT_LEVEL = 2
    CATEGORY_STEP = 32
    MAX_REQUEST = 8160              # MaxFSMRequestSize = MaxHeapTupleSize

cdef struct FsmAddress:
    int level
    int page                        # number among the pages of its level


cdef inline int32_t *_next_slot(char *page) noexcept nogil:
    return <int32_t *> (page + SizeOfPageHeaderData)


cdef inline uint8_t *_nodes(char *page) noexcept nogil:
    return <uint8_t *> (page + SizeOfPageHeaderData + 4)


# Categories

cdef inline int _category(size_t available) noexcept nogil:
    """The category of a page with so many free bytes, rounded down; 255 means 8160 or more."""
    if available >= MAX_REQUEST:
        return 255
    return min(<int> (available // CATEGORY_STEP), 254)


cdef inline int _needed_category(size_t needed) noexcept nogil:
    """The least category that guarantees so many bytes, rounded up."""
    if needed == 0:
        return 1
    if needed >= MAX_REQUEST:
        return 255
    return min(<int> ((needed + CATEGORY_STEP - 1) // CATEGORY_STEP), 255)


cdef inline long _category_bytes(int category) noexcept nogil:
    return MAX_REQUEST if category == 255 else category * CATEGORY_STEP


# The tree within a page (fsmpage)

cdef bint _set_avail(char *page, int slot, uint8_t value) noexcept nogil:
    """Set a leaf and its ancestors; true if anything changed. The page is locked exclusively."""
    cdef uint8_t *nodes = _nodes(page)
    cdef int node = NON_LEAF_NODES + slot
    cdef int left, right
    cdef uint8_t best
    if nodes[node] == value and value <= nodes[0]:
        return False
    nodes[node] = value
    while node > 0:
        node = (node - 1) // 2
        left = 2 * node + 1
        right = left + 1
        best = nodes[left]
        if right < NODES_PER_PAGE and nodes[right] > best:
            best = nodes[right]
        if nodes[node] == best:
            break
        nodes[node] = best
    # A root that is too low would hide the page from every search.
    if value > nodes[0]:
        _rebuild(page)
    return True


cdef bint _rebuild(char *page) noexcept nogil:
    """Compute all upper nodes anew; true if anything changed."""
    cdef uint8_t *nodes = _nodes(page)
    cdef int node = NON_LEAF_NODES - 1
    cdef int left
    cdef uint8_t best
    cdef bint changed = False
    while node >= 0:
        left = 2 * node + 1
        best = 0
        if left < NODES_PER_PAGE:
            best = nodes[left]
        if left + 1 < NODES_PER_PAGE and nodes[left + 1] > best:
            best = nodes[left + 1]
        if nodes[node] != best:
            nodes[node] = best
            changed = True
        node -= 1
    return changed


cdef bint _truncate_avail(char *page, int nslots) noexcept nogil:
    """Forget the leaves from nslots on; true if anything changed."""
    cdef uint8_t *nodes = _nodes(page)
    cdef int node
    cdef bint changed = False
    for node in range(NON_LEAF_NODES + nslots, NODES_PER_PAGE):
        if nodes[node]:
            changed = True
            nodes[node] = 0
    if changed:
        _rebuild(page)
    return changed


cdef inline int _right_neighbor(int node) noexcept nogil:
    """The next node of the same tree level, wrapping to its first."""
    node += 1
    if (node + 1) & node == 0:          # fell off the level: node + 1 is a power of two
        node = (node - 1) // 2
    return node


cdef int _search_avail(Buffer buffer, uint8_t at_least, bint advance, bint exclusive) except -2:
    """A slot with this category or more, -1 if there is none. The buffer is locked."""
    cdef char *page = buffer_page(buffer)
    cdef uint8_t *nodes = _nodes(page)
    cdef int target, node, slot, child
    while True:
        if nodes[0] < at_least:
            return -1
        target = _next_slot(page)[0]
        if target < 0 or target >= SLOTS_PER_PAGE:
            target = 0
        # Climb from the hint, going right, until a subtree has enough; then descend to its leftmost fit. So
        # successive searches spread over the page.
        node = NON_LEAF_NODES + target
        while node > 0:
            if nodes[node] >= at_least:
                break
            node = (_right_neighbor(node) - 1) // 2
        while node < NON_LEAF_NODES:
            child = 2 * node + 1
            if child < NODES_PER_PAGE and nodes[child] >= at_least:
                node = child
                continue
            child += 1
            if child < NODES_PER_PAGE and nodes[child] >= at_least:
                node = child
                continue
            break
        if node >= NON_LEAF_NODES:
            slot = node - NON_LEAF_NODES
            # Under a shared lock two may store at once: it is only a hint.
            _next_slot(page)[0] = slot + (1 if advance else 0)
            return slot
        # A parent promised more than its children hold: a torn page after a crash.
        report(Severity.DEBUG1, "fixing corrupt FSM page")
        if not exclusive:
            exclusive = True
            lock_buffer(buffer, BUFFER_LOCK_UNLOCK)
            lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
        _rebuild(page)
        mark_buffer_dirty_hint(buffer, False)


# Addresses

cdef inline FsmAddress _address_of_heap(BlockNumber heap_block, int *slot) noexcept nogil:
    cdef FsmAddress address
    address.level = 0
    address.page = <int> (heap_block // SLOTS_PER_PAGE)
    slot[0] = <int> (heap_block % SLOTS_PER_PAGE)
    return address


cdef inline FsmAddress _parent(FsmAddress child, int *slot) noexcept nogil:
    cdef FsmAddress address
    address.level = child.level + 1
    address.page = child.page // SLOTS_PER_PAGE
    slot[0] = child.page % SLOTS_PER_PAGE
    return address


cdef inline FsmAddress _child(FsmAddress parent, int slot) noexcept nogil:
    cdef FsmAddress address
    address.level = parent.level - 1
    address.page = parent.page * SLOTS_PER_PAGE + slot
    return address


cdef BlockNumber _block_of(FsmAddress address) noexcept nogil:
    """Where a map page lies: before it all its ancestors and all that hang left of it."""
    cdef long long leaf = address.page
    cdef long long pages = 0
    cdef int level
    for level in range(address.level):
        leaf *= SLOTS_PER_PAGE
    for level in range(FSM_TREE_DEPTH):
        pages += leaf + 1
        leaf //= SLOTS_PER_PAGE
    # Counted down to the bottom level: take back the descendants below the page itself.
    return <BlockNumber> (pages - address.level - 1)


# Map pages in buffers

cdef inline SMgrRelation _relation(const RelFileLocator *locator, char persistence) except NULL:
    return smgr_open(locator, MyProcNumber if persistence == RELPERSISTENCE_TEMP else -1)


cdef Buffer _read(const RelFileLocator *locator, char persistence, FsmAddress address, bint extend) except -1:
    """The map page, pinned; 0 if the map does not reach so far and is not to be extended."""
    cdef BlockNumber block = _block_of(address)
    cdef SMgrRelation rel = _relation(locator, persistence)
    cdef Buffer buffer
    cdef bint missing = rel.cached_nblocks[FSM_FORK] == InvalidBlockNumber or block >= rel.cached_nblocks[FSM_FORK]
    if missing:
        rel.cached_nblocks[FSM_FORK] = InvalidBlockNumber
        if smgr_exists(rel, FSM_FORK):
            smgr_nblocks(rel, FSM_FORK)
        else:
            rel.cached_nblocks[FSM_FORK] = 0
        missing = block >= rel.cached_nblocks[FSM_FORK]
    if missing:
        if not extend:
            return 0
        buffer = extend_relation_to(locator, persistence, FSM_FORK, NULL,
                                    EB_CREATE_FORK_IF_NEEDED | EB_CLEAR_SIZE_CACHE, block + 1, RBM_ZERO_ON_ERROR)
    else:
        # A page that was torn is as good as an empty one.
        buffer = read_buffer(locator, persistence, FSM_FORK, block, RBM_ZERO_ON_ERROR, NULL)
    if page_is_new(buffer_page(buffer)):
        lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
        if page_is_new(buffer_page(buffer)):
            page_init(buffer_page(buffer), BLCKSZ, 0)
        lock_buffer(buffer, BUFFER_LOCK_UNLOCK)
    return buffer


cdef int _set_and_search(const RelFileLocator *locator, char persistence, FsmAddress address, int slot,
                         uint8_t value, uint8_t at_least) except -2:
    """Set a slot; then, if at_least is not 0, search the same page. -1 if nothing was found."""
    cdef Buffer buffer = _read(locator, persistence, address, True)
    cdef int found = -1
    lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
    if _set_avail(buffer_page(buffer), slot, value):
        mark_buffer_dirty_hint(buffer, False)
    if at_least:
        found = _search_avail(buffer, at_least, address.level == 0, True)
    unlock_release_buffer(buffer)
    return found


cdef int _search_page(Buffer buffer, uint8_t at_least, bint advance) except -2:
    cdef int slot
    lock_buffer(buffer, BUFFER_LOCK_SHARE)
    slot = _search_avail(buffer, at_least, advance, False)
    lock_buffer(buffer, BUFFER_LOCK_UNLOCK)
    return slot


cdef bint _heap_block_exists(const RelFileLocator *locator, char persistence, BlockNumber block) except -1:
    """A map restored from before a truncation, or torn, may point past the end."""
    cdef SMgrRelation rel = _relation(locator, persistence)
    if rel.cached_nblocks[0] != InvalidBlockNumber and block < rel.cached_nblocks[0]:
        return True
    return block < <BlockNumber> smgr_nblocks(rel, 0)


cdef long long _search(const RelFileLocator *locator, char persistence, uint8_t at_least) except -1:
    cdef FsmAddress address
    cdef FsmAddress parent
    cdef Buffer buffer
    cdef int slot, parent_slot
    cdef int restarts = 0
    cdef uint8_t best
    cdef BlockNumber block
    address.level = ROOT_LEVEL
    address.page = 0
    while True:
        buffer = _read(locator, persistence, address, False)
        slot = -1
        best = 0
        if buffer != 0:
            slot = _search_page(buffer, at_least, address.level == 0)
            best = _nodes(buffer_page(buffer))[0]
        if slot >= 0:
            if address.level == 0:
                block = <BlockNumber> address.page * SLOTS_PER_PAGE + <BlockNumber> slot
                if _heap_block_exists(locator, persistence, block):
                    release_buffer(buffer)
                    return block
                lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
                if _set_avail(buffer_page(buffer), slot, 0):
                    mark_buffer_dirty_hint(buffer, False)
                unlock_release_buffer(buffer)
                restarts += 1
                if restarts > 10000:
                    return InvalidBlockNumber
                address.level = ROOT_LEVEL
                address.page = 0
                continue
            release_buffer(buffer)
            address = _child(address, slot)
            continue
        if buffer != 0:
            release_buffer(buffer)
        if address.level == ROOT_LEVEL:
            return InvalidBlockNumber
        # The upper page promised too much: correct it, and start again.
        parent = _parent(address, &parent_slot)
        _set_and_search(locator, persistence, parent, parent_slot, best, 0)
        restarts += 1
        if restarts > 10000:
            return InvalidBlockNumber
        address.level = ROOT_LEVEL
        address.page = 0


# The interface

cdef long long get_page_with_free_space(const RelFileLocator *locator, char persistence, size_t needed) except -1:
    """A page with at least so many free bytes (GetPageWithFreeSpace)."""
    return _search(locator, persistence, <uint8_t> _needed_category(needed))


cdef long long record_and_get_page_with_free_space(const RelFileLocator *locator, char persistence,
                                                   BlockNumber old_page, size_t old_available,
                                                   size_t needed) except -1:
    """Record that a page had too little room, and find another, nearby if possible."""
    cdef int slot, found
    cdef FsmAddress address = _address_of_heap(old_page, &slot)
    cdef uint8_t at_least = <uint8_t> _needed_category(needed)
    cdef BlockNumber block
    found = _set_and_search(locator, persistence, address, slot, <uint8_t> _category(old_available), at_least)
    if found >= 0:
        block = <BlockNumber> address.page * SLOTS_PER_PAGE + <BlockNumber> found
        if _heap_block_exists(locator, persistence, block):
            return block
    return _search(locator, persistence, at_least)


cdef int record_page_with_free_space(const RelFileLocator *locator, char persistence, BlockNumber heap_block,
                                     size_t available) except -1:
    """Record a page's free space in the bottom level (RecordPageWithFreeSpace); vacuum carries it upwards."""
    cdef int slot
    cdef FsmAddress address = _address_of_heap(heap_block, &slot)
    _set_and_search(locator, persistence, address, slot, <uint8_t> _category(available), 0)
    return 0


cdef int xlog_record_page_with_free_space(const RelFileLocator *locator, BlockNumber heap_block,
                                          size_t available) except -1:
    """The same for redo: the map need not exist (XLogRecordPageWithFreeSpace)."""
    cdef int slot
    cdef FsmAddress address = _address_of_heap(heap_block, &slot)
    cdef Buffer buffer = _read(locator, RELPERSISTENCE_PERMANENT, address, True)
    lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
    if _set_avail(buffer_page(buffer), slot, <uint8_t> _category(available)):
        mark_buffer_dirty_hint(buffer, False)
    unlock_release_buffer(buffer)
    return 0


cdef long get_recorded_free_space(const RelFileLocator *locator, char persistence, BlockNumber heap_block) except -1:
    """Free bytes of a page as far as the map knows (GetRecordedFreeSpace)."""
    cdef int slot
    cdef FsmAddress address = _address_of_heap(heap_block, &slot)
    cdef Buffer buffer = _read(locator, persistence, address, False)
    cdef int category
    if buffer == 0:
        return 0
    category = _nodes(buffer_page(buffer))[NON_LEAF_NODES + slot]
    release_buffer(buffer)
    return _category_bytes(category)


cdef int _vacuum_page(const RelFileLocator *locator, char persistence, FsmAddress address, BlockNumber start,
                      BlockNumber end, bint *reached_end) except -1:
    """Carry the maxima of the pages below up into this one, for heap blocks from start to end; its root."""
    cdef Buffer buffer = _read(locator, persistence, address, False)
    cdef FsmAddress first, last
    cdef int start_slot, end_slot, slot, value, unused
    cdef bint child_eof = False
    if buffer == 0:
        reached_end[0] = True
        return 0
    reached_end[0] = False
    if address.level > 0:
        # Which slots lead to the range?
        first = _address_of_heap(start, &unused)
        last = _address_of_heap(end - 1 if end > start else start, &unused)
        first = _parent(first, &start_slot)
        last = _parent(last, &end_slot)
        while first.level < address.level:
            first = _parent(first, &start_slot)
            last = _parent(last, &end_slot)
        if first.page < address.page:
            start_slot = 0
        elif first.page > address.page:
            start_slot = SLOTS_PER_PAGE
        if last.page > address.page:
            end_slot = SLOTS_PER_PAGE - 1
        elif last.page < address.page:
            end_slot = -1
        for slot in range(start_slot, end_slot + 1):
            value = 0
            if not child_eof:
                value = _vacuum_page(locator, persistence, _child(address, slot), start, end, &child_eof)
            if _nodes(buffer_page(buffer))[NON_LEAF_NODES + slot] != value:
                lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
                if _set_avail(buffer_page(buffer), slot, <uint8_t> value):
                    mark_buffer_dirty_hint(buffer, False)
                lock_buffer(buffer, BUFFER_LOCK_UNLOCK)
    value = _nodes(buffer_page(buffer))[0]
    # Let the next insertions start at the front of the relation: it may then be truncated some day.
    _next_slot(buffer_page(buffer))[0] = 0
    release_buffer(buffer)
    return value


cdef int free_space_map_vacuum(const RelFileLocator *locator, char persistence) except -1:
    """Make the upper levels right (FreeSpaceMapVacuum)."""
    cdef bint unused
    cdef FsmAddress root
    root.level = ROOT_LEVEL
    root.page = 0
    _vacuum_page(locator, persistence, root, 0, InvalidBlockNumber, &unused)
    return 0


cdef int free_space_map_vacuum_range(const RelFileLocator *locator, char persistence, BlockNumber start,
                                     BlockNumber end) except -1:
    """The same for heap blocks from start to before end (FreeSpaceMapVacuumRange)."""
    cdef bint unused
    cdef FsmAddress root
    root.level = ROOT_LEVEL
    root.page = 0
    if end > start:
        _vacuum_page(locator, persistence, root, start, end, &unused)
    return 0


cdef long long free_space_map_prepare_truncate(const RelFileLocator *locator, char persistence,
                                               BlockNumber nblocks) except -1:
    cdef SMgrRelation rel = _relation(locator, persistence)
    cdef int slot
    cdef FsmAddress address
    cdef Buffer buffer
    cdef BlockNumber new_length
    if not smgr_exists(rel, FSM_FORK):
        return InvalidBlockNumber
    address = _address_of_heap(nblocks, &slot)
    if slot > 0:
        # The last remaining map page loses its tail. This is a real change: a crash must not bring it back.
        buffer = _read(locator, persistence, address, False)
        if buffer == 0:
            return InvalidBlockNumber
        lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
        critical_start()
        _truncate_avail(buffer_page(buffer), slot)
        mark_buffer_dirty(buffer)
        if (not smgr_in_recovery and persistence == RELPERSISTENCE_PERMANENT
                and log_fsm_truncate_hook != NULL):
            log_fsm_truncate_hook(buffer)
        critical_end()
        unlock_release_buffer(buffer)
        new_length = _block_of(address) + 1
    else:
        new_length = _block_of(address)
        if <BlockNumber> smgr_nblocks(rel, FSM_FORK) <= new_length:
            return InvalidBlockNumber
    return new_length


# For Python.

cdef RelFileLocator _native(tuple locator) except *:
    cdef RelFileLocator native
    native.spcOid, native.dbOid, native.relNumber = locator
    return native


def record(locator: tuple[int, int, int], block: int, available: int) -> None:
    """Record a page's free bytes."""
    cdef RelFileLocator native = _native(locator)
    record_page_with_free_space(&native, RELPERSISTENCE_PERMANENT, block, available)


def recorded(locator: tuple[int, int, int], block: int, persistence: str = "p") -> int:
    """Free bytes of a page as far as the map knows (pg_freespace)."""
    cdef RelFileLocator native = _native(locator)
    return get_recorded_free_space(&native, <char> ord(persistence), block)


def find(locator: tuple[int, int, int], needed: int) -> int | None:
    """A page with so much room, None if the map knows none."""
    cdef RelFileLocator native = _native(locator)
    cdef long long block = get_page_with_free_space(&native, RELPERSISTENCE_PERMANENT, needed)
    return None if block == InvalidBlockNumber else block


def vacuum(locator: tuple[int, int, int], persistence: str = "p") -> None:
    """Make the upper levels right."""
    cdef RelFileLocator native = _native(locator)
    free_space_map_vacuum(&native, <char> ord(persistence))


def prepare_truncate(locator: tuple[int, int, int], nblocks: int, persistence: str = "p") -> int | None:
    """Clear the map's tail; its new length, None if there is nothing to cut."""
    cdef RelFileLocator native = _native(locator)
    cdef long long length = free_space_map_prepare_truncate(&native, <char> ord(persistence), nblocks)
    return None if length == InvalidBlockNumber else length


def page_problem(page: bytes) -> str | None:
    """What is wrong with the tree of a map page; None if it is in order.

    Pages among each other may disagree: upper ones are brought up to date now and then.
    """
    cdef uint8_t *nodes
    cdef char *bytes_of = page
    cdef int node, left
    cdef uint8_t best
    if page_is_new(bytes_of):
        return None
    nodes = _nodes(bytes_of)
    for node in range(NON_LEAF_NODES):
        left = 2 * node + 1
        best = 0
        if left < NODES_PER_PAGE:
            best = nodes[left]
        if left + 1 < NODES_PER_PAGE and nodes[left + 1] > best:
            best = nodes[left + 1]
        if nodes[node] != best:
            return f"free space map node {node} is {nodes[node]}, but the larger of its children {best}"
    return None
