"""Operations on pages: adding, deleting and moving items, checksums, sanity checks (storage/bufpage.h).

All work on a page that the caller has locked exclusively or that is private. Nothing here marks buffers or writes WAL.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.string cimport memcmp, memmove, memset

from tusk.errors import Panic, Severity, SqlError, errcode, report

cdef extern from *:
    """
    /* The loop over 32 independent lanes is what vector units are for; pick the best one at load time. */
    #include <stdint.h>
    #include <string.h>
    #if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
    __attribute__((target_clones("avx2", "default"), optimize("O3")))
    #endif
    static uint32_t tusk_checksum_lanes(const uint32_t *words, const uint32_t *offsets)
    {
        uint32_t lanes[32], folded = 0, value;
        memcpy(lanes, offsets, sizeof(lanes));
        for (int row = 0; row < 64; row++)
            for (int lane = 0; lane < 32; lane++) {
                value = lanes[lane] ^ words[row * 32 + lane];
                lanes[lane] = value * 16777619u ^ (value >> 17);
            }
        for (int round = 0; round < 2; round++)
            for (int lane = 0; lane < 32; lane++)
                lanes[lane] = lanes[lane] * 16777619u ^ (lanes[lane] >> 17);
        for (int lane = 0; lane < 32; lane++)
            folded ^= lanes[lane];
        return folded;
    }
    """
    uint32_t checksum_lanes "tusk_checksum_lanes"(const uint32_t *words, const uint32_t *offsets) noexcept nogil

# The lanes' starting values: storage/checksum_impl.h.
cdef uint32_t[32] _LANE_OFFSETS = [
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
]
cdef char[8192] _zero_page


cdef inline uint32_t _align8(uint32_t n) noexcept nogil:
    return (n + 7) & ~(<uint32_t> 7)


cdef void page_init(char *page, uint32_t page_size, uint32_t special_size) noexcept nogil:
    cdef PageHeaderData *header = <PageHeaderData *> page
    special_size = _align8(special_size)
    memset(page, 0, page_size)
    header.pd_lower = SizeOfPageHeaderData
    header.pd_upper = <uint16_t> (page_size - special_size)
    header.pd_special = <uint16_t> (page_size - special_size)
    header.pd_pagesize_version = <uint16_t> (page_size | PG_PAGE_LAYOUT_VERSION)


cdef inline bint _pointers_are_sane(const PageHeaderData *header) noexcept nogil:
    return (header.pd_lower >= SizeOfPageHeaderData and header.pd_lower <= header.pd_upper
            and header.pd_upper <= header.pd_special and header.pd_special <= BLCKSZ
            and header.pd_special == _align8(header.pd_special))


cdef str _pointers_text(const PageHeaderData *header):
    return (f"corrupted page pointers: lower = {header.pd_lower}, upper = {header.pd_upper}, "
            f"special = {header.pd_special}")


cdef int _check_pointers(const PageHeaderData *header) except -1:
    if not _pointers_are_sane(header):
        raise SqlError(errcode.DATA_CORRUPTED, _pointers_text(header))
    return 0


cdef int page_add_item(char *page, const void *item, uint32_t size, OffsetNumber offset, int flags) except -1:
    """Put an item on the page (PageAddItemExtended); see the declaration."""
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef ItemIdData *line
    cdef OffsetNumber limit
    cdef bint shuffle = False
    cdef int lower, upper
    if not _pointers_are_sane(header):
        raise Panic(errcode.DATA_CORRUPTED, _pointers_text(header))
    limit = page_get_max_offset(page) + 1
    if offset != 0:
        if flags & PAI_OVERWRITE:
            if offset < limit:
                line = page_get_item_id(page, offset)
                if item_id_is_used(line) or item_id_has_storage(line):
                    report(Severity.WARNING, "will not overwrite a used ItemId")
                    return 0
        elif offset < limit:
            shuffle = True
    elif header.pd_flags & PD_HAS_FREE_LINES:
        offset = 1
        while offset < limit:
            line = page_get_item_id(page, offset)
            if not item_id_is_used(line) and not item_id_has_storage(line):
                break
            offset += 1
        if offset >= limit:
            page_clear_flag(page, PD_HAS_FREE_LINES)
    else:
        offset = limit
    if offset > limit:
        report(Severity.WARNING, "specified item offset is too large")
        return 0
    if flags & PAI_IS_HEAP and offset > MaxHeapTuplesPerPage:
        report(Severity.WARNING, "can't put more than MaxHeapTuplesPerPage items in a heap page")
        return 0
    lower = header.pd_lower
    if offset == limit or shuffle:
        lower += 4
    upper = <int> header.pd_upper - <int> _align8(size)
    if lower > upper:
        return 0
    line = page_get_item_id(page, offset)
    if shuffle:
        memmove(line + 1, line, (limit - offset) * 4)
    item_id_set_normal(line, upper, size)
    memcpy(page + upper, item, size)
    header.pd_lower = <uint16_t> lower
    header.pd_upper = <uint16_t> upper
    return offset


cdef uint32_t page_get_heap_free_space(const char *page) noexcept nogil:
    """Like page_get_free_space, but 0 when no line pointer can be had (PageGetHeapFreeSpace)."""
    cdef uint32_t space = page_get_free_space(page)
    cdef OffsetNumber offset
    cdef OffsetNumber nline
    if space == 0:
        return 0
    nline = page_get_max_offset(page)
    if nline < MaxHeapTuplesPerPage:
        return space
    if not page_has_flag(page, PD_HAS_FREE_LINES):
        return 0
    for offset in range(1, nline + 1):
        if not item_id_is_used(page_get_item_id(page, offset)):
            return space
    return 0


cdef uint16_t _compact(char *page, ItemIdData **lines, int nlines) noexcept nogil:
    """Lay the items of these line pointers out from the special space down, in this order; the new pd_upper."""
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef char[8192] scratch
    cdef uint32_t upper = header.pd_upper
    cdef uint32_t position = header.pd_special
    cdef uint32_t offset, length
    cdef int i
    # What already lies in its place at the end of the page need not be touched.
    i = 0
    while i < nlines:
        length = _align8(item_id_get_length(lines[i]))
        if item_id_get_offset(lines[i]) != position - length:
            break
        position -= length
        i += 1
    if i == nlines:
        return <uint16_t> position
    memcpy(scratch + upper, page + upper, position - upper)
    while i < nlines:
        offset = item_id_get_offset(lines[i])
        length = _align8(item_id_get_length(lines[i]))
        position -= length
        memcpy(page + position, scratch + offset, length)
        lines[i][0] = (lines[i][0] & ~(<uint32_t> 0x7FFF)) | position
        i += 1
    return <uint16_t> position


cdef int page_repair_fragmentation(char *page) except -1:
    """Close the holes between items and cut unused line pointers at the end (PageRepairFragmentation).

    The caller holds a cleanup lock. XX001 if the page contradicts itself.
    """
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef ItemIdData *lines[2042]
    cdef ItemIdData *line
    cdef int nline = page_get_max_offset(page)
    cdef int nstored = 0
    cdef int nunused = 0
    cdef int last_used = 0
    cdef int i
    cdef uint32_t total = 0
    cdef uint32_t offset
    _check_pointers(header)
    for i in range(1, nline + 1):
        line = page_get_item_id(page, i)
        if item_id_is_used(line):
            if item_id_has_storage(line):
                offset = item_id_get_offset(line)
                if offset < header.pd_upper or offset >= header.pd_special:
                    raise SqlError(errcode.DATA_CORRUPTED, f"corrupted line pointer: {offset}")
                lines[nstored] = line
                nstored += 1
                total += _align8(item_id_get_length(line))
            last_used = i
        else:
            item_id_set_unused(line)
            nunused += 1
    if total > <uint32_t> (header.pd_special - header.pd_lower):
        raise SqlError(errcode.DATA_CORRUPTED, f"corrupted item lengths: total {total}, available space "
                                               f"{header.pd_special - header.pd_lower}")
    header.pd_upper = _compact(page, lines, nstored) if nstored else header.pd_special
    if last_used != nline:
        nunused -= nline - last_used
        header.pd_lower -= <uint16_t> (4 * (nline - last_used))
    if nunused > 0:
        page_set_flag(page, PD_HAS_FREE_LINES)
    else:
        page_clear_flag(page, PD_HAS_FREE_LINES)
    return 0


cdef void page_truncate_line_pointer_array(char *page) noexcept nogil:
    """Cut unused line pointers at the end, keeping one (PageTruncateLinePointerArray): vacuum's second pass."""
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef int nline = page_get_max_offset(page)
    cdef int i = nline
    cdef int nend = 0
    cdef bint counting = True
    cdef bint has_unused = False
    while i >= 1:
        if not item_id_is_used(page_get_item_id(page, i)):
            if counting and i > 1:
                nend += 1
            else:
                has_unused = True
                break
        else:
            counting = False
        i -= 1
    if nend > 0:
        header.pd_lower -= <uint16_t> (4 * nend)
    if has_unused:
        page_set_flag(page, PD_HAS_FREE_LINES)
    else:
        page_clear_flag(page, PD_HAS_FREE_LINES)


