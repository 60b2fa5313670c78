"""Memory contexts: a tree of arenas under TopMemoryContext.

Small chunks are cut from blocks that double from 8 kB to 8 MB and are not freed one by one; large ones have their own
block. Reset frees everything in a context and deletes its children; callbacks run first, newest first. Python objects
that belong to a phase are held by its context.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from libc.stdlib cimport free, malloc
from libc.stdlib cimport realloc as c_realloc
from libc.string cimport memcpy, memset

from tusk.errors import SqlError, errcode

cdef enum:
    INIT_BLOCK = 8192
    MAX_BLOCK = 8 * 1024 * 1024
    LARGE_CHUNK = 8192
    ALIGNMENT = 16

cdef size_t _HEADER = (sizeof(ArenaBlock) + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


cdef inline size_t _round(size_t nbytes) noexcept nogil:
    return (nbytes + (ALIGNMENT - 1)) & ~(<size_t> (ALIGNMENT - 1))


class ContextRow(NamedTuple):
    """A row of pg_backend_memory_contexts (path as ids counted in breadth-first order)."""

    name: str
    ident: str | None
    type: str
    level: int
    path: list[int]
    total_bytes: int
    total_nblocks: int
    free_bytes: int
    free_chunks: int
    used_bytes: int


cdef class MemoryContext:
    """An arena in the tree of contexts (AllocSetContextCreate)."""

    def __init__(self, str name, object ident=None, MemoryContext parent=None, str kind="AllocSet",
                 size_t init_block_size=INIT_BLOCK, size_t max_block_size=MAX_BLOCK) -> None:
        if parent is None:
            parent = TopMemoryContext       # None only while TopMemoryContext itself is made
        self.name = name
        self.ident = ident
        self.kind = kind
        self._init_block_size = max(init_block_size, 1024)
        self._max_block_size = max_block_size
        self._next_block_size = self._init_block_size
        self._children = []
        self._held = []
        self._callbacks = []
        self.parent = parent
        if parent is not None:
            if parent._deleted:
                raise ValueError(f"memory context {parent.name} is deleted")
            parent._children.append(self)

    def __dealloc__(self) -> None:
        self._free_blocks(self._blocks)
        self._free_blocks(self._large)

    cdef void _free_blocks(self, ArenaBlock *block) noexcept:
        cdef ArenaBlock *following
        while block != NULL:
            following = block.next
            free(block)
            block = following

    cdef void *alloc(self, size_t nbytes) except NULL:
        """A chunk of at least nbytes, 16-byte aligned, contents undefined. 53200 when there is no memory."""
        cdef char *chunk = self._free
        nbytes = _round(nbytes)
        if nbytes <= <size_t> (self._end - chunk) and nbytes != 0:
            self._free = chunk + nbytes
            return chunk
        return self._alloc_slow(nbytes)

    cdef void *_alloc_slow(self, size_t nbytes) except NULL:
        cdef ArenaBlock *block
        cdef size_t size
        if nbytes == 0:
            nbytes = ALIGNMENT
            if nbytes <= <size_t> (self._end - self._free):
                self._free += nbytes
                return self._free - nbytes
        if self._deleted:
            raise SqlError(errcode.INTERNAL_ERROR, f'memory context "{self.name}" is deleted')
        if nbytes > LARGE_CHUNK:
            size = nbytes + _HEADER
            block = <ArenaBlock *> malloc(size) if size > nbytes else NULL
            if block == NULL:
                raise self._out_of_memory(nbytes)
            block.large = True
            block.prev = NULL
            block.next = self._large
            if self._large != NULL:
                self._large.prev = block
            self._large = block
            block.used = size
        else:
            size = self._next_block_size
            while size < nbytes + _HEADER:
                size *= 2
            block = <ArenaBlock *> malloc(size)
            if block == NULL:
                raise self._out_of_memory(nbytes)
            if self._next_block_size < self._max_block_size:
                self._next_block_size *= 2
            block.large = False
            block.prev = NULL
            block.next = self._blocks
            if self._blocks != NULL:
                self._blocks.used = self._blocks.size - <size_t> (self._end - self._free)
                self._blocks.prev = block
            self._blocks = block
            block.used = _HEADER + nbytes
            self._free = <char *> block + _HEADER + nbytes
            self._end = <char *> block + size
        block.size = size
        self._total_bytes += size
        self._nblocks += 1
        return <char *> block + _HEADER

    def _out_of_memory(self, nbytes: int) -> SqlError:
        return SqlError(errcode.OUT_OF_MEMORY, "out of memory",
                        detail=f'Failed on request of size {nbytes} in memory context "{self.name}".')

    cdef void *alloc_zero(self, size_t nbytes) except NULL:
        cdef void *chunk = self.alloc(nbytes)
        memset(chunk, 0, nbytes)
        return chunk

    cdef void *realloc(self, void *chunk, size_t old_nbytes, size_t nbytes) except NULL:
        cdef size_t old_size = _round(old_nbytes)
        cdef size_t size = _round(nbytes)
        cdef ArenaBlock *block
        cdef ArenaBlock *moved
        cdef void *copy
        if chunk == NULL:
            return self.alloc(nbytes)
        if old_size > LARGE_CHUNK and size > LARGE_CHUNK:
            block = <ArenaBlock *> (<char *> chunk - _HEADER)
            moved = <ArenaBlock *> c_realloc(block, size + _HEADER)
            if moved == NULL:
                raise self._out_of_memory(nbytes)
            if moved.prev != NULL:
                moved.prev.next = moved
            else:
                self._large = moved
            if moved.next != NULL:
                moved.next.prev = moved
            self._total_bytes += size + _HEADER - moved.size
            moved.size = size + _HEADER
            moved.used = moved.size
            return <char *> moved + _HEADER
        if size <= old_size and old_size <= LARGE_CHUNK:
            return chunk
        if <char *> chunk + old_size == self._free and size - old_size <= <size_t> (self._end - self._free) \
                and size <= LARGE_CHUNK and old_size:
            self._free += size - old_size       # the last chunk of the block grows in place
            return chunk
        copy = self.alloc(nbytes)
        memcpy(copy, chunk, min(old_nbytes, nbytes))
        self.free_chunk(chunk, old_nbytes)
        return copy

    cdef void free_chunk(self, void *chunk, size_t nbytes) noexcept:
        cdef ArenaBlock *block
        if chunk == NULL or _round(nbytes) <= LARGE_CHUNK:
            return
        block = <ArenaBlock *> (<char *> chunk - _HEADER)
        if block.prev != NULL:
            block.prev.next = block.next
        else:
            self._large = block.next
        if block.next != NULL:
            block.next.prev = block.prev
        self._total_bytes -= block.size
        self._nblocks -= 1
        free(block)

    cdef char *copy_bytes(self, const void *data, size_t nbytes) except NULL:
        cdef char *chunk = <char *> self.alloc(nbytes + 1)
        memcpy(chunk, data, nbytes)
        chunk[nbytes] = 0
        return chunk

    def hold(self, value: Any) -> Any:
        """Keep a Python object alive until the next reset; returns it."""
        self._held.append(value)
        return value

    def on_reset(self, callback: Callable[[], None]) -> None:
        """Call this once at the next reset or delete (MemoryContextRegisterResetCallback). It must not raise."""
        self._callbacks.append(callback)

    def cancel_on_reset(self, callback: Callable[[], None]) -> None:
        """Take a callback back."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    cpdef reset(self):
        """Delete all children and free everything in this context (MemoryContextReset)."""
        cdef MemoryContext child
        while self._children:
            child = self._children[len(self._children) - 1]
            child.delete()
        self.reset_only()

    cpdef reset_only(self):
        """Free what is in this context, leaving its children."""
        cdef ArenaBlock *keeper
        while self._callbacks:
            self._callbacks.pop()()
        self._held.clear()
        self._free_blocks(self._large)
        self._large = NULL
        # The first, smallest block is the last of the list: it stays, so that a busy context costs no malloc.
        keeper = self._blocks
        while keeper != NULL and keeper.next != NULL:
            self._blocks = keeper.next
            free(keeper)
            keeper = self._blocks
        if keeper != NULL and keeper.size > self._init_block_size:
            free(keeper)
            keeper = NULL
            self._blocks = NULL
        self._next_block_size = self._init_block_size
        if keeper != NULL:
            keeper.prev = NULL
            keeper.used = _HEADER
            self._free = <char *> keeper + _HEADER
            self._end = <char *> keeper + keeper.size
            self._total_bytes = keeper.size
            self._nblocks = 1
            self._next_block_size = min(self._init_block_size * 2, self._max_block_size)
        else:
            self._free = self._end = NULL
            self._total_bytes = 0
            self._nblocks = 0

    cpdef delete(self):
        """Reset, and take the context out of the tree (MemoryContextDelete)."""
        if self._deleted:
            return
        self.reset()
        self._deleted = True
        self._free_blocks(self._blocks)
        self._blocks = NULL
        self._free = self._end = NULL
        self._total_bytes = 0
        self._nblocks = 0
        cdef MemoryContext parent = self.parent
        if parent is not None:
            self.parent = None
            parent._children.remove(self)       # may drop the last reference to this context

    def set_ident(self, ident: str | None) -> None:
        """What this context belongs to, shown beside its name (MemoryContextSetIdentifier)."""
        self.ident = ident

    def set_parent(self, MemoryContext parent) -> None:
        """Move the context under another one (MemoryContextSetParent)."""
        if self.parent is not None:
            self.parent._children.remove(self)
        self.parent = parent
        if parent is not None:
            parent._children.append(self)

    cpdef size_t total_bytes(self, bint recurse=False):
        """Bytes taken from the system, with ``recurse`` by the children too (MemoryContextMemAllocated)."""
        cdef size_t total = self._total_bytes
        if recurse:
            for child in self._children:
                total += (<MemoryContext> child).total_bytes(True)
        return total

    @property
    def total_nblocks(self) -> int:
        """Blocks taken from the system by this context alone."""
        return self._nblocks

    @property
    def free_bytes(self) -> int:
        """Room left in the block being filled."""
        return <size_t> (self._end - self._free)

    @property
    def free_chunks(self) -> int:
        """Always 0: freed chunks go back to the system."""
        return 0

    @property
    def used_bytes(self) -> int:
        """Bytes taken and not free."""
        return self._total_bytes - <size_t> (self._end - self._free)

    @property
    def children(self) -> list[MemoryContext]:
        """A copy of the list of children."""
        return list(self._children)

    @property
    def held_count(self) -> int:
        """Number of Python objects held."""
        return len(self._held)

    @property
    def is_deleted(self) -> bool:
        """Whether delete() was called."""
        return self._deleted

    def allocate_address(self, nbytes: int) -> int:
        """Allocate from Python; returns the address (for tests and ctypes)."""
        return <size_t> self.alloc(nbytes)

    def __enter__(self) -> MemoryContext:
        return self

    def __exit__(self, kind, value, traceback) -> None:
        self.delete()

    def __repr__(self) -> str:
        return f"<MemoryContext {self.name}: {self._total_bytes} bytes, {len(self._children)} children>"


