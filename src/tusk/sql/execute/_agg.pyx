"""Agg: groups and aggregates, for all strategies.

Every grouping set has its groups: numbered in the order they are found (by hash table, or by comparing neighbours when
the input is sorted), each with a representative row. A batch is turned into a vector of group numbers, and each
aggregate takes the batch in one call. DISTINCT and ORDER BY arguments are sorted by group at the end.

When a hash table outgrows hash_mem it takes no more groups: rows of others wait in partitions, in temporary files, and
are grouped after the groups in memory have been given out. Sorted input is cut at the end of a group instead.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset
from tusk._types cimport Datum
from tusk.sql.execute._agg_states cimport AggState
from tusk.sql.execute._batch cimport Batch, RowShape, batch_row
from tusk.sql.execute._keys cimport KEY_INT, Keys, make_equality_keys, make_sort_keys
from tusk.sql.execute._rowstore cimport Chunk, RowStore
from tusk.sql.execute._sort cimport Sorter
from tusk.sql.execute._state cimport EState, Expr, ExprContext, PlanState, shape_of_targetlist
from tusk.types._kernel cimport BATCH_ROWS, Vector
from tusk.types._kernel_datum cimport DatumType

from tusk.sql.execute import aggregate_calls, support
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler
from tusk.sql.nodes import enums
from tusk.types._kernel_datum import type_of

cdef enum:
    MAX_KEYS = 64
    MAX_ARGS = 32
    MAX_CALLS = 256         # GROUPING() results come after so many aggregates
    PARTITION_BITS = 5
    MAX_DEPTH = 6           # hashes have no more bits to split by
    SPILLED = 0xFFFFFFFF    # instead of a group number


cdef class AggCall:
    """One aggregate: its compiled arguments and how to make its states."""

    cdef readonly object node
    cdef list args
    cdef int nargs
    cdef Expr filter
    cdef object make_state
    cdef bint sorted                # by ORDER BY or DISTINCT
    cdef list direct                # compiled direct arguments
    cdef RowShape sort_shape        # group number, arguments
    cdef Keys sort_keys
    cdef Keys distinct              # arguments (and group) that must differ
    cdef DatumType result_type
    cdef list arg_places            # in the sorted rows
    cdef int ntrans                 # how many of them the transition takes

    def __init__(self, node, compiler, DatumType result_type):
        self.node = node
        self.result_type = result_type
        self.args = [compiler.compile(entry.expr) for entry in node.args]
        self.nargs = len(self.args)
        self.filter = compiler.compile(node.aggfilter) if node.aggfilter is not None else None
        self.direct = compiler.compile_list(node.aggdirectargs)
        taken = [i for i, entry in enumerate(node.args) if not entry.resjunk]
        self.arg_places = taken
        self.ntrans = len(taken)
        self.make_state = aggregate_calls.state_maker(node, [self.args[i].type for i in taken])
        self.sorted = node.aggkind == "n" and bool(node.aggorder or node.aggdistinct)
        if self.sorted:
            self.prepare_sort(node)

    def prepare_sort(self, node):
        """Keys for ORDER BY and DISTINCT arguments."""
        clauses = node.aggdistinct or node.aggorder
        self.sort_shape = RowShape([20] + [e.type.oid for e in self.args])
        columns, operators, collations, nulls_first = [0], [412], [0], [False]
        distinct_columns, equalities = [0], [410]
        for clause in clauses:
            place = next(i for i, entry in enumerate(node.args) if entry.ressortgroupref == clause.tleSortGroupRef)
            columns.append(place + 1)
            operators.append(clause.sortop)
            collations.append(support.expression_type(node.args[place].expr)[2])
            nulls_first.append(clause.nulls_first)
            distinct_columns.append(place + 1)
            equalities.append(clause.eqop)
        types = [self.sort_shape.types[c] for c in columns]
        self.sort_keys = make_sort_keys(columns, operators, collations, nulls_first, types)
        if node.aggdistinct:
            self.distinct = make_equality_keys(distinct_columns, equalities, collations, types)


cdef class GroupingSet:
    """The groups of one grouping set, and the states of every aggregate for them."""

    cdef list columns               # of the outer row, from 0
    cdef frozenset grouped
    cdef Keys keys
    cdef int nkeys
    cdef bint is_sorted
    cdef RowStore rows              # representative of each group
    cdef int64_t ngroups
    cdef list states                # AggState per AggCall
    cdef list sorters               # Sorter per AggCall, None where unsorted
    cdef uint32_t *hashes
    cdef int64_t hash_room
    cdef int32_t *chain
    cdef int32_t *buckets
    cdef int64_t nbuckets
    cdef int64_t current            # sorted: group of the last row, -1 before the first
    cdef bint single                # no columns: one group
    cdef bint full                  # takes no new groups
    cdef int depth                  # of the partition being grouped
    cdef list partitions            # RowStore or None: rows that found no room
    cdef list waiting               # (RowStore, depth): partitions whose turn comes

    def __init__(self, list columns, operators, collations, RowShape shape, bint is_sorted):
        self.columns = columns
        self.grouped = frozenset(columns)
        self.nkeys = len(columns)
        self.single = self.nkeys == 0
        self.is_sorted = is_sorted
        self.rows = RowStore(shape)
        self.waiting = []
        if columns:
            self.keys = make_equality_keys(columns, operators, collations, [shape.types[c] for c in columns])

    def __dealloc__(self):
        free(self.hashes)
        free(self.chain)
        free(self.buckets)

    cdef int clear(self) except -1:
        """Forget everything."""
        self.waiting = []
        self.partitions = None
        self.depth = 0
        return self.clear_groups()

    cdef int clear_groups(self) except -1:
        cdef AggState state
        self.full = False
        self.rows.clear()
        self.ngroups = 0
        self.current = -1
        free(self.hashes)
        free(self.chain)
        free(self.buckets)
        self.hashes = NULL
        self.chain = self.buckets = NULL
        self.hash_room = self.nbuckets = 0
        if self.states is not None:
            for state in self.states:
                state.clear()
        self.sorters = None
        return 0

    cdef size_t memory(self) except? 0:
        """Bytes in use for groups and states."""
        cdef AggState state
        cdef size_t total = self.rows.memory() + self.hash_room * 8 + self.nbuckets * 4
        for state in self.states:
            total += state.memory()
        return total

    cdef int spill(self, Batch batch, int row, uint32_t hash) except -1:
        """Keep a row for later."""
        cdef uint16_t one[1]
        cdef int p = (hash >> (32 - PARTITION_BITS * (self.depth + 1) if self.depth < MAX_DEPTH - 1 else 0)) & \
            ((1 << PARTITION_BITS) - 1)
        if self.partitions is None:
            self.partitions = [None] * (1 << PARTITION_BITS)
        if self.partitions[p] is None:
            self.partitions[p] = RowStore(self.rows.shape, 1)
        one[0] = <uint16_t> row
        (<RowStore> self.partitions[p]).append(batch, one, 1)
        return 0

    cdef int64_t add_group(self, Batch batch, int row) except -1:
        cdef uint16_t one[1]
        one[0] = <uint16_t> row
        self.rows.append(batch, one, 1)
        self.ngroups += 1
        return self.ngroups - 1

    cdef int grow_hash(self) except -1:
        cdef int64_t n, i
        cdef void *grown
        if self.ngroups >= self.hash_room:
            self.hash_room = 256 if self.hash_room == 0 else self.hash_room * 2
            grown = realloc(self.hashes, self.hash_room * sizeof(uint32_t))
            if grown == NULL:
                raise MemoryError
            self.hashes = <uint32_t *> grown
            grown = realloc(self.chain, self.hash_room * sizeof(int32_t))
            if grown == NULL:
                raise MemoryError
            self.chain = <int32_t *> grown
        if self.nbuckets == 0 or self.ngroups * 2 > self.nbuckets:
            n = 512 if self.nbuckets == 0 else self.nbuckets * 4
            free(self.buckets)
            self.buckets = <int32_t *> malloc(n * sizeof(int32_t))
            if self.buckets == NULL:
                raise MemoryError
            memset(self.buckets, 0xFF, n * sizeof(int32_t))
            self.nbuckets = n
            for i in range(self.ngroups):
                self.chain[i] = self.buckets[self.hashes[i] & (n - 1)]
                self.buckets[self.hashes[i] & (n - 1)] = <int32_t> i
        return 0

    cdef int assign_hashed(self, Batch batch, uint32_t *groups) except -1:
        """Group numbers of the batch's selected rows; SPILLED for those that must wait. Answers how many do not."""
        cdef Vector *cols[MAX_KEYS]
        cdef Vector *stored[MAX_KEYS]
        cdef uint32_t hashes[BATCH_ROWS]
        cdef int i, k, row, n = batch.nsel
        cdef int64_t g
        cdef Chunk *chunk
        cdef bint int_key
        cdef int taken = n
        for i in range(self.nkeys):
            cols[i] = &batch.cols[<int> self.keys.keys[i].column]
        self.keys.hash_rows(cols, batch.sel, n, hashes)
        int_key = self.nkeys == 1 and self.keys.keys[0].kind == KEY_INT
        for k in range(n):
            row = batch_row(batch, k)
            if self.nbuckets == 0:
                self.grow_hash()
            g = self.buckets[hashes[k] & (self.nbuckets - 1)]
            while g >= 0:
                if self.hashes[g] == hashes[k]:
                    chunk = &self.rows.chunks[g >> 10]
                    if int_key:
                        i = self.keys.keys[0].column
                        if chunk.cols[i].nulls[g & 1023] == cols[0].nulls[row] and (
                                cols[0].nulls[row] or chunk.cols[i].values[g & 1023] == cols[0].values[row]):
                            break
                    else:
                        for i in range(self.nkeys):
                            stored[i] = &chunk.cols[<int> self.keys.keys[i].column]
                        if self.keys.equal_rows(stored, <int> (g & 1023), cols, row):
                            break
                g = self.chain[g]
            if g < 0:
                if self.full:
                    self.spill(batch, row, hashes[k])
                    groups[k] = <uint32_t> SPILLED
                    taken -= 1
                    continue
                self.grow_hash()
                g = self.add_group(batch, row)
                self.hashes[g] = hashes[k]
                self.chain[g] = self.buckets[hashes[k] & (self.nbuckets - 1)]
                self.buckets[hashes[k] & (self.nbuckets - 1)] = <int32_t> g
            groups[k] = <uint32_t> g
        return taken

    cdef int boundary(self, Batch batch, int first) except -1:
        """Where, from place `first` on, a batch's rows no longer belong to the current group; nsel if they all do."""
        cdef Vector *cols[MAX_KEYS]
        cdef Vector *stored[MAX_KEYS]
        cdef int i, k
        cdef Chunk *chunk
        if self.current < 0:
            return first
        chunk = &self.rows.chunks[self.current >> 10]
        for i in range(self.nkeys):
            cols[i] = &batch.cols[<int> self.keys.keys[i].column]
            stored[i] = &chunk.cols[<int> self.keys.keys[i].column]
        for k in range(first, batch.nsel):
            if not self.keys.equal_rows(stored, <int> (self.current & 1023), cols, batch_row(batch, k)):
                return k
        return batch.nsel

    cdef int assign_sorted(self, Batch batch, uint32_t *groups) except -1:
        cdef Vector *cols[MAX_KEYS]
        cdef Vector *stored[MAX_KEYS]
        cdef int i, k, row, last = -1
        cdef Chunk *chunk
        cdef bint same
        for i in range(self.nkeys):
            cols[i] = &batch.cols[<int> self.keys.keys[i].column]
        for k in range(batch.nsel):
            row = batch_row(batch, k)
            if self.current < 0:
                same = False
            elif last >= 0:
                same = self.keys.equal_rows(cols, last, cols, row)
            else:
                chunk = &self.rows.chunks[self.current >> 10]
                for i in range(self.nkeys):
                    stored[i] = &chunk.cols[<int> self.keys.keys[i].column]
                same = self.keys.equal_rows(stored, <int> (self.current & 1023), cols, row)
            if not same:
                self.current = self.add_group(batch, row)
            last = row
            groups[k] = <uint32_t> self.current
        return 0


