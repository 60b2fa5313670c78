"""Where to split a page: evenly, unless insertions follow a pattern, and where a short separator can be had.

All legal points are collected, with the room each would leave on both sides, and sorted by how far they are from the
wanted division. Among the nearest few, the one with the smallest separator wins: few attributes on leaves, few bytes
above. A page full of duplicates is split at the end of a run of them if there is one, and else packed full.
"""

from libc.math cimport fabs
from libc.stdint cimport int16_t, uint8_t, uint32_t
from libc.stdlib cimport qsort
from tusk._types cimport BLCKSZ, Datum, ItemPointerData, OffsetNumber, maxalign, tid_block, tid_offset
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport IndexTupleData, datum_is_equal, index_getattr, index_tuple_size
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._page cimport index_corrupted, p_firstdatakey, p_isleaf, p_rightmost
from tusk.storage._page cimport (
    item_id_get_length, page_get_exact_free_space, page_get_item, page_get_item_id, page_get_max_offset,
)

cdef enum:
    SPLIT_DEFAULT = 0
    SPLIT_MANY_DUPLICATES = 1
    SPLIT_SINGLE_VALUE = 2
    LINE_POINTER = 4                    # sizeof(ItemIdData)
    TID_ROOM = 8                        # an aligned heap TID in a high key

cdef struct Point:
    int delta                           # distance from the wanted division
    int16_t leftfree
    int16_t rightfree
    OffsetNumber firstrightoff
    uint8_t newitemonleft

cdef struct Splitter:
    const char *page
    const IndexTupleData *newitem
    OffsetNumber newitemoff
    int newitemsz                       # with line pointer
    bint is_leaf
    bint is_rightmost
    int leftspace
    int rightspace
    int olddataitemstotal
    int minfirstrightsz
    int npoints
    int interval                        # how many of the nearest points to choose from
    Point points[2048]


cdef int bt_keep_natts_fast(Relation rel, const IndexTupleData *lastleft, const IndexTupleData *firstright) noexcept:
    cdef int i
    cdef uint8_t null1, null2
    cdef Datum d1, d2
    for i in range(rel.indnkeyatts):
        d1 = index_getattr(lastleft, i + 1, &rel.desc.c, &null1)
        d2 = index_getattr(firstright, i + 1, &rel.desc.c, &null2)
        if null1 != null2:
            return i + 1
        if not null1 and not datum_is_equal(d1, d2, rel.desc.attrs[i].attbyval, rel.desc.attrs[i].attlen):
            return i + 1
    return rel.indnkeyatts + 1


cdef inline const IndexTupleData *item_at(const char *page, OffsetNumber offset) noexcept nogil:
    return <const IndexTupleData *> page_get_item(page, page_get_item_id(page, offset))


cdef inline int item_room(const char *page, OffsetNumber offset) noexcept nogil:
    return <int> maxalign(item_id_get_length(page_get_item_id(page, offset))) + LINE_POINTER


cdef void add_point(
    Splitter *s, OffsetNumber firstrightoff, bint newitemonleft, int to_left, int firstoldsz,
) noexcept nogil:
    """Take down a split before the old item firstrightoff if both halves fit; to_left: room of the old items before."""
    cdef bint newitem_first = firstrightoff == s.newitemoff and not newitemonleft
    cdef int firstrightsz = s.newitemsz if newitem_first else firstoldsz
    cdef int postingsz = 0
    cdef int leftfree, rightfree
    cdef const IndexTupleData *itup
    cdef Point *point
    if s.is_leaf and not newitem_first and firstrightsz > 64:
        # The separator will not have the posting list.
        itup = item_at(s.page, firstrightoff)
        if bt_is_posting(itup):
            postingsz = <int> (index_tuple_size(itup) - bt_posting_offset(itup))
    leftfree = s.leftspace - to_left
    rightfree = s.rightspace - (s.olddataitemstotal - to_left)
    if s.is_leaf:
        leftfree -= firstrightsz + TID_ROOM - postingsz
    else:
        leftfree -= firstrightsz
        # The first item of an upper page loses its key.
        rightfree += firstrightsz - (<int> sizeof(IndexTupleData) + LINE_POINTER)
    if newitemonleft:
        leftfree -= s.newitemsz
    else:
        rightfree -= s.newitemsz
    if leftfree < 0 or rightfree < 0:
        return
    if firstrightsz < s.minfirstrightsz:
        s.minfirstrightsz = firstrightsz
    point = &s.points[s.npoints]
    point.delta = 0
    point.leftfree = <int16_t> leftfree
    point.rightfree = <int16_t> rightfree
    point.firstrightoff = firstrightoff
    point.newitemonleft = newitemonleft
    s.npoints += 1