cdef int _check_stored(const PageHeaderData *header, uint32_t offset, uint32_t size) except -1:
    if offset < header.pd_upper or offset + size > header.pd_special or offset != _align8(offset):
        raise SqlError(errcode.DATA_CORRUPTED, f"corrupted line pointer: offset = {offset}, size = {size}")
    return 0


cdef int _remove_data(char *page, uint32_t offset, uint32_t size) noexcept nogil:
    """Move the items below `offset` up by `size` bytes and correct their line pointers."""
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef ItemIdData *line
    cdef int i
    if offset > header.pd_upper:
        memmove(page + header.pd_upper + size, page + header.pd_upper, offset - header.pd_upper)
    header.pd_upper += <uint16_t> size
    for i in range(1, page_get_max_offset(page) + 1):
        line = page_get_item_id(page, i)
        if item_id_has_storage(line) and item_id_get_offset(line) <= offset:
            line[0] = line[0] + size        # lp_off are the low bits
    return 0


cdef int page_index_tuple_delete(char *page, OffsetNumber offset) except -1:
    """Remove an item and its line pointer; later ones move down by one (PageIndexTupleDelete)."""
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef int nline = page_get_max_offset(page)
    cdef ItemIdData *line
    cdef uint32_t position, size
    _check_pointers(header)
    if offset < 1 or offset > nline:
        raise SqlError(errcode.INTERNAL_ERROR, f"invalid index offnum: {offset}")
    line = page_get_item_id(page, offset)
    position = item_id_get_offset(line)
    size = item_id_get_length(line)
    _check_stored(header, position, size)
    memmove(line, line + 1, (nline - offset) * 4)
    header.pd_lower -= 4
    _remove_data(page, position, _align8(size))
    return 0


