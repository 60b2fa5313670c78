"""Append: the rows of several plans, one after the other."""

from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._state cimport EState, PlanState, build_plan, shape_of_targetlist

from tusk.errors import feature_not_supported
from tusk.sql.execute._state import register_node


cdef class AppendState(PlanState):
    """Append."""

    cdef readonly list plans
    cdef int current

    def __init__(self, object plan, EState estate):
        if plan.part_prune_index >= 0:
            raise feature_not_supported("run-time partition pruning")
        self.plans = [build_plan(child, estate) for child in plan.appendplans]
        self.shape = shape_of_targetlist(plan.targetlist)
        self.result = Batch(self.shape)

    @property
    def children(self):
        """The plans."""
        return self.plans

    cdef int open(self) except -1:
        cdef PlanState child
        self.current = 0
        for child in self.plans:
            child.open()
        return PlanState.open(self)

    cdef int close(self) except -1:
        cdef PlanState child
        for child in self.plans:
            child.close()
        return PlanState.close(self)

    cdef int rescan(self, object changed) except -1:
        cdef PlanState child
        self.current = 0
        for child in self.plans:
            child.rescan(changed)
        return PlanState.rescan(self, changed)

    cdef int set_batch_limit(self, int limit) except -1:
        cdef PlanState child
        for child in self.plans:
            child.set_batch_limit(limit)
        return PlanState.set_batch_limit(self, limit)

    cdef Batch produce(self):
        cdef Batch batch
        while self.current < len(self.plans):
            batch = (<PlanState> self.plans[self.current]).next()
            if batch is not None:
                return batch
            self.current += 1
        return None


register_node("Append", AppendState)