cdef int by_delta(const void *a, const void *b) noexcept nogil:
    cdef const Point *p = <const Point *> a
    cdef const Point *q = <const Point *> b
    if p.delta != q.delta:
        return -1 if p.delta < q.delta else 1
    # Any order would do; this one makes page images reproducible.
    if p.firstrightoff != q.firstrightoff:
        return -1 if p.firstrightoff < q.firstrightoff else 1
    return <int> p.newitemonleft - <int> q.newitemonleft


cdef void sort_points(Splitter *s, double fillfactor, bint weighted) noexcept nogil:
    cdef int i
    cdef double delta
    for i in range(s.npoints):
        if weighted:
            delta = fillfactor * s.points[i].leftfree - (1.0 - fillfactor) * s.points[i].rightfree
        else:
            delta = s.points[i].leftfree - s.points[i].rightfree
        s.points[i].delta = <int> fabs(<double> <int> delta)
    qsort(s.points, s.npoints, sizeof(Point), by_delta)


cdef inline const IndexTupleData *last_left(Splitter *s, const Point *point) noexcept nogil:
    if point.newitemonleft and point.firstrightoff == s.newitemoff:
        return s.newitem
    return item_at(s.page, point.firstrightoff - 1)


cdef inline const IndexTupleData *first_right(Splitter *s, const Point *point) noexcept nogil:
    if not point.newitemonleft and point.firstrightoff == s.newitemoff:
        return s.newitem
    return item_at(s.page, point.firstrightoff)


cdef inline bint adjacent_tids(const ItemPointerData *low, const ItemPointerData *high) noexcept nogil:
    if tid_block(low) == tid_block(high):
        return True
    return tid_block(low) + 1 == tid_block(high) and tid_offset(high) == 1


cdef bint after_new_item(Relation rel, Splitter *s, int maxoff, double fillfactor, bint *weighted) noexcept:
    """Whether insertions seem to go to the end of one of many groups (_bt_afternewitemoff): then split right there, or
    (*weighted) fill the left page as rightmost splits do."""
    cdef const IndexTupleData *before
    cdef int keepnatts
    weighted[0] = False
    if rel.indnkeyatts == 1 or s.newitemoff == P_FIRSTKEY:
        return False
    if s.newitemsz != s.minfirstrightsz or s.newitemsz * (maxoff - 1) != s.olddataitemstotal:
        return False
    if s.newitemsz > 24 + LINE_POINTER:     # a header and two bigints
        return False
    if s.newitemoff > maxoff:
        keepnatts = bt_keep_natts_fast(rel, item_at(s.page, <OffsetNumber> maxoff), s.newitem)
        if 1 < keepnatts <= rel.indnkeyatts:
            weighted[0] = True
            return True
        return False
    before = item_at(s.page, s.newitemoff - 1)
    if not adjacent_tids(&before.t_tid, &s.newitem.t_tid):
        return False
    keepnatts = bt_keep_natts_fast(rel, before, s.newitem)
    if not 1 < keepnatts <= rel.indnkeyatts:
        return False
    # A split further right than the fillfactor's would pack the left page too full.
    if <double> s.newitemoff / (<double> maxoff + 1) > fillfactor:
        weighted[0] = True
    return True


cdef int default_interval(const Splitter *s) noexcept nogil:
    """How many of the sorted points are about as good as the first."""
    cdef int tolerance = <int> (s.olddataitemstotal * (0.050 if s.is_leaf else 0.075))
    cdef int i
    for i in range(1, s.npoints):
        if s.points[i].leftfree < s.points[0].leftfree - tolerance or \
                s.points[i].leftfree > s.points[0].leftfree + tolerance or \
                s.points[i].rightfree < s.points[0].rightfree - tolerance or \
                s.points[i].rightfree > s.points[0].rightfree + tolerance:
            return i
    return s.npoints


cdef int choose_strategy(
    Relation rel, Splitter *s, const Point *leftmost, const Point *rightmost, int *strategy,
) noexcept:
    """The smallest penalty that can be hoped for, and how to go on."""
    cdef int i
    cdef int perfect
    cdef const Point *low = &s.points[0]
    cdef const Point *high = &s.points[0]
    cdef const Point *p
    strategy[0] = SPLIT_DEFAULT
    if not s.is_leaf:
        return s.minfirstrightsz
    for i in range(1, s.interval):
        p = &s.points[i]
        if p.firstrightoff < low.firstrightoff or \
                (p.firstrightoff == low.firstrightoff and low.newitemonleft and not p.newitemonleft):
            low = p
        if p.firstrightoff > high.firstrightoff or \
                (p.firstrightoff == high.firstrightoff and p.newitemonleft and not high.newitemonleft):
            high = p
    perfect = bt_keep_natts_fast(rel, last_left(s, low), first_right(s, high))
    if perfect <= rel.indnkeyatts:
        return perfect
    perfect = bt_keep_natts_fast(rel, last_left(s, leftmost), first_right(s, rightmost))
    if perfect <= rel.indnkeyatts:
        strategy[0] = SPLIT_MANY_DUPLICATES
        return perfect
    if s.is_rightmost:
        strategy[0] = SPLIT_SINGLE_VALUE
    elif bt_keep_natts_fast(rel, item_at(s.page, P_HIKEY), s.newitem) <= rel.indnkeyatts:
        # The last page of its duplicates.
        strategy[0] = SPLIT_SINGLE_VALUE
    return perfect


