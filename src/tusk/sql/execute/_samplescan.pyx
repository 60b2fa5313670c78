"""SampleScan: TABLESAMPLE by the methods bernoulli and system.

Which rows (blocks) belong to a sample is decided by a hash of their place and a seed, so that the same seed gives the
same sample, also of a PostgreSQL server on the same files.
"""

from libc.math cimport rint
from libc.stdint cimport uint32_t, uint64_t
from tusk._types cimport MAIN_FORK, BlockNumber, Datum, OffsetNumber
from tusk.access._hash cimport Hasher, hash_bytes, lookup_hasher
from tusk.access._tuple cimport HeapTupleHeaderData
from tusk.access.heap._scan cimport heap_page_visible_tuples
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._scan cimport ScanState
from tusk.sql.execute._state cimport EState, Expr, eval_scalar
from tusk.storage._buffer cimport incr_buffer_ref, release_buffer, relation_nblocks

from tusk.types._kernel_datum cimport datum_float4

import os

from tusk.errors import SqlError, errcode
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler

cdef enum:
    MAX_TUPLES_PER_PAGE = 291
    SYSTEM_HANDLER = 3314           # pg_proc


cdef Hasher _float8
lookup_hasher("hashfloat8", 0, &_float8)


cdef class SampleScanState(ScanState):
    """SampleScan."""

    cdef bint by_block
    cdef Expr percent, repeatable
    cdef uint32_t seed
    cdef uint64_t cutoff
    cdef bint begun
    cdef BlockNumber next_block, nblocks
    cdef OffsetNumber offsets[MAX_TUPLES_PER_PAGE]
    cdef HeapTupleHeaderData *found[MAX_TUPLES_PER_PAGE]
    cdef uint32_t lengths[MAX_TUPLES_PER_PAGE]

    def __init__(self, object plan, EState estate):
        compiler = Compiler(self, estate)
        sample = plan.tablesample
        self.by_block = sample.tsmhandler == SYSTEM_HANDLER
        self.percent = compiler.compile(sample.args[0])
        self.repeatable = compiler.compile(sample.repeatable) if sample.repeatable is not None else None
        self.prepare_scan(plan, None)

    cdef int open(self) except -1:
        self.begun = False
        # Without REPEATABLE the seed is one for all rescans.
        self.seed = int.from_bytes(os.urandom(4), "little")
        return ScanState.open(self)

    cdef int rescan(self, object changed) except -1:
        self.drop_pins()
        self.begun = False
        return ScanState.rescan(self, changed)

    cdef int begin(self) except -1:
        """Evaluate the parameters."""
        cdef bint isnull
        cdef Datum value
        cdef double percent
        value = eval_scalar(self.percent, self.ctx, &isnull)
        if isnull:
            raise SqlError(errcode.INVALID_TABLESAMPLE_ARGUMENT, "TABLESAMPLE parameter cannot be null")
        percent = datum_float4(value)
        if self.repeatable is not None:
            value = eval_scalar(self.repeatable, self.ctx, &isnull)
            if isnull:
                raise SqlError(errcode.INVALID_TABLESAMPLE_REPEAT, "TABLESAMPLE REPEATABLE parameter cannot be null")
            self.seed = <uint32_t> _float8.fn(value, 0, False, _float8.state)
        if not 0 <= percent <= 100:
            raise SqlError(errcode.INVALID_TABLESAMPLE_ARGUMENT, "sample percentage must be between 0 and 100")
        self.cutoff = <uint64_t> rint(4294967296.0 * percent / 100)
        self.nblocks = <BlockNumber> relation_nblocks(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK)
        self.next_block = 0
        self.begun = True
        return 0

    cdef bint chosen(self, BlockNumber block, uint32_t offset) noexcept:
        cdef uint32_t key[3]
        key[0] = block
        if self.by_block:
            key[1] = self.seed
            return hash_bytes(<const unsigned char *> key, 8) < self.cutoff
        key[1] = offset
        key[2] = self.seed
        return hash_bytes(<const unsigned char *> key, 12) < self.cutoff

    cdef Batch produce(self):
        cdef Batch out
        cdef BlockNumber block
        cdef int i, n, buf, most
        if self.estate.epq is not None and self.rti in self.estate.epq:
            return self.epq_batch()
        if not self.begun:
            self.begin()
        most = self.batch_limit - MAX_TUPLES_PER_PAGE
        while self.next_block < self.nblocks:
            self.drop_pins()
            self.ntuples = 0
            while self.next_block < self.nblocks:
                check_for_interrupts()
                block = self.next_block
                self.next_block += 1
                if self.by_block and not self.chosen(block, 0):
                    continue
                buf = 0
                n = heap_page_visible_tuples(self.rel, self.estate.snapshot, block, &buf, self.offsets, self.found,
                                             self.lengths)
                if n == 0:
                    release_buffer(buf)
                    continue
                self.keep_pin(buf)
                for i in range(n):
                    if self.by_block or self.chosen(block, self.offsets[i]):
                        self.add_tuple(self.found[i], block, self.offsets[i])
                if self.ntuples > most or self.npins >= 32 or self.npins >= self.pin_limit:
                    break
            if self.ntuples == 0:
                continue
            out = self.finish_batch(False)
            if out is not None:
                return out
        return None


register_node("SampleScan", SampleScanState)