TopMemoryContext = MemoryContext("TopMemoryContext")
CurrentMemoryContext = TopMemoryContext
ErrorContext = MemoryContext("ErrorContext")
CacheMemoryContext = MemoryContext("CacheMemoryContext")
MessageContext = MemoryContext("MessageContext")
TopTransactionContext = MemoryContext("TopTransactionContext")
PortalContext = MemoryContext("TopPortalContext")
_well_known: dict[str, MemoryContext] = {
    context.name: context
    for context in (ErrorContext, CacheMemoryContext, MessageContext, TopTransactionContext, PortalContext)
}


def top_context() -> MemoryContext:
    """The root of this process's contexts."""
    return TopMemoryContext


def well_known_context(name: str) -> MemoryContext:
    """ErrorContext, CacheMemoryContext, MessageContext, TopTransactionContext or TopPortalContext."""
    return _well_known[name]


def current_context() -> MemoryContext:
    """The context that allocations go to by default."""
    return CurrentMemoryContext


cdef MemoryContext switch_context(MemoryContext context):
    """Make `context` current; returns the former one (MemoryContextSwitchTo)."""
    global CurrentMemoryContext
    cdef MemoryContext former = CurrentMemoryContext
    CurrentMemoryContext = context
    return former


def switch_to(MemoryContext context) -> MemoryContext:
    """Make `context` current; returns the former one."""
    return switch_context(context)