cdef class AggNode(PlanState):
    """Agg."""

    cdef list calls
    cdef list sets
    cdef bint done, explicit_sets
    cdef int set_at
    cdef int64_t group_at
    cdef Batch reps, aggs
    cdef list grouping_funcs        # nodes of GROUPING()
    cdef list used                  # outer columns the target list and qual look at
    cdef ExprContext input_ctx
    cdef bint ended                 # the input is read
    cdef bint again                 # more groups than memory held: they cannot be given out twice
    cdef Batch rest                 # sorted: input that belongs to groups not begun yet
    cdef int64_t batches, peak, disk

    def __init__(self, object plan, EState estate):
        cdef int i
        compiler = Compiler(self, estate)
        self.input_ctx = ExprContext(estate, "aggregate input")
        arguments = Compiler(self, estate)
        self.calls = []
        self.grouping_funcs = []
        places = {}

        def aggregate_column(node):
            if node.aggno not in places:
                places[node.aggno] = len(self.calls)
                self.calls.append(AggCall(node, arguments, type_of(node.aggtype)))
            return places[node.aggno]

        compiler.aggregate_column = aggregate_column
        compiler.grouping_column = lambda node: self.note_grouping(node)
        self.targets = compiler.targets(plan.targetlist)
        self.qual = compiler.qual(plan.qual)
        outer = self.left.shape
        self.used = sorted(compiler.outer_used)
        agg_types = [(<AggCall> c).result_type.oid for c in self.calls]
        self.shape = shape_of_targetlist(plan.targetlist)
        self.result = Batch(self.shape)
        self.reps = Batch(outer)
        width = [23] * (MAX_CALLS + len(self.grouping_funcs)) if self.grouping_funcs else agg_types
        if self.grouping_funcs:
            for i in range(len(agg_types)):
                width[i] = agg_types[i]
        self.aggs = Batch(RowShape(width))
        for i in range(len(agg_types)):
            self.aggs.lanes(i)
        for i in range(len(self.grouping_funcs)):
            self.aggs.lanes(MAX_CALLS + i)
        for i in self.used:
            self.reps.lanes(i)
        self.make_sets(plan, outer)

    def note_grouping(self, node):
        """The place of a GROUPING() call among the results."""
        self.grouping_funcs.append(node)
        return MAX_CALLS + len(self.grouping_funcs) - 1

    def make_sets(self, plan, RowShape outer):
        """The grouping sets of the node and its chain."""
        self.sets = []
        self.explicit_sets = bool(plan.groupingSets)
        for node in [plan, *plan.chain]:
            columns = [c - 1 for c in node.grpColIdx[: node.numCols]]
            # Sorted input gives groups in order; with several chained orders everything is hashed.
            is_sorted = node.aggstrategy == enums.AGG_SORTED and not plan.chain
            lengths = [len(gset) for gset in node.groupingSets] if node.groupingSets else [len(columns)]
            if node.aggstrategy == enums.AGG_HASHED and node.groupingSets:
                lengths = [len(columns)]
            for length in lengths:
                self.sets.append(GroupingSet(columns[:length], node.grpOperators[:length], node.grpCollations[:length],
                                             outer, is_sorted))

    cdef int open(self) except -1:
        self.restart()
        return PlanState.open(self)

    cdef int close(self) except -1:
        self.restart()
        return PlanState.close(self)

    cdef int restart(self) except -1:
        cdef GroupingSet group_set
        for group_set in self.sets:
            group_set.clear()
        self.rest = None
        self.ended = self.again = False
        self.batches = 1
        self.peak = self.disk = 0
        self.done = False
        self.set_at = 0
        self.group_at = 0
        return 0

    cdef int rescan(self, object changed) except -1:
        if self.done and not self.again and not (changed & (self.plan.lefttree.allParam | self.plan.aggParams)):
            self.set_at = 0
            self.group_at = 0
            if self.instrument is not None:
                self.instrument.end_loop()
            return 0
        self.restart()
        return PlanState.rescan(self, changed)

    cdef int begin_set(self, GroupingSet group_set) except -1:
        """States for groups to come."""
        group_set.current = -1
        if group_set.states is None:
            group_set.states = [(<AggCall> c).make_state() for c in self.calls]
        group_set.sorters = [Sorter((<AggCall> c).sort_shape, (<AggCall> c).sort_keys, support.work_mem_bytes())
                             if (<AggCall> c).sorted else None for c in self.calls]
        return 0

    cdef int end_set(self, GroupingSet group_set) except -1:
        """All rows of the groups in memory have come."""
        cdef AggCall call
        cdef int i = 0
        if not group_set.single:
            self.peak = max(self.peak, <int64_t> group_set.memory())
        for call in self.calls:
            (<AggState> group_set.states[i]).grow(group_set.ngroups)
            if call.sorted:
                self.feed_sorted(group_set, call, i)
            i += 1
        return 0

    cdef int take(self, GroupingSet group_set, Batch batch, size_t limit) except -1:
        """Group a batch by hash; beyond the limit new groups are put off."""
        cdef uint32_t groups[BATCH_ROWS]
        cdef uint16_t kept[BATCH_ROWS]
        cdef int k, m = 0
        if group_set.assign_hashed(batch, groups) == batch.nsel:
            self.feed(group_set, batch, batch.sel, batch.nsel, groups)
        else:
            for k in range(batch.nsel):
                if groups[k] != <uint32_t> SPILLED:
                    kept[m] = <uint16_t> batch_row(batch, k)
                    groups[m] = groups[k]
                    m += 1
            self.feed(group_set, batch, kept, m, groups)
        if not group_set.full and group_set.ngroups and group_set.depth < MAX_DEPTH and group_set.memory() > limit:
            group_set.full = True
        return 0

    cdef int consume(self) except -1:
        """Read the input, to its end or, when it is sorted, to the end of a group when memory gets short."""
        cdef Batch batch, part
        cdef GroupingSet group_set
        cdef uint32_t groups[BATCH_ROWS]
        cdef size_t limit = support.hash_mem_bytes() // max(len(self.sets), 1)
        cdef int cut
        cdef bint lone = len(self.sets) == 1
        for group_set in self.sets:
            self.begin_set(group_set)
        while True:
            if self.rest is not None:
                batch, self.rest = self.rest, None
            else:
                batch = self.left.next()
            if batch is None:
                self.ended = True
                break
            if batch.nsel == 0:
                continue
            self.input_ctx.reset()
            self.input_ctx.outer = batch
            for group_set in self.sets:
                if group_set.single:
                    if group_set.ngroups == 0:
                        group_set.add_group(batch, batch_row(batch, 0))
                    self.feed(group_set, batch, batch.sel, batch.nsel, NULL)
                elif not group_set.is_sorted:
                    self.take(group_set, batch, limit)
                else:
                    if lone and group_set.ngroups and group_set.memory() > limit:
                        cut = group_set.boundary(batch, 0)
                        if cut < batch.nsel:
                            self.again = True
                            self.rest = batch.slice(cut, batch.nsel - cut)
                            if cut == 0:
                                break
                            part = batch.slice(0, cut)
                            self.input_ctx.outer = part
                            group_set.assign_sorted(part, groups)
                            self.feed(group_set, part, part.sel, part.nsel, groups)
                            break
                    group_set.assign_sorted(batch, groups)
                    self.feed(group_set, batch, batch.sel, batch.nsel, groups)
            if self.rest is not None:
                break
        for group_set in self.sets:
            if group_set.single and group_set.ngroups == 0:
                group_set.ngroups = 1       # aggregates over nothing
            self.end_set(group_set)
        self.done = True
        self.report()
        return 0

    cdef int report(self) except -1:
        """Figures for EXPLAIN ANALYZE."""
        if self.instrument is not None and self.peak:
            self.instrument.details["HashAgg Batches"] = self.batches
            self.instrument.details["Peak Memory Usage"] = (self.peak + 1023) // 1024
            self.instrument.details["Disk Usage"] = (self.disk + 1023) // 1024
        return 0

    cdef bint next_partition(self, GroupingSet group_set) except -1:
        """Group a partition of the rows that had to wait; 0 when there is none."""
        cdef RowStore store
        cdef Batch window
        cdef size_t limit = support.hash_mem_bytes() // max(len(self.sets), 1)
        cdef int i
        if group_set.partitions is not None:
            for store in group_set.partitions:
                if store is not None:
                    store.spill()
                    self.disk += store.file_end
                    group_set.waiting.append((store, group_set.depth + 1))
            group_set.partitions = None
        if not group_set.waiting:
            return False
        self.again = True
        self.batches += 1
        group_set.clear_groups()
        store, group_set.depth = group_set.waiting.pop()
        self.begin_set(group_set)
        window = Batch(store.shape)
        for i in range(store.nchunks):
            store.fill(window, i, 0)
            self.input_ctx.reset()
            self.input_ctx.outer = window
            self.take(group_set, window, limit)
        store.clear()
        self.end_set(group_set)
        self.report()
        return True

    cdef int feed(self, GroupingSet group_set, Batch batch, const uint16_t *rows, int nrows, uint32_t *groups) except -1:
        """Give rows of a batch to every aggregate."""
        cdef AggCall call
        cdef AggState state
        cdef Vector *args[MAX_ARGS]
        cdef uint16_t kept[BATCH_ROWS]
        cdef uint32_t kept_groups[BATCH_ROWS]
        cdef const uint16_t *sel
        cdef uint32_t *their
        cdef int i = 0, a, k, n, m, place
        cdef Expr expr
        for call in self.calls:
            state = group_set.states[i]
            sel = rows
            n = nrows
            their = groups
            if call.filter is not None:
                m = call.filter.filter(self.input_ctx, sel, n, kept)
                if groups != NULL:
                    # Selected rows ascend, so the survivors are found in one pass.
                    a = 0
                    for k in range(n):
                        if a < m and kept[a] == (k if sel == NULL else sel[k]):
                            kept_groups[a] = groups[k]
                            a += 1
                    their = kept_groups
                sel = kept
                n = m
            state.grow(group_set.ngroups)
            if n:
                if call.sorted:
                    a = 0
                    for expr in call.args:
                        args[a] = expr.eval(self.input_ctx, sel, n)
                        a += 1
                    self.keep_for_sort(call, <Sorter> group_set.sorters[i], args, their, sel, n)
                else:
                    a = 0
                    for place in call.arg_places:
                        args[a] = (<Expr> call.args[place]).eval(self.input_ctx, sel, n)
                        a += 1
                    state.update(their, sel, n, args)
            i += 1
        return 0

    cdef int keep_for_sort(self, AggCall call, Sorter sorter, Vector **args, uint32_t *groups, const uint16_t *sel,
                           int n) except -1:
        cdef Batch wide = Batch(call.sort_shape)
        cdef Vector *numbers = wide.lanes(0)
        cdef int a, k, i
        for a in range(call.nargs):
            wide.cols[a + 1] = args[a][0]
        for k in range(n):
            i = k if sel == NULL else sel[k]
            numbers.values[i] = 0 if groups == NULL else groups[k]
            numbers.nulls[i] = 0
        wide.sel = sel
        wide.nsel = n
        wide.nrows = BATCH_ROWS
        return sorter.add(wide)

    cdef int feed_sorted(self, GroupingSet group_set, AggCall call, int i) except -1:
        """Give the sorted arguments to an aggregate, each once for DISTINCT."""
        cdef Sorter sorter = group_set.sorters[i]
        cdef AggState state = group_set.states[i]
        cdef Batch batch
        cdef Vector *args[MAX_ARGS]
        cdef Vector *cols[MAX_KEYS]
        cdef Vector *last[MAX_KEYS]
        cdef uint32_t groups[BATCH_ROWS]
        cdef uint16_t kept[BATCH_ROWS]
        cdef RowStore before = RowStore(call.sort_shape)
        cdef int a, k, n, place, prev
        cdef uint16_t one[1]
        sorter.finish()
        while True:
            batch = sorter.fetch(BATCH_ROWS)
            if batch is None:
                break
            n = 0
            if call.distinct is not None:
                for a in range(call.distinct.nkeys):
                    cols[a] = &batch.cols[<int> call.distinct.keys[a].column]
            prev = -1
            for k in range(batch.nsel):
                if call.distinct is not None:
                    if prev >= 0:
                        if call.distinct.equal_rows(cols, prev, cols, k):
                            continue
                    elif before.nrows:
                        for a in range(call.distinct.nkeys):
                            last[a] = &before.chunk(0).cols[<int> call.distinct.keys[a].column]
                        if call.distinct.equal_rows(last, 0, cols, k):
                            continue
                    prev = k
                kept[n] = <uint16_t> k
                groups[n] = <uint32_t> batch.cols[0].values[k]
                n += 1
            a = 0
            for place in call.arg_places:
                args[a] = &batch.cols[place + 1]
                a += 1
            if n:
                state.update(groups, kept, n, args)
            if prev >= 0:
                before.clear()
                one[0] = <uint16_t> prev
                before.append(batch, one, 1)
        sorter.clear()
        return 0

    cdef Batch produce(self):
        cdef GroupingSet group_set
        cdef Batch out
        cdef int n, c, k, m
        cdef Chunk *chunk
        cdef AggState state
        cdef const uint16_t *sel
        cdef uint16_t *keep
        cdef Vector *v
        if not self.done:
            self.consume()
        while self.set_at < len(self.sets):
            group_set = self.sets[self.set_at]
            if self.group_at >= group_set.ngroups:
                self.group_at = 0
                if not self.next_partition(group_set):
                    if not self.ended:
                        group_set.clear_groups()
                        self.consume()
                    else:
                        self.set_at += 1
                continue
            self.ctx.reset()
            n = <int> min(group_set.ngroups - self.group_at, <int64_t> BATCH_ROWS - (self.group_at & 1023))
            chunk = &group_set.rows.chunks[self.group_at >> 10] if group_set.rows.nrows else NULL
            for c in self.used:
                v = &self.reps.cols[c]
                if chunk == NULL or (self.explicit_sets and self.is_grouping_column(c)
                                     and c not in group_set.grouped):
                    memset(v.nulls, 1, n)
                    continue
                for k in range(n):
                    v.values[k] = chunk.cols[c].values[(self.group_at & 1023) + k]
                    v.nulls[k] = chunk.cols[c].nulls[(self.group_at & 1023) + k]
            self.reps.select_all(n)
            self.ctx.outer = self.reps
            self.ctx.aggs = self.aggs
            c = 0
            for state in group_set.states:
                if (<AggCall> self.calls[c]).direct:
                    self.direct_results(group_set, c, n)
                else:
                    v = &self.aggs.cols[c]
                    for k in range(n):
                        state.result(self.group_at + k, v, k, self.ctx.arena)
                c += 1
            for c in range(len(self.grouping_funcs)):
                self.fill_grouping(group_set, c, n)
            self.group_at += n
            sel = NULL
            m = n
            if self.qual is not None:
                keep = self.result.selection()
                m = self.qual.filter(self.ctx, NULL, n, keep)
                sel = keep
                if self.instrument is not None:
                    self.instrument.nfiltered1 += n - m
            if m:
                return self.project(n, sel, m)
        return None

    cdef int direct_results(self, GroupingSet group_set, int c, int n) except -1:
        """Results of an ordered-set aggregate, whose direct arguments belong to the group."""
        cdef AggCall call = self.calls[c]
        cdef int k
        columns = [(<Expr> e).values(self.ctx, n) for e in call.direct]
        state = group_set.states[c]
        for k in range(n):
            state.set_direct([column[k] for column in columns])
            (<AggState> state).result(self.group_at + k, &self.aggs.cols[c], k, self.ctx.arena)
        return 0

    def is_grouping_column(self, column):
        """Whether some grouping set groups by this column."""
        cdef GroupingSet group_set
        for group_set in self.sets:
            if column in group_set.grouped:
                return True
        return False

    cdef int fill_grouping(self, GroupingSet group_set, int c, int n) except -1:
        """GROUPING(): a bit for each argument that the set does not group by."""
        cdef int bits = 0, k
        cdef Vector *v = &self.aggs.cols[MAX_CALLS + c]
        for column in self.grouping_funcs[c].cols:
            bits = bits << 1
            if column - 1 not in group_set.grouped:
                bits |= 1
        for k in range(n):
            v.values[k] = bits
            v.nulls[k] = 0
        return 0


register_node("Agg", AggNode)
