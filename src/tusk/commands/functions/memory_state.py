"""Shared memory, memory contexts, wait events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.memory import _context, _segment, wait_events
from tusk.types.registry import function
from tusk.types.values import Array

_INT4 = 23


@function("pg_get_shmem_allocations", set_returning=True)
def pg_get_shmem_allocations() -> Iterator[tuple[Any, ...]]:
    """The areas of the shared memory segment; what is free is the row without a name."""
    for area in _segment.areas():
        yield area.name, None if area.name == "<anonymous>" else area.offset, area.size, area.allocated_size


@function("pg_get_shmem_allocations_numa", set_returning=True)
def pg_get_shmem_allocations_numa() -> Iterator[tuple[Any, ...]]:
    """PostgreSQL without libnuma answers so, too."""
    raise SqlError(
        errcode.FEATURE_NOT_SUPPORTED, "libnuma initialization failed or NUMA is not supported on this platform"
    )


@function("pg_numa_available")
def pg_numa_available() -> bool:
    """Whether the placement of memory on NUMA nodes can be asked."""
    return False


@function("pg_get_backend_memory_contexts", set_returning=True)
def pg_get_backend_memory_contexts() -> Iterator[tuple[Any, ...]]:
    """The memory contexts of this backend."""
    for row in _context.context_rows():
        yield (
            row.name, row.ident, row.type, row.level, Array.of(_INT4, row.path), row.total_bytes, row.total_nblocks,
            row.free_bytes, row.free_chunks, row.used_bytes,
        )  # fmt: skip


@function("pg_get_wait_events", set_returning=True)
def pg_get_wait_events() -> list[tuple[str, str, str]]:
    """The rows of pg_wait_events."""
    return wait_events.rows()


@function("pg_get_aios", set_returning=True)
def pg_get_aios() -> Iterator[tuple[Any, ...]]:
    """I/O in flight: all reads here are synchronous, so none ever is."""
    return iter(())
