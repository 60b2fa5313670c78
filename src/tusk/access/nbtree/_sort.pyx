"""Sorting index tuples for the building of an index: merge sort in memory, sorted runs in a temporary file beyond it.

Tuples are kept in blocks, with an array of pointers and leading keys that is sorted. When the memory limit is reached
the array is sorted and written as a run; at the end the runs are merged through a heap.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy
from tusk._types cimport Datum
from tusk.access._relation cimport IndexKey, Relation
from tusk.access._tuple cimport IndexTupleData, index_getattr, index_tuple_size
from tusk.access.nbtree._search cimport tid_compare
from tusk.memory._interrupts cimport InterruptPending, check_for_interrupts

import os

from tusk.storage.temporary_files import TemporaryFile

cdef enum:
    BLOCK_SIZE = 1 << 20
    READ_SIZE = 1 << 18
    INSERTION_RUN = 8


cdef inline int compare_column(const IndexKey *key, Datum a, bint anull, Datum b, bint bnull) except? -2:
    cdef int c
    if anull or bnull:
        if anull and bnull:
            return 0
        # Nulls first: the null is the smaller one.
        if key.indoption & 2:
            return -1 if anull else 1
        return 1 if anull else -1
    c = key.cmp.fn(a, b, key.cmp.state)
    if c == 0:
        return 0
    if key.indoption & 1:
        return -1 if c > 0 else 1
    return 1 if c > 0 else -1


cdef int compare_index_keys(
    Relation rel, const IndexTupleData *a, const IndexTupleData *b, int from_column, bint *anynull,
) except? -2:
    cdef int i, c
    cdef uint8_t null1, null2
    cdef Datum d1, d2
    for i in range(from_column, rel.indnkeyatts):
        d1 = index_getattr(a, i + 1, &rel.desc.c, &null1)
        d2 = index_getattr(b, i + 1, &rel.desc.c, &null2)
        if null1 and anynull != NULL:
            anynull[0] = True
        c = compare_column(&rel.keys[i], d1, null1, d2, null2)
        if c:
            return c
    return 0


cdef class TupleSorter:
    """``TupleSorter(index, limit_bytes)``."""

    def __cinit__(self, Relation rel, size_t limit):
        self.rel = rel
        self.limit = limit if limit > 65536 else 65536
        self.blocks = []
        self.runs = []
        self.readers = []

    def __dealloc__(self):
        free(self.items)
        free(self.heap)
        free(self.given)
        self.clear()

    cdef void clear(self) noexcept:
        cdef size_t address
        if self.blocks is not None:
            for address in self.blocks:
                free(<void *> address)
            self.blocks.clear()
        self.block = NULL
        self.block_left = 0
        self.nitems = 0
        self.used = self.room * sizeof(SortItem)

    cdef int put(self, const IndexTupleData *itup) except -1:
        """Take a copy of a tuple."""
        cdef size_t size = index_tuple_size(itup)
        cdef size_t block_size
        cdef void *room
        cdef SortItem *item
        cdef uint8_t isnull = 0
        if self.used >= self.limit and self.nitems > 1:
            self.spill()
        if self.nitems == self.room:
            self.room = self.room * 2 if self.room else 1024
            room = realloc(self.items, self.room * sizeof(SortItem))
            if room == NULL:
                raise MemoryError
            self.items = <SortItem *> room
            self.used += (self.room // 2) * sizeof(SortItem)
        if self.block_left < size:
            block_size = BLOCK_SIZE if self.limit > 4 * BLOCK_SIZE else 65536
            self.block = <char *> malloc(block_size)
            if self.block == NULL:
                raise MemoryError
            self.blocks.append(<size_t> self.block)
            self.block_left = block_size
            self.used += block_size
        memcpy(self.block, itup, size)
        item = &self.items[self.nitems]
        item.itup = <IndexTupleData *> self.block
        item.first = index_getattr(item.itup, 1, &self.rel.desc.c, &isnull)
        item.isnull = isnull
        self.block += size
        self.block_left -= size
        self.nitems += 1
        self.ntuples += 1
        return 0

    cdef int compare(self, const SortItem *a, const SortItem *b) except? -2:
        cdef int c = compare_column(&self.rel.keys[0], a.first, a.isnull, b.first, b.isnull)
        if c:
            return c
        if self.rel.indnkeyatts > 1:
            c = compare_index_keys(self.rel, a.itup, b.itup, 1, NULL)
            if c:
                return c
        c = tid_compare(&a.itup.t_tid, &b.itup.t_tid)
        return -1 if c < 0 else (1 if c > 0 else 0)

    cdef int sort(self) except -1:
        cdef Py_ssize_t n = self.nitems
        cdef Py_ssize_t width = INSERTION_RUN
        cdef Py_ssize_t left, mid, right, i, j, k
        cdef SortItem *a = self.items
        cdef SortItem *b
        cdef SortItem *source
        cdef SortItem *target
        cdef SortItem moved
        cdef int c
        # Already in order? Tables are often loaded that way.
        i = 1
        while i < n and self.compare(&a[i - 1], &a[i]) <= 0:
            i += 1
        if i >= n:
            return 0
        b = <SortItem *> malloc(n * sizeof(SortItem))
        if b == NULL:
            raise MemoryError
        try:
            for left in range(0, n, INSERTION_RUN):
                right = left + INSERTION_RUN if left + INSERTION_RUN < n else n
                for i in range(left + 1, right):
                    moved = a[i]
                    j = i
                    while j > left:
                        c = self.compare(&a[j - 1], &moved)
                        if c <= 0:
                            break
                        a[j] = a[j - 1]
                        j -= 1
                    a[j] = moved
            source = a
            target = b
            while width < n:
                if InterruptPending:
                    check_for_interrupts()
                left = 0
                while left < n:
                    mid = left + width if left + width < n else n
                    right = left + 2 * width if left + 2 * width < n else n
                    if mid == right or self.compare(&source[mid - 1], &source[mid]) <= 0:
                        memcpy(&target[left], &source[left], (right - left) * sizeof(SortItem))
                        left = right
                        continue
                    i = left
                    j = mid
                    k = left
                    while i < mid and j < right:
                        c = self.compare(&source[i], &source[j])
                        if c <= 0:
                            target[k] = source[i]
                            i += 1
                        else:
                            target[k] = source[j]
                            j += 1
                        k += 1
                    if i < mid:
                        memcpy(&target[k], &source[i], (mid - i) * sizeof(SortItem))
                    elif j < right:
                        memcpy(&target[k], &source[j], (right - j) * sizeof(SortItem))
                    left = right
                source, target = target, source
                width *= 2
            if source != a:
                memcpy(a, source, n * sizeof(SortItem))
        finally:
            free(b)
        return 0

    cdef int spill(self) except -1:
        """Write what is in memory as a run."""
        cdef Py_ssize_t i
        cdef char *out
        cdef size_t filled = 0
        cdef size_t size
        self.sort()
        if self.file is None:
            self.file = TemporaryFile()
        begin = self.file.seek(0, os.SEEK_END)
        out = <char *> malloc(READ_SIZE)
        if out == NULL:
            raise MemoryError
        total = 0
        try:
            for i in range(self.nitems):
                size = index_tuple_size(self.items[i].itup)
                if filled + size > READ_SIZE:
                    write_all(self.file, out[:filled])
                    total += filled
                    filled = 0
                memcpy(out + filled, self.items[i].itup, size)
                filled += size
            write_all(self.file, out[:filled])
            total += filled
        finally:
            free(out)
        self.runs.append((begin, total))
        self.nspilled += 1
        self.clear()
        return 0

    cdef int finish(self) except -1:
        """No more tuples: get ready to give them back in order."""
        cdef int i
        if not self.runs:
            self.sort()
            self.position = 0
            return 0
        if self.nitems:
            self.spill()
        self.heap = <SortItem *> malloc(len(self.runs) * sizeof(SortItem))
        if self.heap == NULL:
            raise MemoryError
        for i in range(len(self.runs)):
            offset, total = self.runs[i]
            self.readers.append([b"", 0, offset, total])
            self.heap[self.nheap].run = i
            if self.load(i, &self.heap[self.nheap]):
                self.nheap += 1
        for i in range(self.nheap // 2 - 1, -1, -1):
            self.sift(i)
        return 0

    cdef int load(self, int run, SortItem *item) except -1:
        """The next tuple of a run; it stays valid until the run's buffer is refilled. 0 at its end."""
        cdef list reader = <list> self.readers[run]
        cdef bytes data = <bytes> reader[0]
        cdef Py_ssize_t position = reader[1]
        cdef Py_ssize_t left = len(data) - position
        cdef IndexTupleData *itup
        cdef uint8_t isnull = 0
        if left < 8 or index_tuple_size(<IndexTupleData *> (<const char *> data + position)) > <size_t> left:
            if reader[3] == 0:
                return 0
            self.file.seek(reader[2])
            more = self.file.read(min(READ_SIZE, reader[3]))
            reader[2] += len(more)
            reader[3] -= len(more)
            data = data[position:] + more
            position = 0
            reader[0] = data
        itup = <IndexTupleData *> (<const char *> data + position)
        reader[1] = position + <Py_ssize_t> index_tuple_size(itup)
        item.itup = itup
        item.run = run
        item.first = index_getattr(itup, 1, &self.rel.desc.c, &isnull)
        item.isnull = isnull
        return 1

    cdef int sift(self, int i) except -1:
        cdef SortItem item = self.heap[i]
        cdef int child, c
        while True:
            child = 2 * i + 1
            if child >= self.nheap:
                break
            if child + 1 < self.nheap:
                c = self.compare(&self.heap[child + 1], &self.heap[child])
                if c < 0:
                    child += 1
            c = self.compare(&item, &self.heap[child])
            if c <= 0:
                break
            self.heap[i] = self.heap[child]
            i = child
        self.heap[i] = item
        return 0

    cdef IndexTupleData *next(self) except? NULL:
        cdef uint32_t size
        cdef void *room
        if self.heap == NULL:
            if self.position >= self.nitems:
                return NULL
            self.position += 1
            return self.items[self.position - 1].itup
        if self.nheap == 0:
            return NULL
        # A copy: the run's buffer may be refilled for the next one.
        size = index_tuple_size(self.heap[0].itup)
        room = realloc(self.given, size)
        if room == NULL:
            raise MemoryError
        self.given = <IndexTupleData *> room
        memcpy(self.given, self.heap[0].itup, size)
        if not self.load(self.heap[0].run, &self.heap[0]):
            self.nheap -= 1
            self.heap[0] = self.heap[self.nheap]
        if self.nheap:
            self.sift(0)
        return self.given


cdef int write_all(object file, bytes data) except -1:
    view = memoryview(data)
    while view:
        view = view[file.write(view):]
    return 0
