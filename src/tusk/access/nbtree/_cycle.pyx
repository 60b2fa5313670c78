"""Cycle ids of running vacuums of b-trees (nbtutils.c).

A page split while a vacuum goes through the index leaves the vacuum's cycle id on both halves, so that the vacuum,
which reads in block order, knows to look at a right half that landed in a block it has passed already.
"""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uintptr_t
from libc.string cimport memset
from tusk._types cimport Oid
from tusk.access._relation cimport Relation
from tusk.memory._lwlock cimport LW_EXCLUSIVE, LW_SHARED, BtreeVacuumLock, lwlock_acquire, lwlock_release, main_lock

import time

from tusk.errors import SqlError, errcode
from tusk.memory._segment import declare_area

cdef enum:
    MAX_BT_CYCLE_ID = 0xFF7F

cdef struct OneVacuum:
    Oid dbid
    Oid relid
    uint16_t cycleid

cdef struct BTVacInfo:
    uint16_t cycle_ctr
    int32_t num_vacuums
    int32_t max_vacuums
    OneVacuum vacuums[1]

cdef BTVacInfo *shared = NULL
cdef int max_vacuums = 0


def _size(settings):
    global max_vacuums
    max_vacuums = settings.max_connections + settings.autovacuum_worker_slots + settings.max_worker_processes + \
        settings.max_wal_senders + 32
    return sizeof(BTVacInfo) + max_vacuums * sizeof(OneVacuum)


def _init(uintptr_t address, size_t size):
    memset(<void *> address, 0, size)
    shared.cycle_ctr = <uint16_t> <uint32_t> time.time()
    shared.max_vacuums = max_vacuums


def _attach(uintptr_t address):
    global shared
    shared = <BTVacInfo *> address


declare_area("BTree Vacuum State", _size, _init, _attach)


cdef uint16_t bt_vacuum_cycleid(Relation rel) except? 0xFFFF:
    cdef uint16_t result = 0
    cdef int i
    # Read without the lock: a vacuum that starts now looks at pages only after this process lets go of its own.
    if shared == NULL or shared.num_vacuums == 0:
        return 0
    lwlock_acquire(main_lock(BtreeVacuumLock), LW_SHARED)
    for i in range(shared.num_vacuums):
        if shared.vacuums[i].relid == rel.rd_id and shared.vacuums[i].dbid == rel.lock_db():
            result = shared.vacuums[i].cycleid
            break
    lwlock_release(main_lock(BtreeVacuumLock))
    return result


cdef uint16_t bt_start_vacuum(Relation rel) except 0:
    cdef uint16_t result
    cdef int i
    lwlock_acquire(main_lock(BtreeVacuumLock), LW_EXCLUSIVE)
    try:
        shared.cycle_ctr += 1
        if shared.cycle_ctr == 0 or shared.cycle_ctr > MAX_BT_CYCLE_ID:
            shared.cycle_ctr = 1
        result = shared.cycle_ctr
        for i in range(shared.num_vacuums):
            if shared.vacuums[i].relid == rel.rd_id and shared.vacuums[i].dbid == rel.lock_db():
                raise SqlError(errcode.INTERNAL_ERROR, f'multiple active vacuums for index "{rel.name}"')
        if shared.num_vacuums >= shared.max_vacuums:
            raise SqlError(errcode.INTERNAL_ERROR, "out of btvacinfo slots")
        shared.vacuums[shared.num_vacuums].dbid = rel.lock_db()
        shared.vacuums[shared.num_vacuums].relid = rel.rd_id
        shared.vacuums[shared.num_vacuums].cycleid = result
        shared.num_vacuums += 1
    finally:
        lwlock_release(main_lock(BtreeVacuumLock))
    return result


cdef int bt_end_vacuum(Relation rel) except -1:
    cdef int i
    lwlock_acquire(main_lock(BtreeVacuumLock), LW_EXCLUSIVE)
    for i in range(shared.num_vacuums):
        if shared.vacuums[i].relid == rel.rd_id and shared.vacuums[i].dbid == rel.lock_db():
            shared.num_vacuums -= 1
            shared.vacuums[i] = shared.vacuums[shared.num_vacuums]
            break
    lwlock_release(main_lock(BtreeVacuumLock))
    return 0
