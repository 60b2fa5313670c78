# cython: language_level=3
"""The deadlock detector: cycles in the graph of who waits for whom.

An edge is hard when the other process holds what conflicts, and soft when it merely stands before us in a queue. A
cycle with a soft edge can be broken by changing that queue's order; the search tries each such change, together with
further ones that it makes necessary. Only when no order helps does the searching process give up its wait. It runs
once per lock wait, after deadlock_timeout, so it is written for clarity: processes and locks are addresses.
"""

from libc.stdint cimport uint32_t

from tusk.memory._dlist cimport dlist_delete, dlist_first, dlist_next, dlist_node, dlist_push_tail
from tusk.memory._process cimport proc_by_number
from tusk.transaction._lock cimport LOCK, PROCLOCK

from tusk.errors import SqlError, errcode
from tusk.stats import _pending
from tusk.transaction.lock_names import MODE_NAMES, describe_tag

ctypedef size_t Address

rearranged_locks = []
_details = []               # (tag, mode, pid) along the last cycle found
_current_activity = None

cdef uint32_t conflict_table[9]
conflict_table[:] = [0, 0x100, 0x180, 0x1E0, 0x1F0, 0x1D8, 0x1F8, 0x1FC, 0x1FE]


def set_activity_hook(function) -> None:
    """``function(pid)`` gives the query a process runs, for the server log."""
    global _current_activity
    _current_activity = function


cdef inline Address _leader(PGPROC *proc) noexcept:
    return <Address> (proc.lockGroupLeader if proc.lockGroupLeader != NULL else proc)


cdef list _members(Address leader):
    """The processes that are judged as one: a lock group, or a single process."""
    cdef PGPROC *proc = <PGPROC *> leader
    cdef dlist_node *node
    if proc.lockGroupLeader == NULL:
        return [leader]
    found = []
    node = dlist_first(&proc.lockGroupMembers)
    while node != NULL:
        found.append(<Address> (<char *> node - (<char *> &proc.lockGroupLink - <char *> proc)))
        node = dlist_next(&proc.lockGroupMembers, node)
    return found or [leader]


cdef list _queue(LOCK *lock):
    cdef dlist_node *node = dlist_first(&lock.waitProcs)
    found = []
    while node != NULL:
        found.append(<Address> node)        # links is PGPROC's first member
        node = dlist_next(&lock.waitProcs, node)
    return found


cdef tuple _tag_of(LOCK *lock):
    return (lock.tag.locktag_field1, lock.tag.locktag_field2, lock.tag.locktag_field3, lock.tag.locktag_field4,
            lock.tag.locktag_type, lock.tag.locktag_lockmethodid)


class _Search:
    """One depth-first search for a cycle through ``start``, with some queues in a supposed order."""

    def __init__(self, start, orders):
        self.start = start
        self.orders = orders
        self.visited = set()
        self.soft = []              # (waiter leader, blocker leader, lock) along the cycle
        self.details = []           # along the cycle, the start first

    def run(self):
        return self._visit(self.start, True)

    def _visit(self, leader, first=False):
        if leader in self.visited:
            # A cycle that does not come back to the start is somebody else's to find.
            return leader == self.start
        self.visited.add(leader)
        return any(self._follow(member, leader) for member in _members(leader))

    def _follow(self, Address member, leader):
        cdef PGPROC *proc = <PGPROC *> member
        cdef LOCK *lock = <LOCK *> proc.waitLock
        cdef PROCLOCK *proclock
        cdef PGPROC *other
        cdef dlist_node *node
        cdef uint32_t conflicts
        if lock == NULL or proc.links.next == NULL:
            return False
        conflicts = conflict_table[proc.waitLockMode]
        node = dlist_first(&lock.procLocks)
        while node != NULL:
            proclock = <PROCLOCK *> node
            if <Address> proclock.groupLeader != leader and proclock.holdMask & conflicts:
                if self._visit(<Address> proclock.groupLeader):
                    self._note(member)
                    return True
            node = dlist_next(&lock.procLocks, node)
        for waiting in _waiters_before(lock, leader, self.orders):
            other = <PGPROC *> <Address> waiting
            if conflicts & (<uint32_t> 1 << other.waitLockMode) and _leader(other) != leader:
                if self._visit(_leader(other)):
                    self._note(member)
                    self.soft.append((leader, _leader(other), <Address> lock))
                    return True
        return False

    def _note(self, Address member):
        cdef PGPROC *proc = <PGPROC *> member
        self.details.insert(0, (_tag_of(<LOCK *> proc.waitLock), proc.waitLockMode, proc.pid))