cdef int penalty_of(Relation rel, Splitter *s, const Point *point) noexcept:
    if not s.is_leaf:
        if not point.newitemonleft and point.firstrightoff == s.newitemoff:
            return s.newitemsz
        return item_room(s.page, point.firstrightoff)
    return bt_keep_natts_fast(rel, last_left(s, point), first_right(s, point))


cdef const Point *best_point(Relation rel, Splitter *s, int perfect, int strategy, const Point *default) noexcept:
    cdef int i
    cdef int penalty
    cdef int best = 0x7FFFFFFF
    cdef int i_best = 0
    cdef const Point *point
    for i in range(s.interval):
        penalty = penalty_of(rel, s, &s.points[i])
        if penalty < best:
            best = penalty
            i_best = i
        if penalty <= perfect:
            break
    point = &s.points[i_best]
    # Do not split again and again just before where duplicates come in.
    if strategy == SPLIT_MANY_DUPLICATES and not s.is_rightmost and not point.newitemonleft and \
            s.newitemoff <= point.firstrightoff < s.newitemoff + 9:
        return default
    return point


cdef OffsetNumber bt_findsplitloc(
    Relation rel, const char *page, OffsetNumber newitemoff, uint32_t newitemsz, const IndexTupleData *newitem,
    bint *newitemonleft,
) except 0:
    cdef Splitter s
    cdef const BTPageOpaqueData *opaque = bt_opaque(page)
    cdef int maxoff = page_get_max_offset(page)
    cdef int to_left = 0
    cdef int itemsz
    cdef int i
    cdef OffsetNumber offset
    cdef double fillfactor = rel.fillfactor / 100.0
    cdef double wanted = 0.5
    cdef bint weighted = False
    cdef int perfect, strategy
    cdef Point leftmost, rightmost
    cdef const Point *point
    s.page = page
    s.newitem = newitem
    s.newitemoff = newitemoff
    s.newitemsz = <int> newitemsz + LINE_POINTER
    s.is_leaf = p_isleaf(opaque)
    s.is_rightmost = p_rightmost(opaque)
    s.leftspace = BLCKSZ - 24 - <int> sizeof(BTPageOpaqueData)
    s.rightspace = s.leftspace
    if not s.is_rightmost:
        s.rightspace -= item_room(page, P_HIKEY)
    s.olddataitemstotal = s.rightspace - <int> page_get_exact_free_space(page)
    s.minfirstrightsz = 0x7FFFFFFF
    s.npoints = 0
    for i in range(p_firstdatakey(opaque), maxoff + 1):
        offset = <OffsetNumber> i
        itemsz = item_room(page, offset)
        if offset <= newitemoff:
            add_point(&s, offset, False, to_left, itemsz)
        if offset >= newitemoff:
            add_point(&s, offset, True, to_left, itemsz)
        to_left += itemsz
    if newitemoff > maxoff:
        add_point(&s, newitemoff, False, s.olddataitemstotal, 0)
    if s.npoints == 0:
        raise index_corrupted(f'could not find a feasible split point for index "{rel.name}"')
    if not s.is_leaf:
        weighted = s.is_rightmost
        wanted = BTREE_NONLEAF_FILLFACTOR / 100.0 if weighted else 0.5
    elif s.is_rightmost:
        weighted = True
        wanted = fillfactor
    elif after_new_item(rel, &s, maxoff, fillfactor, &weighted):
        if weighted:
            wanted = fillfactor
        else:
            for i in range(s.npoints):
                if s.points[i].newitemonleft and s.points[i].firstrightoff == newitemoff:
                    newitemonleft[0] = True
                    return newitemoff
    leftmost = s.points[0]
    rightmost = s.points[s.npoints - 1]
    sort_points(&s, wanted, weighted)
    s.interval = default_interval(&s)
    perfect = choose_strategy(rel, &s, &leftmost, &rightmost, &strategy)
    if strategy == SPLIT_MANY_DUPLICATES:
        s.interval = s.npoints
    elif strategy == SPLIT_SINGLE_VALUE:
        sort_points(&s, BTREE_SINGLEVAL_FILLFACTOR / 100.0, True)
        s.interval = 1
    point = best_point(rel, &s, perfect, strategy, &s.points[0])
    newitemonleft[0] = point.newitemonleft
    return point.firstrightoff