def context_rows(root: MemoryContext | None = None) -> list[ContextRow]:
    """All contexts under `root` (default: TopMemoryContext) as rows of pg_backend_memory_contexts."""
    rows: list[ContextRow] = []
    queue: list[tuple[MemoryContext, list[int]]] = [(root if root is not None else TopMemoryContext, [])]
    number = 0
    cdef MemoryContext context
    while number < len(queue):
        context, parent_path = queue[number]
        number += 1
        path = [*parent_path, number]
        free_bytes = context.free_bytes
        rows.append(ContextRow(context.name, context.ident, context.kind, len(path), path, context._total_bytes,
                               context._nblocks, free_bytes, 0, context._total_bytes - free_bytes))
        queue.extend((child, path) for child in context._children)
    return rows


def log_lines(max_children: int = 100) -> Iterator[str]:
    """The lines that pg_log_backend_memory_contexts() writes for this process, without the first."""
    totals = [0, 0, 0, 0, 0]

    def one(MemoryContext context, level: int) -> Iterator[str]:
        free_bytes = context.free_bytes
        for i, value in enumerate((context._total_bytes, context._nblocks, free_bytes, 0,
                                   context._total_bytes - free_bytes)):
            totals[i] += value
        name = context.name if context.ident is None else f"{context.name}: {str(context.ident)[:100]}"
        yield (f"level: {level}; {name}: {context._total_bytes} total in {context._nblocks} blocks; "
               f"{free_bytes} free (0 chunks); {context._total_bytes - free_bytes} used")
        for child in context._children[:max_children]:
            yield from one(child, level + 1)
        rest = context._children[max_children:]
        if rest:
            total = sum((<MemoryContext> child).total_bytes(True) for child in rest)
            yield f"level: {level + 1}; {len(rest)} more child contexts containing {total} total"

    yield from one(TopMemoryContext, 1)
    yield (f"Grand total: {totals[0]} bytes in {totals[1]} blocks; {totals[2]} free ({totals[3]} chunks); "
           f"{totals[4]} used")


def bench(int rounds, size_t nbytes) -> float:
    """Nanoseconds per small allocation, resets included."""
    from time import perf_counter_ns
    cdef MemoryContext context = MemoryContext("bench")
    cdef int i
    begin = perf_counter_ns()
    for i in range(rounds):
        context.alloc(nbytes)
        if i % 1000 == 999:
            context.reset()
    elapsed = perf_counter_ns() - begin
    context.delete()
    return elapsed / rounds