cdef list _waiters_before(LOCK *lock, leader, orders):
    order = orders.get(<Address> lock)
    if order is None:
        order = _queue(lock)
    last = -1
    for i, waiting in enumerate(order):
        if _leader(<PGPROC *> <Address> waiting) == leader:
            last = i
            if <Address> lock in orders:
                break
    return order[:last] if last >= 0 else order


cdef object _arrange(list constraints):
    """Queue orders that put each (waiter, blocker, lock)'s waiter before its blocker; None if that is impossible.

    What no constraint mentions keeps its place as far as possible.
    """
    orders = {}
    for lock in {constraint[2] for constraint in constraints}:
        mine = [c for c in constraints if c[2] == lock]
        remaining = _queue(<LOCK *> <Address> lock)
        result = []
        while remaining:
            for candidate in reversed(remaining):
                leader = _leader(<PGPROC *> <Address> candidate)
                # It may be last if nobody still to be placed has to come after it.
                if not any(c[0] == leader and any(_leader(<PGPROC *> <Address> other) == c[1] for other in remaining)
                           for c in mine):
                    break
            else:
                return None
            remaining.remove(candidate)
            result.insert(0, candidate)
        orders[lock] = result
    return orders


cdef object _test(start, list constraints):
    """None if this arrangement is impossible or leaves a hard cycle; else (orders, soft edges of a cycle or [])."""
    global _details
    orders = _arrange(constraints)
    if orders is None:
        return None
    soft = []
    starts = []
    for waiter, blocker, _ in constraints:
        starts += [waiter, blocker]
    for point in [*starts, start]:
        search = _Search(point, orders)
        if search.run():
            _details = search.details
            if not search.soft:
                return None
            soft = search.soft
    return orders, soft


cdef object _solve(start, list constraints, int depth):
    outcome = _test(start, constraints)
    if outcome is None:
        return None
    orders, soft = outcome
    if not soft:
        return orders
    if depth > 64:
        return None
    for edge in soft:
        if edge in constraints:
            continue
        solved = _solve(start, [*constraints, edge], depth + 1)
        if solved is not None:
            return solved
    return None


cdef int dead_lock_check(PGPROC *proc) except -1:
    """Search from ``proc``; rearranges queues if that avoids the deadlock."""
    cdef LOCK *lock
    cdef PGPROC *waiting
    global _details
    _details = []
    rearranged_locks.clear()
    orders = _solve(_leader(proc), [], 0)
    if orders is None:
        return DS_HARD_DEADLOCK
    if not orders:
        return DS_NO_DEADLOCK
    for address, order in orders.items():
        lock = <LOCK *> <Address> address
        for member in order:
            waiting = <PGPROC *> <Address> member
            dlist_delete(&waiting.links)
            dlist_push_tail(&lock.waitProcs, &waiting.links)
        rearranged_locks.append(address)
    return DS_SOFT_DEADLOCK


def remember_simple(procno1: int, mode1: int, tag: tuple, procno2: int, mode2: int) -> None:
    """Two processes want each other's lock on one object: found on entering the queue."""
    global _details
    _details = [(tag, mode1, proc_by_number(procno1).pid), (tag, mode2, proc_by_number(procno2).pid)]


def report_deadlock():
    """Raise 40P01 about the last deadlock found."""
    lines = []
    n = len(_details)
    _pending.count_database("deadlocks")
    for i, (tag, mode, pid) in enumerate(_details):
        next_pid = _details[(i + 1) % n][2]
        lines.append(f"Process {pid} waits for {MODE_NAMES[mode]} on {describe_tag(tag)}; "
                     f"blocked by process {next_pid}.")
    log = list(lines)
    if _current_activity is not None:
        log += [f"Process {pid}: {_current_activity(pid)}" for _, _, pid in _details]
    raise SqlError(errcode.T_R_DEADLOCK_DETECTED, "deadlock detected", detail="\n".join(lines),
                   hint="See server log for query details.", detail_log="\n".join(log))
