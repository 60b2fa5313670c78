"""Material: keeps the child's rows, so that they can be read again."""

from libc.stdint cimport int64_t
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._state cimport EState, PlanState

from tusk.sql.execute import support
from tusk.sql.execute._state import register_node


cdef class MaterialState(PlanState):
    """Material: rows are passed on as they come and kept; a rescan reads what is kept first."""

    cdef RowStore store
    cdef int64_t position
    cdef bint complete

    def __init__(self, object plan, EState estate):
        self.shape = self.left.shape
        self.result = Batch(self.shape)
        self.store = RowStore(self.shape)

    cdef int open(self) except -1:
        self.store.clear()
        self.store.limit = support.work_mem_bytes()
        self.position = 0
        self.complete = False
        return PlanState.open(self)

    cdef int close(self) except -1:
        self.store.clear()
        return PlanState.close(self)

    cdef int rescan(self, object changed) except -1:
        self.position = 0
        if not (changed & self.plan.lefttree.allParam):
            if self.instrument is not None:
                self.instrument.end_loop()
            return 0
        self.store.clear()
        self.complete = False
        return PlanState.rescan(self, changed)

    cdef Batch produce(self):
        cdef Batch batch
        while self.position >= self.store.nrows:
            if self.complete:
                return None
            batch = self.left.next()
            if batch is None:
                self.complete = True
                return None
            self.store.append(batch, batch.sel, batch.nsel)
        self.store.fill(self.result, <int> (self.position >> 10), <int> (self.position & 1023))
        self.position += self.result.nsel
        return self.result


register_node("Material", MaterialState)
