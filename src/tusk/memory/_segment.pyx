"""The main shared memory segment: one mapping, made before the first fork, of named areas.

Each user declares its area when it is imported; `create_segment` lays them out in that order. Children inherit the
mapping at the same address, so pointers may be stored in it. The mapping takes address space for the sum of the areas'
ceilings without committing it; pages come into being when they are touched.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from libc.stdint cimport uintptr_t
from libc.string cimport memset
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

from tusk.errors import Fatal, errcode

cdef extern from "<sys/mman.h>" nogil:
    enum:
        MAP_NORESERVE
        MADV_REMOVE
    int madvise(void *address, size_t length, int advice)

ALIGNMENT = 128
_HEADER_BYTES = 128


class Area(NamedTuple):
    """A row of pg_shmem_allocations."""

    name: str | None
    offset: int
    size: int
    allocated_size: int


class _Declaration:
    __slots__ = ("attach", "init", "name", "reserve", "size")

    def __init__(self, name, size, init, attach, reserve) -> None:
        self.name = name
        self.size = size
        self.init = init
        self.attach = attach
        self.reserve = reserve


_declarations: dict[str, _Declaration] = {}
_areas: list[Area] = []


def declare_area(
    name: str,
    size_fn: Callable[[Any], int],
    init_fn: Callable[[int, int], None] | None = None,
    attach_fn: Callable[[int], None] | None = None,
    reserve_fn: Callable[[Any], int] | None = None,
) -> None:
    """Declare a named area (ShmemInitStruct).

    ``size_fn(settings)`` gives the bytes it needs; ``attach_fn(address)`` sets the owner's pointers and runs once per
    mapping; ``init_fn(address, size)`` fills it, the bytes being zero, also after a crash. ``reserve_fn(settings)``
    gives the bytes of address space to keep for growth without a restart.
    """
    if _areas:
        raise RuntimeError(f'area "{name}" is declared after the segment was created')
    _declarations[name] = _Declaration(name, size_fn, init_fn, attach_fn, reserve_fn)


def _align(int_bytes: int) -> int:
    return (int_bytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def segment_bytes(settings: Any) -> int:
    """Bytes that these settings commit (shared_memory_size)."""
    return _HEADER_BYTES + sum(_align(d.size(settings)) for d in _declarations.values())


def create_segment(settings: Any) -> None:
    """Map the segment and lay out, attach and initialise every declared area. Postmaster only, before the first fork."""
    global segment_base, segment_size
    if segment_base != NULL:
        raise RuntimeError("the shared memory segment exists already")
    sizes = [(d, d.size(settings)) for d in _declarations.values()]
    offset = _HEADER_BYTES
    layout = []
    for declaration, size in sizes:
        layout.append((declaration, offset, size))
        reserve = declaration.reserve(settings) if declaration.reserve is not None else 0
        offset += _align(max(size, reserve))
    cdef size_t total = (offset + 4095) // 4096 * 4096
    cdef void *base = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if base == MAP_FAILED:
        raise Fatal(errcode.OUT_OF_MEMORY, "could not map anonymous shared memory: Cannot allocate memory",
                    hint=f"The request was for {total} bytes. Lower shared_buffers or max_connections.")
    segment_base = <char *> base
    segment_size = total
    for declaration, offset, size in layout:
        _areas.append(Area(declaration.name, offset, size, _align(size)))
    _attach_and_init(True)


def _attach_and_init(attach: bool) -> None:
    cdef uintptr_t base = <uintptr_t> segment_base
    # Attach everything first: an initialiser may use another area, such as the LWLocks.
    if attach:
        for area in _areas:
            declaration = _declarations[area.name]
            if declaration.attach is not None:
                declaration.attach(base + area.offset)
    for area in _areas:
        declaration = _declarations[area.name]
        if declaration.init is not None:
            declaration.init(base + area.offset, area.size)


def reinitialize_segment() -> None:
    """Zero and initialise all areas again after a crash. Postmaster only, when no child is attached."""
    if madvise(segment_base, segment_size, MADV_REMOVE) != 0:
        memset(segment_base, 0, segment_size)
    _attach_and_init(False)


def destroy_segment() -> None:
    """Unmap the segment: for tests and for a postmaster embedded in another program."""
    global segment_base, segment_size
    if segment_base != NULL:
        munmap(segment_base, segment_size)
        segment_base = NULL
        segment_size = 0
        _areas.clear()


def segment_exists() -> bool:
    """Whether this process has the segment mapped."""
    return segment_base != NULL


def area_address(name: str) -> int:
    """Where the named area lies in this process."""
    for area in _areas:
        if area.name == name:
            return <uintptr_t> segment_base + area.offset
    raise KeyError(name)


def areas() -> list[Area]:
    """The rows of pg_shmem_allocations: named areas, anonymous bytes, unused reserve."""
    rows = list(_areas)
    used = sum(area.allocated_size for area in _areas) + _HEADER_BYTES
    rows.append(Area("<anonymous>", None, _HEADER_BYTES, _HEADER_BYTES))
    rows.append(Area(None, None, segment_size - used, segment_size - used))
    return rows
