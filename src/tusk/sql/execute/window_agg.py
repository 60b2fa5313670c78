"""WindowAgg: window functions over partitions of sorted rows, with all kinds of frames.

A partition is read whole. Window functions proper get a window object (`tusk.types.window`); aggregates run over the
frame of each row: while the frame only grows at its end, values are added to a running state; when its start moves,
they are taken out by the aggregate's inverse function, or the state is built anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.cache import AGGFNOID, PROCOID, lookup
from tusk.errors import SqlError, errcode
from tusk.sql.execute import support
from tusk.sql.execute._batch import Batch, RowShape
from tusk.sql.execute._rowstore import RowStore
from tusk.sql.execute._state import PythonNode, register_node
from tusk.sql.execute._subplan import normaliser
from tusk.sql.execute._vectors import make_batch
from tusk.sql.execute.aggregate_calls import call_of, initial_value
from tusk.sql.execute.program import Compiler
from tusk.sql.nodes import enums
from tusk.types.codec import codec_for
from tusk.types.registry import lookup_function
from tusk.types.window import SEEK_CURRENT, SEEK_HEAD

BATCH_ROWS = 1024
_UNSET = object()


class Aggregate:
    """An aggregate used as a window function: a running state."""

    def __init__(self, node: Any, types: list[Any], can_invert: bool) -> None:
        row = lookup(AGGFNOID, node.winfnoid)
        moving = can_invert and bool(row.aggminvtransfn)
        transition_type = row.aggmtranstype if moving else row.aggtranstype
        arguments = tuple(t.oid for t in types)
        if transition_type in (2277, 2283):
            transition_type = node.wintype
        self.forward, self.strict = call_of(
            row.aggmtransfn if moving else row.aggtransfn, (transition_type, *arguments), transition_type,
            node.inputcollid, None,
        )  # fmt: skip
        self.inverse: Any = None
        if moving:
            self.inverse, _ = call_of(
                row.aggminvtransfn, (transition_type, *arguments), transition_type, node.inputcollid, None
            )
        finalfn = row.aggmfinalfn if moving else row.aggfinalfn
        self.final: Any = None
        self.final_strict = False
        self.extra = 0
        if finalfn:
            self.final, self.final_strict = call_of(
                finalfn, (transition_type, *arguments), node.wintype, node.inputcollid, None
            )
            if row.aggmfinalextra if moving else row.aggfinalextra:
                self.extra = len(types)
        if moving:
            text = row.aggminitval
            self.initial = None if text is None else codec_for(transition_type).input(text)
        else:
            self.initial = initial_value(row, transition_type)
        self.restart()

    def restart(self) -> None:
        """An empty frame."""
        self.state = _UNSET if self.strict and self.initial is None else self.initial
        self.count = 0

    def add(self, values: list[Any]) -> None:
        """A row enters the frame."""
        if self.strict:
            if None in values:
                return
            if self.state is _UNSET:
                self.state = values[0]
                self.count += 1
                return
        self.state = self.forward(self.state, *values)
        self.count += 1

    def remove(self, values: list[Any]) -> bool:
        """A row leaves the frame at its start; False when the state must be built anew."""
        if self.inverse is None:
            return False
        if self.strict and None in values:
            return True
        self.count -= 1
        if self.count == 0:
            self.restart()
            return True
        state = self.inverse(self.state, *values)
        if state is None:
            return False
        self.state = state
        return True

    def result(self) -> Any:
        """The value for the present frame."""
        state = None if self.state is _UNSET else self.state
        if self.final is None:
            return state
        if self.final_strict and state is None:
            return None
        return self.final(state, *([None] * self.extra))


class Function:
    """One WindowFunc of the node."""

    def __init__(self, node: Any, compiler: Compiler, invertible: bool) -> None:
        self.node = node
        self.args = compiler.compile_list(node.args)
        self.filter = compiler.compile(node.aggfilter) if node.aggfilter is not None else None
        self.aggregate: Aggregate | None = None
        self.call: Callable[[Any], Any] | None = None
        if node.winagg:
            self.aggregate = Aggregate(node, [arg.type for arg in self.args], invertible)
        else:
            self.call = lookup_function(lookup(PROCOID, node.winfnoid).prosrc).call


class Partition:
    """The rows of one partition: stored rows, values of arguments, and peer groups."""

    def __init__(self, shape: Any, functions: int) -> None:
        self.store = RowStore(shape, support.work_mem_bytes())
        self.arguments: list[list[list[Any]]] = [[] for _ in range(functions)]
        self.filters: list[list[bool]] = [[] for _ in range(functions)]
        self.order_values: list[Any] = []
        self.groups: list[int] = []
        self.group_starts: list[int] = []
        self.last_key: Any = None

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.groups)

    def group_end(self, group: int) -> int:
        """The row after the last one of a peer group."""
        return self.group_starts[group + 1] if group + 1 < len(self.group_starts) else self.size


class WindowObject:
    """What a window function sees (tusk.types.window.WindowObject)."""

    def __init__(self, node: WindowAggState, partition: Partition, index: int) -> None:
        self.node = node
        self.partition = partition
        self.arguments = partition.arguments[index]
        self.state: Any = None
        self.position = 0

    def partition_row_count(self) -> int:
        """Rows in the partition."""
        return self.partition.size

    def current_position(self) -> int:
        """Position of the current row."""
        return self.position

    def rows_are_peers(self, left: int, right: int) -> bool:
        """Are two rows equal by the window's ORDER BY?"""
        return self.partition.groups[left] == self.partition.groups[right]

    def get_arg_current(self, argument: int) -> Any:
        """Value of an argument at the current row."""
        return self.arguments[self.position][argument]

    def get_arg_in_partition(self, argument: int, offset: int, seek: int) -> tuple[Any, bool]:
        """(value, is outside) at a row relative to the current one, head or tail."""
        base = self.position if seek == SEEK_CURRENT else 0 if seek == SEEK_HEAD else self.partition.size - 1
        at = base + offset
        if not 0 <= at < self.partition.size:
            return None, True
        return self.arguments[at][argument], False

    def get_arg_in_frame(self, argument: int, offset: int, seek: int) -> tuple[Any, bool]:
        """As above, within the frame of the current row."""
        start, end = self.node.frame(self.partition, self.position)
        if seek == SEEK_CURRENT:
            at = self.position + offset
            if not start <= at < end or self.node.is_excluded(self.partition, self.position, at):
                return None, True
            return self.arguments[at][argument], False
        step = 1 if seek == SEEK_HEAD else -1
        at = start if seek == SEEK_HEAD else end - 1
        left = offset if seek == SEEK_HEAD else -offset
        while start <= at < end:
            if not self.node.is_excluded(self.partition, self.position, at):
                if left == 0:
                    return self.arguments[at][argument], False
                left -= 1
            at += step
        return None, True