cdef int page_index_multi_delete(char *page, const OffsetNumber *offsets, int noffsets) except -1:
    """Remove the items at these ascending offsets (PageIndexMultiDelete)."""
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef ItemIdData kept[2042]
    cdef ItemIdData *lines[2042]
    cdef int nline = page_get_max_offset(page)
    cdef int nkept = 0
    cdef int i_next = 0
    cdef int i
    cdef ItemIdData *line
    cdef uint32_t total = 0
    if noffsets <= 2:
        for i in range(noffsets - 1, -1, -1):
            page_index_tuple_delete(page, offsets[i])
        return 0
    _check_pointers(header)
    for i in range(1, nline + 1):
        line = page_get_item_id(page, i)
        _check_stored(header, item_id_get_offset(line), item_id_get_length(line))
        if i_next < noffsets and offsets[i_next] == i:
            i_next += 1
        else:
            kept[nkept] = line[0]
            nkept += 1
            total += _align8(item_id_get_length(line))
    if i_next != noffsets:
        raise SqlError(errcode.INTERNAL_ERROR, "incorrect index offsets supplied")
    if total > <uint32_t> (header.pd_special - header.pd_lower):
        raise SqlError(errcode.DATA_CORRUPTED, f"corrupted item lengths: total {total}, available space "
                                               f"{header.pd_special - header.pd_lower}")
    memcpy(page + SizeOfPageHeaderData, kept, nkept * 4)
    header.pd_lower = <uint16_t> (SizeOfPageHeaderData + nkept * 4)
    for i in range(nkept):
        lines[i] = page_get_item_id(page, i + 1)
    header.pd_upper = _compact(page, lines, nkept) if nkept else header.pd_special
    return 0


