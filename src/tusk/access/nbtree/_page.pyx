"""Reading, locking and allocating b-tree pages; the metapage and the way to the root (nbtpage.c)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from tusk._types cimport BLCKSZ, MAIN_FORK, BlockNumber, InvalidBlockNumber, Lsn
from tusk.access._relation cimport Relation, relation_is_accessible_in_logical_decoding, relation_needs_wal
from tusk.access.heap._scan cimport vis_kind
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._records cimport (
    XLOG_BTREE_NEWROOT, XLOG_BTREE_REUSE_PAGE, SizeOfBtreeNewroot, SizeOfBtreeReusePage, xl_btree_metadata,
    xl_btree_newroot, xl_btree_reuse_page,
)
from tusk.memory._critical cimport critical_end, critical_start
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, EB_LOCK_FIRST, RBM_NORMAL, buffer_block,
    buffer_page, conditional_lock_buffer, extend_relation, lock_buffer, mark_buffer_dirty, read_buffer,
    release_and_read_buffer, release_buffer, unlock_release_buffer,
)
from tusk.storage._freespace cimport get_page_with_free_space, record_page_with_free_space
from tusk.storage._page cimport page_header, page_init, page_is_new, page_set_lsn
from tusk.transaction._snapshot cimport global_vis_test_for, global_vis_test_is_removable_full_xid
from tusk.wal._insert cimport (
    REGBUF_STANDARD, REGBUF_WILL_INIT, xlog_begin_insert, xlog_insert, xlog_register_buf_data, xlog_register_buffer,
    xlog_register_data,
)
from tusk.wal._record cimport RM_BTREE_ID
from tusk.wal._xlog cimport xlog_standby_info_active

from tusk.errors import SqlError, errcode, feature_not_supported


cdef object index_corrupted(str message):
    return SqlError(errcode.INDEX_CORRUPTED, message)


cdef int bad_page(Relation rel, int buf) except -1:
    if page_is_new(buffer_page(buf)):
        raise SqlError(errcode.INDEX_CORRUPTED,
                       f'index "{rel.name}" contains unexpected zero page at block {buffer_block(buf)}',
                       hint="Please REINDEX it.")
    raise SqlError(errcode.INDEX_CORRUPTED,
                   f'index "{rel.name}" contains corrupted page at block {buffer_block(buf)}',
                   hint="Please REINDEX it.")


cdef int bt_checkpage(Relation rel, int buf) except -1:
    cdef char *page = buffer_page(buf)
    if page_header(page).pd_special != BLCKSZ - sizeof(BTPageOpaqueData):
        unlock_release_buffer(buf)
        bad_page(rel, buf)
    return 0


cdef int bt_getbuf(Relation rel, BlockNumber block, int access) except 0:
    cdef int buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    lock_buffer(buf, access)
    if page_header(buffer_page(buf)).pd_special != BLCKSZ - sizeof(BTPageOpaqueData):
        bt_checkpage(rel, buf)
    return buf


cdef int bt_relandgetbuf(Relation rel, int buf, BlockNumber block, int access) except 0:
    if buf:
        lock_buffer(buf, BUFFER_LOCK_UNLOCK)
    buf = release_and_read_buffer(buf, &rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    lock_buffer(buf, access)
    if page_header(buffer_page(buf)).pd_special != BLCKSZ - sizeof(BTPageOpaqueData):
        bt_checkpage(rel, buf)
    return buf


cdef void bt_pageinit(char *page) noexcept:
    page_init(page, BLCKSZ, sizeof(BTPageOpaqueData))


cdef bint bt_page_is_recyclable(Relation heap, const char *page) except -1:
    """Deleted before any scan that could still be on its way to it began (BTPageIsRecyclable)."""
    cdef BTPageOpaqueData *opaque
    cdef uint64_t safexid
    if page_is_new(page):
        return False
    opaque = bt_opaque(page)
    if not opaque.btpo_flags & BTP_DELETED or heap is None:
        return False
    # Deleted pages keep the 64-bit id in their contents; pages of PostgreSQL 13 and before had 32 bits, always passed.
    if not opaque.btpo_flags & BTP_HAS_FULLXID:
        return True
    safexid = (<const uint64_t *> (page + 24))[0]
    return global_vis_test_is_removable_full_xid(global_vis_test_for(vis_kind(heap)), safexid) != 0


cdef int log_reuse_page(Relation rel, Relation heap, BlockNumber block, uint64_t safexid) except -1:
    """Have standbys cancel queries that might still come to the page (an interlock only)."""
    cdef xl_btree_reuse_page record
    memset(&record, 0, sizeof(record))
    record.isCatalogRel = relation_is_accessible_in_logical_decoding(heap)
    record.locator = rel.rd_locator
    record.block = block
    record.snapshotConflictHorizon = safexid
    xlog_begin_insert()
    xlog_register_data(&record, SizeOfBtreeReusePage)
    xlog_insert(RM_BTREE_ID, XLOG_BTREE_REUSE_PAGE)
    return 0


cdef int bt_allocbuf(Relation rel, Relation heap) except 0:
    cdef long long block
    cdef int buf
    cdef char *page
    while True:
        block = get_page_with_free_space(&rel.rd_locator, rel.relpersistence, BLCKSZ // 2)
        if block == InvalidBlockNumber:
            break
        record_page_with_free_space(&rel.rd_locator, rel.relpersistence, <BlockNumber> block, 0)
        buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, <BlockNumber> block, RBM_NORMAL, NULL)
        # Somebody may be there who waits for a lock that this process has: never wait for a page to recycle.
        if conditional_lock_buffer(buf):
            page = buffer_page(buf)
            if page_is_new(page):
                bt_pageinit(page)
                return buf
            if bt_page_is_recyclable(heap, page):
                if relation_needs_wal(rel) and xlog_standby_info_active() and \
                        bt_opaque(page).btpo_flags & BTP_HAS_FULLXID:
                    log_reuse_page(rel, heap, <BlockNumber> block, (<uint64_t *> (page + 24))[0])
                bt_pageinit(page)
                return buf
            unlock_release_buffer(buf)
        else:
            release_buffer(buf)
    buf = extend_relation(&rel.rd_locator, rel.relpersistence, MAIN_FORK, NULL, EB_LOCK_FIRST)
    bt_pageinit(buffer_page(buf))
    return buf


cdef BTMetaPageData *bt_checked_meta(Relation rel, int metabuf) except NULL:
    cdef char *page = buffer_page(metabuf)
    cdef BTMetaPageData *meta = bt_meta(page)
    if not bt_opaque(page).btpo_flags & BTP_META or meta.btm_magic != BTREE_MAGIC:
        unlock_release_buffer(metabuf)
        raise SqlError(errcode.INDEX_CORRUPTED, f'index "{rel.name}" is not a btree')
    if meta.btm_version < BTREE_MIN_VERSION or meta.btm_version > BTREE_VERSION:
        version = meta.btm_version
        unlock_release_buffer(metabuf)
        raise SqlError(errcode.INDEX_CORRUPTED,
                       f'version mismatch in index "{rel.name}": file version {version}, '
                       f'current version {<int> BTREE_VERSION}, minimal supported version {<int> BTREE_MIN_VERSION}')
    if meta.btm_version != BTREE_VERSION:
        unlock_release_buffer(metabuf)
        raise feature_not_supported("b-tree indexes made by PostgreSQL 11 or before (REINDEX them)")
    return meta


cdef int remember_meta(Relation rel, const BTMetaPageData *meta) except -1:
    rel.am_block = meta.btm_fastroot
    rel.am_level = meta.btm_fastlevel
    rel.am_cache = meta.btm_allequalimage != 0
    return 0


cdef int bt_allequalimage(Relation rel) except -1:
    """Whether equal keys are the same bytes in all columns (_bt_metaversion)."""
    cdef int metabuf
    if rel.am_cache is None:
        metabuf = bt_getbuf(rel, BTREE_METAPAGE, BT_READ)
        rel.am_cache = bt_checked_meta(rel, metabuf).btm_allequalimage != 0
        unlock_release_buffer(metabuf)
    return rel.am_cache is True


cdef uint32_t bt_rootheight(Relation rel) except? 0xFFFFFFFF:
    cdef int metabuf
    cdef BTMetaPageData *meta
    if rel.am_block == InvalidBlockNumber:
        metabuf = bt_getbuf(rel, BTREE_METAPAGE, BT_READ)
        meta = bt_checked_meta(rel, metabuf)
        if meta.btm_root == P_NONE:
            unlock_release_buffer(metabuf)
            return 0
        remember_meta(rel, meta)
        unlock_release_buffer(metabuf)
    return rel.am_level


cdef int cached_root(Relation rel) except -1:
    """The fast root if the remembered one still is one, locked; else 0."""
    cdef int buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, rel.am_block, RBM_NORMAL, NULL)
    cdef char *page = buffer_page(buf)
    cdef BTPageOpaqueData *opaque
    lock_buffer(buf, BUFFER_LOCK_SHARE)
    if page_header(page).pd_special == BLCKSZ - sizeof(BTPageOpaqueData):
        opaque = bt_opaque(page)
        if not p_ignore(opaque) and opaque.btpo_level == rel.am_level and opaque.btpo_prev == P_NONE and \
                opaque.btpo_next == P_NONE:
            return buf
    unlock_release_buffer(buf)
    rel.am_block = InvalidBlockNumber
    return 0


cdef int make_root(Relation rel, Relation heap, int metabuf) except 0:
    """Turn an empty index into one of an empty root leaf. metabuf is locked exclusively; the root is returned so."""
    cdef BTMetaPageData *meta = bt_meta(buffer_page(metabuf))
    cdef int rootbuf = bt_allocbuf(rel, heap)
    cdef BlockNumber rootblk = buffer_block(rootbuf)
    cdef char *rootpage = buffer_page(rootbuf)
    cdef BTPageOpaqueData *opaque = bt_opaque(rootpage)
    cdef xl_btree_newroot record
    cdef xl_btree_metadata metadata
    cdef Lsn lsn
    opaque.btpo_prev = P_NONE
    opaque.btpo_next = P_NONE
    opaque.btpo_flags = BTP_LEAF | BTP_ROOT
    opaque.btpo_level = 0
    opaque.btpo_cycleid = 0
    critical_start()
    meta.btm_root = rootblk
    meta.btm_level = 0
    meta.btm_fastroot = rootblk
    meta.btm_fastlevel = 0
    meta.btm_last_cleanup_num_delpages = 0
    meta.btm_last_cleanup_num_heap_tuples = -1.0
    mark_buffer_dirty(rootbuf)
    mark_buffer_dirty(metabuf)
    if relation_needs_wal(rel):
        record.rootblk = rootblk
        record.level = 0
        bt_fill_metadata(&metadata, meta)
        xlog_begin_insert()
        xlog_register_buffer(0, rootbuf, REGBUF_WILL_INIT)
        xlog_register_buffer(2, metabuf, REGBUF_WILL_INIT | REGBUF_STANDARD)
        xlog_register_buf_data(2, &metadata, sizeof(metadata))
        xlog_register_data(&record, SizeOfBtreeNewroot)
        lsn = xlog_insert(RM_BTREE_ID, XLOG_BTREE_NEWROOT)
        page_set_lsn(rootpage, lsn)
        page_set_lsn(buffer_page(metabuf), lsn)
    critical_end()
    return rootbuf


cdef int bt_getroot(Relation rel, Relation heap, int access) except -1:
    cdef int metabuf
    cdef int rootbuf
    cdef BTMetaPageData *meta
    cdef BlockNumber rootblk
    cdef uint32_t rootlevel
    cdef BTPageOpaqueData *opaque
    if rel.am_block != InvalidBlockNumber:
        rootbuf = cached_root(rel)
        if rootbuf:
            return rootbuf
    metabuf = bt_getbuf(rel, BTREE_METAPAGE, BT_READ)
    meta = bt_checked_meta(rel, metabuf)
    if meta.btm_root == P_NONE:
        if access == BT_READ:
            unlock_release_buffer(metabuf)
            return 0
        lock_buffer(metabuf, BUFFER_LOCK_UNLOCK)
        lock_buffer(metabuf, BUFFER_LOCK_EXCLUSIVE)
        if meta.btm_root != P_NONE:         # somebody was faster
            unlock_release_buffer(metabuf)
            return bt_getroot(rel, heap, access)
        rootbuf = make_root(rel, heap, metabuf)
        lock_buffer(rootbuf, BUFFER_LOCK_UNLOCK)
        lock_buffer(rootbuf, BUFFER_LOCK_SHARE)
        unlock_release_buffer(metabuf)
        return rootbuf
    rootblk = meta.btm_fastroot
    rootlevel = meta.btm_fastlevel
    remember_meta(rel, meta)
    rootbuf = metabuf
    while True:
        rootbuf = bt_relandgetbuf(rel, rootbuf, rootblk, BT_READ)
        opaque = bt_opaque(buffer_page(rootbuf))
        if not p_ignore(opaque):
            break
        # A deleted page: its right sibling has taken over.
        if p_rightmost(opaque):
            unlock_release_buffer(rootbuf)
            raise index_corrupted(f'no live root page found in index "{rel.name}"')
        rootblk = opaque.btpo_next
    if opaque.btpo_level != rootlevel:
        level = opaque.btpo_level
        unlock_release_buffer(rootbuf)
        raise index_corrupted(f'root page {rootblk} of index "{rel.name}" has level {level}, expected {rootlevel}')
    return rootbuf


cdef void bt_fill_metadata(xl_btree_metadata *out, const BTMetaPageData *meta) noexcept nogil:
    memset(out, 0, sizeof(xl_btree_metadata))
    out.version = meta.btm_version
    out.root = meta.btm_root
    out.level = meta.btm_level
    out.fastroot = meta.btm_fastroot
    out.fastlevel = meta.btm_fastlevel
    out.last_cleanup_num_delpages = meta.btm_last_cleanup_num_delpages
    out.allequalimage = meta.btm_allequalimage != 0