class WindowAggState(PythonNode):
    """WindowAgg."""

    def __init__(self, plan: Any, estate: Any) -> None:
        compiler = Compiler(self, estate)
        arguments = Compiler(self, estate)
        self.input = self.children[0]
        self.options = plan.frameOptions
        invertible = not self.options & enums.FRAMEOPTION_START_UNBOUNDED_PRECEDING
        self.functions: list[Function] = []
        places: dict[int, int] = {}

        def window_column(node: Any) -> int:
            if id(node) not in places:
                places[id(node)] = len(self.functions)
                self.functions.append(Function(node, arguments, invertible))
            return places[id(node)]

        compiler.window_column = window_column
        targets = compiler.targets(plan.targetlist)
        qual = compiler.qual(plan.qual)
        self.set_targets(targets, qual)
        shape = self.input.shape
        self.part_columns = [i - 1 for i in plan.partColIdx[: plan.partNumCols]]
        self.order_columns = [i - 1 for i in plan.ordColIdx[: plan.ordNumCols]]
        self.part_norms = [normaliser(shape.types[c].base) for c in self.part_columns]
        self.order_norms = [normaliser(shape.types[c].base) for c in self.order_columns]
        self.start_expr = compiler.compile(plan.startOffset) if plan.startOffset is not None else None
        self.end_expr = compiler.compile(plan.endOffset) if plan.endOffset is not None else None
        self.start_in_range = self.in_range(plan.startInRangeFunc, plan.inRangeColl)
        self.end_in_range = self.in_range(plan.endInRangeFunc, plan.inRangeColl)
        self.results_shape = RowShape([f.node.wintype for f in self.functions])
        self.window = Batch(shape)
        self.opening()

    @staticmethod
    def in_range(funcid: int, collation: int) -> Any:
        """The in_range support function."""
        return support.function_over_values(funcid, (), 16, collation) if funcid else None

    def opening(self) -> None:
        self.pending: Any = None  # rows read already that belong to the next partition
        self.ended = False
        self.partition: Partition | None = None
        self.results: list[tuple[Any, ...]] = []
        self.position = 0
        self.offsets_known = False

    def rescanning(self, changed: frozenset[int]) -> bool:
        self.opening()
        return False

    # Reading

    def key(self, row: tuple[Any, ...], columns: list[int], norms: list[Any]) -> tuple[Any, ...]:
        """Comparable values of some columns."""
        return tuple(
            row[c] if row[c] is None or norm is None else norm(row[c])
            for c, norm in zip(columns, norms, strict=True)
        )

    def read_partition(self) -> Partition | None:
        """The next partition; None at the end."""
        partition: Partition | None = None
        part_key: Any = None
        while True:
            if self.pending is None:
                if self.ended:
                    return partition
                batch = self.input.next_batch()
                if batch is None:
                    self.ended = True
                    return partition
                self.pending = self.digest(batch)
            batch, rows, values, filters, at = self.pending
            first = at
            while at < len(rows):
                key = self.key(rows[at], self.part_columns, self.part_norms)
                if partition is None:
                    partition, part_key = Partition(self.input.shape, len(self.functions)), key
                elif key != part_key:
                    break
                self.take(partition, rows[at], values, filters, at)
                at += 1
            if at > first and partition is not None:
                partition.store.add(batch.part(first, at - first))
            if at < len(rows):
                self.pending = (batch, rows, values, filters, at)
                return partition
            self.pending = None

    def digest(self, batch: Any) -> tuple[Any, ...]:
        """Python values of what is needed of a batch."""
        self.reset_context()
        self.context.set_batches(outer=batch)
        needed = sorted(set(self.part_columns + self.order_columns))
        width = self.input.shape.ncols
        rows = []
        for k in range(len(batch)):
            row: list[Any] = [None] * width
            for c in needed:
                row[c] = batch.value(k, c)
            rows.append(tuple(row))
        values = [[arg.batch_values(self.context, batch) for arg in f.args] for f in self.functions]
        filters = [f.filter.batch_values(self.context, batch) if f.filter else None for f in self.functions]
        return batch, rows, values, filters, 0

    def take(self, partition: Partition, row: tuple[Any, ...], values: Any, filters: Any, at: int) -> None:
        """Note the values of one row."""
        key = self.key(row, self.order_columns, self.order_norms)
        if not partition.groups or (self.order_columns and key != partition.last_key):
            partition.group_starts.append(len(partition.groups))
            partition.last_key = key
        partition.groups.append(len(partition.group_starts) - 1)
        if len(self.order_columns) == 1:
            partition.order_values.append(row[self.order_columns[0]])
        for i, columns in enumerate(values):
            partition.arguments[i].append([column[at] for column in columns])
            partition.filters[i].append(filters[i] is None or filters[i][at] is True)

    # Frames

    def read_offsets(self) -> None:
        """The frame's offsets, checked."""
        self.offsets_known = True
        self.start_offset = self.offset(self.start_expr, "starting")
        self.end_offset = self.offset(self.end_expr, "ending")

    def offset(self, expr: Any, which: str) -> Any:
        """One offset."""
        if expr is None:
            return None
        value = expr.scalar(self.context)
        if value is None:
            raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, f"frame {which} offset must not be null")
        if self.options & (enums.FRAMEOPTION_ROWS | enums.FRAMEOPTION_GROUPS) and value < 0:
            raise SqlError(
                errcode.INVALID_PRECEDING_OR_FOLLOWING_SIZE, f"frame {which} offset must not be negative"
            )
        return value

    def frame(self, partition: Partition, row: int) -> tuple[int, int]:
        """First row and the one after the last of the frame of a row."""
        start, end = self.frame_start(partition, row), self.frame_end(partition, row)
        start = max(0, min(start, partition.size))
        return start, max(start, min(end, partition.size))

    def frame_start(self, partition: Partition, row: int) -> int:
        options, size = self.options, partition.size
        if options & enums.FRAMEOPTION_START_UNBOUNDED_PRECEDING:
            return 0
        group = partition.groups[row]
        if options & enums.FRAMEOPTION_START_CURRENT_ROW:
            return row if options & enums.FRAMEOPTION_ROWS else partition.group_starts[group]
        precedes = bool(options & enums.FRAMEOPTION_START_OFFSET_PRECEDING)
        offset = self.start_offset
        if options & enums.FRAMEOPTION_ROWS:
            return int(row - offset if precedes else row + offset)
        if options & enums.FRAMEOPTION_GROUPS:
            wanted = group - offset if precedes else group + offset
            if wanted < 0:
                return 0
            return partition.group_starts[wanted] if wanted < len(partition.group_starts) else size
        return self.range_bound(partition, row, offset, precedes, self.start_in_range, False)

    def frame_end(self, partition: Partition, row: int) -> int:
        options, size = self.options, partition.size
        if options & enums.FRAMEOPTION_END_UNBOUNDED_FOLLOWING:
            return size
        group = partition.groups[row]
        if options & enums.FRAMEOPTION_END_CURRENT_ROW:
            return row + 1 if options & enums.FRAMEOPTION_ROWS else partition.group_end(group)
        precedes = bool(options & enums.FRAMEOPTION_END_OFFSET_PRECEDING)
        offset = self.end_offset
        if options & enums.FRAMEOPTION_ROWS:
            return int(row - offset if precedes else row + offset) + 1
        if options & enums.FRAMEOPTION_GROUPS:
            wanted = group - offset if precedes else group + offset
            if wanted < 0:
                return 0
            return partition.group_end(wanted) if wanted < len(partition.group_starts) else size
        return self.range_bound(partition, row, offset, precedes, self.end_in_range, True)

    def range_bound(
        self, partition: Partition, row: int, offset: Any, precedes: bool, in_range: Any, is_end: bool
    ) -> int:
        """RANGE with an offset: the first row within the bound, or after it for the frame's end."""
        base = partition.order_values[row]
        ascending, nulls_first = self.plan.inRangeAsc, self.plan.inRangeNullsFirst
        values = partition.order_values
        if base is None:
            # Nulls are peers of each other only.
            group = partition.groups[row]
            return partition.group_end(group) if is_end else partition.group_starts[group]
        subtract = precedes == ascending
        low, high = 0, partition.size
        while low < high:
            middle = (low + high) // 2
            value = values[middle]
            if value is None:
                before = nulls_first
            elif is_end:
                # Rows up to the bound are in the frame.
                before = in_range(value, base, offset, subtract, ascending)
            else:
                before = not in_range(value, base, offset, subtract, not ascending)
            if before:
                low = middle + 1
            else:
                high = middle
        return low

    def is_excluded(self, partition: Partition, row: int, other: int) -> bool:
        """Whether EXCLUDE takes a row out of the frame."""
        options = self.options
        if not options & enums.FRAMEOPTION_EXCLUSION:
            return False
        if options & enums.FRAMEOPTION_EXCLUDE_CURRENT_ROW:
            return other == row
        peers = partition.groups[row] == partition.groups[other]
        if options & enums.FRAMEOPTION_EXCLUDE_GROUP:
            return peers
        return peers and other != row

    # Results

    def compute(self, partition: Partition) -> list[tuple[Any, ...]]:
        """The functions' values for every row."""
        if not self.offsets_known:
            self.read_offsets()
        columns = [
            self.aggregate_column(partition, i, f.aggregate) if f.aggregate else self.function_column(partition, i, f)
            for i, f in enumerate(self.functions)
        ]
        return list(zip(*columns, strict=True))

    def function_column(self, partition: Partition, index: int, function: Function) -> list[Any]:
        """Values of a window function."""
        window = WindowObject(self, partition, index)
        values = []
        assert function.call is not None
        for row in range(partition.size):
            window.position = row
            values.append(function.call(window))
        return values

    def aggregate_column(self, partition: Partition, index: int, aggregate: Aggregate) -> list[Any]:
        """Values of an aggregate over each row's frame."""
        arguments, passes = partition.arguments[index], partition.filters[index]
        exclusion = bool(self.options & enums.FRAMEOPTION_EXCLUSION)
        values: list[Any] = []
        aggregate.restart()
        start = end = 0
        last: Any = None
        for row in range(partition.size):
            new_start, new_end = self.frame(partition, row)
            if exclusion:
                aggregate.restart()
                for at in range(new_start, new_end):
                    if passes[at] and not self.is_excluded(partition, row, at):
                        aggregate.add(arguments[at])
                values.append(aggregate.result())
                continue
            if row and (new_start, new_end) == (start, end):
                values.append(last)
                continue
            rebuild = new_start < start or new_end < end or new_start >= end
            if not rebuild:
                for at in range(start, new_start):
                    if passes[at] and not aggregate.remove(arguments[at]):
                        rebuild = True
                        break
            if rebuild:
                aggregate.restart()
                end = new_start
            for at in range(end, new_end):
                if passes[at]:
                    aggregate.add(arguments[at])
            start, end = new_start, new_end
            last = self.snapshot_result(aggregate)
            values.append(last)
        return values

    @staticmethod
    def snapshot_result(aggregate: Aggregate) -> Any:
        """The value now; states that are collections must not be shared with it."""
        value = aggregate.result()
        return list(value) if isinstance(value, list) else value

    def produce_batch(self) -> Any:
        while True:
            if self.partition is None or self.position >= self.partition.size:
                self.partition = self.read_partition()
                if self.partition is None:
                    return None
                self.results = self.compute(self.partition)
                self.position = 0
            self.partition.store.read(self.window, self.position)
            count = len(self.window)
            self.reset_context()
            results = make_batch(
                self.results_shape, self.results[self.position : self.position + count], self.context.memory
            )
            self.position += count
            self.context.set_batches(outer=self.window, aggs=results)
            found = self.filter_project(self.window)
            if found is not None:
                return found


register_node("WindowAgg", WindowAggState)
