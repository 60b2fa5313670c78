# cython: language_level=3
"""Page caches for the small transaction logs (access/slru.h).

A log is a directory of 256 kB segment files of 32 pages. Its cache is cut into banks of 16 slots, each with a lock;
page N lives in bank N modulo the number of banks. A slot's own lock is held exclusively during its I/O.
"""

from tusk._types cimport Lsn, TransactionId, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from tusk.memory._lwlock cimport LWLock

cdef enum:
    SLRU_PAGES_PER_SEGMENT = 32
    SLRU_BANK_SIZE = 16
    SLRU_MAX_ALLOWED_BUFFERS = 131072

ctypedef bint (*page_precedes_fn)(int64_t a, int64_t b) noexcept nogil

cdef struct SlruCtl:
    char *pages                 # nslots pages of 8192 bytes
    uint8_t *status
    uint8_t *dirty
    int64_t *page_number
    int32_t *lru_count
    char *buffer_locks          # 128 bytes apart
    char *bank_locks
    int32_t *bank_cur_lru_count
    Lsn *group_lsn              # NULL, or lsns_per_page for each slot
    int lsns_per_page
    uint64_t *latest_page_number
    int num_slots
    int nbanks
    bint long_segment_names
    int sync_handler            # -1: not synced
    page_precedes_fn page_precedes
    const char *dir
    const char *name
    int stats_index             # row of pg_stat_slru

cdef size_t slru_shmem_size(int nslots, int lsns_per_page) noexcept
cdef int slru_autotune_buffers(int divisor, int max_buffers, int nbuffers) noexcept
cdef int slru_attach(SlruCtl *ctl, void *base, int nslots, int lsns_per_page, const char *name, const char *directory,
                     int sync_handler, bint long_segment_names, page_precedes_fn precedes) except -1
cdef int slru_initialize(SlruCtl *ctl, int buffer_tranche, int bank_tranche) except -1

cdef inline LWLock *slru_bank_lock(SlruCtl *ctl, int64_t pageno) noexcept nogil:
    return <LWLock *> (ctl.bank_locks + 128 * (pageno % ctl.nbanks))

cdef inline char *slru_page(SlruCtl *ctl, int slotno) noexcept nogil:
    return ctl.pages + <size_t> slotno * 8192

cdef inline void slru_set_dirty(SlruCtl *ctl, int slotno) noexcept nogil:
    ctl.dirty[slotno] = 1

# All with the page's bank lock held exclusively on entry and exit; read_page may release it in between.
cdef int slru_zero_page(SlruCtl *ctl, int64_t pageno) except -1 nogil
cdef int slru_read_page(SlruCtl *ctl, int64_t pageno, bint write_ok, TransactionId xid) except -1 nogil
cdef int slru_write_page(SlruCtl *ctl, int slotno) except -1 nogil
# Takes the bank lock itself (shared if it can) and returns with it held.
cdef int slru_read_page_read_only(SlruCtl *ctl, int64_t pageno, TransactionId xid) except -1 nogil
# No lock held.
cdef int slru_write_all(SlruCtl *ctl, bint allow_redirtied) except -1
cdef int slru_truncate(SlruCtl *ctl, int64_t cutoff_page) except -1
cdef int slru_delete_segment(SlruCtl *ctl, int64_t segno) except -1
cdef int slru_page_physically_exists(SlruCtl *ctl, int64_t pageno) except -1
cdef int slru_sync_segment(SlruCtl *ctl, int64_t segno) except -1
cdef void slru_set_latest_page(SlruCtl *ctl, int64_t pageno) noexcept nogil
cdef list slru_segments(SlruCtl *ctl)