cdef int page_index_tuple_delete_no_compact(char *page, OffsetNumber offset) except -1:
    """Remove an item but keep the numbers of the others (PageIndexTupleDeleteNoCompact)."""
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef int nline = page_get_max_offset(page)
    cdef ItemIdData *line
    cdef uint32_t position, size
    _check_pointers(header)
    if offset < 1 or offset > nline:
        raise SqlError(errcode.INTERNAL_ERROR, f"invalid index offnum: {offset}")
    line = page_get_item_id(page, offset)
    position = item_id_get_offset(line)
    size = item_id_get_length(line)
    _check_stored(header, position, size)
    if offset < nline:
        item_id_set_unused(line)
    else:
        header.pd_lower -= 4
    _remove_data(page, position, _align8(size))
    return 0


cdef int page_index_tuple_overwrite(char *page, OffsetNumber offset, const void *item, uint32_t size) except -1:
    """Replace an item in place, whatever its new size (PageIndexTupleOverwrite); 0 if it does not fit."""
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef ItemIdData *line
    cdef ItemIdData *other
    cdef uint32_t position, old_size
    cdef int difference
    cdef int i
    _check_pointers(header)
    if offset < 1 or offset > page_get_max_offset(page):
        raise SqlError(errcode.INTERNAL_ERROR, f"invalid index offnum: {offset}")
    line = page_get_item_id(page, offset)
    position = item_id_get_offset(line)
    old_size = item_id_get_length(line)
    _check_stored(header, position, old_size)
    old_size = _align8(old_size)
    if _align8(size) > old_size + (header.pd_upper - header.pd_lower):
        return 0
    difference = <int> old_size - <int> _align8(size)
    if difference != 0:
        memmove(page + header.pd_upper + difference, page + header.pd_upper, position - header.pd_upper)
        header.pd_upper = <uint16_t> (header.pd_upper + difference)
        for i in range(1, page_get_max_offset(page) + 1):
            other = page_get_item_id(page, i)
            if item_id_has_storage(other) and item_id_get_offset(other) <= position:
                other[0] = <ItemIdData> (<int64_t> other[0] + difference)
    item_id_set(line, position + difference, item_id_get_flags(line), size)
    memcpy(page + position + difference, item, size)
    return 1


cdef void page_restore_temp(const char *temp_page, char *page) noexcept nogil:
    """Copy a page that was built aside over the real one."""
    memcpy(page, temp_page, BLCKSZ)


cdef void page_get_temp_copy_special(const char *page, char *temp_page) noexcept nogil:
    """Make temp_page an empty page with the special space of `page` (PageGetTempPageCopySpecial)."""
    page_init(temp_page, BLCKSZ, page_get_special_size(page))
    memcpy(page_get_special_pointer(temp_page), page_get_special_pointer(page), page_get_special_size(page))


cdef uint16_t page_checksum(const char *page, BlockNumber block) noexcept nogil:
    """The checksum of a page that is not new, as if pd_checksum were 0 (pg_checksum_page)."""
    cdef PageHeaderData *header = <PageHeaderData *> page
    cdef uint16_t saved = header.pd_checksum
    cdef uint32_t value
    header.pd_checksum = 0
    value = checksum_lanes(<const uint32_t *> page, _LANE_OFFSETS)
    header.pd_checksum = saved
    return <uint16_t> ((value ^ block) % 65535 + 1)


cdef void page_set_checksum(char *page, BlockNumber block) noexcept nogil:
    """Store the checksum in a page that nobody else can change."""
    if not page_is_new(page):
        (<PageHeaderData *> page).pd_checksum = page_checksum(page, block)


