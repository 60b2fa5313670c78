# cython: language_level=3
"""Combo command ids: a tuple inserted and deleted by one transaction has one field for both commands.

The field then holds an index into this process's table of (cmin, cmax) pairs, which lives as long as the transaction.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, realloc

cdef struct ComboPair:
    CommandId cmin
    CommandId cmax

cdef ComboPair *pairs = NULL
cdef uint32_t used = 0
cdef uint32_t room = 0
cdef dict index = {}


cdef CommandId get_combo_command_id(CommandId cmin, CommandId cmax) except? 0xffffffff:
    """The id that stands for the pair; the same pair gives the same id."""
    global pairs, used, room
    cdef ComboPair *bigger
    key = (<unsigned long long> cmin << 32) | cmax
    found = index.get(key)
    if found is not None:
        return <CommandId> found
    if used >= room:
        room = 100 if room == 0 else room * 2
        bigger = <ComboPair *> realloc(pairs, room * sizeof(ComboPair))
        if bigger == NULL:
            raise MemoryError
        pairs = bigger
    pairs[used].cmin = cmin
    pairs[used].cmax = cmax
    index[key] = used
    used += 1
    return used - 1


cdef CommandId get_real_cmin(CommandId combocid) noexcept nogil:
    return pairs[combocid].cmin


cdef CommandId get_real_cmax(CommandId combocid) noexcept nogil:
    return pairs[combocid].cmax


cdef int at_eoxact_combocid() noexcept nogil:
    """Forget the table: nobody else's tuples can mention it."""
    global used, room, pairs
    if used == 0:
        return 0
    used = 0
    room = 0
    free(pairs)
    pairs = NULL
    with gil:
        index.clear()
    return 0


def combo_id(cmin: int, cmax: int) -> int:
    return get_combo_command_id(cmin, cmax)


def real_cmin(combocid: int) -> int:
    return get_real_cmin(combocid)


def real_cmax(combocid: int) -> int:
    return get_real_cmax(combocid)