cdef int page_is_verified(const char *page, BlockNumber block, bint checksums) noexcept nogil:
    """Whether the page may come from disk like this (PageIsVerified); see the declaration. A zero page is fine."""
    cdef const PageHeaderData *header = <const PageHeaderData *> page
    cdef int problems = 0
    if not page_is_new(page):
        if checksums and page_checksum(page, block) != header.pd_checksum:
            problems |= 1
        if header.pd_flags & ~PD_VALID_FLAG_BITS or not (
                header.pd_lower <= header.pd_upper and header.pd_upper <= header.pd_special
                and header.pd_special <= BLCKSZ and header.pd_special == _align8(header.pd_special)):
            problems |= 2
        if problems == 0:
            return 0
    if memcmp(page, _zero_page, BLCKSZ) == 0:
        return 0
    return problems if problems else 2


# For Python: tests, tools.

cdef int _load(object page, char *copy) except -1:
    cdef bytes content = bytes(page)
    if len(content) != BLCKSZ:
        raise ValueError("a page has 8192 bytes")
    memcpy(copy, <const char *> content, BLCKSZ)
    return 0


def checksum(page: bytes | bytearray | memoryview, block: int) -> int:
    """The checksum that this page should carry at this block number of its relation."""
    cdef char[8192] copy
    _load(page, copy)
    return page_checksum(copy, block)


def verify(page: bytes | bytearray | memoryview, block: int, bint checksums=True) -> int:
    """0 if the page is fine; bit 1: wrong checksum; bit 2: insane header."""
    cdef char[8192] copy
    _load(page, copy)
    return page_is_verified(copy, block, checksums)


cdef char *_writable(bytearray page) except NULL:
    if len(page) != BLCKSZ:
        raise ValueError("a page has 8192 bytes")
    return PyByteArray_AS_STRING(page)


def init(page: bytearray, special_size: int = 0) -> None:
    """Make the buffer an empty page."""
    page_init(_writable(page), BLCKSZ, special_size)


def add_item(page: bytearray, item: bytes, offset: int = 0, flags: int = 0) -> int:
    """page_add_item for a Python buffer."""
    return page_add_item(_writable(page), <const char *> item, len(item), offset, flags)


def items(page: bytes | bytearray) -> list[tuple[int, int, bytes]]:
    """(offset number, lp_flags, bytes) of each line pointer."""
    cdef char[8192] copy
    cdef const char *start = copy
    cdef ItemIdData *line
    cdef int i
    _load(page, copy)
    result = []
    for i in range(1, page_get_max_offset(start) + 1):
        line = page_get_item_id(start, i)
        begin = item_id_get_offset(line)
        result.append((i, item_id_get_flags(line), bytes(page[begin:begin + item_id_get_length(line)])))
    return result


def set_item_flags(page: bytearray, offset: int, flags: int, link: int = 0) -> None:
    """Turn a line pointer into an unused, redirecting or dead one."""
    item_id_set(page_get_item_id(_writable(page), offset), link, flags, 0)


def repair_fragmentation(page: bytearray) -> None:
    """page_repair_fragmentation for a Python buffer."""
    page_repair_fragmentation(_writable(page))


def index_delete(page: bytearray, offsets: list[int]) -> None:
    """page_index_multi_delete for a Python buffer."""
    cdef OffsetNumber array[2048]
    cdef int i
    for i in range(len(offsets)):
        array[i] = offsets[i]
    page_index_multi_delete(_writable(page), array, len(offsets))


def index_overwrite(page: bytearray, offset: int, item: bytes) -> bool:
    """page_index_tuple_overwrite for a Python buffer."""
    return bool(page_index_tuple_overwrite(_writable(page), offset, <const char *> item, len(item)))


def free_space(page: bytes | bytearray) -> int:
    """page_get_free_space for a Python buffer."""
    cdef char[8192] copy
    _load(page, copy)
    return page_get_free_space(copy)


def bench_checksum(int rounds) -> float:
    """Nanoseconds per page checksum."""
    from time import perf_counter_ns
    cdef char[8192] page
    cdef int i
    cdef uint32_t total = 0
    memset(page, 7, BLCKSZ)
    begin = perf_counter_ns()
    for i in range(rounds):
        total += page_checksum(page, i)
    return (perf_counter_ns() - begin) / rounds
